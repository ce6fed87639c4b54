"""RTP packets on the wire."""

import pytest

from media.rtp import PAYLOAD_G722, PAYLOAD_OPUS, MalformedPacket, RtpPacket, RtpSender


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
