"""The journal of live calls: what was written is there after a kill, and what is broken loses its own call only."""

import asyncio
import os
from pathlib import Path
from unittest.mock import patch

import pytest

from ari_app.calls.journal import AT_ONCE, FOREIGN, HEAD, MOST_BYTES, PLACE, START, Journal, open_journal


def left(path: Path) -> list[bytes | None]:
    """What the next run finds."""
    with open_journal(path) as journal:
        return [each.record for each in journal.left]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.journal"


def test_what_was_written_last_is_found(path: Path) -> None:
    with open_journal(path) as journal:
        for text in (b"first", b"second", b"third"):
            journal.write("a", text)
            assert left(path) == [text], "before anything is closed or flushed"
        journal.write("b", b"other")
        assert sorted(filter(None, left(path))) == [b"other", b"third"]
        journal.forget("a")
        assert left(path) == [b"other"]
    assert left(path) == [b"other"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_kill_in_the_middle_of_a_write_leaves_what_was_before(path: Path) -> None:
    with open_journal(path) as journal:
        journal.write("a", b"x" * 9000)
        real = os.pwrite

        def torn(file: int, data: bytes, offset: int) -> int:
            real(file, data[:4096], offset)
            raise OSError("killed here")

        with patch("os.pwrite", torn):
            journal.write("a", b"y" * 9000)
        assert left(path) == [b"x" * 9000]
        journal.write("a", b"z")
        assert left(path) == [b"z"]


def test_a_broken_record_loses_its_own_call_only(path: Path) -> None:
    with open_journal(path) as journal:
        journal.write("a", b"broken")
        journal.write("b", b"whole")
    content = bytearray(path.read_bytes())
    at = content.index(b"broken")
    content[at] ^= 1
    path.write_bytes(content)
    assert left(path) == [None, b"whole"]
    with open_journal(path) as journal:
        journal.drop(journal.left[0])
    assert left(path) == [b"whole"]


def test_what_an_earlier_run_has_left_stays_until_it_is_over(path: Path) -> None:
    with open_journal(path) as journal:
        journal.write("a", b"call")
    with open_journal(path) as journal:
        journal.hold("a", journal.left[0])
        assert left(path) == [b"call"], "killed once more"
        journal.write("b", b"new")
        journal.write("a", b"call, gone on with")
        assert sorted(filter(None, left(path))) == [b"call, gone on with", b"new"]
        journal.forget("a")
    assert left(path) == [b"new"]


def test_nothing_of_a_call_stays_once_it_is_over(path: Path) -> None:
    with open_journal(path) as journal:
        for text in (b"Anna, in full", b"Anna"):
            journal.write("a", text)
        journal.write("b", b"Boris")
        journal.forget("a")
        content = path.read_bytes()
        assert (b"Anna" in content, b"Boris" in content) == (False, True)
        assert left(path) == [b"Boris"]
        journal.write("c", b"Vera")
        journal.write("c", b"Vera again")
        assert sorted(filter(None, left(path))) == [b"Boris", b"Vera again"]


def test_slots_are_used_again(path: Path) -> None:
    with open_journal(path) as journal:
        for number in range(AT_ONCE * 3):
            journal.write(str(number), b"call")
            journal.forget(str(number))
        once = path.stat().st_size
        for number in range(AT_ONCE + 1):
            journal.write(str(number), b"call")
        assert path.stat().st_size > once
        assert len(left(path)) == AT_ONCE + 1


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + b"x" * 100, b"Astergram calls, layout 2\n"])
def test_a_foreign_file_is_put_aside(path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(content)
    with open_journal(path) as journal:
        journal.write("a", b"call")
    assert left(path) == [b"call"]
    assert path.with_name(path.name + FOREIGN).read_bytes() == content
    assert "put aside" in caplog.text


def test_a_file_that_was_cut_off_keeps_what_is_whole(path: Path) -> None:
    with open_journal(path) as journal:
        journal.write("a", b"call")
    os.truncate(path, START + 2 * PLACE + 100)
    with open_journal(path) as journal:
        journal.hold("a", journal.left[0])
        journal.write("b", b"other")
    assert sorted(filter(None, left(path))) == [b"call", b"other"]


def test_trouble_of_the_disk_is_said_once_and_costs_no_call(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_journal(path) as journal:
        with patch("os.posix_fallocate", side_effect=OSError(28, "No space left on device")):
            journal.write("a", b"call")
            journal.write("b", b"call")
            journal.forget("a")
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "No space left" in caplog.text
        journal.write("a", b"call")
        journal.write("b", b"x" * (MOST_BYTES + 1))
    assert left(path) == [b"call"]


async def test_without_a_file_calls_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_journal(tmp_path) as journal:  # a folder
        journal.write("a", b"call")
        journal.forget("a")
        await journal.run()
    assert "calls are not journalled" in caplog.text


async def test_it_is_put_on_the_disk_behind_the_writing(path: Path) -> None:
    synced = asyncio.Event()
    loop = asyncio.get_running_loop()
    with open_journal(path) as journal, patch("os.fdatasync", lambda file: loop.call_soon_threadsafe(synced.set)):
        running = asyncio.create_task(journal.run())
        journal.write("a", b"call")
        async with asyncio.timeout(5):
            await synced.wait()
        running.cancel()
        await asyncio.wait({running})


async def test_it_tells_until_when_it_was_written(path: Path) -> None:
    with open_journal(path) as journal:
        os.utime(path, (0, 0))
        running = asyncio.create_task(journal.run())
        async with asyncio.timeout(5):
            while not path.stat().st_mtime:  # noqa: ASYNC110, ASYNC240 - a file tells nobody
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait({running})
    with open_journal(path) as journal:
        assert journal.written_until > 0


def test_a_place_holds_its_head_and_a_record() -> None:
    assert HEAD.size + MOST_BYTES == PLACE
    assert Journal(None).left == []


def test_what_comes_once_it_is_closed_is_written_nowhere(path: Path, tmp_path: Path) -> None:
    with open_journal(path) as journal:
        journal.write("a", b"call")
    with (tmp_path / "other").open("wb") as other:  # whose number may be the journal's of before
        journal.forget("a")
        journal.write("b", b"call")
        assert other.seek(0, os.SEEK_END) == 0
    assert left(path) == [b"call"]
