"""A TCP connection that is read and written without an event loop, and tells when something came; also over TLS."""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from typing import NamedTuple

from media.arrival import NOTES_BYTES, note_arrivals, waited_s

CHUNK_BYTES = 4096
"""Many packets: what is left comes with the next one."""
SEND_BUFFER_BYTES = 32_768
"""Linux doubles it, and counts 1 to 2 kB for each packet: about a second of them. With its own limits, minutes of sound
that the other end does not read would wait in the kernel."""


class Chunk(NamedTuple):
    """``data`` is empty at the stream's end; ``at``: on time.monotonic()'s clock, when the last of it came."""

    data: bytes
    at: float


class StreamPort:
    """One end of a connection that has been made. It has the socket, and closes it."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._noted = not isinstance(connected, ssl.SSLSocket)  # TLS has no recvmsg
        self._unsent = memoryview(b"")
        self.broken: OSError | None = None
        """Why it ended, if that was an error."""
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if self._noted:
            note_arrivals(connected)

    def fileno(self) -> int:
        """For the event loop, which may be the one to read."""
        return self._socket.fileno()

    def received(self) -> Iterator[Chunk]:
        """What has come since the last time. At the end of the stream, an empty one each time."""
        while True:
            try:
                chunk = self._read()
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self.broken = self.broken or error
                chunk = Chunk(b"", time.monotonic())
            yield chunk
            # TLS has read more from the socket than it gives at once, and no selector knows of that.
            if not chunk.data or (self._noted and len(chunk.data) < CHUNK_BYTES):
                return

    def _read(self) -> Chunk:
        if not self._noted:
            return Chunk(self._socket.recv(CHUNK_BYTES), time.monotonic())
        data, notes, _, _ = self._socket.recvmsg(CHUNK_BYTES, NOTES_BYTES)
        return Chunk(data, time.monotonic() - waited_s(notes))

    def send(self, data: bytes) -> bool:
        """Send it, at once or as soon as the socket takes it; False, and not a byte of it, while an earlier one waits.

        An error shows in what is received.
        """
        if not self.flush():
            return False
        self._unsent = memoryview(data)
        self.flush()
        return True

    def flush(self) -> bool:
        """Go on with what a full socket did not take of the last one; whether nothing is left of it."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            self.broken = self.broken or error
        return not self._unsent

    async def readable(self) -> None:
        """Wait until something has come. For the time in which nobody reads without the event loop."""
        came = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, came.set)
        try:
            await came.wait()
        finally:
            loop.remove_reader(self._socket)

    def close(self) -> None:
        """Let the connection go."""
        self._socket.close()


async def connect(host: str, port: int, secure: bool) -> StreamPort:
    """Connect, with TLS if ``secure``. Raises OSError."""
    loop = asyncio.get_running_loop()
    # asyncio tries all addresses of a host; the socket itself is had by a second descriptor of it.
    transport, _ = await loop.create_connection(asyncio.Protocol, host, port)
    try:
        plain: socket.socket = transport.get_extra_info("socket").dup()
    finally:
        transport.abort()
    one = plain
    try:
        if secure:
            context = await asyncio.to_thread(ssl.create_default_context)  # it reads files
            one = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
            await _shake_hands(one)
        return StreamPort(one)
    except BaseException:
        one.close()
        plain.close()
        raise


async def _shake_hands(one: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        ready = asyncio.Event()
        try:
            return one.do_handshake()
        except ssl.SSLWantReadError:
            loop.add_reader(one, ready.set)
        except ssl.SSLWantWriteError:
            loop.add_writer(one, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(one)
            loop.remove_writer(one)
