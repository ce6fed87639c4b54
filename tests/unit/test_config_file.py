"""What is added to a configuration file leaves all else as it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ari_app.cli.config_file import section_added
from ari_app.config import ConfigError, load

BEFORE = '# Ours: do not touch.\n[asterisk]\npassword = "x"  # of ari.conf'
SECTION = {
    "servers": ["nats://10.0.0.1:4222"],
    "machine": "a",
    "secret": 'a "quoted" \\ secret, ключ',
    "password": "\x7f\t",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "astergram.toml"
    path.write_text(BEFORE)
    path.chmod(0o640)
    return path


@pytest.mark.parametrize("end", ["", "\n", "\n\n# [cluster]\n# machine = 1\n"])
def test_a_section_is_added_at_the_end(file: Path, end: str) -> None:
    file.write_text(BEFORE + end)
    before = file.stat()
    with section_added(file, "cluster", SECTION):
        assert file.read_text() == BEFORE + end, "not before the block has ended"
    assert file.read_text().startswith(BEFORE + end)
    its = load(file).cluster
    assert its and its.secret and its.password
    assert (its.secret.get_secret_value(), its.password.get_secret_value()) == (SECTION["secret"], SECTION["password"])
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root")
def test_its_owner_stays(file: Path) -> None:
    os.chown(file, 12345, 23456)
    with section_added(file, "cluster", SECTION):
        pass
    assert (file.stat().st_uid, file.stat().st_gid, file.stat().st_mode & 0o777) == (12345, 23456, 0o640)


def test_a_link_stays_one(file: Path) -> None:
    link = file.parent / "link.toml"
    link.symlink_to(file)
    with section_added(link, "cluster", SECTION):
        pass
    assert link.is_symlink() and load(file).cluster


@pytest.mark.parametrize("name", ["clutser", "asterisk"])
def test_what_could_not_be_loaded_changes_nothing(file: Path, name: str) -> None:
    with pytest.raises(ConfigError), section_added(file, name, SECTION):
        raise AssertionError
    assert file.read_text() == BEFORE
    assert list(file.parent.iterdir()) == [file]


def test_nor_does_what_fails_meanwhile(file: Path) -> None:
    with pytest.raises(ZeroDivisionError), section_added(file, "cluster", SECTION):
        raise ZeroDivisionError
    assert file.read_text() == BEFORE
    assert list(file.parent.iterdir()) == [file]
