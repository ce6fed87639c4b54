"""Opus (RFC 6716), by libopus itself: its own API, as opus-codec.org/docs/opus_api-1.5 describes it.

Through FFmpeg, by PyAV, a packet costs twice as much. The library is still the one that PyAV's package brings along, or
else the system's.
"""

import ctypes
import ctypes.util
import importlib.util
from functools import lru_cache
from pathlib import Path

from media.codecs import PACKET_SAMPLES, SAMPLE_BYTES, SAMPLE_RATE, CodecError

BIT_RATE = 32_000
COMPLEXITY = 5  # 0.74 % of a core; 10 costs twice that and is not heard on speech
MAX_SAMPLES = SAMPLE_RATE * 120 // 1000
"""Of a packet."""
MAX_BYTES = 1275
"""Of an encoded frame."""
_MONO = 1
_APPLICATION_VOIP = 2048
_SET_BITRATE, _SET_COMPLEXITY = 4002, 4010
_TOC_ONE_FRAME = 0xFC
_TOC_COUNT = 3
"""Of the first byte: how many frames follow; so many, if the second byte tells (RFC 6716, section 3.1)."""


def _library() -> ctypes.CDLL:
    """Raises ImportError where there is none."""
    package = importlib.util.find_spec("av")
    # Beside the package, where auditwheel puts it. Not by the list of its files, which a Debian package has none of.
    beside = Path(package.origin).parent.with_name("av.libs") if package and package.origin else None
    bundled = sorted(beside.glob("libopus*")) if beside else []
    path = str(bundled[0]) if bundled else ctypes.util.find_library("opus")
    if path is None:
        raise ImportError("there is no libopus on this machine: install it (Debian: libopus0)")
    library = ctypes.CDLL(path)
    library.opus_strerror.restype = ctypes.c_char_p
    library.opus_decode.argtypes = [
        ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int, ctypes.c_int,
    ]  # fmt: skip
    library.opus_encode.argtypes = [
        ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int32,
    ]  # fmt: skip
    return library


_OPUS = _library()


def _checked(result: int) -> int:
    if result < 0:
        raise CodecError(f"libopus: {_OPUS.opus_strerror(result).decode()}")
    return result


def samples(packet: bytes) -> int:
    """How much sound is in a packet, at 48 kHz. Raises CodecError if it is not Opus, or longer than the RFC allows."""
    return _samples(packet[:2] if packet and packet[0] & _TOC_COUNT == _TOC_COUNT else packet[:1])


@lru_cache  # a stream's packets have few heads
def _samples(head: bytes) -> int:
    count = _checked(_OPUS.opus_packet_get_nb_samples(head, len(head), SAMPLE_RATE))
    if not count:
        raise CodecError("an Opus packet that has no frame")
    return count


class OpusDecoder:
    """Packets of any frame size to PCM, with libopus's own concealment of lost ones."""

    def __init__(self) -> None:
        self._state = ctypes.create_string_buffer(_OPUS.opus_decoder_get_size(_MONO))
        _checked(_OPUS.opus_decoder_init(self._state, SAMPLE_RATE, _MONO))
        self._pcm = ctypes.create_string_buffer(MAX_SAMPLES * SAMPLE_BYTES)
        self._sound = memoryview(self._pcm)
        self._toc: int | None = None
        self._frame = 0  # samples in a frame of the last packet

    samples = staticmethod(samples)

    def decode(self, packet: bytes) -> bytes:
        """The packet's samples. Raises CodecError if it is not Opus."""
        if not packet:  # to libopus, a lost one
            raise CodecError("an empty Opus packet")
        pcm = self._decode(packet, len(packet), MAX_SAMPLES)
        if packet[0] != self._toc:
            self._toc = packet[0]
            self._frame = samples(bytes([self._toc & _TOC_ONE_FRAME]))
        return pcm

    def conceal(self) -> bytes:
        """Guess what was lost: one frame, as long as the frames of the last packet; empty if there was none."""
        return self._decode(None, 0, self._frame) if self._frame else b""

    def _decode(self, packet: bytes | None, size: int, most: int) -> bytes:
        count = _OPUS.opus_decode(self._state, packet, size, self._pcm, most, 0)
        return self._sound[: (count if count > 0 else _checked(count)) * SAMPLE_BYTES].tobytes()


class OpusEncoder:
    """20 ms to one packet, tuned for voice."""

    rate = SAMPLE_RATE

    def __init__(self) -> None:
        self._state = ctypes.create_string_buffer(_OPUS.opus_encoder_get_size(_MONO))
        _checked(_OPUS.opus_encoder_init(self._state, SAMPLE_RATE, _MONO, _APPLICATION_VOIP))
        for request, value in ((_SET_BITRATE, BIT_RATE), (_SET_COMPLEXITY, COMPLEXITY)):
            _checked(_OPUS.opus_encoder_ctl(self._state, request, ctypes.c_int32(value)))
        self._packet = ctypes.create_string_buffer(MAX_BYTES)

    def encode(self, sound: bytes) -> bytes:
        """One packet."""
        size = _checked(_OPUS.opus_encode(self._state, sound, PACKET_SAMPLES, self._packet, MAX_BYTES))
        return self._packet.raw[:size]
