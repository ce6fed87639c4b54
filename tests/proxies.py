"""Proxies that a test starts: SOCKS5 (RFC 1928, RFC 1929), HTTP CONNECT, and MTProxy.

They connect from an address of their own, by which a server tells who comes through them.
"""

import asyncio
import base64
import hashlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from telethon.crypto.aesctr import AESModeCTR

from ari_app.sandbox.telegram.transport import Deciphered, Full, Intermediate

HOST = "127.0.0.1"
FROM = "127.0.0.2"
USER, PASSWORD = "proxy-user", "proxy-p@ss:word"
LOGIN = f"{USER}:proxy-p%40ss%3Aword"
SECRET = "dd0102030405060708090a0b0c0d0e0f"
"""An MTProxy's 16 bytes, which happen to begin as those do that want padding."""


class ProxyServer:
    """``refusal``: the SOCKS5 reply or HTTP status to every request for a connection, 0 for none.

    ``silent``: takes connections and says nothing.
    """

    def __init__(self, kind: str, login: bool, telegram_port: int) -> None:
        self.kind = kind
        self.login = login
        self.refusal = 0
        self.silent = False
        self.used = 0
        self.port = 0
        self._telegram_port = telegram_port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """What an administrator enters."""
        if self.kind == "mtproxy":
            return f"https://t.me/proxy?server={HOST}&port={self.port}&secret={SECRET}"
        return f"{self.kind}://{LOGIN + '@' if self.login else ''}{HOST}:{self.port}"

    @property
    def name(self) -> str:
        """What an administrator is told of it."""
        return f"{'MTProxy' if self.kind == 'mtproxy' else self.kind.upper()} {HOST}:{self.port}"

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut every connection, and refuse new ones; once more does nothing."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                if self.silent:
                    await reader.read()
                else:
                    await getattr(self, f"_{self.kind}")(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _socks5(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        wanted = 2 if self.login else 0
        if wanted not in methods:
            writer.write(b"\x05\xff")
            return await writer.drain()
        writer.write(bytes((5, wanted)))
        if self.login:
            user = await reader.readexactly((await reader.readexactly(2))[1])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            right = (user.decode(), password.decode()) == (USER, PASSWORD)
            writer.write(bytes((1, 0 if right else 1)))
            if not right:
                return await writer.drain()
        kind = (await reader.readexactly(4))[3]
        if kind == 1:
            host = ".".join(map(str, await reader.readexactly(4)))
        else:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        port = struct.unpack(">H", await reader.readexactly(2))[0]
        writer.write(bytes((5, self.refusal, 0, 1)) + bytes(6))
        if not self.refusal:
            await self._pass_on(reader, writer, host, port)
        return await writer.drain()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.login and f"Basic {expected}" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        elif self.refusal:
            writer.write(f"HTTP/1.1 {self.refusal} No\r\n\r\n".encode())
        else:
            host, _, port = head.split()[1].rpartition(":")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await self._pass_on(reader, writer, host, int(port))
        await writer.drain()

    async def _pass_on(self, reader: Any, writer: Any, host: str, port: int) -> None:
        self.used += 1
        there_reader, there = await asyncio.open_connection(host, port, local_addr=(FROM, 0))
        self._writers.add(there)
        try:
            await _first(_copy(reader, there), _copy(there_reader, writer))
        finally:
            self._writers.discard(there)
            there.close()

    async def _mtproxy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header = await reader.readexactly(64)
        secret, backwards = bytes.fromhex(SECRET), header[55:7:-1]
        ctr: Any = AESModeCTR
        incoming = ctr(hashlib.sha256(header[8:40] + secret).digest(), header[40:56])
        outgoing = ctr(hashlib.sha256(backwards[:32] + secret).digest(), backwards[32:48])
        if bytes(incoming.decrypt(header))[56:60] != b"\xdd" * 4:
            return
        self.used += 1
        clear, padded, full = Deciphered(reader, incoming), Intermediate(), Full()
        there_reader, there = await asyncio.open_connection(HOST, self._telegram_port, local_addr=(FROM, 0))
        self._writers.add(there)

        async def to_telegram() -> None:
            while True:
                there.write(full.encode(await padded.read(clear)))

        async def to_client() -> None:
            while True:
                writer.write(outgoing.encrypt(padded.encode(await full.read(there_reader))))

        try:
            await _first(to_telegram(), to_client())
        finally:
            self._writers.discard(there)
            there.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def _first(*both: Any) -> None:
    """Until one of them ends."""
    tasks = [asyncio.ensure_future(each) for each in both]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def proxy_server(kind: str, *, login: bool = True, telegram_port: int = 0) -> AsyncIterator[ProxyServer]:
    """A ``socks5``, ``http`` or ``mtproxy``; the last one passes on to ``telegram_port``."""
    made = ProxyServer(kind, login, telegram_port)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
