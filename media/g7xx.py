"""G.722 and A-law (G.711): 64 kbit/s, and no concealment of their own.

G.722 is what Asterisk takes over RTP; both ways, and A-law, are for an Asterisk that has no Opus codec.
"""

from abc import ABC, abstractmethod

import numpy as np
from G722 import G722

from media.codecs import PACKET_SAMPLES, SAMPLE_BYTES, SAMPLE_RATE, CodecError, audioop
from media.resampler import Pcm, Resampler

G722_RATE, ALAW_RATE = 16_000, 8_000
BIT_RATE = 64_000
SAMPLES_A_BYTE = SAMPLE_RATE // 8_000
"""Of 48 kHz: both have 8000 bytes a second."""
MAX_BYTES = 960
"""Of a packet: 120 ms, as of Opus."""
_THIN = 6
"""Pitch is looked for in every sixth sample: at 8 kHz."""
SHORTEST_PITCH, LONGEST_PITCH = 20, 120
"""Periods of voices, in samples at 8 kHz: 2.5 to 15 ms."""
COMPARED = 80
"""Samples at 8 kHz that are compared for a period: 10 ms."""
HISTORY = (LONGEST_PITCH + COMPARED) * _THIN
FADE = 0.25
"""What is left of a guess at its end, relative to its beginning: -36 dB after three of them, where guessing stops."""

_RAMP = np.linspace(1.0, FADE, PACKET_SAMPLES, dtype=np.float32)


class _Decoder(ABC):
    """Packets to PCM; what is lost is guessed by going on with the voice's last period."""

    def __init__(self, rate: int) -> None:
        self._resampler = Resampler(rate)
        self._history: Pcm = np.zeros(0, np.int16)

    @abstractmethod
    def _decode(self, packet: bytes) -> Pcm:
        """The sound, at the codec's rate."""

    def samples(self, packet: bytes) -> int:
        """By its length. Raises CodecError if there is nothing in it, or more than any packet has."""
        if not 0 < len(packet) <= MAX_BYTES:
            raise CodecError(f"a packet of {len(packet)} bytes")
        return len(packet) * SAMPLES_A_BYTE

    def decode(self, packet: bytes) -> bytes:
        """The packet's samples. Raises CodecError."""
        self.samples(packet)
        pcm = self._resampler.resample(self._decode(packet))
        self._remember(pcm)
        return pcm.tobytes()

    def conceal(self) -> bytes:
        """20 ms, fading; empty where too little came before."""
        if len(self._history) < HISTORY:
            return b""
        period = self._history[-pitch(self._history[::_THIN]) * _THIN :]
        guess = (np.resize(period, PACKET_SAMPLES) * _RAMP).astype(np.int16)
        self._remember(guess)
        return guess.tobytes()

    def _remember(self, pcm: Pcm) -> None:
        self._history = np.concatenate([self._history, pcm])[-HISTORY:]


def pitch(sound: Pcm) -> int:
    """The period, in samples at 8 kHz, after which the end of ``sound`` is most like itself."""
    samples = sound.astype(np.float32)
    end = samples[-COMPARED:]
    before = samples[-COMPARED - LONGEST_PITCH : -SHORTEST_PITCH]
    likeness = np.correlate(before, end)
    energy = np.convolve(before**2, np.ones(COMPARED, np.float32), "valid")
    return LONGEST_PITCH - int(np.argmax(likeness / np.sqrt(energy + 1.0)))


class G722Decoder(_Decoder):
    """ITU-T G.722 at 64 kbit/s."""

    def __init__(self) -> None:
        super().__init__(G722_RATE)
        self._codec = G722(G722_RATE, BIT_RATE)

    def _decode(self, packet: bytes) -> Pcm:
        return np.frombuffer(self._codec.decode(packet), np.int16)


class G722Encoder:
    """ITU-T G.722 at 64 kbit/s: 160 bytes a packet."""

    rate = G722_RATE

    def __init__(self) -> None:
        self._codec = G722(G722_RATE, BIT_RATE)

    def encode(self, sound: bytes) -> bytes:
        """One packet."""
        packet: bytes = self._codec.encode(memoryview(sound).cast("h"))
        return packet


class AlawDecoder(_Decoder):
    """ITU-T G.711, A-law."""

    def __init__(self) -> None:
        super().__init__(ALAW_RATE)

    def _decode(self, packet: bytes) -> Pcm:
        return np.frombuffer(audioop.alaw2lin(packet, SAMPLE_BYTES), np.int16)


class AlawEncoder:
    """ITU-T G.711, A-law: 160 bytes a packet."""

    rate = ALAW_RATE

    def encode(self, sound: bytes) -> bytes:
        """One packet."""
        return audioop.lin2alaw(sound, SAMPLE_BYTES)
