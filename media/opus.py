"""Opus (RFC 6716), by libopus itself: its own API, as opus-codec.org/docs/opus_api-1.5 describes it.

Through FFmpeg, by PyAV, a packet costs twice as much. The library is still the one that PyAV's package brings along, or
else the system's.
"""

import ctypes
import ctypes.util
import importlib.metadata

import numpy as np

from media.codecs import PACKET_SAMPLES, SAMPLE_RATE, SILENCE, CodecError, Pcm

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


def _library() -> ctypes.CDLL:
    """Raises ImportError where there is none."""
    bundled = [file for file in importlib.metadata.files("av") or () if file.name.startswith("libopus")]
    path = str(bundled[0].locate()) if bundled else ctypes.util.find_library("opus")
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
    count = _checked(_OPUS.opus_packet_get_nb_samples(packet, len(packet), SAMPLE_RATE))
    if not count:
        raise CodecError(f"an Opus packet of {len(packet)} bytes has no frame")
    return count


class OpusDecoder:
    """Packets of any frame size to PCM, with libopus's own concealment of lost ones."""

    def __init__(self) -> None:
        self._state = ctypes.create_string_buffer(_OPUS.opus_decoder_get_size(_MONO))
        _checked(_OPUS.opus_decoder_init(self._state, SAMPLE_RATE, _MONO))
        self._pcm: Pcm = np.zeros(MAX_SAMPLES, np.int16)
        self._pcm_address = self._pcm.ctypes.data
        self._toc: int | None = None
        self._frame = 0  # samples in a frame of the last packet

    def samples(self, packet: bytes) -> int:
        """As its head says. Raises CodecError."""
        return samples(packet)

    def decode(self, packet: bytes) -> Pcm:
        """The packet's samples. Raises CodecError if it is not Opus."""
        if not packet:  # to libopus, a lost one
            raise CodecError("an empty Opus packet")
        pcm = self._decode(packet, MAX_SAMPLES)
        if packet[0] != self._toc:
            self._toc = packet[0]
            self._frame = samples(bytes([self._toc & _TOC_ONE_FRAME]))
        return pcm

    def conceal(self) -> Pcm:
        """Guess what was lost: one frame, as long as the frames of the last packet; empty if there was none."""
        return self._decode(None, self._frame) if self._frame else SILENCE[:0]

    def _decode(self, packet: bytes | None, most: int) -> Pcm:
        size = len(packet) if packet is not None else 0
        count = _checked(_OPUS.opus_decode(self._state, packet, size, self._pcm_address, most, 0))
        return self._pcm[:count].copy()


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
