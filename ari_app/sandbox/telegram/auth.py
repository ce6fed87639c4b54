"""Signing in by code, and the devices of an account (https://core.telegram.org/api/auth)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from telethon.tl import functions, types

from .password import Passwords
from .rpc import Client, RpcError, handles
from .session import Session
from .store import AuthKey, Store, User, digits
from .users import Users

CODE_DIGITS = 5
WRONG_CODES = 5  # then the code is void; how many Telegram allows it does not say
PHONE_DIGITS = range(7, 16)
COUNTRY = "Local"


@dataclass(frozen=True)
class Way:
    """A way to send a code: as `auth.sentCode` names it, and as the `next_type` before it does."""

    sent: type
    next: type | None


WAYS = (
    Way(types.auth.SentCodeTypeApp, None),
    Way(types.auth.SentCodeTypeSms, types.auth.CodeTypeSms),
    Way(types.auth.SentCodeTypeCall, types.auth.CodeTypeCall),
)
"""In the order in which auth.resendCode goes through them (https://core.telegram.org/api/auth#code-types)."""
BY_APP, BY_SMS = 0, 1


@dataclass
class SentCode:
    """A login code that was "sent" to a phone number; `way` is its place in `WAYS`."""

    code: str
    hash: str
    expires: float
    way: int
    wrong: int = 0


class CodeTimers(Protocol):
    """How long a code is good, and after how long a client may offer the next way to send it, in seconds."""

    code_s: float
    resend_s: float


class Auth:
    """auth.* with codes, and account.* about sessions.

    Args:
        timers: read for each code.
        api: the application's api_id and api_hash that alone is accepted; None accepts any.
        revoked: hears of each authorization key that another device (or the sandbox) signed out, to tell it.
    """

    def __init__(
        self,
        store: Store,
        users: Users,
        passwords: Passwords,
        timers: CodeTimers,
        api: Callable[[], tuple[int, str] | None],
        revoked: Callable[[AuthKey], None],
    ) -> None:
        self._store = store
        self._users = users
        self._passwords = passwords
        self._timers = timers
        self._api = api
        self._revoked = revoked
        self._codes: dict[str, SentCode] = {}

    def last_code(self, phone: str) -> str:
        """The code last sent to `phone`. Raises `LookupError` when none was."""
        sent = self._codes.get(digits(phone))
        if sent is None:
            raise LookupError(f"no login code was sent to {phone}: call auth.sendCode first")
        return sent.code

    def sign_in_key(self, key_id: int, user: User) -> Any:
        """Sign a device in: `auth.authorization`."""
        fresh = {"pending_user_id": None, "ended": "", "no_calls": 0, "active": int(time.time())}
        self._store.update_auth_key(key_id, user_id=user.id, **fresh)
        return types.auth.Authorization(user=self._users.show(user.id, user.id))

    def sign_in_or_ask_password(self, session: Session, user: User) -> Any:
        """Sign a device in, unless the account has a password, which is then asked for with an `RpcError`."""
        if user.banned:
            raise RpcError("USER_DEACTIVATED_BAN")
        if self._passwords.has(user.id):
            self._store.update_auth_key(session.key_id, user_id=None, pending_user_id=user.id)
            raise RpcError("SESSION_PASSWORD_NEEDED")
        return self.sign_in_key(session.key_id, user)

    @handles(functions.auth.SendCodeRequest, anonymous=True)
    def send_code(self, client: Client, request: Any) -> Any:
        """auth.sendCode: to the account's other devices, by SMS where there is no account yet."""
        self.check_api(request)
        known = self._store.user_by_phone(request.phone_number)
        return self._send_code(request.phone_number, BY_SMS if known is None else BY_APP)

    def check_api(self, request: Any) -> None:
        """Raise `RpcError` for a request with the api_id and api_hash of no application."""
        if self._api() not in (None, (request.api_id, request.api_hash)):
            raise RpcError("API_ID_INVALID")

    def _send_code(self, phone_number: str, way: int) -> Any:
        phone = digits(phone_number)
        if len(phone) not in PHONE_DIGITS:
            raise RpcError("PHONE_NUMBER_INVALID")
        user = self._store.user_by_phone(phone)
        if user is not None and user.banned:
            raise RpcError("PHONE_NUMBER_BANNED")
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
        sent = SentCode(code, secrets.token_hex(9), time.monotonic() + self._timers.code_s, way)
        self._codes[phone] = sent
        following = WAYS[way + 1].next if way + 1 < len(WAYS) else None
        return types.auth.SentCode(
            type=WAYS[way].sent(length=CODE_DIGITS),
            phone_code_hash=sent.hash,
            next_type=following() if following else None,
            timeout=int(self._timers.resend_s) if following else None,
        )

    @handles(functions.auth.ResendCodeRequest, anonymous=True)
    def resend_code(self, client: Client, request: Any) -> Any:
        """auth.resendCode: a new code by the way that was named as the next; the old one no longer counts.

        Its errors are those of https://core.telegram.org/method/auth.resendCode.
        """
        sent = self._sent(request)
        if sent.way + 1 == len(WAYS):
            raise RpcError("SEND_CODE_UNAVAILABLE")
        return self._send_code(request.phone_number, sent.way + 1)

    @handles(functions.auth.CancelCodeRequest, anonymous=True)
    def cancel_code(self, client: Client, request: Any) -> bool:
        """auth.cancelCode."""
        self._sent(request)
        del self._codes[digits(request.phone_number)]
        return True

    def _sent(self, request: Any) -> SentCode:
        sent = self._codes.get(digits(request.phone_number))
        if sent is None or sent.hash != request.phone_code_hash or sent.expires <= time.monotonic():
            raise RpcError("PHONE_CODE_EXPIRED")
        return sent

    @handles(functions.auth.SignInRequest, anonymous=True)
    def sign_in(self, client: Client, request: Any) -> Any:
        """auth.signIn."""
        if not request.phone_code:
            raise RpcError("PHONE_CODE_EMPTY")
        sent = self._sent(request)
        if not secrets.compare_digest(sent.code.encode(), request.phone_code.encode()):
            sent.wrong += 1
            if sent.wrong == WRONG_CODES:
                sent.expires = 0
            raise RpcError("PHONE_CODE_INVALID")
        user = self._store.user_by_phone(request.phone_number)
        if user is None:
            return types.auth.AuthorizationSignUpRequired()
        sent.expires = 0  # a code works once
        return self.sign_in_or_ask_password(client.session, user)

    @handles(functions.auth.CheckPasswordRequest, anonymous=True)
    async def check_password(self, client: Client, request: Any) -> Any:
        """auth.checkPassword: the second step of signing in."""
        pending = client.key.pending_user_id
        user = self._store.user(pending) if pending else None
        if user is None:
            raise RpcError("AUTH_KEY_UNREGISTERED")
        await self._passwords.check(user.id, request.password)
        return self.sign_in_key(client.key.id, user)

    @handles(functions.auth.LogOutRequest)
    def log_out(self, client: Client, request: Any) -> Any:
        """auth.logOut."""
        self._store.update_auth_key(client.key.id, user_id=None, pending_user_id=None)
        return types.auth.LoggedOut()

    @handles(functions.account.GetAuthorizationsRequest)
    def get_authorizations(self, client: Client, request: Any) -> Any:
        """account.getAuthorizations; the asking device comes first."""
        keys = sorted(self._store.auth_keys_of(client.user.id), key=lambda key: key.id != client.key.id)
        shown = [authorization(key, current=key.id == client.key.id) for key in keys]
        return types.account.Authorizations(authorization_ttl_days=180, authorizations=shown)

    @handles(functions.account.ResetAuthorizationRequest)
    def reset_authorization(self, client: Client, request: Any) -> bool:
        """account.resetAuthorization: sign one other device out."""
        for key in self._store.auth_keys_of(client.user.id):
            if key.id == request.hash and key.id != client.key.id:
                self.revoke(key)
                return True
        raise RpcError("HASH_INVALID")

    @handles(functions.account.ChangeAuthorizationSettingsRequest)
    def change_authorization_settings(self, client: Client, request: Any) -> bool:
        """account.changeAuthorizationSettings: whether another device is told of calls.

        https://core.telegram.org/method/account.changeAuthorizationSettings
        """
        key = next((key for key in self._store.auth_keys_of(client.user.id) if key.id == request.hash), None)
        if key is None:
            raise RpcError("HASH_INVALID")
        if request.call_requests_disabled is not None:
            self._store.update_auth_key(key.id, no_calls=int(request.call_requests_disabled))
        return True

    def devices(self, user_id: int) -> list[Any]:
        """Every device of an account, the oldest first, as `types.Authorization`."""
        return [authorization(key, current=False) for key in self._store.auth_keys_of(user_id)]

    @handles(functions.auth.ResetAuthorizationsRequest)
    def reset_authorizations(self, client: Client, request: Any) -> bool:
        """auth.resetAuthorizations: sign every other device out."""
        for key in self._store.auth_keys_of(client.user.id):
            if key.id != client.key.id:
                self.revoke(key)
        return True

    def revoke(self, key: AuthKey, word: str = "SESSION_REVOKED", *, told: bool = True) -> None:
        """Sign a device out from elsewhere: its requests get `word` from now on; `told`: it is made to ask."""
        self._store.update_auth_key(key.id, user_id=None, pending_user_id=None, ended=word)
        if told:
            self._revoked(key)


def authorization(key: AuthKey, *, current: bool) -> Any:
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
        country=COUNTRY,
        region="",
        current=current,
        call_requests_disabled=key.no_calls,
    )
