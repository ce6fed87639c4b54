"""Devices of an account that this one has let in, and confirms where Telegram wants that.

Each is this program on another machine, so nobody need be asked. core.telegram.org/api/auth#confirming-login
"""

import logging
from contextlib import AsyncExitStack
from typing import Any

from telethon import events
from telethon.tl import functions, types

from ari_app.logs import line_log
from ari_app.tasks import GuardedTasks, guarded_tasks
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.session import Session

log = logging.getLogger(__name__)


class LinkedDevices:
    """Those of one session; a context manager, which hears of new devices while it is open.

    Telegram says that a device is to be confirmed in its answer, or by an update, which comes when that is signed in:
    at once, before the answer, or after somebody has entered the two-step password.
    """

    def __init__(self, session: Session, number: str) -> None:
        self._session = session
        self._number = number
        self._let_in: set[int] = set()
        self._unconfirmed: set[int] = set()
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> "LinkedDevices":
        self._confirming: GuardedTasks = await self._exit.enter_async_context(guarded_tasks())
        self._exit.enter_context(self._session.on(events.Raw(types.UpdateNewAuthorization), self._on_device))
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self._exit.aclose()

    async def let_in(self, token: bytes) -> None:
        """Sign in the device that has made a token (auth.acceptLoginToken). Raises TelegramError.

        It is confirmed meanwhile and later: where that fails, it is signed in all the same.
        """
        device = await self._session.invoke(functions.auth.AcceptLoginTokenRequest(token))
        self._let_in.add(device.hash)
        if device.unconfirmed:
            self._unconfirmed.add(device.hash)
        self._confirm(device.hash)

    async def _on_device(self, update: Any) -> None:
        if update.unconfirmed:
            self._unconfirmed.add(update.hash)
        else:
            self._unconfirmed.discard(update.hash)
        self._confirm(update.hash)

    def _confirm(self, device: int) -> None:
        if device in self._let_in and device in self._unconfirmed:
            self._unconfirmed.remove(device)
            # The updates of calls wait behind that of a device.
            self._confirming.spawn(self._confirmed(device), f"line {self._number}: confirmation of a device")

    async def _confirmed(self, device: int) -> None:
        request = functions.account.ChangeAuthorizationSettingsRequest(device, confirmed=True)
        try:
            await self._session.invoke(request)
        except TelegramError as error:
            line_log(log, self._number).warning(
                "the device of another machine, which this one has signed in, could not be confirmed: do that in one "
                "of Telegram's own apps, under Settings > Devices (%s)",
                error,
            )
        else:
            line_log(log, self._number).info(
                "the device of another machine, which this one has signed in, is confirmed"
            )
