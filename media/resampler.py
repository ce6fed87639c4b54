"""From a codec's sample rate up to 48 kHz, for codecs that are not Opus."""

import numpy as np
from numpy.typing import NDArray

from media.codecs import SAMPLE_RATE

Pcm = NDArray[np.int16]
"""Mono samples."""

TAPS = 24
"""Samples at the lower rate from which each at the higher one is made; half of them are its delay: 0.75 to 1.5 ms."""
CUTOFF = 0.9
"""Of the lower rate's own limit: what is above it would come out a second time, mirrored."""


class Resampler:
    """``source``: Hz, a divisor of 48 kHz. A low-pass of windowed sincs, one for each phase between two samples."""

    def __init__(self, source: int) -> None:
        self._factor = SAMPLE_RATE // source
        at = np.arange(TAPS * self._factor) - (TAPS * self._factor - 1) / 2
        filter_ = np.sinc(at / self._factor * CUTOFF) * np.kaiser(len(at), 6.0)
        self._phases = [phase / phase.sum() for phase in filter_.reshape(TAPS, self._factor).T]
        self._before = np.zeros(TAPS - 1, np.float64)

    def resample(self, pcm: Pcm) -> Pcm:
        """One block, as long as it was."""
        sound = np.concatenate([self._before, pcm])
        self._before = sound[len(sound) - (TAPS - 1) :]
        out = np.stack([np.convolve(sound, phase, "valid") for phase in self._phases], axis=1)
        whole: Pcm = np.clip(np.rint(out), -32768, 32767).astype(np.int16)
        return whole.reshape(-1)
