"""RTP packets on the wire."""

from collections.abc import Iterable
from itertools import pairwise
from types import SimpleNamespace

import pytest

from media.codecs import PACKET_MS, PACKET_SAMPLES, SAMPLE_BYTES, TICK_MS, size_of
from media.formats import FORMATS
from media.jitter import LEAD_IN_MS
from media.opus import OpusEncoder
from media.packets import UNHEARD_TICKS
from media.rtp import MalformedPacket, RtpPacket, RtpSender, RtpTransport
from media.types import Codec, Codecs, FlowStats
from media.udp import Datagram

ASTERISK = ("127.0.0.1", 5000)
TELEPHONE_EVENT = 101
PAYLOAD_OPUS, PAYLOAD_G722 = FORMATS["opus"].payload_type, FORMATS["g722"].payload_type
OPUS = OpusEncoder().encode(bytes(PACKET_SAMPLES * SAMPLE_BYTES))
OLD, NEW = 0x1111, 0x2222


def test_a_packet_is_read_as_it_was_written() -> None:
    packet = RtpPacket(PAYLOAD_OPUS, 65535, 0xFFFFFFFF, 0xDEADBEEF, b"opus", marker=True)
    assert RtpPacket.parse(packet.pack()) == packet


def test_the_header_is_what_rfc_3550_says() -> None:
    data = RtpPacket(9, 0x0102, 0x03040506, 0x0708090A, b"\xff", marker=True).pack()
    assert data == bytes.fromhex("80 89 0102 03040506 0708090a ff")


def test_counters_wrap() -> None:
    bits = {16: 65535, 32: 0xFFFFFFFF - 100}
    sender = RtpSender(PAYLOAD_G722, 160, lambda count: bits[count])
    first, second, third = (RtpPacket.parse(sender.next(b"x")) for _ in range(3))
    assert [first.seq, second.seq, third.seq] == [65535, 0, 1]
    assert [first.timestamp, second.timestamp, third.timestamp] == [0xFFFFFFFF - 100, 59, 219]
    assert [first.marker, second.marker] == [True, False]
    assert first.ssrc == second.ssrc == 0xFFFFFFFF - 100


def test_sources_extension_and_padding_are_taken_off() -> None:
    header = bytes([0x80 | 0x20 | 0x10 | 2, PAYLOAD_OPUS]) + bytes(10)
    data = header + bytes(8) + b"\xbe\xde\x00\x01" + bytes(4) + b"opus" + b"\x00\x00\x03"
    assert RtpPacket.parse(data).payload == b"opus"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "too few"),
        (bytes([0x80]) + bytes(10), "too few"),
        (bytes([0x40]) + bytes(11), "version 1"),
        (bytes([0x8F]) + bytes(11), "inside its header"),
        (bytes([0x90]) + bytes(13), "extension"),
        (bytes([0x90]) + bytes(11) + b"\x00\x00\x00\x09", "inside its header"),
        (bytes([0xA0]) + bytes(11), "padding"),
        (bytes([0xA0]) + bytes(11) + b"\x05\x09", "padding"),
        (bytes([0xA0]) + bytes(11) + b"\x05\x00", "padding"),
    ],
)
def test_a_bad_packet_says_what_is_wrong(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedPacket, match=reason):
        RtpPacket.parse(data)


def audio(seq: int, ssrc: int = OLD, start: int = 0) -> RtpPacket:
    """A packet of a stream whose timestamp is ``start`` at sequence number 0."""
    return RtpPacket(PAYLOAD_OPUS, seq & 0xFFFF, (start + seq * PACKET_SAMPLES) & 0xFFFFFFFF, ssrc, OPUS)


def event(seq: int, timestamp: int) -> RtpPacket:
    """One packet of a pressed key (RFC 4733)."""
    return RtpPacket(TELEPHONE_EVENT, seq & 0xFFFF, timestamp & 0xFFFFFFFF, OLD, b"\x01\x0a\x00\xa0")


class Port:
    """A UDP port: ``came`` is there to be received, ``sent`` was sent."""

    def __init__(self) -> None:
        self.came: list[Datagram] = []
        self.sent: list[bytes] = []

    def receive(self) -> Datagram | None:
        return self.came.pop(0) if self.came else None

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        assert to == ASTERISK
        self.sent.append(data)


def heard(packets: Iterable[RtpPacket]) -> FlowStats:
    """What is counted of packets from Asterisk, each of which is played as it comes."""
    transport = RtpTransport(port := Port())  # type: ignore[arg-type]
    transport.attach(*ASTERISK)
    transport.start()
    with pytest.MonkeyPatch.context() as patch:
        clock = own_clock(patch)
        for packet in packets:
            port.came.append((packet.pack(), ASTERISK, clock.now))
            talk(transport, clock, 2)
        talk(transport, clock, 100)  # what waits in the buffer
        return transport.stats().from_asterisk


def own_clock(patch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The transport's, which stands still by itself; ``ahead``: ticks that were pulled already."""
    clock = SimpleNamespace(now=100.0, ahead=0)
    for module in ("media.rtp", "media.packets"):
        patch.setattr(f"{module}.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def talk(transport: RtpTransport, clock: SimpleNamespace, ticks: int) -> None:
    """So many ticks of the call."""
    for _ in range(ticks):
        transport.push(bytes(size_of(TICK_MS, transport.rate)))
        clock.ahead = clock.ahead - 1 if clock.ahead else max(0, len(transport.pull()) - 1)
        clock.now += TICK_MS / 1000


def test_the_first_of_the_lead_in_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telegram's encoder may not have begun: then it would be unknown which tick completes a packet of its."""
    clock = own_clock(monkeypatch)
    transport = RtpTransport(Port())  # type: ignore[arg-type]
    transport.attach(*ASTERISK)
    transport.start()
    given = []
    for _ in range(UNHEARD_TICKS + 3):
        given.append(len(transport.pull()))
        clock.now += TICK_MS / 1000
    assert given == [0] * UNHEARD_TICKS + [1] * 3
    assert UNHEARD_TICKS * TICK_MS < LEAD_IN_MS


def test_a_pressed_key_in_the_stream_is_no_loss() -> None:
    """Asterisk sends a key in place of audio: in the same stream, with numbers of its own."""
    before = [audio(seq) for seq in range(65_500, 65_520)]
    key = [event(seq, 65_520 * PACKET_SAMPLES) for seq in range(65_520, 65_540)]  # over the wrap
    after = [audio(seq) for seq in range(65_540, 65_560)]
    flow = heard([*before, *key, *after])
    assert flow.packets == 40
    assert flow.lost == flow.late == 0
    assert flow.rejected == 20


def test_of_two_in_the_wrong_order_both_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the next one may wait after one that has just come."""
    clock = own_clock(monkeypatch)
    transport = RtpTransport(port := Port())  # type: ignore[arg-type]
    transport.attach(*ASTERISK)
    transport.start()
    for number in range(120):  # silence, so that the wait falls to less than a tick
        for seq in {100: (101, 100), 101: ()}.get(number, (number,)):
            port.came.append((audio(seq).pack(), ASTERISK, clock.now - 0.005))
        talk(transport, clock, 2)
    flow = transport.stats().from_asterisk
    assert (flow.packets, flow.reordered) == (120, 1)
    assert flow.lost == flow.late == 0


def test_what_is_lost_beside_a_key_is_a_loss() -> None:
    key = [event(seq, 20 * PACKET_SAMPLES) for seq in (20, 21, 21)]
    flow = heard([*(audio(seq) for seq in range(20)), *key, *(audio(seq) for seq in range(24, 40))])
    assert flow.lost == 2


def test_a_changed_source_is_a_new_stream() -> None:
    """Its numbers and timestamps start anywhere."""
    old = [audio(seq) for seq in range(30)]
    new = [audio(seq, NEW, start=12_345) for seq in range(40_000, 40_050)]
    flow = heard([*old, *new])
    assert flow.packets == 80
    assert flow.lost == flow.late == flow.foreign == 0


def test_one_packet_of_another_source_changes_nothing() -> None:
    packets = [audio(seq) for seq in range(60)]
    packets[30:30] = [audio(500, NEW)]
    packets[45:45] = [audio(501, NEW)]
    flow = heard(packets)
    assert flow.packets == 60
    assert flow.lost == flow.late == 0
    assert flow.foreign == 2


@pytest.mark.parametrize("codec", ["g722", "alaw"])
def test_another_codec_both_ways(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its timestamps have a clock of their own, which wraps; a pause is none of the losses."""
    port, form, clock = Port(), FORMATS[codec], own_clock(monkeypatch)
    transport = RtpTransport(port)  # type: ignore[arg-type]
    transport.attach(*ASTERISK, Codecs(codec, codec))
    transport.start()
    encoder = form.encoder()
    payload = encoder.encode(bytes(size_of(PACKET_MS, encoder.rate)))
    for seq in range(100):
        timestamp = (0xFFFFFF00 + seq * form.step + (seq >= 50) * 8000) & 0xFFFFFFFF
        packet = RtpPacket(form.payload_type, (65_500 + seq) & 0xFFFF, timestamp, OLD, payload)
        port.came.append((packet.pack(), ASTERISK, clock.now))
        talk(transport, clock, 2)
    port.came.append((audio(0).pack(), ASTERISK, clock.now))
    stats = transport.stats()
    assert (stats.from_asterisk.packets, stats.from_asterisk.rejected) == (100, 1)
    assert stats.from_asterisk.lost == stats.from_asterisk.late == stats.concealed_ms == 0
    packets = [RtpPacket.parse(data) for data in port.sent]
    assert {packet.payload_type for packet in packets} == {form.payload_type}
    assert {len(packet.payload) for packet in packets} == {160}
    steps = {after.timestamp - before.timestamp & 0xFFFFFFFF for before, after in pairwise(packets)}
    assert steps == {160}


def test_how_long_asterisk_has_been_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it sends counts, but nothing of others'."""
    clock = own_clock(monkeypatch)
    transport = RtpTransport(port := Port())  # type: ignore[arg-type]
    clock.now = 105.0
    transport.attach(*ASTERISK)
    clock.now = 106.0
    assert transport.stats().quiet_ms == 1000
    port.came.append((event(1, 1).pack(), ASTERISK, clock.now))
    clock.now = 108.0
    port.came.append((audio(1).pack(), ("127.0.0.1", 5001), clock.now))
    assert transport.stats().quiet_ms == 2000
