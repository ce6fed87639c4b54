"""chan_websocket's control messages, and the pace of what is sent to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from media.codecs import PACKET_MS, SAMPLE_BYTES, SAMPLE_RATE, TICK_SAMPLES
from media.types import Codecs
from media.websocket import MAX_AHEAD_MS, Pace, WebSocketTransport, control_event


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("MEDIA_START connection_id:e226e283 channel:WebSocket/x format:opus optimal_frame_size:0", "MEDIA_START"),
        ("MEDIA_XOFF", "MEDIA_XOFF"),
        ('{"event": "MEDIA_XON", "channel_id": "1"}', "MEDIA_XON"),
        ("{broken", ""),
        ("  ", ""),
    ],
)
def test_control_events(text: str, event: str) -> None:
    assert control_event(text) == event


class Numbering:
    """In the encoder's place: a packet is its number."""

    rate = SAMPLE_RATE

    def __init__(self) -> None:
        self.made = 0

    def encode(self, _: bytes) -> bytes:
        self.made += 1
        return b"%d" % self.made


class Socket:
    """In the place of Asterisk's: keeps what is sent."""

    close_code = None

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.free = asyncio.Event()
        self.free.set()

    async def send_bytes(self, data: bytes) -> None:
        self.sent.append(int(data))
        await self.free.wait()

    async def close(self) -> None:
        pass


@asynccontextmanager
async def transport(socket: Socket) -> AsyncIterator[WebSocketTransport]:
    made = WebSocketTransport(socket, socket, Codecs("opus", "opus"))  # type: ignore[arg-type]
    made._encoder = Numbering()
    sending = asyncio.create_task(made._send())
    try:
        yield made
    finally:
        sending.cancel()


async def burst(transport: Any, packets: int) -> None:
    """What is said comes all at once, as after a stall; others get their turn between the ticks, as in a call."""
    for _ in range(packets * 2):
        transport.push(bytes(TICK_SAMPLES * SAMPLE_BYTES))
        await asyncio.sleep(0)


async def test_what_a_stall_held_back_is_not_played_in_its_whole_length() -> None:
    """Asterisk would play all of it in real time: the stall would stay as a delay for the rest of the call."""
    socket = Socket()
    async with transport(socket) as one, asyncio.timeout(10):
        await burst(one, 25)
        while not socket.sent or socket.sent[-1] < 25:  # noqa: ASYNC110 - sending has no event of its own
            await asyncio.sleep(0.005)
        assert socket.sent[-1] == 25, "the newest is kept"
        assert len(socket.sent) * PACKET_MS <= MAX_AHEAD_MS + PACKET_MS
        assert one.stats().overflows == 25 - len(socket.sent)


async def test_what_waits_for_the_socket_is_the_newest() -> None:
    socket = Socket()
    async with transport(socket) as one, asyncio.timeout(10):
        socket.free.clear()
        await burst(one, 50)
        assert socket.sent == [1]
        socket.free.set()
        while socket.sent[-1] < 50:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        assert len(socket.sent) <= 1 + MAX_AHEAD_MS // PACKET_MS


def test_what_comes_in_time_or_a_little_late_is_all_sent() -> None:
    pace = Pace()
    for number, late_ms in enumerate((0, 0, 0, 40, 20, 0, 0, 15, 0, 40, 20, 0) * 20):
        now = (number * PACKET_MS + late_ms) / 1000
        assert pace.wait_s(now) == 0
        pace.sent(now)


def test_a_burst_has_to_wait_and_goes_on_in_real_time() -> None:
    pace, now = Pace(), 5.0
    for _ in range(MAX_AHEAD_MS // PACKET_MS):
        assert pace.wait_s(now) == 0
        pace.sent(now)
    for _ in range(10):
        assert pace.wait_s(now) == pytest.approx(PACKET_MS / 1000)
        now += PACKET_MS / 1000
        pace.sent(now)
