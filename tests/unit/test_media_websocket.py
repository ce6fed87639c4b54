"""chan_websocket's control messages, and the pace of what is sent to it."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from media import packets, websocket
from media.codecs import PACKET_MS, PACKET_SAMPLES, SAMPLE_BYTES, SAMPLE_RATE, TICK_SAMPLES
from media.formats import FORMATS
from media.message_stream import MessageStream
from media.stream import Chunk
from media.types import Codecs
from media.websocket import MAX_AHEAD_MS, Pace, WebSocketTransport, control_event

TICK = bytes(TICK_SAMPLES * SAMPLE_BYTES)
OPUS = FORMATS["opus"].encoder().encode(bytes(range(256)) * (PACKET_SAMPLES * SAMPLE_BYTES // 256))[:100]


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


class Port:
    """In the place of Asterisk's socket, with a clock of its own: what is sent and received is scripted."""

    def __init__(self) -> None:
        self.asterisk = ServerProtocol(state=State.OPEN)
        self.full = False
        self.waits = b""
        self.broken: OSError | None = None
        self.now = 1000.0
        self.coming: list[Chunk] = []
        self.frames: list[Frame] = []
        self.descriptor, self.other = socket.socketpair()

    def says(self, data: bytes | None = None) -> None:
        """Asterisk's bytes: these, or what its end of the protocol has to send."""
        for each in [data] if data is not None else self.asterisk.data_to_send():
            self.coming.append(Chunk(each, self.now))

    def fileno(self) -> int:
        return self.descriptor.fileno()

    async def readable(self) -> None:
        """Asterisk answers, and closes the connection."""
        self.says()
        self.says(b"")

    def received(self) -> Iterator[Chunk]:
        coming, self.coming = self.coming, []
        yield from coming

    def flush(self) -> bool:
        if not self.full:
            self._arrive(self.waits)
            self.waits = b""
        return not self.waits

    def send(self, data: bytes) -> bool:
        if not self.flush():
            return False
        half = len(data) // 2 if self.full else len(data)
        self._arrive(data[:half])
        self.waits = data[half:]
        return True

    def _arrive(self, data: bytes) -> None:
        if data:
            self.asterisk.receive_data(data)
            self.frames += [each for each in self.asterisk.events_received() if isinstance(each, Frame)]

    @property
    def heard(self) -> list[int]:
        assert self.asterisk.parser_exc is None
        return [int(bytes(frame.data)) for frame in self.frames if frame.opcode is Opcode.BINARY]

    def close(self) -> None:
        self.descriptor.close()
        self.other.close()


class Call:
    """The transport, its ticks, and what it says of its loss."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.lost: list[str] = []
        stream = MessageStream(port, ClientProtocol(parse_uri("ws://pbx/media/1"), state=State.OPEN))  # type: ignore[arg-type]
        self.transport = WebSocketTransport(stream, Codecs("opus", "opus"), self.lost.append)
        self.transport._encoder = Numbering()

    async def first_tick(self) -> None:
        """From then on it reads and writes by itself."""
        self.transport.push(TICK)
        await asyncio.sleep(0)
        self.transport.push(TICK)

    def say(self, packets: int, every_ms: int = PACKET_MS) -> None:
        for _ in range(packets * 2):
            self.port.now += every_ms / 2000
            self.transport.push(TICK)

    @property
    def overflows(self) -> int:
        return self.transport.stats().overflows


@pytest.fixture
async def call(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Call]:
    port = Port()
    clock = SimpleNamespace(monotonic=lambda: port.now)
    monkeypatch.setattr(websocket, "time", clock)
    monkeypatch.setattr(packets, "time", clock)
    one = Call(port)
    try:
        yield one
    finally:
        await one.transport.close()


async def test_each_packet_goes_with_its_tick(call: Call) -> None:
    await call.first_tick()
    call.say(100)
    assert call.port.heard == list(range(1, 102))
    assert call.overflows == 0


async def test_what_a_stall_held_back_is_not_played_in_its_whole_length(call: Call) -> None:
    """Asterisk would play all of it in real time: the stall would stay as a delay for the rest of the call."""
    await call.first_tick()
    call.say(25, every_ms=0)
    sent = len(call.port.heard)
    assert sent * PACKET_MS <= MAX_AHEAD_MS + PACKET_MS
    call.say(10)
    assert call.port.heard[sent:] == list(range(27, 37)), "of what waited none is said late"
    assert call.overflows == 26 - sent


async def test_what_waits_for_a_full_socket_is_the_newest_and_no_message_is_cut(call: Call) -> None:
    await call.first_tick()
    call.port.full = True
    call.say(50)
    assert call.port.heard == [1]
    waiting = MAX_AHEAD_MS // PACKET_MS
    assert call.overflows == 49 - waiting
    call.port.full = False
    call.say(1)
    assert call.port.heard == [1, 2, 49, 50, 51], "the newest, no more than Asterisk plays meanwhile"
    call.say(2)
    assert call.port.heard[5:] == [52, 53]
    assert call.overflows == 49 - waiting


async def test_what_is_said_before_the_loop_has_let_go_waits(call: Call) -> None:
    call.say(5)
    assert call.port.heard == []
    await asyncio.sleep(0)
    call.say(1)
    assert call.port.heard == [3, 4, 5]
    call.say(1)
    assert call.port.heard == [3, 4, 5, 6]


async def test_a_stop_of_asterisks_is_kept_to(call: Call) -> None:
    await call.first_tick()
    call.port.asterisk.send_text(b"MEDIA_XOFF")
    call.port.says()
    call.say(3)
    assert call.port.heard == [1]
    assert call.overflows == 3
    call.port.asterisk.send_text(b'{"event": "MEDIA_XON"}')
    call.port.says()
    call.say(1)
    assert call.port.heard == [1, 2]


async def test_a_message_in_pieces_is_one_packet(call: Call) -> None:
    await call.first_tick()
    call.port.asterisk.send_binary(OPUS[:30], fin=False)
    call.port.asterisk.send_ping(b"between")
    call.port.asterisk.send_continuation(OPUS[30:], fin=True)
    for byte in b"".join(call.port.asterisk.data_to_send()):
        call.port.says(bytes([byte]))
        call.say(1)
    stats = call.transport.stats()
    assert stats.from_asterisk.packets == 1
    assert stats.from_asterisk.bytes == len(OPUS)
    assert [bytes(frame.data) for frame in call.port.frames if frame.opcode is Opcode.PONG] == [b"between"]


async def test_pings_of_whoever_does_not_read_are_not_kept(call: Call) -> None:
    await call.first_tick()
    call.port.full = True
    for _ in range(1000):
        call.port.asterisk.send_ping(b"x" * 100)
        call.port.says()
        call.say(1)
    assert len(call.port.waits) < 200
    call.port.full = False
    call.say(1)
    assert call.port.heard == [1, 999, 1000, 1001]
    assert not call.port.waits


async def test_pauses_of_asterisks_are_a_step_of_the_timestamp(call: Call) -> None:
    await call.first_tick()
    steps = []
    put = call.transport._jitter.put

    def noted(seq: int, timestamp: int, payload: bytes, now: float) -> None:
        steps.append(timestamp)
        put(seq, timestamp, payload, now)

    call.transport._jitter.put = noted  # type: ignore[method-assign]
    for pause_ms in (20, 20, 500, 20):
        call.port.now += pause_ms / 1000
        call.port.asterisk.send_binary(OPUS)
        call.port.says()
        call.transport.push(TICK)
    gaps = [(b - a) / SAMPLE_RATE for a, b in itertools.pairwise(steps)]
    assert gaps == [pytest.approx(0.02), pytest.approx(0.5), pytest.approx(0.02)]


@pytest.mark.parametrize("ticks", [True, False], ids=["in-the-call", "before-it"])
@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        ("close", "Asterisk closed the media WebSocket (code 1001)"),
        ("eof", "Asterisk closed the media WebSocket (code 1006)"),
        ("reset", "Asterisk's media WebSocket broke: [Errno 104] reset"),
        ("nonsense", "Asterisk's media WebSocket broke: "),
    ],
)
async def test_the_end_is_told_once(call: Call, end: str, sentence: str, ticks: bool) -> None:
    if ticks:
        await call.first_tick()
    match end:
        case "close":
            call.port.asterisk.send_close(1001)
            call.port.says()
        case "eof":
            call.port.says(b"")
        case "reset":
            call.port.broken = ConnectionResetError(104, "reset")
            call.port.says(b"")
        case "nonsense":
            call.port.says(b"\xff\x00")
    if ticks:
        call.say(1)
        assert call.lost == [], "the event loop tells it"
        await asyncio.sleep(0)
    else:
        call.port.other.send(b"x")
        async with asyncio.timeout(10):
            while not call.lost:  # noqa: ASYNC110 - it is called from the loop's reader
                await asyncio.sleep(0)
    call.say(5)
    await asyncio.sleep(0)
    assert len(call.lost) == 1
    assert call.lost[0].startswith(sentence)
    if end != "nonsense":
        assert call.lost == [sentence]


async def test_closing_says_so(call: Call) -> None:
    await call.first_tick()
    await call.transport.close()
    assert [frame.opcode for frame in call.port.frames] == [Opcode.BINARY, Opcode.CLOSE]
    assert call.port.descriptor.fileno() == -1
    assert call.lost == []


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
