"""The connection of a sign-in, on a session file of its own."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import Any

from telethon import TelegramClient, errors, events
from telethon.tl import functions, types

from ari_app.logs import line_log
from ari_app.tasks import cancellations, was_cancelled
from ari_app.telegram.account import Account, disconnect
from ari_app.telegram.errors import GARBLED
from ari_app.telegram.session_file import remove_session
from ari_app.telegram.signin_view import SignInTimers

log = logging.getLogger(__name__)

FAILURES = (
    errors.RPCError,
    OSError,
    ValueError,
    sqlite3.Error,
    errors.InvalidBufferError,
    errors.TypeNotFoundError,
    *GARBLED,
)
"""What a request can end with; ValueError is Telethon's for a data centre that it does not know."""
MOVED = (errors.PhoneMigrateError, errors.NetworkMigrateError, errors.UserMigrateError, errors.AuthRestartError)


class SignInSession:
    """Telegram as somebody sees it who is not signed in yet; it connects when it is first asked something.

    ``account`` has the file of the sign-in as its session. ``scanned`` hears of a login token that somebody accepted.
    """

    def __init__(self, account: Account, timers: SignInTimers, scanned: Callable[[], None]) -> None:
        self._account = account
        self._timers = timers
        self._scanned = scanned
        self._client: TelegramClient | None = None
        self._ended = False

    async def ask(self, request: Any) -> Any:
        """Telegram's answer. Raises one of `FAILURES`."""
        before = cancellations()
        try:
            client = await self._connected()
            async with asyncio.timeout(self._timers.answer_s):
                try:
                    return await client(request)
                except MOVED:  # Telethon has gone to the account's data centre, and leaves it to us to ask again
                    return await client(request)
        except asyncio.CancelledError as error:
            if was_cancelled(before):
                raise
            # Telethon cancels what waits for an answer when it gives a connection up.
            raise ConnectionError("the connection was closed before Telegram answered") from error

    async def move(self, dc_id: int) -> None:
        """Go to another data centre, as auth.loginTokenMigrateTo says. Raises one of `FAILURES`."""
        client = await self._connected()
        async with asyncio.timeout(self._timers.connect_s):
            await client._switch_dc(dc_id)  # as Telethon's own QRLogin does

    async def _connected(self) -> TelegramClient:
        if self._ended:
            raise ConnectionError("the sign-in has ended")
        if self._client is None:
            client = self._account.client()
            client.add_event_handler(self._on_login_token, events.Raw(types.UpdateLoginToken))
            try:
                async with asyncio.timeout(self._timers.connect_s):
                    await client.connect()
            except BaseException:
                await disconnect(client, self._account.session.name)
                raise
            self._client = client
        return self._client

    async def _on_login_token(self, update: Any) -> None:
        self._scanned()

    async def renounce(self) -> None:
        """Sign out (auth.logOut), and forget the session."""
        try:
            await self.ask(functions.auth.LogOutRequest())
        except FAILURES as error:
            line_log(log, self._account.number).warning(
                "sign-in: its session is gone here, but Telegram may go on listing it under Devices (%s)",
                type(error).__name__,
            )
        await self.forget()

    async def forget(self) -> None:
        """Drop the session; the next request begins with a new one."""
        await self.close()
        remove_session(self._account.session)

    async def close(self) -> None:
        """Disconnect; the file stays."""
        client, self._client = self._client, None
        if client is not None:
            await disconnect(client, self._account.session.name)

    async def end(self) -> None:
        """Disconnect for good; the file stays."""
        self._ended = True
        await self.close()
