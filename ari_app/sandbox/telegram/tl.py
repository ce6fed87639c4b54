"""Reading and writing TL, on top of Telethon's generated classes (https://core.telegram.org/mtproto/TL)."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

from telethon.extensions.binaryreader import BinaryReader
from telethon.tl.tlobject import TLObject

BOOL_TRUE = 0x997275B5
BOOL_FALSE = 0xBC799737
VECTOR = 0x1CB5C415


def now() -> datetime:
    """The present moment as Telegram knows it: UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def read(data: bytes) -> Any:
    """The TL object that `data` begins with; anything after it is ignored.

    Raises `telethon.errors.TypeNotFoundError` for an unknown constructor, `BufferError` or `struct.error` for
    data that ends too early.
    """
    new_reader: Any = BinaryReader
    return new_reader(data).tgread_object()


def write(value: Any) -> bytes:
    """A TL object, a Bool, or a Vector of TL objects, as it stands in an `rpc_result`."""
    if isinstance(value, bool):
        return struct.pack("<I", BOOL_TRUE if value else BOOL_FALSE)
    if isinstance(value, list):
        return struct.pack("<Ii", VECTOR, len(value)) + b"".join(bytes(item) for item in value)
    return bytes(value)


def write_bytes(data: bytes) -> bytes:
    """`data` as the TL type `bytes`: length, data, padding to four."""
    serialize: Any = TLObject.serialize_bytes
    return bytes(serialize(data))


def method_name(request: Any) -> str:
    """The name that core.telegram.org/methods gives a request, for example "phone.requestCall"."""
    cls = request if isinstance(request, type) else type(request)
    namespace = cls.__module__.removeprefix("telethon.tl.functions").lstrip(".")
    name = cls.__name__.removesuffix("Request")
    name = name[0].lower() + name[1:]
    return f"{namespace}.{name}" if namespace else name


def int128(data: bytes) -> int:
    """Telethon holds nonces (int128, int256) as signed little-endian numbers."""
    return int.from_bytes(data, "little", signed=True)
