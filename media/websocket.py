"""Audio over Asterisk's chan_websocket (docs.asterisk.org, Configuration/Channel-Drivers/WebSocket).

A binary message is one packet, of the same codec both ways; a text message is a control message, in words or, if so
configured, in JSON.
"""

import asyncio
import json
import logging
import time
from collections import deque
from contextlib import AsyncExitStack

import aiohttp

from media.codecs import PACKET_MS, SAMPLE_RATE, CodecError
from media.packets import PacketTransport
from media.transport import LostCallback
from media.types import Codecs, MediaError

log = logging.getLogger(__name__)

SUBPROTOCOL = "media"
OPEN_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
MAX_AHEAD_MS = 60
"""Sound that Asterisk may have and not have played: three packets, for a busy moment of either machine. It plays what
it gets in real time, so that more would stay as a delay for the rest of the call."""
MAX_ARRIVED = 500
"""Packets that wait for Telegram to be connected: ten seconds."""
CLOCK_MS = 1.0
"""What is sooner than this is in time: no timer is more exact."""
PAUSE_S = 0.06
"""Packets further apart than this have a pause between them: Asterisk sends nothing while it is silent."""


class Pace:
    """How far the packets that were sent are ahead of whoever plays them in real time; times in seconds."""

    def __init__(self) -> None:
        self._played_at = 0.0

    def wait_s(self, now: float) -> float:
        """How long the next packet has to wait, not to be more than ``MAX_AHEAD_MS`` ahead."""
        wait_ms = (self._played_at - now) * 1000 - (MAX_AHEAD_MS - PACKET_MS)
        return wait_ms / 1000 if wait_ms > CLOCK_MS else 0.0

    def sent(self, now: float) -> None:
        """One more packet is there to be played."""
        self._played_at = max(self._played_at, now) + PACKET_MS / 1000


class WebSocketTransport(PacketTransport):
    """A client of one chan_websocket channel. The messages have no numbers: they are numbered as they come."""

    name = "websocket"

    def __init__(self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, codecs: Codecs) -> None:
        super().__init__(codecs)
        self._session = session
        self._socket = socket
        self._lost: LostCallback = log.error
        self._tasks: list[asyncio.Task[None]] = []
        self._to_send: deque[bytes] = deque(maxlen=MAX_AHEAD_MS // PACKET_MS)  # the oldest go first
        self._something_to_send = asyncio.Event()
        self._arrived: deque[tuple[bytes, float]] = deque(maxlen=MAX_ARRIVED)
        self._loop = asyncio.get_running_loop()
        self._pace = Pace()
        self._paused = False
        self._seq = 0
        self._timestamp = 0
        self._last_arrival: float | None = None

    @classmethod
    async def open(cls, url: str, codecs: Codecs, tasks: asyncio.TaskGroup, lost: LostCallback) -> "WebSocketTransport":
        """Connect, and work in ``tasks`` until closed.

        Raises MediaError if Asterisk does not take the connection as a media channel.
        """
        async with AsyncExitStack() as resources:
            session = await resources.enter_async_context(aiohttp.ClientSession())
            try:
                async with asyncio.timeout(OPEN_TIMEOUT_S):
                    socket = await session.ws_connect(
                        url, protocols=(SUBPROTOCOL,), timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S)
                    )
            except (aiohttp.ClientError, OSError, ValueError) as error:
                what = str(error) or type(error).__name__
                raise MediaError(f"cannot open Asterisk's media WebSocket {url}: {what}") from error
            resources.pop_all()
        transport = cls(session, socket, codecs)
        transport._lost = lost
        transport._tasks = [tasks.create_task(transport._receive()), tasks.create_task(transport._send())]
        return transport

    def _put_out(self, sound: bytes) -> None:
        if self._paused:
            self._overflows += 1
            return
        self._overflows += len(self._to_send) == self._to_send.maxlen
        self._to_send.append(self._encoder.encode(sound))
        self._loop.call_soon_threadsafe(self._something_to_send.set)

    def _take_in(self) -> None:
        while self._arrived:
            self._take(*self._arrived.popleft())

    async def close(self) -> None:
        """Close the socket, which hangs the channel up."""
        for task in self._tasks:
            task.cancel()
        await self._socket.close()
        await self._session.close()

    async def _send(self) -> None:
        while True:
            packet = await self._next_packet()
            self._pace.sent(time.monotonic())
            try:
                await self._socket.send_bytes(packet)
            except (aiohttp.ClientError, OSError) as error:
                self._lost(f"Asterisk's media WebSocket broke: {error}")
                return
            self._count_sent(len(packet))

    async def _next_packet(self) -> bytes:
        while True:
            while not self._to_send:
                self._something_to_send.clear()
                await self._something_to_send.wait()
            if not (wait_s := self._pace.wait_s(time.monotonic())):
                return self._to_send.popleft()
            await asyncio.sleep(wait_s)
            # After a stall: what was said first is left out, and the delay with it.
            self._overflows += len(self._to_send) - 1
            while len(self._to_send) > 1:
                self._to_send.popleft()

    async def _receive(self) -> None:
        async for message in self._socket:
            self._heard_at = time.monotonic()
            if message.type is aiohttp.WSMsgType.BINARY:
                self._arrived.append((message.data, self._heard_at))
            elif message.type is aiohttp.WSMsgType.TEXT:
                self._control(message.data)
        self._lost(f"Asterisk closed the media WebSocket (code {self._socket.close_code})")

    def _take(self, packet: bytes, now: float) -> None:
        try:
            samples = self._decoder.samples(packet)
        except CodecError as error:
            self._rejected += 1
            log.debug("from Asterisk: %s", error)
            return
        # Asterisk's pauses do not show in the messages; a step of the timestamp tells the jitter buffer.
        if self._last_arrival is not None and now - self._last_arrival > PAUSE_S + samples / SAMPLE_RATE:
            self._timestamp += int((now - self._last_arrival) * SAMPLE_RATE) - samples
        self._last_arrival = now
        self._jitter.put(self._seq & 0xFFFF, self._timestamp & 0xFFFFFFFF, packet, now)
        self._seq += 1
        self._timestamp += samples

    def _control(self, text: str) -> None:
        event = control_event(text)
        if event in ("MEDIA_XOFF", "MEDIA_XON"):
            self._paused = event == "MEDIA_XOFF"
            log.warning("Asterisk %s taking audio (%s)", "stopped" if self._paused else "resumes", event)
        else:
            log.debug("from Asterisk: %s", text)


def control_event(text: str) -> str:
    """The name of a control message, in either of its two forms; empty if it has none."""
    if text.lstrip().startswith("{"):
        try:
            return str(json.loads(text).get("event", ""))
        except ValueError:
            return ""
    return text.split(maxsplit=1)[0] if text.strip() else ""
