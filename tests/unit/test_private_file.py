"""What the command line writes is private, and whole or not there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ari_app.private_file import private_file


@pytest.fixture(autouse=True)
def generous_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_it_is_private_and_takes_the_place_of_an_open_one(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text("of yesterday, for all to read")
    with private_file(path) as target:
        target.write(b"today")
        assert path.read_text().startswith("of yesterday")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"today", 0o600)
    assert [each.name for each in tmp_path.iterdir()] == ["calls.csv"]


def test_what_is_half_written_goes(tmp_path: Path) -> None:
    (tmp_path / "calls.csv.part").write_text("of a killed program")
    with pytest.raises(ZeroDivisionError), private_file(tmp_path / "calls.csv") as target:
        target.write(b"half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_device_is_written_to_as_it_is() -> None:
    with private_file(Path("/dev/null")) as target:
        target.write(b"gone")
    assert not Path("/dev/null").is_file()
