"""Tones for tests of audio: write one, and measure what arrived.

Method of `measure`: the wav is cut into windows of 10 ms. A window counts as sound when its level is above
`SILENCE_DBFS`. Level and frequency are taken between the first and the last sound. The frequency is the highest peak
of the spectrum under a Hann window over all of it, refined by a parabola through the logarithms of the peak and its two
neighbours, so that it is good to a fraction of a hertz for a second of sound. A gap is a run of silent windows of at
least `GAP_MS` between the first and the last sound: shorter ones are not heard as a hole.
"""

from __future__ import annotations

import math
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WINDOW_MS = 10
GAP_MS = 60
SILENCE_DBFS = -50.0
FULL_SCALE = 32768.0
PEAK_DB = 15.0
PEAKS_APART_HZ = 50.0
QUIETEST = 10 ** (SILENCE_DBFS / 20) / 4  # of a sine's amplitude, as a Hann window shows it
HEAD, RATE_AT = 44, 24
"""Bytes before the samples of a plain wav file, and where among them the sample rate is."""

Samples = np.ndarray[tuple[int], np.dtype[np.float64]]


@dataclass(frozen=True)
class Heard:
    """What a wav holds.

    ``hz``: the dominant frequency; ``level_dbfs``: level from the first to the last sound, where a full-scale sine has
    -3.0; ``gaps``: silent holes between them; ``seconds``: length of the wav; ``first_sound_s``: when the first sound
    begins. Without any sound ``hz`` is 0, the level -inf and ``first_sound_s`` None.
    """

    hz: float
    level_dbfs: float
    gaps: int
    seconds: float
    first_sound_s: float | None


def write_tone(path: Path, hz: float, seconds: float, rate: int = 48000, level_dbfs: float = -12.0) -> None:
    """Write a sine as a mono wav of 16 bit; ``level_dbfs`` is its RMS level, as `measure` tells it."""
    time = np.arange(round(seconds * rate)) / rate
    amplitude = FULL_SCALE * math.sqrt(2) * 10 ** (level_dbfs / 20)
    samples = np.clip(amplitude * np.sin(2 * np.pi * hz * time), -FULL_SCALE, FULL_SCALE - 1)
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(samples.astype("<i2").tobytes())


def measure(path: Path, start_s: float = 0.0, end_s: float | None = None) -> Heard:
    """Measure a mono wav of 16 bit, or the part from ``start_s`` to ``end_s``."""
    samples, rate = _samples(path, start_s, end_s)
    seconds = len(samples) / rate
    width = rate * WINDOW_MS // 1000
    sounding = _sounding(samples, width)
    if not len(sounding):
        return Heard(0.0, -math.inf, 0, seconds, None)
    silent = np.diff(sounding) - 1
    sound = samples[sounding[0] * width : (sounding[-1] + 1) * width]
    level = 10 * math.log10(float((sound**2).mean()))
    gaps = int((silent * WINDOW_MS >= GAP_MS).sum())
    return Heard(_dominant_hz(sound, rate), level, gaps, seconds, float(sounding[0]) * WINDOW_MS / 1000)


def longest_gap_ms(path: Path, start_s: float = 0.0, end_s: float | None = None) -> int | None:
    """The longest silence between the first and the last sound, to a window; None where there is no sound."""
    samples, rate = _samples(path, start_s, end_s)
    sounding = _sounding(samples, rate * WINDOW_MS // 1000)
    return int(max(np.diff(sounding), default=1) - 1) * WINDOW_MS if len(sounding) else None


def tones(path: Path, start_s: float = 0.0, end_s: float | None = None) -> list[int]:
    """The frequencies in it, rounded, lowest first: every peak of the spectrum within `PEAK_DB` of the highest."""
    return _peaks(*_samples(path, start_s, end_s))


def tones_at_end(path: Path, seconds: float) -> list[int]:
    """The same of its last part, also while it is written, whatever length its head says; empty if it is shorter."""
    written = path.read_bytes()
    rate = int.from_bytes(written[RATE_AT : RATE_AT + 4], "little")
    samples = np.frombuffer(written, "<i2", (len(written) - HEAD) // 2, HEAD) if len(written) > HEAD else np.zeros(0)
    wanted = round(seconds * rate)
    return _peaks(samples[-wanted:] / FULL_SCALE, rate) if len(samples) >= wanted > 0 else []


def _peaks(sound: Samples, rate: int) -> list[int]:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) if len(sound) else np.zeros(1)
    spectrum[0] = 0.0
    found: list[int] = []
    apart = max(1, round(PEAKS_APART_HZ * len(sound) / rate))
    least = spectrum.max() * 10 ** (-PEAK_DB / 20)
    while (peak := int(spectrum.argmax())) and spectrum[peak] >= max(least, len(sound) * QUIETEST):
        found.append(round(peak * rate / len(sound)))
        spectrum[max(0, peak - apart) : peak + apart + 1] = 0.0
    return sorted(found)


def _samples(path: Path, start_s: float, end_s: float | None) -> tuple[Samples, int]:
    with wave.open(str(path), "rb") as source:
        if (source.getnchannels(), source.getsampwidth()) != (1, 2):
            raise ValueError(f"{path}: only mono wav files of 16 bit can be measured")
        rate = source.getframerate()
        samples = np.frombuffer(source.readframes(source.getnframes()), "<i2").astype(np.float64) / FULL_SCALE
    return samples[round(start_s * rate) : None if end_s is None else round(end_s * rate)], rate


def _sounding(samples: Samples, width: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Which windows hold sound."""
    windows = samples[: len(samples) // width * width].reshape(-1, width)
    return np.flatnonzero(np.sqrt((windows**2).mean(axis=1)) > 10 ** (SILENCE_DBFS / 20))


def _dominant_hz(sound: Samples, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    spectrum[0] = 0.0
    peak = int(spectrum.argmax())
    if not 0 < peak < len(spectrum) - 1:
        return peak * rate / len(sound)
    left, middle, right = np.log(spectrum[peak - 1 : peak + 2] + 1e-12)
    return float((peak + (left - right) / (2 * (left - 2 * middle + right))) * rate / len(sound))
