"""A media process and its controllers, one after the other."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from unittest.mock import Mock

import pytest

from media import messages as m
from media import worker as module
from media.held import held
from media.pool import _prepare
from media.sockets import short_address
from media.types import AriLogin
from media.worker import Worker, main

CALL = "3f2a9c71d0b4"
PASSES_S = 10.0
"""A generous limit: what is tested takes milliseconds."""


@asynccontextmanager
async def controller(worker: Worker) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Somebody who connects to its socket, and goes."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    serving = asyncio.create_task(worker.serve(*await asyncio.open_unix_connection(sock=theirs)))
    try:
        async with asyncio.timeout(PASSES_S):
            yield reader, writer
    finally:
        writer.close()
        await serving


async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[m.Reply | m.Event | None]:
    """The call is this controller's; what it is told until it is."""
    writer.write(m.to_line(m.Begin(number=1, call_id=CALL, orphan_grace_s=30.0)))
    told = [await m.read_answer(reader)]
    while not isinstance(told[-1], m.Done):
        told.append(await m.read_answer(reader))
    return told


async def test_what_a_controller_has_missed_is_for_the_next_one_and_not_for_who_looks_whether_it_is_there() -> None:
    async with AsyncExitStack() as resources:
        worker = Worker(resources)
        async with controller(worker) as first:
            await begin(*first)
            worker.on_signal(b"told")
            assert await m.read_answer(first[0]) == m.SignalOut(data=b"told")
        worker.on_signal(b"missed")
        async with controller(worker):  # as `_prepare` does at a start
            worker.on_signal(b"missed, too")
        async with controller(worker) as second:
            told = await begin(*second)
            missed = [each.data for each in told if isinstance(each, m.SignalOut)]
            while len(missed) < 2:
                event = await m.read_answer(second[0])
                assert isinstance(event, m.SignalOut)
                missed.append(event.data)
            assert missed == [b"missed", b"missed, too"]


async def test_what_serving_a_controller_fails_by_leaves_the_call_to_the_next_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as resources:
        worker = Worker(resources)
        async with controller(worker) as first:
            await begin(*first)
            with monkeypatch.context() as broken:
                broken.setattr(m, "to_line", lambda answer: 1 / 0)
                first[1].write(b'{"kind": "stats", "number": 2}\n')
                assert await m.read_answer(first[0]) is None
        assert worker.is_orphan
        async with controller(worker) as second:
            assert await begin(*second) == [m.Done(number=1)]
    assert "ZeroDivisionError" in caplog.text


async def test_a_process_that_can_serve_nobody_hangs_its_call_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hung_up: list[str] = []

    async def hang_up(ari: AriLogin, channels: Iterable[str], bridge: str) -> None:
        hung_up.append(bridge)

    async def broken(self: Worker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        self.call_id, self._ari, self._in_asterisk = CALL, AriLogin("", "", ""), m.InAsterisk(bridge="its")
        raise RuntimeError("something is wrong with it")

    monkeypatch.setattr(module, "hang_up", hang_up)
    monkeypatch.setattr(module, "faulthandler", Mock())
    monkeypatch.setattr(Worker, "serve", broken)
    path = tmp_path / "its.sock"
    with short_address(path) as address, closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.setblocking(False)
        listening.bind(address)
        listening.listen(1)
        async with asyncio.timeout(PASSES_S):
            working = asyncio.create_task(main(listening, path))
            _, writer = await asyncio.open_unix_connection(address)
            await working
            writer.close()
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    assert hung_up == ["its"]
    assert "something is wrong with it" in caplog.text


async def test_a_process_that_is_held_waits_for_its_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "faulthandler", Mock())
    path, grace_s = tmp_path / "its.sock", 0.2
    with short_address(path) as address, closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.setblocking(False)
        listening.bind(address)
        listening.listen(1)
        async with asyncio.timeout(PASSES_S):
            working = asyncio.create_task(main(listening, path))
            reader, writer = await asyncio.open_unix_connection(address)
            writer.write(m.to_line(m.Begin(number=1, call_id=CALL, orphan_grace_s=grace_s)))
            assert await m.read_answer(reader) == m.Done(number=1)
            with held([path, tmp_path / "another"]) as its:
                writer.close()
                _prepare(tmp_path)
                await asyncio.sleep(3 * grace_s)
                assert not working.done()
                its.let_go()
                reader, writer = await asyncio.open_unix_connection(address)
                assert await begin(reader, writer) == [m.Done(number=1)]
            writer.write(m.to_line(m.Stop(number=2)))
            assert await m.read_answer(reader) == m.Done(number=2)
            await working
            writer.close()
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


async def test_a_process_that_takes_no_controller_holds_up_no_start(tmp_path: Path) -> None:
    path = tmp_path / "hung.sock"
    with closing(socket.socket(socket.AF_UNIX)) as hung, ExitStack() as waiting:
        with short_address(path) as address:
            hung.bind(address)
            hung.listen(1)
            with suppress(BlockingIOError):
                while True:
                    one = waiting.enter_context(socket.socket(socket.AF_UNIX))
                    one.setblocking(False)
                    one.connect(address)
        async with asyncio.timeout(PASSES_S):
            await asyncio.to_thread(_prepare, tmp_path)
        assert path.exists()
