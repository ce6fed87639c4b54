"""Signing in with a QR code (https://core.telegram.org/api/qr-login)."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from telethon.tl import functions, types

from .auth import Auth
from .authorizations import Authorizations
from .help import DC_ID
from .rpc import Client, RpcError, handles
from .session import Session
from .store import Store, User
from .tl import now

TOKEN_BYTES = 32


@dataclass
class LoginToken:
    """A token shown as a QR code: the session that waits for it, and who scanned it."""

    token: bytes
    session: Session
    expires: float
    user_id: int | None = None


class QrLogin:
    """auth.exportLoginToken, auth.importLoginToken and auth.acceptLoginToken.

    Args:
        migrates: whether every account lives "in another data centre", which is this one again.
    """

    def __init__(
        self,
        store: Store,
        auth: Auth,
        authorizations: Authorizations,
        lifetime: Callable[[], float],
        migrates: Callable[[], bool],
    ) -> None:
        self._store = store
        self._auth = auth
        self._authorizations = authorizations
        self._lifetime = lifetime
        self._migrates = migrates
        self._tokens: dict[bytes, LoginToken] = {}

    def accept(self, token: bytes, user: User) -> None:
        """Scan a token on a phone that is signed in as `user`. Raises `RpcError` when the token is not good."""
        known = self._good(token)
        if known.user_id is not None:
            raise RpcError("AUTH_TOKEN_ALREADY_ACCEPTED")
        known.user_id = user.id
        known.session.send(types.UpdateShort(update=types.UpdateLoginToken(), date=now()))

    def last_shown(self) -> bytes:
        """The newest token that nobody has scanned. Raises `LookupError` where there is none."""
        shown = [known.token for known in self._tokens.values() if known.user_id is None]
        if not shown:
            raise LookupError("no QR code was shown: call auth.exportLoginToken first")
        return shown[-1]

    def _good(self, token: bytes) -> LoginToken:
        known = self._tokens.get(token)
        if known is None:
            raise RpcError("AUTH_TOKEN_INVALID")
        if known.expires <= time.time():
            raise RpcError("AUTH_TOKEN_EXPIRED")
        return known

    @handles(functions.auth.ExportLoginTokenRequest, anonymous=True)
    def export_login_token(self, client: Client, request: Any) -> Any:
        """auth.exportLoginToken: a new token, or the sign-in once the last one was scanned."""
        self._auth.check_api(request)
        for known in list(self._tokens.values()):
            if known.session.key_id == client.key.id:
                if known.user_id is not None and self._migrates():
                    return types.auth.LoginTokenMigrateTo(dc_id=DC_ID, token=known.token)
                del self._tokens[known.token]
                if known.user_id is not None:
                    return self._finish(client, known.user_id)
        token = LoginToken(os.urandom(TOKEN_BYTES), client.session, time.time() + self._lifetime())
        self._tokens[token.token] = token
        return types.auth.LoginToken(expires=datetime.fromtimestamp(token.expires, UTC), token=token.token)

    @handles(functions.auth.ImportLoginTokenRequest, anonymous=True)
    def import_login_token(self, client: Client, request: Any) -> Any:
        """auth.importLoginToken: as after a move to another data centre."""
        known = self._good(request.token)
        stayed = self._migrates() and known.session.key_id == client.key.id  # has not gone to the other data centre
        if known.user_id is None or stayed:
            raise RpcError("AUTH_TOKEN_INVALID")
        del self._tokens[known.token]
        return self._finish(client, known.user_id)

    @handles(functions.auth.AcceptLoginTokenRequest)
    def accept_login_token(self, client: Client, request: Any) -> Any:
        """auth.acceptLoginToken: a client that is signed in scanned the code."""
        known = self._good(request.token)
        self.accept(request.token, client.user)
        return self._authorizations.let_in(known.session.key_id, client.user.id)

    def _finish(self, client: Client, user_id: int) -> Any:
        user = self._store.user(user_id)
        if user is None:
            raise RpcError("AUTH_TOKEN_INVALID")
        return types.auth.LoginTokenSuccess(authorization=self._auth.sign_in_or_ask_password(client.session, user))


def token_of(url: str) -> bytes:
    """The token in the URL of a QR code, tg://login?token=... in base64url without padding. Raises `ValueError`."""
    head, _, token = url.partition("token=")
    if head != "tg://login?":
        raise ValueError("the URL of a login QR code begins with tg://login?token=")
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
