"""Signing in by code (https://core.telegram.org/api/auth)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from telethon.tl import functions, types

from .authorizations import Authorizations
from .login_notices import LoginNotices
from .password import Passwords
from .rpc import Client, RpcError, handles
from .session import Session
from .store import Store, User, digits
from .users import Users

CODE_DIGITS = 5
WRONG_CODES = 5  # then the code is void; how many Telegram allows it does not say
PHONE_DIGITS = range(7, 16)


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
    """auth.* with codes.

    Args:
        timers: read for each code.
        api: the application's api_id and api_hash that alone is accepted; None accepts any.
    """

    def __init__(
        self,
        store: Store,
        users: Users,
        passwords: Passwords,
        timers: CodeTimers,
        api: Callable[[], tuple[int, str] | None],
        authorizations: Authorizations,
        notices: LoginNotices,
    ) -> None:
        self._store = store
        self._users = users
        self._passwords = passwords
        self._timers = timers
        self._api = api
        self._authorizations = authorizations
        self._notices = notices
        self._codes: dict[str, SentCode] = {}

    def last_code(self, phone: str) -> str:
        """The code last sent to `phone`. Raises `LookupError` when none was."""
        sent = self._codes.get(digits(phone))
        if sent is None:
            raise LookupError(f"no login code was sent to {phone}: call auth.sendCode first")
        return sent.code

    def sign_in_key(self, key_id: int, user: User) -> Any:
        """Sign a device in: `auth.authorization`."""
        self._authorizations.begin(key_id, user.id)
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
        if user is not None and way == BY_APP:
            self._notices.code(user.id, code)
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
