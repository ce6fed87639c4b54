"""What all codecs share: mono sound, s16le, one direction of one call each.

Towards Telegram it is at 48 kHz, from Telegram at the rate of the codec that it goes on with.
"""

import math
import warnings
from typing import Protocol

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.13 on it is a package, audioop-lts
    import audioop as audioop

SAMPLE_RATE = 48_000
TICK_MS = 10
TICK_SAMPLES = SAMPLE_RATE * TICK_MS // 1000
PACKET_MS = 20
PACKET_SAMPLES = SAMPLE_RATE * PACKET_MS // 1000
SAMPLE_BYTES = 2
TICK_BYTES = TICK_SAMPLES * SAMPLE_BYTES
SILENCE = bytes(TICK_BYTES)
SILENCE_DBFS = -99.0


def size_of(duration_ms: int, rate: int) -> int:
    """Of so much sound of ``rate`` Hz, in bytes."""
    return rate * duration_ms // 1000 * SAMPLE_BYTES


class CodecError(ValueError):
    """A packet that its codec cannot read."""


class Decoder(Protocol):
    """From packets to sound of 48 kHz."""

    def samples(self, packet: bytes) -> int:
        """How much sound is in it. Raises CodecError."""

    def decode(self, packet: bytes) -> bytes:
        """Its sound. Raises CodecError."""

    def conceal(self) -> bytes:
        """Guess what was lost: some milliseconds, which fade from guess to guess; empty if there was nothing before."""


class Encoder(Protocol):
    """From sound to packets."""

    rate: int
    """Of the sound, in Hz."""

    def encode(self, sound: bytes) -> bytes:
        """20 ms of it, s16le, to one packet."""


def dbfs(rms: float) -> float:
    """Root mean square of int16 samples as dBFS, not below ``SILENCE_DBFS``."""
    return max(SILENCE_DBFS, 20 * math.log10(rms / 32768)) if rms > 0 else SILENCE_DBFS
