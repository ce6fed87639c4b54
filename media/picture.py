"""Whether a file is a picture, found by decoding it, in a process of its own: a native decoder may crash on any file.

``python -m media.picture`` reads the file on its standard input and writes one line of JSON:
``{"type": "image/jpeg", "width": 640, "height": 480}``, or ``{"wrong": "what the decoder says"}``.
The decoder gets the bytes alone: it opens no file and no address.
"""

import asyncio
import contextlib
import json
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import media

DECODERS = {b"\x89PNG\r\n\x1a\n": ("image/png", "png"), b"\xff\xd8\xff": ("image/jpeg", "mjpeg")}
"""By the first bytes of a file: its media type, and libav's decoder for it."""
MOST_PIXELS = 25_000_000  # what width + height <= 10000 allows at most; more is not even decoded
MEMORY = 2 * 1024**3  # bytes of address space: the libraries', and a picture of 25 megapixels with 8 bytes a pixel
DECODE_S = 20.0
"""To load the libraries and decode the largest picture on a busy machine."""
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
PROGRAM = (sys.executable, "-m", "media.picture")


class NoPicture(Exception):
    """A file is no JPEG or PNG that can be decoded; the text is for the log."""


@dataclass(frozen=True)
class DecodedPicture:
    """Its media type, and its size in pixels."""

    type: str
    width: int
    height: int


async def decoded(content: bytes, program: Sequence[str] = PROGRAM) -> DecodedPicture:
    """What a file is. Raises NoPicture; OSError where the decoder can't be started."""
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    environment["PYTHONPATH"] = str(Path(media.__file__).parent.parent)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *program, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, env=environment, start_new_session=True
    )
    try:
        async with asyncio.timeout(DECODE_S):
            said, _ = await process.communicate(content)
    except TimeoutError:
        raise NoPicture(f"it was not decoded within {DECODE_S:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise NoPicture(f"the decoder ended with status {process.returncode}")
    try:
        told = json.loads(said)
    except ValueError:
        raise NoPicture("the decoder said nothing") from None
    if "wrong" in told:
        raise NoPicture(told["wrong"])
    return DecodedPicture(**told)


def main() -> None:
    """The process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(DECODE_S), int(DECODE_S)))
    print(json.dumps(_look_at(sys.stdin.buffer.read())))


def _look_at(content: bytes) -> dict[str, Any]:
    import av

    kinds = [kind for first, kind in DECODERS.items() if content.startswith(first)]
    if not kinds:
        return {"wrong": "neither JPEG nor PNG"}
    type, decoder = kinds[0]
    codec: Any = av.CodecContext.create(decoder, "r")
    codec.thread_count = 1
    codec.options = {"err_detect": "explode", "max_pixels": str(MOST_PIXELS)}  # a cut one is no picture
    try:
        frames: list[Any] = [*codec.decode(av.Packet(content)), *codec.decode(None)]
    except (av.FFmpegError, ValueError) as error:
        return {"wrong": str(error)}
    if not frames:
        return {"wrong": "there is nothing in it"}
    return {"type": type, "width": frames[0].width, "height": frames[0].height}


if __name__ == "__main__":
    main()
