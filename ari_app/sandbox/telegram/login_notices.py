"""What an account is told of its codes and of new devices (https://core.telegram.org/api/auth#confirming-login)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from telethon.tl import types

from .device_rules import DeviceRules
from .messages import Messages
from .store import AuthKey, Store
from .updates import Updates

TELEGRAM_ID = 777000
TELEGRAM_PHONE = "42777"
CODE = "Login code: {code}. Do not give this code to anyone, even if they say they are from Telegram!"
NEW_LOGIN = "New login. We detected a login into your account from a new device.\n\nDevice: {device}\nLocation: {place}"
PLACE = "Local"


class LoginNotices:
    """Sends them, as the rules are."""

    def __init__(self, store: Store, rules: DeviceRules, updates: Updates, messages: Messages) -> None:
        self._store = store
        self._rules = rules
        self._updates = updates
        self._messages = messages

    def code(self, user_id: int, code: str) -> None:
        """A login code was made for an account."""
        if self._rules.login_notices and self._store.auth_keys_of(user_id):
            self._write(user_id, CODE.format(code=code))

    def signed_in(self, user_id: int, key: AuthKey) -> None:
        """A new device was signed in to an account that has others."""
        if self._rules.login_notices:
            self._write(user_id, NEW_LOGIN.format(device=key.device, place=PLACE))
        if self._rules.login_notices or key.unconfirmed:
            self._tell(user_id, key)

    def confirmed(self, user_id: int, key: AuthKey) -> None:
        """A device was confirmed by another one."""
        self._tell(user_id, key)

    def _write(self, user_id: int, text: str) -> None:
        if self._store.user(TELEGRAM_ID) is None:
            self._store.put_user(TELEGRAM_ID, TELEGRAM_PHONE, "Telegram", "", None, "en")
        self._messages.deliver(TELEGRAM_ID, user_id, lambda copy: types.Message(**copy, message=text))

    def _tell(self, user_id: int, key: AuthKey) -> None:
        shown: dict[str, Any] = {}
        if key.unconfirmed:
            date = datetime.fromtimestamp(key.created, UTC)
            shown = {"unconfirmed": True, "date": date, "device": key.device, "location": PLACE}
        update = types.UpdateNewAuthorization(hash=key.id, **shown)
        for session in self._updates.sessions_of(user_id):
            if session.key_id != key.id:
                session.send(self._updates.package(user_id, [update]))
