"""G.722 and A-law (G.711): 64 kbit/s, and no concealment of their own, for an Asterisk that has no Opus codec."""

from typing import Literal

import numpy as np

from media.codecs import (
    PACKET_SAMPLES,
    SAMPLE_RATE,
    CodecError,
    Pcm,
    Resampler,
    codec_context,
    decoded,
    encoded,
)

RATES: dict[Literal["g722", "pcm_alaw"], int] = {"g722": 16_000, "pcm_alaw": 8_000}
"""By FFmpeg's names, in Hz."""
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


class _Decoder:
    """Packets to PCM; what is lost is guessed by going on with the voice's last period."""

    def __init__(self, codec: Literal["g722", "pcm_alaw"]) -> None:
        self._context = codec_context(codec, "r", RATES[codec])
        self._resampler = Resampler(RATES[codec], SAMPLE_RATE)
        self._history: Pcm = np.zeros(0, np.int16)

    def samples(self, packet: bytes) -> int:
        """By its length. Raises CodecError if there is nothing in it, or more than any packet has."""
        if not 0 < len(packet) <= MAX_BYTES:
            raise CodecError(f"a packet of {len(packet)} bytes")
        return len(packet) * SAMPLES_A_BYTE

    def decode(self, packet: bytes) -> Pcm:
        """The packet's samples. Raises CodecError."""
        wanted = self.samples(packet)
        pcm = self._resampler.resample(decoded(self._context, packet))
        if len(pcm) != wanted:
            raise CodecError(f"{len(pcm)} samples in a packet of {len(packet)} bytes")
        self._remember(pcm)
        return pcm

    def conceal(self) -> Pcm:
        """20 ms, fading; empty where too little came before."""
        if len(self._history) < HISTORY:
            return self._history[:0]
        period = self._history[-pitch(self._history[::_THIN]) * _THIN :]
        guess = (np.resize(period, PACKET_SAMPLES) * _RAMP).astype(np.int16)
        self._remember(guess)
        return guess

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


class _Encoder:
    """20 ms of PCM to 160 bytes; the audio is brought down to the codec's rate on the way."""

    def __init__(self, codec: Literal["g722", "pcm_alaw"]) -> None:
        self._rate = RATES[codec]
        self._context = codec_context(codec, "w", self._rate)
        self._context.open()
        self._resampler = Resampler(SAMPLE_RATE, self._rate)

    def encode(self, pcm: Pcm) -> bytes:
        """``PACKET_SAMPLES`` samples at 48 kHz to one packet."""
        return encoded(self._context, self._resampler.resample(pcm), self._rate)


class G722Decoder(_Decoder):
    """Of 16 kHz."""

    def __init__(self) -> None:
        super().__init__("g722")


class G722Encoder(_Encoder):
    """Of 16 kHz."""

    def __init__(self) -> None:
        super().__init__("g722")


class AlawDecoder(_Decoder):
    """Of 8 kHz."""

    def __init__(self) -> None:
        super().__init__("pcm_alaw")


class AlawEncoder(_Encoder):
    """Of 8 kHz."""

    def __init__(self) -> None:
        super().__init__("pcm_alaw")
