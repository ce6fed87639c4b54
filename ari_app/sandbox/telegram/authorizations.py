"""The devices that are signed in to an account (https://core.telegram.org/api/auth#confirming-login)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from telethon.tl import functions, types

from .device_rules import DeviceRules
from .login_notices import PLACE, LoginNotices
from .rpc import Client, RpcError, handles
from .store import AuthKey, Store

TTL_DAYS = 180


class Authorizations:
    """account.* and auth.* about devices.

    Args:
        revoked: hears of each authorization key that another device (or the sandbox) signed out, to tell it.
    """

    def __init__(
        self, store: Store, rules: DeviceRules, notices: LoginNotices, revoked: Callable[[AuthKey], None]
    ) -> None:
        self.rules = rules
        self._store = store
        self._notices = notices
        self._revoked = revoked
        self._let_in: dict[int, int] = {}  # accounts, by the keys that were let in and are not signed in yet

    def begin(self, key_id: int, user_id: int) -> None:
        """A device is signed in from now on."""
        fresh: dict[str, Any] = {"pending_user_id": None, "ended": "", "no_calls": 0, "active": time.time()}
        others = [key for key in self._store.auth_keys_of(user_id) if key.id != key_id]
        if self._let_in.pop(key_id, None) != user_id:
            fresh["confirmed_at"] = self._confirmed_at() if others else 0.0
        self._store.update_auth_key(key_id, user_id=user_id, **fresh)
        if others:
            self._notices.signed_in(user_id, self._key(key_id))

    def let_in(self, key_id: int, user_id: int) -> Any:
        """Another device has let one in by its QR code: what it is answered, a TL `authorization`."""
        if self.rules.accepting_tells:
            self._let_in[key_id] = user_id
            self._store.update_auth_key(key_id, confirmed_at=self._confirmed_at())
        return shown(self._key(key_id), current=False)

    def _confirmed_at(self) -> float:
        return time.time() + self.rules.autoconfirm_s if self.rules.unconfirmed else 0.0

    def _key(self, key_id: int) -> AuthKey:
        key = self._store.auth_key(key_id)
        assert key is not None
        return key

    def of(self, user_id: int) -> list[Any]:
        """Every device of an account, the oldest first, each a TL `authorization`."""
        return [shown(key, current=False) for key in self._store.auth_keys_of(user_id)]

    def rings(self, user_id: int, key_id: int) -> bool:
        """Whether a device of an account is told of calls (account.changeAuthorizationSettings)."""
        ringing = [key for key in self._store.auth_keys_of(user_id) if not key.no_calls]
        if self.rules.only_last_active_rings:
            ringing = sorted(ringing, key=lambda key: key.active)[-1:]
        return any(key.id == key_id for key in ringing)

    def revoke(self, key: AuthKey, word: str = "SESSION_REVOKED", *, told: bool = True) -> None:
        """Sign a device out from elsewhere: its requests get `word` from now on; `told`: it is made to ask."""
        self._store.update_auth_key(key.id, user_id=None, pending_user_id=None, ended=word)
        if told:
            self._revoked(key)

    @handles(functions.account.GetAuthorizationsRequest)
    def get_authorizations(self, client: Client, request: Any) -> Any:
        """account.getAuthorizations; the asking device comes first."""
        keys = sorted(self._store.auth_keys_of(client.user.id), key=lambda key: key.id != client.key.id)
        devices = [shown(key, current=key.id == client.key.id) for key in keys]
        return types.account.Authorizations(authorization_ttl_days=TTL_DAYS, authorizations=devices)

    @handles(functions.account.ResetAuthorizationRequest)
    def reset_authorization(self, client: Client, request: Any) -> bool:
        """account.resetAuthorization: sign one other device out."""
        _require_confirmed(client)
        for key in self._store.auth_keys_of(client.user.id):
            if key.id == request.hash and key.id != client.key.id:
                self.revoke(key)
                return True
        raise RpcError("HASH_INVALID")

    @handles(functions.auth.ResetAuthorizationsRequest)
    def reset_authorizations(self, client: Client, request: Any) -> bool:
        """auth.resetAuthorizations: sign every other device out."""
        _require_confirmed(client)
        for key in self._store.auth_keys_of(client.user.id):
            if key.id != client.key.id:
                self.revoke(key)
        return True

    @handles(functions.account.ChangeAuthorizationSettingsRequest)
    def change_authorization_settings(self, client: Client, request: Any) -> bool:
        """account.changeAuthorizationSettings: whether another device is told of calls, and that it is one's own.

        https://core.telegram.org/method/account.changeAuthorizationSettings
        """
        user_id = client.user.id
        known = {key.id for key in self._store.auth_keys_of(user_id)}
        if request.hash not in known and self._let_in.get(request.hash) != user_id:
            raise RpcError("HASH_INVALID")
        if request.call_requests_disabled is not None:
            self._store.update_auth_key(request.hash, no_calls=int(request.call_requests_disabled))
        if request.confirmed:
            _require_confirmed(client)
            self._store.update_auth_key(request.hash, confirmed_at=0.0)
            self._notices.confirmed(user_id, self._key(request.hash))
        return True


def _require_confirmed(client: Client) -> None:
    if client.key.unconfirmed:
        raise RpcError("FRESH_RESET_AUTHORISATION_FORBIDDEN")


def shown(key: AuthKey, *, current: bool) -> Any:
    """A device as account.getAuthorizations lists it."""
    return types.Authorization(
        hash=0 if current else key.id,
        device_model=key.device,
        platform="",
        system_version="",
        api_id=key.api_id,
        app_name="",
        app_version=key.app,
        date_created=datetime.fromtimestamp(key.created, UTC),
        date_active=datetime.fromtimestamp(key.active, UTC),
        ip="127.0.0.1",
        country=PLACE,
        region="",
        current=current,
        call_requests_disabled=key.no_calls,
        unconfirmed=key.unconfirmed,
    )
