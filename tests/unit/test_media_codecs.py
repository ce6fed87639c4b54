"""A tone goes through each codec and comes out at its own frequency."""

import av
import numpy as np
import pytest

from media.codecs import (
    PACKET_SAMPLES,
    SAMPLE_RATE,
    CodecError,
    G722Encoder,
    OpusDecoder,
    OpusEncoder,
    Pcm,
    Resampler,
    opus_samples,
)
from media.silence import LevelMeter


def tone(hertz: float, packets: int) -> list[Pcm]:
    samples = np.arange(packets * PACKET_SAMPLES)
    pcm = (8000 * np.sin(2 * np.pi * hertz * samples / SAMPLE_RATE)).astype(np.int16)
    return list(pcm.reshape(packets, PACKET_SAMPLES))


def frequency(pcm: Pcm, rate: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))) * rate / len(pcm))


def test_opus() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    packets = [encoder.encode(pcm) for pcm in tone(440, 50)]
    assert {opus_samples(packet) for packet in packets} == {PACKET_SAMPLES}
    decoded = [decoder.decode(packet) for packet in packets]
    assert {len(pcm) for pcm in decoded} == {PACKET_SAMPLES}
    pcm = np.concatenate(decoded[10:])
    assert frequency(pcm, SAMPLE_RATE) == pytest.approx(440, abs=3)
    assert pcm.astype(float).std() == pytest.approx(8000 / 2**0.5, rel=0.1)


def test_opus_conceals_with_what_came_before_and_fades() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    assert not len(decoder.conceal()), "nothing to guess from"
    for pcm in tone(440, 20):
        decoder.decode(encoder.encode(pcm))
    guesses = [decoder.conceal() for _ in range(5)]
    assert {len(guess) for guess in guesses} == {PACKET_SAMPLES}
    assert frequency(guesses[0], SAMPLE_RATE) == pytest.approx(440, abs=30)
    levels = [float(guess.astype(float).std()) for guess in guesses]
    assert levels[0] > 2000
    assert levels[-1] < 200


def test_g722_is_read_by_another_decoder() -> None:
    encoder = G722Encoder()
    packets = [encoder.encode(pcm) for pcm in tone(1000, 50)]
    assert {len(packet) for packet in packets} == {160}
    decoder = av.CodecContext.create("g722", "r")
    decoder.sample_rate, decoder.layout = 16_000, "mono"
    pcm = np.concatenate([f.to_ndarray().reshape(-1) for packet in packets for f in decoder.decode(av.Packet(packet))])
    assert len(pcm) == 50 * 320
    assert frequency(pcm[3200:], 16_000) == pytest.approx(1000, abs=3)


def test_the_resampler_keeps_time_and_what_the_lower_rate_can_hold() -> None:
    resampler = Resampler(16_000)
    out = [resampler.resample(low + high) for low, high in zip(tone(1000, 50), tone(11_000, 50), strict=True)]
    assert {len(pcm) for pcm in out} == {320}
    spectrum = np.abs(np.fft.rfft(np.concatenate(out[10:])))
    assert np.argmax(spectrum) * 16_000 / 12_800 == pytest.approx(1000, abs=3)
    alias = int(5000 * 12_800 / 16_000)
    assert spectrum[alias - 5 : alias + 5].max() < spectrum.max() / 300, "11 kHz folded down to 5 kHz"


@pytest.mark.parametrize(
    ("packet", "milliseconds"),
    [
        (b"\xf8\xff\xfe", 20),
        (b"\x00", 10),
        (b"\x18", 60),
        (b"\x68", 20),
        (b"\xe0", 2.5),
        (b"\x01", 20),
        (b"\x03\x03", 30),
    ],
)
def test_opus_durations(packet: bytes, milliseconds: float) -> None:
    assert opus_samples(packet) == milliseconds * 48


@pytest.mark.parametrize("packet", [b"", b"\x03", b"\x03\x00", b"\x1b\x3f"])
def test_not_opus(packet: bytes) -> None:
    with pytest.raises(CodecError):
        OpusDecoder().decode(packet)


def test_levels() -> None:
    meter = LevelMeter()
    assert meter.dbfs == -99
    for pcm in tone(1000, 50):
        meter.heard(pcm[:480])
        meter.heard(pcm[480:])
    assert meter.dbfs == pytest.approx(-15.3, abs=0.1)
