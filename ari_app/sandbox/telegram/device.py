"""A device of somebody on the local Telegram: a plain Telethon client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from telethon import TelegramClient
from telethon.crypto.rsa import add_key
from telethon.errors import SessionPasswordNeededError
from telethon.events.raw import Raw
from telethon.sessions.memory import MemorySession

from .server import LocalTelegram

API_ID = 1  # the local Telegram takes any
API_HASH = "local"
RECONNECT_DELAY_S = 0.05
PATIENCE_S = 15.0


class Device:
    """A Telethon client and what it was told; made by `device` and `new_device`.

    `client` is a `TelegramClient`; its type hints are unions that no caller could do anything with.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._updates: list[Any] = []
        self._came = asyncio.Event()
        client.add_event_handler(self._take, _untyped(Raw)())

    async def _take(self, update: Any) -> None:
        self._updates.append(update)
        self._came.set()

    async def __call__(self, request: Any) -> Any:
        """The result of a request. Raises `telethon.errors.RPCError`."""
        return await self.client(request)

    async def next(self, kind: type, within: float = PATIENCE_S) -> Any:
        """The next update of a kind that was not yet taken. Raises `TimeoutError` after `within` seconds."""
        async with asyncio.timeout(within):
            while True:
                for update in self._updates:
                    if isinstance(update, kind):
                        self._updates.remove(update)
                        return update
                self._came.clear()
                await self._came.wait()

    def waiting(self, kind: type) -> int:
        """How many updates of a kind were not yet taken."""
        return sum(isinstance(update, kind) for update in self._updates)


@asynccontextmanager
async def new_device(telegram: LocalTelegram, session: Any = None, **options: Any) -> AsyncIterator[Device]:
    """A connected client that is signed in only if `session` is.

    Args:
        telegram: the server; its key is added to Telethon's (for the whole process, as Telethon keeps them).
        session: a Telethon session; a fresh one in memory without it.
        options: more arguments of `TelegramClient`.
    """
    _untyped(add_key)(telegram.public_key_pem, old=False)
    session = _untyped(MemorySession)() if session is None else session
    session.set_dc(telegram.dc_id, telegram.host, telegram.port)
    defaults = {"retry_delay": RECONNECT_DELAY_S, "connection_retries": -1, "flood_sleep_threshold": 0}
    client = TelegramClient(session, API_ID, API_HASH, **defaults | options)
    someone = Device(client)
    try:
        await client.connect()
    except asyncio.IncompleteReadError:  # Telethon misses the factors of pq now and then
        await client.connect()
    try:
        yield someone
    finally:
        await client.disconnect()


@asynccontextmanager
async def device(
    telegram: LocalTelegram, phone: str, password: str | None = None, session: Any = None, **options: Any
) -> AsyncIterator[Device]:
    """A client signed in to the account of `phone` by code; the arguments are those of `new_device`."""
    async with new_device(telegram, session, **options) as someone:
        await sign_in(someone, telegram, phone, password)
        yield someone


async def sign_in(someone: Device, telegram: LocalTelegram, phone: str, password: str | None = None) -> None:
    """Sign a client in by code, and by password when there is one."""
    await someone.client.send_code_request(phone)
    try:
        await someone.client.sign_in(phone, telegram.login_code(phone))
    except SessionPasswordNeededError:
        if password is None:
            raise
        await someone.client.sign_in(password=password)


def _untyped(function: Any) -> Any:
    """Parts of Telethon have no type hints."""
    return function
