"""Telling pauses from sound, tick by tick, by energy."""

import math
from collections import deque

import numpy as np

from media.codecs import SAMPLE_BYTES, SILENCE_DBFS, TICK_MS, TICK_SAMPLES, audioop, dbfs

ALWAYS_QUIET = 58.0
"""-55 dBFS, as root mean square: below it nobody hears a word."""
NEVER_QUIET = 328.0
"""-40 dBFS: above it a tick is sound, however loud the line's noise is."""
ABOVE_NOISE = 2.0
"""6 dB above the noise floor is still noise."""
NOISE_RISE = 1.005
"""How fast the noise floor may rise with each tick: 4 dB a second."""
METERED = 5
"""Of so many ticks a meter is given one: what it shows is no finer."""
KEPT_BEFORE_TICKS = 50 // TICK_MS
"""What is left of the beginning of every pause that is shortened: the word's last sound may be a soft one."""
KEPT_AFTER_TICKS = 30 // TICK_MS
"""What is left of its end, for the next word's soft onset."""
KEPT_TICKS = KEPT_BEFORE_TICKS + KEPT_AFTER_TICKS
"""Together 80 ms, which is still heard as a pause."""

_RAMP = np.linspace(0, 1, TICK_SAMPLES, dtype=np.float32)


def rms(tick: bytes) -> int:
    """Root mean square."""
    return audioop.rms(tick, SAMPLE_BYTES)


class SilenceDetector:
    """Follows the line's noise and how long the present pause has lasted."""

    def __init__(self) -> None:
        self._noise = ALWAYS_QUIET / ABOVE_NOISE
        self._threshold = ALWAYS_QUIET
        self._run = 0

    def quiet(self, tick: bytes) -> bool:
        """Whether the tick is silence or noise."""
        return rms(tick) <= self._threshold

    def heard(self, tick: bytes) -> None:
        """Take note of a tick that is played."""
        level = audioop.rms(tick, SAMPLE_BYTES)
        self._run = self._run + 1 if level <= self._threshold else 0
        self._noise = min(level, self._noise * NOISE_RISE) if self._noise >= 1 else 1.0
        self._threshold = min(max(self._noise * ABOVE_NOISE, ALWAYS_QUIET), NEVER_QUIET)

    @property
    def long_enough(self) -> bool:
        """Whether more of this pause may be left out."""
        return self._run >= KEPT_BEFORE_TICKS


class LevelMeter:
    """The level of the last second, of every `METERED` tick."""

    def __init__(self) -> None:
        self._powers: deque[float] = deque([0.0], maxlen=1000 // TICK_MS // METERED)

    def heard(self, tick: bytes) -> None:
        """Take note of a tick."""
        self._powers.append(rms(tick) ** 2)

    @property
    def dbfs(self) -> float:
        """In dBFS, one decimal."""
        return round(max(SILENCE_DBFS, dbfs(math.sqrt(sum(self._powers) / len(self._powers)))), 1)


def crossfade(first: bytes, second: bytes) -> bytes:
    """Two ticks blended into one."""
    fading, rising = (np.frombuffer(tick, np.int16) for tick in (first, second))
    return (fading * (1 - _RAMP) + rising * _RAMP).astype(np.int16).tobytes()
