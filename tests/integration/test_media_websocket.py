"""A Telegram party and a WebSocket server that speaks as chan_websocket does hear each other."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from aiohttp import WSMsgType, web

from media.codecs import PACKET_MS
from media.formats import FORMATS
from media.pool import MediaPool
from media.types import Codec, Codecs, MediaError
from media.websocket import MAX_AHEAD_MS
from tests.encoding import packets_of, pcm_of
from tests.integration.test_media_process import RATE, call, connect, frequency, read_wav, tone, write_wav

OPUS = Codecs("opus", "opus")


class Channel:
    """The server's one channel: plays a tone until told to stop, keeps what it hears."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        # Ahead: to encode a minute takes a slow machine seconds, and what is late goes out in a burst.
        self.packets = list(packets_of(tone(440, 60), codec))
        self.heard: list[bytes] = []
        self.heard_at: list[float] = []
        self.xoff = asyncio.Event()
        self.stopped = asyncio.Event()
        self.url = ""

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("media",))
        await socket.prepare(request)
        assert socket.ws_protocol == "media"
        await socket.send_str(f"MEDIA_START connection_id:1 channel:WebSocket/1 format:{self.codec}")
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(self.speak(socket))
            reading = tasks.create_task(self.read(socket))
            await self.stopped.wait()
            speaking.cancel()
            await socket.close()
            reading.cancel()
        return socket

    async def speak(self, socket: web.WebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for number, packet in enumerate(self.packets):
            await asyncio.sleep(start + number * 0.02 - loop.time())
            await socket.send_bytes(packet)
            if self.xoff.is_set():
                self.xoff.clear()
                await socket.send_str("MEDIA_XOFF")

    async def read(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                self.heard.append(message.data)
                self.heard_at.append(asyncio.get_running_loop().time())


@asynccontextmanager
async def chan_websocket(codec: Codec = "opus") -> AsyncIterator[Channel]:
    channel = Channel(codec)
    app = web.Application()
    app.router.add_get("/media/1", channel.handle)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    channel.url = f"ws://{host}:{port}/media/1"
    try:
        yield channel
    finally:
        channel.stopped.set()
        await runner.cleanup()


@pytest.mark.parametrize("codec", FORMATS)
async def test_websocket_both_ways_and_its_end(tmp_path: Path, codec: Codec) -> None:
    said = write_wav(tmp_path / "said.wav", tone(1000, 5))
    heard = tmp_path / "heard.wav"
    async with MediaPool(tmp_path / "run") as pool, chan_websocket(codec) as channel, call(pool) as (line, person):
        await person.attach_files(said, heard)
        await line.attach_websocket(channel.url, Codecs(codec, codec))
        await connect(line, person)
        await asyncio.sleep(3)
        before = await line.stats()
        channel.xoff.set()
        async with asyncio.timeout(10):
            while (await line.stats()).overflows == before.overflows:  # noqa: ASYNC110 - the process has no such event
                await asyncio.sleep(0.1)
        channel.stopped.set()
        async with asyncio.timeout(10):
            assert "closed the media WebSocket" in (await line.lost()).reason
    assert before.transport == "websocket"
    assert before.from_asterisk.packets >= 145
    assert before.from_asterisk.lost == 0
    # A busy machine makes a packet late, or lets one go after a stall of the process, for which ticks are late, too.
    assert before.from_asterisk.late + before.overflows < before.from_asterisk.packets / 20 + before.ticks_late

    decoder = FORMATS[codec].decoder()
    got = pcm_of(b"".join(decoder.decode(packet) for packet in channel.heard))
    loud = np.flatnonzero(np.abs(got) > 1000)
    assert abs(frequency(got[loud[0] + RATE // 2 : loud[0] + 2 * RATE]) - 1000) < 5
    got = read_wav(heard)
    loud = np.flatnonzero(np.abs(got) > 1000)
    assert abs(frequency(got[loud[0] + RATE // 2 : loud[0] + 2 * RATE]) - 440) < 5


async def test_a_stall_does_not_stay_as_a_delay(tmp_path: Path) -> None:
    """The media process gets no processor for a while: afterwards Asterisk gets no more than it plays meanwhile."""
    stalled_s, after = 0.6, 25
    clock = asyncio.get_running_loop().time
    async with MediaPool(tmp_path / "run") as pool, chan_websocket() as channel, call(pool) as (line, person):
        await line.attach_websocket(channel.url, OPUS)
        await connect(line, person)
        await asyncio.sleep(1)
        os.kill(line.pid, signal.SIGSTOP)
        await asyncio.sleep(stalled_s)
        channel.heard_at.clear()
        os.kill(line.pid, signal.SIGCONT)
        start = clock()
        async with asyncio.timeout(10):
            while len(channel.heard_at) < after:  # noqa: ASYNC110 - the process has no such event
                await asyncio.sleep(0.1)
        early = [number - (at - start) * 1000 / PACKET_MS for number, at in enumerate(channel.heard_at, start=1)]
    assert max(early) <= MAX_AHEAD_MS / PACKET_MS + 2


async def test_a_socket_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    async with MediaPool(tmp_path / "run", warm=0) as pool, chan_websocket() as channel, pool.process("one") as process:
        for url in (channel.url + "23", "ws://127.0.0.1:1/media/1", "nonsense"):
            with pytest.raises(MediaError, match="media WebSocket"):
                await process.attach_websocket(url, OPUS)
        await process.attach_websocket(channel.url, OPUS)
        assert (await process.stats()).transport == "websocket"
