"""A tone goes through each codec and comes out at its own frequency."""

import ctypes.util
import importlib.metadata
from typing import Any

import av
import numpy as np
import pytest

from media.codecs import PACKET_MS, PACKET_SAMPLES, SAMPLE_RATE, CodecError
from media.formats import FORMATS
from media.g7xx import pitch
from media.opus import OpusDecoder, _library
from media.resampler import Pcm, Resampler
from media.silence import LevelMeter
from media.types import Codec
from tests.encoding import packets_of, pcm_of


def tone(hertz: float, packets: int, rate: int = SAMPLE_RATE) -> list[Pcm]:
    size = rate * PACKET_MS // 1000
    pcm = (8000 * np.sin(2 * np.pi * hertz * np.arange(packets * size) / rate)).astype(np.int16)
    return list(pcm.reshape(packets, size))


def frequency(pcm: Pcm, rate: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))) * rate / len(pcm))


def test_opus_is_found_where_neither_a_list_of_files_nor_the_system_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a Debian package, which has no RECORD of its libraries."""
    monkeypatch.setattr(importlib.metadata, "files", lambda name: None)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    assert _library().opus_get_version_string


@pytest.mark.parametrize("codec", FORMATS)
def test_a_tone(codec: Codec) -> None:
    decoder = FORMATS[codec].decoder()
    packets = packets_of(np.concatenate(tone(440, 50)), codec)
    assert {decoder.samples(packet) for packet in packets} == {PACKET_SAMPLES}
    decoded = [pcm_of(decoder.decode(packet)) for packet in packets]
    assert {len(pcm) for pcm in decoded} == {PACKET_SAMPLES}
    pcm = np.concatenate(decoded[10:])
    assert frequency(pcm, SAMPLE_RATE) == pytest.approx(440, abs=3)
    assert pcm.astype(float).std() == pytest.approx(8000 / 2**0.5, rel=0.1)


@pytest.mark.parametrize("codec", FORMATS)
def test_what_is_lost_is_guessed_from_what_came_before_and_fades(codec: Codec) -> None:
    decoder = FORMATS[codec].decoder()
    assert not decoder.conceal(), "nothing to guess from"
    for packet in packets_of(np.concatenate(tone(440, 20)), codec):
        decoder.decode(packet)
    guesses = [pcm_of(decoder.conceal()) for _ in range(5)]
    assert {len(guess) for guess in guesses} == {PACKET_SAMPLES}
    assert frequency(guesses[0], SAMPLE_RATE) == pytest.approx(440, abs=30)
    levels = [float(guess.astype(float).std()) for guess in guesses]
    assert levels[0] > 2000
    assert levels[-1] < 200


@pytest.mark.parametrize(("codec", "ffmpegs", "rate"), [("g722", "g722", 16_000), ("alaw", "pcm_alaw", 8_000)])
def test_other_decoders_read_it(codec: Codec, ffmpegs: Any, rate: int) -> None:
    packets = packets_of(np.concatenate(tone(1000, 50)), codec)
    assert {len(packet) for packet in packets} == {160}
    decoder = av.CodecContext.create(ffmpegs, "r")
    decoder.sample_rate, decoder.layout = rate, "mono"
    pcm = np.concatenate([f.to_ndarray().reshape(-1) for packet in packets for f in decoder.decode(av.Packet(packet))])
    assert len(pcm) == 50 * rate // 50
    assert frequency(pcm[rate // 5 :], rate) == pytest.approx(1000, abs=3)


@pytest.mark.parametrize("hertz", [80, 125, 210, 380])
def test_the_period_of_a_voice(hertz: int) -> None:
    time_s = np.arange(1600) / 8000
    harmonics = [np.sin(2 * np.pi * hertz * number * time_s) / number for number in (1, 2, 3)]
    period = pitch((4000 * np.sum(harmonics, axis=0)).astype(np.int16))
    assert period * hertz / 8000 == pytest.approx(round(period * hertz / 8000), abs=0.06), "a whole number of periods"


def test_silence_and_a_first_packet_are_no_trouble_to_guess_from() -> None:
    decoder = FORMATS["alaw"].decoder()
    assert not decoder.conceal()
    decoder.decode(b"\xd5" * 160)
    assert not decoder.conceal()
    decoder.decode(b"\xd5" * 160)
    assert np.abs(pcm_of(decoder.conceal())).max() < 20


@pytest.mark.parametrize("codec", ["g722", "alaw"])
@pytest.mark.parametrize("length", [80, 160, 320, 480])
def test_packets_of_other_lengths(codec: Codec, length: int) -> None:
    decoder = FORMATS[codec].decoder()
    assert [len(pcm_of(decoder.decode(bytes(length)))) for _ in range(3)] == [length * 6] * 3


@pytest.mark.parametrize("codec", ["g722", "alaw"])
@pytest.mark.parametrize("packet", [b"", bytes(961)])
def test_not_a_packet(codec: Codec, packet: bytes) -> None:
    with pytest.raises(CodecError):
        FORMATS[codec].decoder().decode(packet)


@pytest.mark.parametrize("rate", [8_000, 16_000])
@pytest.mark.parametrize("part", [0.1, 0.8])
def test_the_resampler_keeps_time_and_adds_no_mirror_image(rate: int, part: float) -> None:
    """``part``: of what the lower rate can hold."""
    hertz, resampler = part * rate / 2, Resampler(rate)
    out = [resampler.resample(pcm) for pcm in tone(hertz, 50, rate)]
    assert {len(pcm) for pcm in out} == {PACKET_SAMPLES}
    spectrum = np.abs(np.fft.rfft(np.concatenate(out[10:]) * np.hanning(40 * PACKET_SAMPLES)))
    per_bin = SAMPLE_RATE / (40 * PACKET_SAMPLES)
    assert np.argmax(spectrum) * per_bin == pytest.approx(hertz, abs=3)
    image = int((rate - hertz) / per_bin)
    assert spectrum[image - 5 : image + 5].max() < spectrum.max() / 300
    assert np.concatenate(out[10:]).astype(float).std() == pytest.approx(8000 / 2**0.5, rel=0.1)


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
    assert OpusDecoder().samples(packet) == milliseconds * 48


@pytest.mark.parametrize("packet", [b"", b"\x03", b"\x03\x00", b"\x1b\x3f"])
def test_not_opus(packet: bytes) -> None:
    with pytest.raises(CodecError):
        OpusDecoder().decode(packet)


def test_levels() -> None:
    meter = LevelMeter()
    assert meter.dbfs == -99
    for pcm in tone(1000, 50):
        meter.heard(pcm[:480].tobytes())
        meter.heard(pcm[480:].tobytes())
    assert meter.dbfs == pytest.approx(-15.3, abs=0.1)
