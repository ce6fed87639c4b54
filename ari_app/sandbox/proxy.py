"""A TCP proxy on this machine whose connections can be cut, stalled and refused: what a network does to a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Self

from ari_app.sandbox.ports import HOST

CHUNK = 65536  # bytes


class Proxy:
    """Listens on a free ``port`` and passes on to ``target_port``, which may change, for as long as the context lasts.

    ``host``: the address that it listens on.

    ``refusing``: new connections are broken at once, ``refused`` counts them. ``silent``: what the server sends is
    swallowed, and that a client went away is hidden from it: a network that lost its way.
    """

    def __init__(self, target_port: int, host: str = HOST) -> None:
        self.host = host
        self.target_port = target_port
        self.port = 0
        self.refusing = False
        self.refused = 0
        self.silent = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._closing = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        self._closing.set()
        self._flowing.set()
        self.cut()
        await self._server.wait_closed()
        if self._serving:
            await asyncio.wait(self._serving)

    @property
    def connections(self) -> int:
        """How many go through it now."""
        return len(self._writers) // 2

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Every connection is broken, and none can be made while inside."""
        self.refusing = True
        self.cut()
        try:
            yield
        finally:
            self.refusing = False

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Nothing comes through while inside, either way; it all comes afterwards."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        if self.refusing:
            self.refused += 1
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection(HOST, self.target_port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, there_writer}
        self._writers |= both
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._copy(reader, there_writer))
                tasks.create_task(self._copy(there_reader, writer))
        finally:
            for each in both:
                each.close()
                with suppress(OSError):
                    await each.wait_closed()
            self._writers -= both

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flowing.wait()
                if not self.silent:
                    writer.write(data)
                    await writer.drain()
        if self.silent:
            await self._closing.wait()
        writer.close()
