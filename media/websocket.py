"""Audio over Asterisk's chan_websocket (docs.asterisk.org, Configuration/Channel-Drivers/WebSocket).

A binary message is one packet, of the same codec both ways; a text message is a control message, in words or, if so
configured, in JSON.
"""

import asyncio
import json
import logging
import time
from collections import deque

from media.codecs import PACKET_MS, SAMPLE_RATE, CodecError
from media.message_stream import MessageStream
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
    """A client of one chan_websocket channel. The messages have no numbers: they are numbered as they come.

    The event loop reads them until the first tick, so that early ones have their times, and the channel's end is
    noticed; from then on the ticks read and write, and nothing wakes the loop.
    """

    name = "websocket"

    def __init__(self, stream: MessageStream, codecs: Codecs, lost: LostCallback) -> None:
        super().__init__(codecs)
        self._stream = stream
        self._lost = lost
        self._to_send: deque[bytes] = deque(maxlen=MAX_AHEAD_MS // PACKET_MS)  # the oldest go first
        self._held_back = False
        self._arrived: deque[tuple[bytes, float]] = deque(maxlen=MAX_ARRIVED)
        self._pace = Pace()
        self._paused = False
        self._seq = 0
        self._timestamp = 0
        self._last_arrival: float | None = None
        self._had_ticks = False
        self._by_tick = False
        self._ended = False
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(stream, self._read)

    @classmethod
    async def open(cls, url: str, codecs: Codecs, lost: LostCallback) -> "WebSocketTransport":
        """Connect. Raises MediaError if Asterisk does not take the connection as a media channel."""
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                stream = await MessageStream.open(url, SUBPROTOCOL)
        except OSError as error:
            what = str(error) or type(error).__name__
            raise MediaError(f"cannot open Asterisk's media WebSocket {url}: {what}") from error
        return cls(stream, codecs, lost)

    def push(self, sound: bytes) -> None:
        """Send every second tick, together with the one before, and whatever had to wait."""
        if not self._had_ticks:
            self._had_ticks = True
            self._loop.call_soon_threadsafe(self._leave_loop)
        super().push(sound)
        if self._to_send:
            self._send()

    def _leave_loop(self) -> None:
        if not (self._ended or self._closed):
            self._loop.remove_reader(self._stream)
            self._by_tick = True

    def _put_out(self, sound: bytes) -> None:
        if self._paused:
            self._overflows += 1
            return
        self._overflows += len(self._to_send) == self._to_send.maxlen
        self._to_send.append(self._encoder.encode(sound))

    def _send(self) -> None:
        while self._to_send and self._by_tick and self._stream.free:
            now = time.monotonic()
            if self._pace.wait_s(now):
                self._held_back = True
                return
            if self._held_back:
                # After a stall: what was said first is left out, and the delay with it.
                self._held_back = False
                self._overflows += len(self._to_send) - 1
                while len(self._to_send) > 1:
                    self._to_send.popleft()
            packet = self._to_send.popleft()
            self._pace.sent(now)
            self._stream.send(packet)
            self._sent += 1
            self._sent_bytes += len(packet)

    def _take_in(self) -> None:
        if self._by_tick:
            self._read()
        while self._arrived:
            self._take(*self._arrived.popleft())

    def _read(self) -> None:
        for message, at in self._stream.received():
            self._heard_at = at
            if isinstance(message, bytes):
                self._arrived.append((message, at))
            else:
                self._control(message)
        if self._stream.ended is not None and not self._ended:
            self._ended = True
            self._loop.call_soon_threadsafe(self._tell_end, self._stream.ended)

    def _tell_end(self, how: str) -> None:
        if not self._closed:
            self._loop.remove_reader(self._stream)
            self._lost(how)

    async def close(self) -> None:
        """Close the socket, which hangs the channel up."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._stream)
        await self._stream.close(CLOSE_TIMEOUT_S)

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
