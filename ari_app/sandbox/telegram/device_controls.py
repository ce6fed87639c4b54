"""What a test or a demo does with the devices of accounts; the part of `LocalTelegram` that is about them."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from typing import Any

from . import crypto
from .auth import Auth
from .authorizations import Authorizations
from .listener import Listener
from .qr import QrLogin, token_of
from .store import Store, User


class DeviceControls(ABC):
    """Devices are authorization keys."""

    _store: Store
    _listener: Listener
    _auth: Auth
    _authorizations: Authorizations
    _qr: QrLogin

    @abstractmethod
    def user(self, phone: str) -> User:
        """The account with a phone number."""

    def login_code(self, phone: str) -> str:
        """The code last "sent" to a phone number. Raises `LookupError` when none was."""
        return self._auth.last_code(phone)

    def accept_qr(self, token: bytes | str, phone: str) -> None:
        """Scan a login token, or the URL of a QR code, on the phone of an account.

        Raises `RpcError` when the token is not good.
        """
        self._qr.accept(token if isinstance(token, bytes) else token_of(token), self.user(phone))

    def shown_qr(self) -> bytes:
        """The login token last shown as a QR code. Raises `LookupError` when none was."""
        return self._qr.last_shown()

    def add_device(self, phone: str) -> bytes:
        """Sign one more device of an account in, which does nothing for it; the authorization key that it is to use."""
        key = os.urandom(crypto.AUTH_KEY_BYTES)
        self._listener.keep_key(key)
        self._auth.sign_in_key(crypto.key_id(key), self.user(phone))
        return key

    def devices(self, phone: str) -> list[Any]:
        """The devices that are signed in to an account, the oldest first, each a TL `authorization`."""
        return self._authorizations.of(self.user(phone).id)

    def use_device(self, device: int) -> None:
        """Make a device, by its `hash`, the one that was active last. Otherwise the last one to connect is."""
        self._store.update_auth_key(device, active=time.time())

    def revoke_sessions(self, phone: str, word: str = "SESSION_REVOKED", *, told: bool = True) -> None:
        """Sign every device of an account out, as its owner does in "Devices".

        Connections stay open. Each later request gets `word`; `told`: the devices are given a reason to ask at once.
        """
        for key in self._store.auth_keys_of(self.user(phone).id):
            self._authorizations.revoke(key, word, told=told)

    def expire_idle_devices(self, phone: str, word: str = "SESSION_EXPIRED") -> None:
        """Let an account's `authorization_ttl_days` pass: devices that are not connected now are signed out."""
        for key in self._store.auth_keys_of(self.user(phone).id):
            if not self._listener.is_connected(key.id):
                self._authorizations.revoke(key, word, told=False)

    def forget_keys(self, phone: str) -> None:
        """Forget the authorization keys of an account: its devices get the transport error -404 from now on."""
        for key in self._store.auth_keys_of(self.user(phone).id):
            self._store.run("DELETE FROM auth_keys WHERE id = ?", key.id)
