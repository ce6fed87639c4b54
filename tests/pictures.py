"""Pictures for tests, made with the codecs that are there."""

import struct
import zlib
from fractions import Fraction
from typing import Any

import av
import numpy as np


def jpeg(width: int = 64, height: int = 48) -> bytes:
    return _encoded("mjpeg", "yuvj420p", width, height)


def png(width: int = 64, height: int = 48) -> bytes:
    return _encoded("png", "rgb24", width, height)


def noisy_png(size: int) -> bytes:
    """One of about so many bytes: noise can't be made smaller."""
    side = int((size / 3) ** 0.5) + 8
    return _encoded("png", "rgb24", side, side, noise=True)


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is this large, and is only a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def _encoded(codec: str, pixels: str, width: int, height: int, *, noise: bool = False) -> bytes:
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, pixels, Fraction(1, 25)
    rng = np.random.default_rng(1)
    shape = (height, width, 3)
    image = rng.integers(0, 255, shape, dtype=np.uint8) if noise else np.full(shape, 90, dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
