"""TCP transports of MTProto: how packets are framed (https://core.telegram.org/mtproto/mtproto-transports).

Telethon's default is the full transport; the others are recognised by what a connection begins with.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any, Protocol
from zlib import crc32

from telethon.crypto.aesctr import AESModeCTR

MAX_PACKET = 16 * 1024 * 1024
ABRIDGED = b"\xef"
INTERMEDIATE = b"\xee" * 4
PADDED_INTERMEDIATE = b"\xdd" * 4
OBFUSCATED_HEADER = 64


class TransportError(Exception):
    """The bytes on the connection are not one of MTProto's transports, or a packet is damaged."""


class ByteReader(Protocol):
    """What a codec reads from: a plain or a deciphered stream."""

    async def readexactly(self, n: int, /) -> bytes:
        """Exactly `n` bytes, or `asyncio.IncompleteReadError`."""
        ...


class Codec(Protocol):
    """Frames packets in one direction and unframes them in the other."""

    def encode(self, packet: bytes) -> bytes:
        """The bytes to write for one packet."""
        ...

    async def read(self, reader: ByteReader) -> bytes:
        """The next packet."""
        ...


class Full:
    """Length, sequence number and CRC32 around each packet."""

    def __init__(self) -> None:
        self._sent = 0

    def encode(self, packet: bytes) -> bytes:
        """The bytes to write for one packet."""
        framed = struct.pack("<ii", len(packet) + 12, self._sent) + packet
        self._sent += 1
        return framed + struct.pack("<I", crc32(framed))

    async def read(self, reader: ByteReader) -> bytes:
        """The next packet. Raises `TransportError` when its checksum is wrong."""
        head = await reader.readexactly(8)
        length = _checked(struct.unpack_from("<i", head)[0] - 12)
        body = await reader.readexactly(length + 4)
        if crc32(head + body[:-4]) != struct.unpack_from("<I", body, length)[0]:
            raise TransportError("a packet of the full transport has a wrong checksum")
        return body[:-4]


class Abridged:
    """One or four bytes of length, counted in words of four bytes."""

    def encode(self, packet: bytes) -> bytes:
        """The bytes to write for one packet."""
        words = len(packet) >> 2
        head = bytes([words]) if words < 0x7F else b"\x7f" + words.to_bytes(3, "little")
        return head + packet

    async def read(self, reader: ByteReader) -> bytes:
        """The next packet."""
        words = (await reader.readexactly(1))[0] & 0x7F
        if words == 0x7F:
            words = int.from_bytes(await reader.readexactly(3), "little")
        return await reader.readexactly(_checked(words * 4))


class Intermediate:
    """Four bytes of length; the padded variant may carry up to three bytes more, which are dropped."""

    def encode(self, packet: bytes) -> bytes:
        """The bytes to write for one packet."""
        return struct.pack("<i", len(packet)) + packet

    async def read(self, reader: ByteReader) -> bytes:
        """The next packet."""
        length = _checked(struct.unpack("<i", await reader.readexactly(4))[0])
        packet = await reader.readexactly(length)
        return packet[: length - length % 4]


class Deciphered:
    """The reading side of an obfuscated connection."""

    def __init__(self, reader: asyncio.StreamReader, cipher: Any) -> None:
        self._reader = reader
        self._cipher = cipher

    async def readexactly(self, n: int, /) -> bytes:
        """Exactly `n` deciphered bytes."""
        return bytes(self._cipher.decrypt(await self._reader.readexactly(n)))


class Prepended:
    """A stream whose first bytes were already taken to recognise the transport."""

    def __init__(self, taken: bytes, reader: asyncio.StreamReader) -> None:
        self._taken = taken
        self._reader = reader

    async def readexactly(self, n: int, /) -> bytes:
        """Exactly `n` bytes, the taken ones first."""
        taken, self._taken = self._taken[:n], self._taken[n:]
        return taken + await self._reader.readexactly(n - len(taken)) if len(taken) < n else taken


class Connection:
    """Packets over one TCP connection; made by `accept`, which recognises the transport."""

    def __init__(self, reader: ByteReader, writer: asyncio.StreamWriter, codec: Codec, cipher: Any = None) -> None:
        self._reader = reader
        self._writer = writer
        self._codec = codec
        self._cipher = cipher

    async def read(self) -> bytes:
        """The next packet. Raises `asyncio.IncompleteReadError` or `OSError` when the connection is gone."""
        return await self._codec.read(self._reader)

    def write(self, packet: bytes) -> None:
        """Send a packet; a closed connection drops it, and a peer that reads nothing is cut off."""
        transport = self._writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > MAX_PACKET:
            transport.abort()
            return
        framed = self._codec.encode(packet)
        self._writer.write(self._cipher.encrypt(framed) if self._cipher else framed)

    def abort(self) -> None:
        """Cut the connection at once, as a network fault does."""
        self._writer.transport.abort()


async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Connection:
    """Recognise the transport of a fresh connection."""
    start = await reader.readexactly(1)
    if start == ABRIDGED:
        return Connection(reader, writer, Abridged())
    start += await reader.readexactly(3)
    if start in (INTERMEDIATE, PADDED_INTERMEDIATE):
        return Connection(reader, writer, Intermediate())
    start += await reader.readexactly(4)
    if start[4:] == bytes(4):  # the full transport counts its packets from 0; an obfuscated header is never 0 here
        return Connection(Prepended(start, reader), writer, Full())
    return _deobfuscated(start + await reader.readexactly(OBFUSCATED_HEADER - 8), reader, writer)


def _deobfuscated(header: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Connection:
    backwards = header[55:7:-1]
    ctr: Any = AESModeCTR
    incoming, outgoing = ctr(header[8:40], header[40:56]), ctr(backwards[:32], backwards[32:48])
    tag = bytes(incoming.decrypt(header))[56:60]
    codec: Codec
    if tag == ABRIDGED * 4:
        codec = Abridged()
    elif tag in (INTERMEDIATE, PADDED_INTERMEDIATE):
        codec = Intermediate()
    else:
        raise TransportError(
            "a connection begins like no MTProto transport; is an MTProto client talking to this port?"
        )
    return Connection(Deciphered(reader, incoming), writer, codec, outgoing)


def _checked(length: int) -> int:
    if not 0 < length <= MAX_PACKET:
        raise TransportError(f"a packet of {length} bytes was announced; packets have 1 to {MAX_PACKET}")
    return length
