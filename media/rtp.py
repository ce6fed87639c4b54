"""RTP to Asterisk's externalMedia channel (RFC 3550, RFC 3551, RFC 7587).

Asterisk drops every dynamic payload type that comes in on such a channel, so Opus goes one way only, from it; G.722
(type 9) is the best of the static types that it takes.

By hand: a packet is a dozen bytes to pack, and the RTP of libraries (aiortc's) is bound to WebRTC's transport.
"""

import ipaddress
import logging
import secrets
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from media.codecs import SAMPLE_RATE
from media.formats import FORMATS
from media.packets import PacketTransport
from media.types import Codecs, MediaError
from media.udp import Address, UdpPort

log = logging.getLogger(__name__)

BEST = Codecs("opus", "g722")
"""Of what Asterisk can have over RTP."""

JUST_NOW_S = 0.018
"""Less than a packet's sound: after one that came within it, another has hardly come, and has time."""
_HEADER = struct.Struct("!BBHII")
_VERSION = 2


class MalformedPacket(ValueError):
    """A datagram that is not RTP."""


class RtpPacket(NamedTuple):
    """One RTP packet (RFC 3550, section 5.1); contributing sources and extensions are skipped, padding removed."""

    payload_type: int
    seq: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def pack(self) -> bytes:
        """The packet on the wire; counters wrap at 16 and 32 bits."""
        second = self.marker << 7 | self.payload_type
        counters = self.seq & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc
        return _HEADER.pack(_VERSION << 6, second, *counters) + self.payload

    @classmethod
    def parse(cls, data: bytes) -> "RtpPacket":
        """Read a datagram. Raises MalformedPacket, which says what is wrong with it."""
        if len(data) < _HEADER.size:
            raise MalformedPacket(f"{len(data)} bytes are too few for an RTP header")
        first, second, seq, timestamp, ssrc = _HEADER.unpack_from(data)
        if first >> 6 != _VERSION:
            raise MalformedPacket(f"version {first >> 6} is not RTP")
        if first == _VERSION << 6:  # as Asterisk's are
            return cls(second & 0x7F, seq, timestamp, ssrc, data[_HEADER.size :], second > 0x7F)
        start = _HEADER.size + 4 * (first & 0x0F)
        if first & 0x10:
            if len(data) < start + 4:
                raise MalformedPacket("the packet ends inside its extension's header")
            start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
        end = len(data)
        if first & 0x20:
            if end <= start or not 0 < data[-1] <= end - start:
                raise MalformedPacket("the padding is longer than the packet")
            end -= data[-1]
        if end < start:
            raise MalformedPacket("the packet ends inside its header")
        return cls(second & 0x7F, seq, timestamp, ssrc, data[start:end], bool(second & 0x80))


class RtpSender:
    """Numbers the packets of one stream from random starts (RFC 3550, section 5.1)."""

    def __init__(self, payload_type: int, step: int, random_bits: Callable[[int], int] = secrets.randbits) -> None:
        self._payload_type = payload_type
        self._step = step
        self._seq = random_bits(16)
        self._timestamp = random_bits(32)
        self._ssrc = random_bits(32)
        self._first = True

    def next(self, payload: bytes) -> bytes:
        """The next packet, ``step`` clock ticks after the last one."""
        header = _HEADER.pack(
            _VERSION << 6, self._first << 7 | self._payload_type, self._seq, self._timestamp, self._ssrc
        )
        self._seq = (self._seq + 1) & 0xFFFF
        self._timestamp = (self._timestamp + self._step) & 0xFFFFFFFF
        self._first = False
        return header + payload


class RtpTransport(PacketTransport):
    """A UDP port that talks to one peer. What comes before ``attach`` waits, and then that peer's part is taken."""

    name = "rtp"

    def __init__(self, port: UdpPort) -> None:
        super().__init__(BEST)
        self._format = FORMATS[BEST.from_asterisk]
        self._to_48_khz = SAMPLE_RATE // self._format.clock
        self._sender: RtpSender
        self._port = port
        self._peer: Address | None = None
        self._ssrc: int | None = None
        self._other_source: tuple[RtpPacket, float] | None = None  # the latest packet, if it had another SSRC

    @classmethod
    def listen(cls, bind_host: str) -> "RtpTransport":
        """Bind a free port. Raises MediaError if the address is not this machine's."""
        try:
            return cls(UdpPort(bind_host))
        except OSError as error:
            raise MediaError(f"cannot listen for RTP on {bind_host}: {error}") from error

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self._port.address

    def attach(self, host: str, port: int, codecs: Codecs = BEST) -> None:
        """Listen and talk to this peer only. Raises MediaError if ``host`` is not a numeric address."""
        if self._peer is not None:
            raise MediaError(f"RTP is already exchanged with {self._peer[0]}:{self._peer[1]}")
        try:
            self._peer = str(ipaddress.ip_address(host)), port
        except ValueError as error:
            raise MediaError(f"RTP needs its peer's numeric address, and {host!r} is none") from error
        if codecs != BEST:
            self._use(codecs)
        self._format = FORMATS[codecs.from_asterisk]
        self._to_48_khz = SAMPLE_RATE // self._format.clock
        sent = FORMATS[codecs.to_asterisk]
        self._sender = RtpSender(sent.payload_type, sent.step)
        self._heard_at = time.monotonic()

    def _put_out(self, sound: bytes) -> None:
        if self._peer is not None:
            data = self._sender.next(self._encoder.encode(sound))
            self._port.send(data, self._peer)
            self._sent += 1
            self._sent_bytes += len(data)

    def _take_in(self) -> None:
        if self._peer is not None:
            while came := self._port.receive():
                data, source, at = came
                self._received(data, source, at)
                if self._jitter.has_next and time.monotonic() - at < JUST_NOW_S:
                    return

    async def close(self) -> None:
        """Let the port go."""
        self._port.close()

    def _received(self, data: bytes, source: Address, now: float) -> None:
        if source != self._peer:
            self._foreign += 1
            return
        try:
            packet = RtpPacket.parse(data)
        except MalformedPacket as error:
            self._rejected += 1
            log.debug("from %s: %s", source, error)
            return
        self._heard_at = now
        if packet.ssrc == self._ssrc and self._other_source is None:
            self._take(packet, now)
        else:
            for each, at in self._of_the_stream(packet, now):
                self._take(each, at)

    def _take(self, packet: RtpPacket, at: float) -> None:
        if packet.payload_type == self._format.payload_type:
            at_48_khz = packet.timestamp * self._to_48_khz & 0xFFFFFFFF  # it wraps with the other
            self._jitter.put(packet.seq, at_48_khz, packet.payload, at)
        else:
            self._rejected += 1
            self._jitter.skip(packet.seq)

    def _of_the_stream(self, packet: RtpPacket, now: float) -> list[tuple[RtpPacket, float]]:
        """What to take, with the times when it came: two packets in a row of another source are a new stream.

        One alone may be a straggler of the old one (RFC 3550, section 8.2 and appendix A.1).
        """
        before, self._other_source = self._other_source, None
        if self._ssrc in (None, packet.ssrc):
            self._ssrc = packet.ssrc
            self._foreign += before is not None
            return [(packet, now)]
        if before is None or not _follows(packet, before[0]):
            self._foreign += before is not None
            self._other_source = packet, now
            return []
        log.info("RTP from %s: a new stream, SSRC %08x after %08x", self._peer, packet.ssrc, self._ssrc)
        self._ssrc = packet.ssrc
        self._jitter.new_stream()
        return [before, (packet, now)]


def _follows(packet: RtpPacket, before: RtpPacket) -> bool:
    return packet.ssrc == before.ssrc and packet.seq == (before.seq + 1) & 0xFFFF
