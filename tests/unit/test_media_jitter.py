"""The jitter buffer against a network that loses, delays, doubles and reorders, and a sender that pauses."""

import random
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest

from media.codecs import PACKET_SAMPLES, SAMPLE_RATE, SILENCE, TICK_BYTES, TICK_SAMPLES
from media.depth import MAX_WAIT, SerialNumber
from media.formats import FORMATS
from media.jitter import MAX_CONCEALED, MAX_KEPT, JitterBuffer
from media.opus import OpusDecoder
from media.resampler import Pcm
from media.silence import rms
from media.types import Codec
from tests.encoding import packets_of, pcm_of

SEQ = 65_530
TIMESTAMP = 0xFFFF_F000


def sine(hertz: float, seconds: float) -> Pcm:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(int(SAMPLE_RATE * seconds)) / SAMPLE_RATE)).astype(np.int16)


def silence(seconds: float) -> Pcm:
    return np.zeros(int(SAMPLE_RATE * seconds), np.int16)


@dataclass
class Sent:
    """A packet and when it arrives, in seconds."""

    at: float
    seq: int
    timestamp: int
    payload: bytes


def packets(pcm: Pcm, start: float = 0.0, number: int = 0, clock: float = 1.0, codec: Codec = "opus") -> list[Sent]:
    """The stream Asterisk makes of the sound. ``clock``: seconds of ours to one of the sender's."""
    return [
        Sent(
            start + i * 0.02 * clock,
            (SEQ + number + i) & 0xFFFF,
            (TIMESTAMP + int(start * SAMPLE_RATE) + i * PACKET_SAMPLES) & 0xFFFFFFFF,
            payload,
        )
        for i, payload in enumerate(encoded(pcm.tobytes(), codec))
    ]


@lru_cache
def encoded(sound: bytes, codec: Codec) -> list[bytes]:
    """Packets of 20 ms."""
    return packets_of(pcm_of(sound), codec)


def play(buffer: JitterBuffer, sent: list[Sent], seconds: float, release_at: float = 0.0) -> Pcm:
    """Run the call's clock: packets go in at their times, a tick comes out every 10 ms from ``release_at`` on."""
    arriving = sorted(sent, key=lambda packet: packet.at)
    out: list[bytes] = []
    for tick in range(round(seconds * 100)):
        now = tick / 100
        while arriving and arriving[0].at <= now + 1e-9:
            packet = arriving.pop(0)
            buffer.put(packet.seq, packet.timestamp, packet.payload, packet.at)
        if now + 1e-9 >= release_at:
            buffer.release()
            out.append(buffer.pull(now))
            assert len(out[-1]) == TICK_BYTES
    return pcm_of(b"".join(out))


def ticks_of(pcm: Pcm, hertz: float) -> int:
    """Ticks in which this tone sounds."""
    phase = np.exp(-2j * np.pi * hertz * np.arange(len(pcm)) / SAMPLE_RATE)
    return int(np.count_nonzero(np.abs((pcm * phase).reshape(-1, TICK_SAMPLES).mean(axis=1)) > 1500))


def quiet_ticks(pcm: Pcm) -> int:
    return sum(rms(tick.tobytes()) < 250 for tick in pcm.reshape(-1, TICK_SAMPLES))


def test_counters_unwrap_across_their_ends() -> None:
    serial = SerialNumber(16)
    assert [serial.unwrap(n) for n in (65534, 65535, 1, 0, 2)] == [65534, 65535, 65537, 65536, 65538]


def test_a_perfect_network_adds_the_target_and_changes_nothing() -> None:
    buffer = JitterBuffer(OpusDecoder())
    out = play(buffer, packets(sine(440, 4)), 4)
    stats = buffer.stats()
    assert stats.from_asterisk.packets == 200
    assert (stats.from_asterisk.lost, stats.from_asterisk.late, stats.from_asterisk.reordered) == (0, 0, 0)
    assert stats.concealed_ms == stats.skipped_ms == stats.inserted_ms == 0
    assert stats.silence_ms <= 40
    assert ticks_of(out, 440) >= 394
    assert 15 <= stats.buffer_ms <= 25


def test_reordered_packets_are_put_in_order() -> None:
    sent = packets(sine(440, 2))
    for i in range(4, len(sent), 10):
        sent[i].at, sent[i + 1].at = sent[i + 1].at, sent[i].at
    buffer = JitterBuffer(OpusDecoder())
    out = play(buffer, sent, 2)
    stats = buffer.stats()
    assert stats.from_asterisk.reordered == 10
    assert stats.from_asterisk.lost == stats.from_asterisk.late == 0
    assert quiet_ticks(out[SAMPLE_RATE // 2 :]) == 0


def test_doubled_packets_are_played_once() -> None:
    sent = packets(sine(440, 2))
    buffer = JitterBuffer(OpusDecoder())
    out = play(buffer, sent + sent, 2.5)
    stats = buffer.stats()
    assert stats.from_asterisk.duplicates == 100
    assert stats.from_asterisk.late == 0
    assert ticks_of(out, 440) == pytest.approx(200, abs=8)


@pytest.mark.parametrize("codec", FORMATS)
def test_lost_packets_are_concealed_and_counted(codec: Codec) -> None:
    sent = [packet for i, packet in enumerate(packets(sine(440, 4), codec=codec)) if i % 10 != 5]
    buffer = JitterBuffer(FORMATS[codec].decoder())
    out = play(buffer, sent, 4)
    stats = buffer.stats()
    assert stats.from_asterisk.lost == 20
    assert stats.concealed_ms == pytest.approx(20 * 20, abs=60)
    assert quiet_ticks(out[SAMPLE_RATE // 2 :]) == 0
    assert 10 <= stats.buffer_ms <= 80, "a loss must not add delay"


def test_a_long_loss_is_concealed_for_a_short_while_only() -> None:
    sent = [packet for i, packet in enumerate(packets(sine(440, 4))) if not 100 <= i < 115]
    buffer = JitterBuffer(OpusDecoder())
    out = play(buffer, sent, 4)
    stats = buffer.stats()
    assert stats.from_asterisk.lost == 15
    assert stats.concealed_ms <= MAX_CONCEALED // 48 + 20
    assert 15 <= quiet_ticks(out[SAMPLE_RATE // 2 :]) <= 32


def test_packets_too_late_are_dropped() -> None:
    sent = packets(sine(440, 3))
    sent[60].at += 0.5
    buffer = JitterBuffer(OpusDecoder())
    play(buffer, sent, 3)
    assert buffer.stats().from_asterisk.late == 1
    assert buffer.stats().from_asterisk.lost == 1


def test_pauses_are_silence_and_not_losses() -> None:
    words = [packets(sine(440, 0.4), start=word * 1.0, number=word * 20) for word in range(4)]
    buffer = JitterBuffer(OpusDecoder())
    out = play(buffer, [packet for word in words for packet in word], 4.2)
    stats = buffer.stats()
    assert stats.from_asterisk.lost == stats.from_asterisk.late == 0
    assert ticks_of(out, 440) == pytest.approx(160, abs=20)
    assert stats.silence_ms > 1800


def test_a_single_packet_is_played() -> None:
    buffer = JitterBuffer(OpusDecoder())
    out = play(buffer, packets(sine(440, 0.02)), 0.5)
    assert quiet_ticks(out) < 50


def test_the_target_follows_the_jitter_and_stays_bounded() -> None:
    dice = random.Random(1)  # noqa: S311 - a test's dice
    sent = packets(sine(440, 10))
    for packet in sent:
        packet.at += dice.uniform(0, 0.08)
    buffer = JitterBuffer(OpusDecoder())
    out = play(buffer, sent, 10)
    stats = buffer.stats()
    assert 75 <= stats.target_ms <= 90
    assert stats.jitter_ms > 5
    assert quiet_ticks(out[2 * SAMPLE_RATE :]) <= 5
    for packet in sent:
        packet.at += dice.uniform(0, 2)
    wild = JitterBuffer(OpusDecoder())
    play(wild, sent, 10)
    assert wild.stats().target_ms <= MAX_WAIT // 48


@pytest.mark.parametrize("clock", [0.998, 1.002])
@pytest.mark.parametrize("pausing", [True, False])
def test_drift_between_the_clocks_does_not_add_up(clock: float, pausing: bool) -> None:
    second = np.concatenate([sine(440, 0.7), silence(0.3)]) if pausing else sine(440, 1)
    sent = packets(np.tile(second, 60), clock=clock)
    buffer = JitterBuffer(OpusDecoder())
    out = play(buffer, sent, 59)
    stats = buffer.stats()
    assert 0 <= stats.buffer_ms <= 180
    assert stats.from_asterisk.lost == stats.from_asterisk.late == 0
    if pausing:
        assert ticks_of(out, 440) == pytest.approx(70 * 59, rel=0.02), "speech stays whole"


def greeting() -> tuple[Pcm, tuple[int, ...]]:
    words = (600, 900, 1300, 1800)
    return np.concatenate([np.concatenate([sine(hertz, 0.3), silence(0.25)]) for hertz in words]), words


def test_a_greeting_is_played_whole_and_caught_up_in_its_pauses() -> None:
    sound, words = greeting()
    sent = packets(np.concatenate([sound, silence(2)]))
    buffer = JitterBuffer(OpusDecoder())
    for packet in sent:
        if packet.at < 1.5:
            buffer.put(packet.seq, packet.timestamp, packet.payload, packet.at)
    assert buffer.stats().backlog_ms == 1500
    assert buffer.pull(1.5) == SILENCE, "nothing comes out before the release"
    out = play(buffer, [packet for packet in sent if packet.at >= 1.5], 4.2, release_at=1.5)
    for hertz in words:
        assert ticks_of(out, hertz) == pytest.approx(30, abs=2), f"the word of {hertz} Hz"
    heard = np.flatnonzero(np.abs(out) > 1000)
    assert heard[0] < TICK_SAMPLES * 2, "it begins at once"
    stats = buffer.stats()
    assert stats.backlog_ms == 0
    assert stats.skipped_ms >= 1350
    assert stats.buffer_ms <= 80
    assert stats.overflows == 0
    # The pauses between the words are shorter than they were, and still there.
    blocks = np.array(
        [rms(tick.tobytes()) > 500 for tick in out[heard[0] // 480 * 480 : heard[-1] // 480 * 480].reshape(-1, 480)]
    )
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[True], blocks, [True]]).astype(int))))[::2]
    assert len(runs) == 3
    assert all(6 <= run <= 14 for run in runs), runs


def test_only_the_newest_two_seconds_are_kept() -> None:
    buffer = JitterBuffer(OpusDecoder())
    for packet in packets(np.concatenate([sine(440, 1), sine(1000, 2)])):
        buffer.put(packet.seq, packet.timestamp, packet.payload, packet.at)
    stats = buffer.stats()
    assert stats.backlog_ms == MAX_KEPT // 48 == 2000
    assert stats.overflows == 50
    buffer.release()
    out = pcm_of(b"".join(buffer.pull(3 + tick / 100) for tick in range(200)))
    assert ticks_of(out, 440) <= 1
    assert ticks_of(out, 1000) >= 198


def test_speech_without_a_pause_is_not_cut_to_catch_up() -> None:
    sent = packets(sine(440, 6))
    buffer = JitterBuffer(OpusDecoder())
    play(buffer, sent, 5.9, release_at=1.5)
    stats = buffer.stats()
    assert stats.skipped_ms == 0
    assert stats.backlog_ms == pytest.approx(1460, abs=40)


def test_a_calm_network_is_played_5_to_15_ms_after_it_comes() -> None:
    """What the first packets had to wait longer, when nothing was known, is left out of the first pause."""
    sent = packets(np.tile(np.concatenate([sine(440, 0.7), silence(0.3)]), 4))
    for packet in sent:
        packet.at += 0.003  # between two ticks
    buffer = JitterBuffer(OpusDecoder())
    out = play(buffer, sent, 4)
    stats = buffer.stats()
    assert 5 <= stats.buffer_ms < 15
    assert 10 <= stats.skipped_ms <= 20
    assert stats.concealed_ms == stats.inserted_ms == 0
    assert ticks_of(out, 440) == pytest.approx(4 * 70, abs=4), "speech stays whole"


def test_a_stall_is_caught_up_again() -> None:
    sent = packets(np.tile(np.concatenate([sine(440, 0.7), silence(0.3)]), 10))
    for packet in sent:
        if 3.0 <= packet.at < 3.8:
            packet.at = 3.8
    buffer = JitterBuffer(OpusDecoder())
    play(buffer, sent, 9.5)
    stats = buffer.stats()
    assert stats.from_asterisk.lost == 0
    assert stats.buffer_ms <= MAX_WAIT // 48 + 60


def test_a_sender_that_starts_its_numbers_again_is_heard() -> None:
    first = packets(sine(440, 1))
    second = packets(sine(1000, 2), start=1.0)
    for number, packet in enumerate(second):
        packet.seq = 100 + number
        packet.timestamp = 5000 + number * PACKET_SAMPLES
    third = packets(sine(1800, 1), start=3.0)
    for number, packet in enumerate(third):
        packet.seq = 30_000 + number
    buffer = JitterBuffer(OpusDecoder())
    out = play(buffer, first + second + third, 4.2)
    assert ticks_of(out, 1000) >= 170
    assert ticks_of(out, 1800) >= 90


def test_rubbish_is_counted_and_survived() -> None:
    dice = random.Random(2)  # noqa: S311 - a test's dice
    buffer = JitterBuffer(OpusDecoder())
    buffer.release()
    for number in range(500):
        buffer.put(number & 0xFFFF, number * 960, dice.randbytes(dice.randrange(0, 60)), number * 0.02)
        buffer.pull(number * 0.02)
        buffer.pull(number * 0.02 + 0.01)
    assert buffer.stats().from_asterisk.rejected > 0
    buffer.put(0, 0, b"", 0)
