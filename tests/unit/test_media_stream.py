"""The transport's own socket, with a server that does not behave; the ticks are the test's."""

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from media import websocket
from media.codecs import SAMPLE_BYTES, TICK_MS
from media.types import Codecs, MediaError
from media.websocket import WebSocketTransport

ALAW = bytes(range(160))
WAIT_S = 20.0


class Asterisk:
    """A server of one connection that does only what the test tells it to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.protocol = ServerProtocol(subprotocols=["media"])  # type: ignore[list-item]
        self.frames: list[Frame] = []

    async def accept(self) -> None:
        while self.protocol.state is State.CONNECTING:
            self.protocol.receive_data(await self.reader.read(4096))
            for event in self.protocol.events_received():
                assert isinstance(event, Request)
                self.protocol.send_response(self.protocol.accept(event))
        self.flush()

    def flush(self) -> None:
        self.writer.writelines(self.protocol.data_to_send())

    async def until(self, opcode: Opcode) -> Frame:
        while True:
            data = await self.reader.read(65536)
            assert data, f"the connection ended before a {opcode.name}"
            self.protocol.receive_data(data)
            came = [each for each in self.protocol.events_received() if isinstance(each, Frame)]
            self.frames += came
            if found := [frame for frame in came if frame.opcode is opcode]:
                return found[0]


class Call:
    """The transport, and its ticks."""

    def __init__(self, transport: WebSocketTransport, lost: list[str]) -> None:
        self.transport = transport
        self.lost = lost
        self._tick = bytes(transport.rate * TICK_MS // 1000 * SAMPLE_BYTES)

    async def ticks_until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not reached():
                self.transport.push(self._tick)
                self.transport.pull()
                await asyncio.sleep(0)

    @property
    def received(self) -> int:
        return self.transport.stats().from_asterisk.packets


@asynccontextmanager
async def calling(
    host: str = "127.0.0.1", serving: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Call, Asterisk]]:
    connected: asyncio.Future[Asterisk] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asterisk = Asterisk(reader, writer)
        await asterisk.accept()
        connected.set_result(asterisk)

    async with asyncio.timeout(WAIT_S), await asyncio.start_server(serve, "127.0.0.1", ssl=serving) as server:
        server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = f"{'wss' if serving else 'ws'}://{host}:{server.sockets[0].getsockname()[1]}/media/1"
        lost: list[str] = []
        transport = await WebSocketTransport.open(url, Codecs("alaw", "alaw"), lost.append)
        asterisk = await connected
        try:
            yield Call(transport, lost), asterisk
        finally:
            asterisk.writer.transport.abort()
            await transport.close()


async def test_half_a_message_waits_for_the_rest() -> None:
    async with calling() as (call, asterisk):
        asterisk.protocol.send_binary(ALAW)
        [message] = asterisk.protocol.data_to_send()
        asterisk.writer.write(message[:50])
        await call.ticks_until(lambda: call.transport.stats().to_asterisk.packets >= 3)
        assert call.received == 0
        asterisk.writer.write(message[50:])
        await call.ticks_until(lambda: call.received == 1)
        assert call.transport.stats().from_asterisk.bytes == len(ALAW)


async def test_what_comes_before_the_first_tick_is_kept() -> None:
    async with calling() as (call, asterisk):
        for _ in range(30):
            asterisk.protocol.send_binary(ALAW)
            asterisk.flush()
        await asyncio.sleep(0)
        await call.ticks_until(lambda: call.received == 30)


async def test_a_ping_is_answered_between_the_packets() -> None:
    async with calling() as (call, asterisk):
        await call.ticks_until(lambda: call.transport.stats().to_asterisk.packets >= 1)
        asterisk.protocol.send_ping(b"there?")
        asterisk.flush()
        answered = asyncio.ensure_future(asterisk.until(Opcode.PONG))
        await call.ticks_until(answered.done)
        assert bytes((await answered).data) == b"there?"


@pytest.mark.parametrize("ticks", [True, False], ids=["in-the-call", "before-it"])
async def test_a_connection_that_breaks_off(ticks: bool) -> None:
    async with calling() as (call, asterisk):
        if ticks:
            await call.ticks_until(lambda: call.transport.stats().to_asterisk.packets >= 3)
        asterisk.writer.transport.abort()
        if ticks:
            await call.ticks_until(lambda: bool(call.lost))
        while not call.lost:  # noqa: ASYNC110 - the loop's reader calls it
            await asyncio.sleep(0.001)
        await call.ticks_until(lambda: call.transport.stats().overflows > 3)
        assert len(call.lost) == 1
        assert "media WebSocket" in call.lost[0]


async def test_whoever_does_not_read_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket.Pace, "wait_s", lambda *_: 0.0)  # for the socket to be full soon
    async with calling() as (call, asterisk):
        asterisk.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await call.ticks_until(lambda: call.transport.stats().overflows > 1000)
        assert len(call.transport._to_send) <= websocket.MAX_AHEAD_MS // 20
        assert len(call.transport._stream._port._unsent) < 2 * len(ALAW)
        assert call.lost == []
        asterisk.protocol.send_binary(ALAW)
        asterisk.flush()
        await call.ticks_until(lambda: call.received == 1)
        asterisk.writer.transport.resume_reading()  # type: ignore[attr-defined]
        read = asyncio.ensure_future(asterisk.until(Opcode.CLOSE))
        overflows = call.transport.stats().overflows
        sent = call.transport.stats().to_asterisk.packets
        await call.ticks_until(lambda: call.transport.stats().to_asterisk.packets > sent + 1000)
        closing = asyncio.ensure_future(call.transport.close())
        await read
        asterisk.flush()
        asterisk.writer.close()
        await closing
        whole = [frame for frame in asterisk.frames if frame.opcode is Opcode.BINARY]
        assert {len(frame.data) for frame in whole} == {len(ALAW)}
        assert len(whole) == call.transport.stats().to_asterisk.packets
        assert overflows > 1000


async def test_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, [*made.split(), *names], check=True, capture_output=True)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)
    with pytest.raises(MediaError, match=r"media WebSocket wss://localhost.*certificate"):
        async with calling("localhost", serving):
            pass
    trusting = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    async with calling("localhost", serving) as (call, asterisk):
        for _ in range(300):
            asterisk.protocol.send_binary(ALAW)
            asterisk.flush()
        await call.ticks_until(lambda: call.received == 300)
        await call.ticks_until(lambda: call.transport.stats().to_asterisk.packets >= 3)
        assert len((await asterisk.until(Opcode.BINARY)).data) == len(ALAW)
        asterisk.protocol.send_close(1000)
        asterisk.flush()
        await call.ticks_until(lambda: bool(call.lost))
        assert call.lost == ["Asterisk closed the media WebSocket (code 1000)"]


async def test_a_server_that_says_nothing_is_waited_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "OPEN_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}/media/1"
        with pytest.raises(MediaError, match=r"cannot open Asterisk's media WebSocket .*: TimeoutError"):
            await WebSocketTransport.open(url, Codecs("alaw", "alaw"), print)
