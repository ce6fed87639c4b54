"""scripts/release: what it writes, and what it refuses."""

import subprocess
from datetime import date
from pathlib import Path

import pytest

from scripts import release
from scripts.release import ReleaseRefused, date_changelog, set_version

DAY = date(2031, 2, 3)
CHANGELOG = """# Changelog

## Unreleased

### Added

- A thing.

## 0.1.0 - 2030-01-02

- The first one.
"""


def test_the_changelog_gets_a_dated_section_and_an_empty_one() -> None:
    assert date_changelog(CHANGELOG, "0.2.0", DAY) == CHANGELOG.replace(
        "## Unreleased\n", "## Unreleased\n\n## 0.2.0 - 2031-02-03\n"
    )


@pytest.mark.parametrize(
    ("changelog", "said"),
    [
        ("# Changelog\n\n## 0.1.0 - 2030-01-02\n\n- The first one.\n", "no section"),
        ("# Changelog\n\n## Unreleased\n\n## 0.1.0 - 2030-01-02\n\n- The first one.\n", "no entries"),
        ("# Changelog\n\n## Unreleased\n\n### Added\n", "no entries"),
    ],
)
def test_a_changelog_without_entries_is_refused(changelog: str, said: str) -> None:
    with pytest.raises(ReleaseRefused, match=said):
        date_changelog(changelog, "0.2.0", DAY)


def test_the_version_is_set_in_its_line_only() -> None:
    source = '"""Since 0.1.0."""\n\n__version__ = "0.1.0"\n'
    assert set_version(source, "0.10.0") == '"""Since 0.1.0."""\n\n__version__ = "0.10.0"\n'


@pytest.mark.parametrize("version", ["0.9.1", "0.10.0", "1", "1.0", "v1.0.0", "1.0.0rc1", "01.0.0", "1.0.0\n", ""])
def test_only_a_higher_version_is_taken(version: str) -> None:
    with pytest.raises(ReleaseRefused, match=r"not higher|not a version"):
        set_version('__version__ = "0.10.0"\n', version)


def test_a_version_must_be_set_once() -> None:
    with pytest.raises(ReleaseRefused, match="0 times"):
        set_version("", "0.2.0")


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of its own whose tests pass at once."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Somebody")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "somebody@example.com")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    (tmp_path / "ari_app").mkdir()
    (tmp_path / "ari_app/__init__.py").write_text('__version__ = "0.1.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    let_tests(tmp_path, "exit 0")
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Begin")
    return tmp_path


def let_tests(root: Path, script: str) -> None:
    (root / "scripts").mkdir(exist_ok=True)
    (root / "scripts/test").write_text(f"#!/bin/sh\n{script}\n")
    (root / "scripts/test").chmod(0o755)


def test_a_release_is_one_commit_and_a_tag(root: Path) -> None:
    assert release.main(["0.2.0"], root) == 0
    assert git(root, "log", "--format=%s", "main") == "Release 0.2.0\nBegin"
    assert git(root, "describe") == "v0.2.0"
    assert git(root, "show", "v0.2.0:ari_app/__init__.py") == '__version__ = "0.2.0"'
    assert f"## 0.2.0 - {date.today()}\n\n### Added\n\n- A thing." in git(root, "show", "v0.2.0:CHANGELOG.md")
    assert git(root, "status", "--porcelain") == ""


def test_a_dry_run_shows_the_edits_and_what_is_in_the_way(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(root, "switch", "--quiet", "--create", "work")
    assert release.main(["0.2.0", "--dry-run"], root) == 0
    shown = capsys.readouterr().out
    assert '-__version__ = "0.1.0"\n+__version__ = "0.2.0"\n' in shown
    assert "refused now: the branch is work" in shown
    assert (git(root, "log", "--format=%s"), git(root, "tag"), git(root, "status", "--porcelain")) == ("Begin", "", "")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 1", "tests have failed"),
        ("git commit --quiet --allow-empty --message Meanwhile", "while the tests ran"),
        ("touch left", "not committed"),
    ],
)
def test_nothing_is_changed_where_the_tests_do_not_pass(
    root: Path, script: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    let_tests(root, script)
    git(root, "commit", "--quiet", "--all", "--message", "Change the tests")
    assert release.main(["0.2.0"], root) == release.REFUSED
    assert said in capsys.readouterr().err
    assert (git(root, "tag"), (root / "CHANGELOG.md").read_text()) == ("", CHANGELOG)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("switch", "--quiet", "--create", "work"), "the branch is work"),
        (("rm", "--quiet", "--cached", "CHANGELOG.md"), "not committed"),
        (("tag", "v0.2.0"), "exists already"),
    ],
)
def test_only_a_clean_main_is_released(
    root: Path, command: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    git(root, *command)
    assert release.main(["0.2.0"], root) == release.REFUSED
    assert said in capsys.readouterr().err
