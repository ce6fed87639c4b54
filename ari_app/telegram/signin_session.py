"""The connection of a sign-in, on a session file of its own."""

import logging
import sqlite3
from collections.abc import Callable
from typing import Any

from telethon import errors, events
from telethon.tl import functions, types

from ari_app.logs import line_log
from ari_app.telegram.account import Account, disconnect
from ari_app.telegram.errors import TelegramError, Unreachable
from ari_app.telegram.session import Session, connect
from ari_app.telegram.session_file import remove_session
from ari_app.telegram.signin_view import SignInTimers

log = logging.getLogger(__name__)

FAILURES = (TelegramError, OSError, ValueError, sqlite3.Error)
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
        self._session: Session | None = None
        self._ended = False

    async def invoke(self, request: Any) -> Any:
        """Telegram's answer. Raises one of `FAILURES`."""
        session = await self._connected()
        try:
            return await session.invoke(request, self._timers.answer_s)
        except TelegramError as error:
            if not isinstance(error.__cause__, MOVED):
                raise
        # Telethon has gone to the account's data centre, and leaves it to us to ask again.
        return await session.invoke(request, self._timers.answer_s)

    async def move(self, dc_id: int) -> None:
        """Go to another data centre. Raises one of `FAILURES`."""
        await (await self._connected()).move(dc_id, self._timers.connect_s)

    async def _connected(self) -> Session:
        if self._ended:
            raise Unreachable("the sign-in has ended")
        if self._session is None:
            client = self._account.client()
            client.add_event_handler(self._on_login_token, events.Raw(types.UpdateLoginToken))
            try:
                self._session = await connect(client, self._timers.connect_s)
            except BaseException:
                await disconnect(client, self._account.session.name)
                raise
        return self._session

    async def _on_login_token(self, update: Any) -> None:
        self._scanned()

    async def renounce(self) -> None:
        """Sign out (auth.logOut), and forget the session."""
        try:
            await self.invoke(functions.auth.LogOutRequest())
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
        session, self._session = self._session, None
        if session is not None:
            await disconnect(session.client, self._account.session.name)

    async def end(self) -> None:
        """Disconnect for good; the file stays."""
        self._ended = True
        await self.close()
