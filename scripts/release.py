"""Makes a release, as CONTRIBUTING.md describes it; `scripts/release` runs this."""

import argparse
import difflib
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BRANCH = "main"
CHANGELOG = "CHANGELOG.md"
VERSION_FILE = "ari_app/__init__.py"  # setup.cfg and the program read it there
REFUSED = 2  # the exit status

_VERSION_LINE = re.compile(r'^__version__ = "(.*)"$', re.MULTILINE)
_UNRELEASED = re.compile(r"^## Unreleased\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


class ReleaseRefused(Exception):
    """No release can be made; the text says why."""


def set_version(source: str, version: str) -> str:
    """Put a version in place of the one that the source has, which must be lower."""
    found = _VERSION_LINE.findall(source)
    if len(found) != 1:
        raise ReleaseRefused(f"{VERSION_FILE} sets __version__ {len(found)} times, not once")
    if _numbers(version) <= _numbers(found[0]):
        raise ReleaseRefused(f"{version} is not higher than {found[0]}, the version now")
    return _VERSION_LINE.sub(f'__version__ = "{version}"', source)


def _numbers(version: str) -> tuple[int, ...]:
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version, re.ASCII):
        raise ReleaseRefused(f"{version!r} is not a version such as 1.2.3")
    return tuple(int(part) for part in version.split("."))


def date_changelog(text: str, version: str, day: date) -> str:
    """Give what is under "Unreleased" a version and a date, below an empty section for what comes next."""
    section = _UNRELEASED.search(text)
    if not section:
        raise ReleaseRefused(f'{CHANGELOG} has no section "## Unreleased"')
    if not re.search(r"^- \S", section[1], re.MULTILINE):
        raise ReleaseRefused(f'{CHANGELOG} has no entries under "Unreleased"')
    heading = f"## Unreleased\n\n## {version} - {day.isoformat()}\n"
    return text[: section.start()] + heading + text[section.start(1) :]


def edited(root: Path, version: str, day: date) -> dict[str, str]:
    """Read the files that a release changes; gives their new text by their name."""
    return {
        VERSION_FILE: set_version((root / VERSION_FILE).read_text(), version),
        CHANGELOG: date_changelog((root / CHANGELOG).read_text(), version, day),
    }


def objections(root: Path, version: str) -> list[str]:
    """Say what in the git repository is in the way of a release."""
    branch, found = _git(root, "branch", "--show-current"), []
    if branch != BRANCH:
        found.append(f"the branch is {branch or 'none'}: releases are made on {BRANCH}")
    if _git(root, "status", "--porcelain"):
        found.append("there are changes that are not committed: commit or stash them")
    if _git(root, "tag", "--list", f"v{version}"):
        found.append(f"the tag v{version} exists already")
    return found


def release(root: Path, version: str, day: date) -> None:
    """Check, test, edit, commit and tag."""
    edited(root, version, day)  # what is wrong with them shows before the tests, which take long
    refuse_for(objections(root, version))
    head = _git(root, "rev-parse", "HEAD")
    if subprocess.run([root / "scripts/test"], cwd=root).returncode:
        raise ReleaseRefused("the checks or tests have failed; nothing was changed")
    refuse_for(objections(root, version))
    if _git(root, "rev-parse", "HEAD") != head:
        raise ReleaseRefused("something was committed while the tests ran; nothing was changed")
    for name, text in edited(root, version, day).items():
        (root / name).write_text(text)
    _git(root, "commit", "--quiet", "--message", f"Release {version}", "--", VERSION_FILE, CHANGELOG)
    _git(root, "tag", "--annotate", "--message", f"Astergram {version}", f"v{version}")


def refuse_for(found: Sequence[str]) -> None:
    """Raise ReleaseRefused where there are objections."""
    if found:
        raise ReleaseRefused("; ".join(found))


def diff(root: Path, texts: Mapping[str, str]) -> str:
    """Show what changes, as `diff -u` does."""
    shown: list[str] = []
    for name, text in texts.items():
        old, new = (root / name).read_text().splitlines(), text.splitlines()
        shown += difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", lineterm="")
    return "\n".join(shown) + "\n"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise ReleaseRefused(f"git {arguments[0]} has failed: see above")
    return done.stdout.strip()


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command line; gives the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/release", description="Make a release; nothing is pushed.")
    parser.add_argument("version", help="such as 1.2.3, higher than the version now")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
    options = parser.parse_args(arguments)
    version, today = options.version, date.today()
    try:
        if options.dry_run:
            print(diff(root, edited(root, version, today)))
            print(f"After scripts/test this is committed as 'Release {version}', and tagged v{version}.")
            for objection in objections(root, version):
                print(f"It would be refused now: {objection}.")
            return 0
        release(root, version, today)
    except ReleaseRefused as refusal:
        print(f"scripts/release: {refusal}", file=sys.stderr)
        return REFUSED
    print(f"Released {version}. To publish it: git push --follow-tags")
    return 0


if __name__ == "__main__":
    sys.exit(main())
