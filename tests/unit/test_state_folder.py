"""One program works on a state directory at a time."""

import asyncio
import json
import os
import socket
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ari_app.app import running
from ari_app.calls.call import Call
from ari_app.calls.journal import JOURNAL, open_journal
from ari_app.calls.journalled import CallJournal
from ari_app.calls.outcome import Direction
from ari_app.calls.parts import ProcessPart
from ari_app.config import AsteriskSettings, Settings
from ari_app.os_words import in_words
from ari_app.state_folder import LOCK, StateHeld, held
from ari_app.store.errors import StoreError
from ari_app.web.http.settings import WebSettings
from media.messages import VERSION

KILLED_S = 60.0

HOLDER = """
import subprocess, sys
from pathlib import Path
from ari_app.state_folder import held
with held(Path(sys.argv[1]), "run"):
    child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    child.wait()
"""


def settings_of(folder: Path) -> Settings:
    return Settings(asterisk=AsteriskSettings(password=SecretStr("x")), state_dir=folder)


def files_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def test_who_holds_it_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "astergram"
    with held(folder, "run"):
        with pytest.raises(StateHeld) as refused, held(folder, "restore"):
            pass
        assert f"`astergram run` (process {os.getpid()}, since 20" in str(refused.value)
        assert "stop it first" in str(refused.value)
        assert (folder / LOCK).stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700
    with held(folder, "restore"), pytest.raises(StateHeld, match="`astergram restore`"), held(folder, "run"):
        pass


@pytest.mark.parametrize("written", ["", "{", "[]", '{"command": "run"}', '{"command": 1, "pid": 1, "since": 1e99}'])
def test_a_holder_that_has_not_written_its_name_yet(tmp_path: Path, written: str) -> None:
    with held(tmp_path, "run"):
        (tmp_path / LOCK).write_text(written)
        with pytest.raises(StateHeld, match="another Astergram works on"), held(tmp_path, "run"):
            pass


def name_of(folder: Path) -> dict[str, Any]:
    """Who is said to hold it."""
    read: dict[str, Any] = json.loads((folder / LOCK).read_text())
    return read


async def ended_pid() -> int:
    """A process that is gone."""
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    return process.pid


async def test_a_file_of_a_program_that_is_gone_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(json.dumps({"command": "run", "pid": await ended_pid(), "began": 1, "since": 1.0}))
    with held(tmp_path, "run"):
        assert name_of(tmp_path)["pid"] == os.getpid()


@pytest.mark.parametrize("reused", [False, True])
async def test_an_earlier_holder_is_not_named_for_one_that_has_not_written_its_name_yet(
    tmp_path: Path, reused: bool
) -> None:
    """Its process is gone, or another one has its pid by now."""
    with held(tmp_path, "run"):
        its = name_of(tmp_path)
        earlier = {"began": its["began"] - 1} if reused else {"pid": await ended_pid()}
        (tmp_path / LOCK).write_text(json.dumps(its | earlier))
        with pytest.raises(StateHeld, match="another Astergram works on"), held(tmp_path, "run"):
            pass


def test_a_shorter_name_takes_the_place_of_a_longer_one(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("x" * 1000)
    with held(tmp_path, "run"), pytest.raises(StateHeld, match=f"process {os.getpid()}"), held(tmp_path, "run"):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(NotADirectoryError) as error, held(tmp_path / "state", "run"):
        pass
    assert in_words(error.value) == f"{tmp_path}/state: Not a directory"


async def test_a_killed_program_lets_go_at_once_and_its_children_hold_nothing(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    async with asyncio.timeout(KILLED_S):
        child = int(await process.stdout.readline())
        try:
            with pytest.raises(StateHeld, match=f"process {process.pid}"), held(tmp_path, "run"):
                pass
            process.kill()
            await process.wait()
            with held(tmp_path, "run"):
                os.kill(child, 0)  # it is still there
        finally:
            os.kill(child, 9)


async def test_a_second_program_opens_no_database(tmp_path: Path) -> None:
    with held(tmp_path, "run"), pytest.raises(StateHeld):
        async with running(settings_of(tmp_path)):
            pass
    assert files_in(tmp_path) == [LOCK]


async def test_calls_that_were_left_are_held_before_the_database_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade may have to change a large one."""
    left = Call("3f2a9c71d0b4", Direction.IN, "+79990000001", "5000000002")
    left.opened(process=ProcessPart(1, 1, str(tmp_path / "its.sock"), VERSION))
    with open_journal(tmp_path / JOURNAL) as journal:
        CallJournal(journal).save(left)
    connected: list[socket.socket] = []

    @asynccontextmanager
    async def slow(*_: Any, **__: Any) -> AsyncIterator[None]:
        connection, _ = its.accept()
        connected.append(connection)
        raise StoreError("it is not opened")
        yield

    monkeypatch.setattr("ari_app.app.storage.open_store", slow)
    with closing(socket.socket(socket.AF_UNIX)) as its:
        its.settimeout(KILLED_S)
        its.bind(str(tmp_path / "its.sock"))
        its.listen(1)
        with pytest.raises(StoreError):
            async with running(settings_of(tmp_path).model_copy(update={"web": WebSettings(port=0)})):
                pass
        (connection,) = connected
        with closing(connection):
            assert connection.recv(1) == b"", "and let go of by a start that fails"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_there_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12346)
    with held(tmp_path, "restore"):
        its = (tmp_path / LOCK).stat()
    assert (its.st_uid, its.st_gid) == (12345, 12346)
