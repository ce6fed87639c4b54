"""Opus, and what all codecs share: PyAV, one direction of one call each; audio is 48 kHz mono int16 throughout."""

import math
from typing import Literal, Protocol

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

Pcm = NDArray[np.int16]

SAMPLE_RATE = 48_000
TICK_MS = 10
TICK_SAMPLES = SAMPLE_RATE * TICK_MS // 1000
PACKET_MS = 20
PACKET_SAMPLES = SAMPLE_RATE * PACKET_MS // 1000
SILENCE: Pcm = np.zeros(TICK_SAMPLES, np.int16)
SILENCE.flags.writeable = False
SILENCE_DBFS = -99.0

OPUS_BIT_RATE = 32_000
OPUS_COMPLEXITY = 5  # 0.74 % of a core; 10 costs twice that and is not heard on speech

_OPUS_CELT_MS = (2.5, 5.0, 10.0, 20.0)
_OPUS_SILK_MS = (10.0, 20.0, 40.0, 60.0)
_OPUS_HYBRID_MS = (10.0, 20.0)
_OPUS_MAX_MS = 120
_OPUS_TOC_ONE_FRAME = 0xFC


class CodecError(ValueError):
    """A packet that its codec cannot read."""


class Decoder(Protocol):
    """From packets to sound."""

    def samples(self, packet: bytes) -> int:
        """How much sound is in it. Raises CodecError."""

    def decode(self, packet: bytes) -> Pcm:
        """Its sound. Raises CodecError."""

    def conceal(self) -> Pcm:
        """Guess what was lost: some milliseconds, which fade from guess to guess; empty if there was nothing before."""


class Encoder(Protocol):
    """From sound to packets."""

    def encode(self, pcm: Pcm) -> bytes:
        """``PACKET_SAMPLES`` samples to one packet."""


def dbfs(rms: float) -> float:
    """Root mean square of int16 samples as dBFS, not below ``SILENCE_DBFS``."""
    return max(SILENCE_DBFS, float(20 * np.log10(rms / 32768))) if rms > 0 else SILENCE_DBFS


def rms(pcm: Pcm) -> float:
    """Root mean square, in int16 units."""
    samples = pcm.astype(np.float32)
    return math.sqrt(samples.dot(samples) / max(1, len(samples)))


def opus_samples(packet: bytes) -> int:
    """Samples at 48 kHz in an Opus packet, read from its TOC byte (RFC 6716, section 3.1).

    Raises CodecError if the packet is empty, short, or longer than the 120 ms that the RFC allows.
    """
    if not packet:
        raise CodecError("an empty Opus packet")
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame_ms = _OPUS_SILK_MS[config & 3]
    elif config < 16:
        frame_ms = _OPUS_HYBRID_MS[config & 1]
    else:
        frame_ms = _OPUS_CELT_MS[config & 3]
    if code == 3 and len(packet) < 2:
        raise CodecError("an Opus packet that ends before its frame count")
    frames = (1, 2, 2)[code] if code < 3 else packet[1] & 0x3F
    if not 0 < frames * frame_ms <= _OPUS_MAX_MS:
        raise CodecError(f"an Opus packet of {frames} frames of {frame_ms} ms")
    return int(frames * frame_ms * SAMPLE_RATE // 1000)


def codec_context(
    codec: Literal["libopus", "g722", "pcm_alaw"], mode: Literal["r", "w"], rate: int
) -> AudioCodecContext:
    """FFmpeg's codec for mono of 16 bits at ``rate`` Hz."""
    context = av.CodecContext.create(codec, mode)
    context.sample_rate = rate
    context.layout = "mono"
    context.format = "s16"
    return context


def _frame(pcm: Pcm, rate: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm).reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate
    return frame


def encoded(context: AudioCodecContext, pcm: Pcm, rate: int) -> bytes:
    """What FFmpeg's encoder makes of one block."""
    (packet,) = context.encode(_frame(pcm, rate))
    return bytes(packet)


def decoded(context: AudioCodecContext, packet: bytes) -> Pcm:
    """What FFmpeg's decoder makes of one packet. Raises CodecError."""
    try:
        frames = context.decode(av.Packet(packet))
    except av.FFmpegError as error:
        raise CodecError(f"{context.name} cannot decode a packet of {len(packet)} bytes: {error}") from error
    if not frames:
        raise CodecError(f"{context.name} made nothing of a packet of {len(packet)} bytes")
    return np.concatenate([frame.to_ndarray().reshape(-1).astype(np.int16, copy=False) for frame in frames])


class OpusDecoder:
    """Packets of any Opus frame size to PCM, with libopus's own concealment of lost ones."""

    def __init__(self) -> None:
        self._context = codec_context("libopus", "r", SAMPLE_RATE)
        self._last_toc: int | None = None

    def samples(self, packet: bytes) -> int:
        """As its TOC byte says. Raises CodecError."""
        return opus_samples(packet)

    def decode(self, packet: bytes) -> Pcm:
        """The packet's samples. Raises CodecError if it is not Opus."""
        opus_samples(packet)
        pcm = self._decode(packet)
        self._last_toc = packet[0]
        return pcm

    def conceal(self) -> Pcm:
        """Guess what was lost: one frame, as long as the frames of the last packet; empty if there was none.

        A packet of only a TOC byte is a frame of no bytes, which RFC 6716 (section 4.4) and libopus take for a lost
        one: that reaches libopus's concealment through FFmpeg, which has no call for it.
        """
        if self._last_toc is None:
            return SILENCE[:0]
        return self._decode(bytes([self._last_toc & _OPUS_TOC_ONE_FRAME]))

    def _decode(self, packet: bytes) -> Pcm:
        return decoded(self._context, packet)


class OpusEncoder:
    """20 ms of PCM to one Opus packet, tuned for voice."""

    def __init__(self) -> None:
        self._context = codec_context("libopus", "w", SAMPLE_RATE)
        self._context.bit_rate = OPUS_BIT_RATE
        self._context.options = {
            "application": "voip",
            "frame_duration": str(PACKET_MS),
            "compression_level": str(OPUS_COMPLEXITY),
        }
        self._context.open()

    def encode(self, pcm: Pcm) -> bytes:
        """``PACKET_SAMPLES`` samples to one packet."""
        return encoded(self._context, pcm, SAMPLE_RATE)


class Resampler:
    """From one rate to another, block by block, as many samples out as the block's duration asks for."""

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=target)
        self._position = 0
        # The filter's first block comes out short by its own length; the missing samples are silence at the start.
        self._waiting: Pcm | None = None

    def resample(self, pcm: Pcm) -> Pcm:
        """One block; raises ValueError if it does not make a whole number of samples at the other rate."""
        wanted, rest = divmod(len(pcm) * self._target, self._source)
        if rest:
            raise ValueError(f"{len(pcm)} samples at {self._source} Hz are no whole number at {self._target} Hz")
        frame = _frame(pcm, self._source)
        frame.pts = self._position
        self._position += len(pcm)
        made = [part.to_ndarray().reshape(-1) for part in self._resampler.resample(frame)]
        if self._waiting is None:
            self._waiting = np.zeros(wanted - sum(len(part) for part in made), np.int16)
        out = np.concatenate([self._waiting, *made])
        self._waiting = out[wanted:]
        return out[:wanted].astype(np.int16, copy=False)


class TickPairs:
    """Joins every two ticks into the sound of one packet."""

    def __init__(self) -> None:
        self._first: Pcm | None = None

    def add(self, tick: Pcm) -> Pcm | None:
        """The pair that this tick completes, ``PACKET_SAMPLES`` long; None where it is the first of one."""
        if self._first is None:
            self._first = tick
            return None
        both = np.concatenate([self._first, tick])
        self._first = None
        assert len(both) == PACKET_SAMPLES
        return both
