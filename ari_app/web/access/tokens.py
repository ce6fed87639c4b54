"""API tokens, for programs."""

import logging
import secrets
from collections.abc import Callable, Mapping

from aiohttp import web

from ari_app.bus import EventBus
from ari_app.i18n import Message, message
from ari_app.store.access import AccessRepository, TokenRow
from ari_app.web.access.refusals import AccessRefused
from ari_app.web.access.secrets import digest
from ari_app.web.access.sessions import SEEN_EVERY_S
from ari_app.web.http.context import ACCESS, Identity
from ari_app.web.http.cookies import SECRET_BYTES
from ari_app.web.http.notes import notes_of
from ari_app.web.http.roles import Role

log = logging.getLogger(__name__)

SCOPES: Mapping[str, Role] = {"read": Role.VIEWER, "calls": Role.OPERATOR, "admin": Role.ADMINISTRATOR}
"""What a token may do: as much as a user of that role."""
SCOPE_NAMES: Mapping[str, Message] = {
    "read": message("read"),
    "calls": message("read, calls and texts"),
    "admin": message("everything"),
}
PREFIX = "astergram_"  # so that secret scanners and people know what it is


class TokenExpired(AccessRefused):
    """A token was good once."""

    def __init__(self) -> None:
        super().__init__(message("This API token has expired: make a new one under Settings."))


class MakerRemoved(AccessRefused):
    """A token's maker is no user any more."""

    def __init__(self) -> None:
        super().__init__(message("This API token no longer works: its user is removed. Make a new one under Settings."))


def role_of(token: TokenRow) -> Role | None:
    """What a token may now: what its scope says, but no more than the user who has made it. None: nothing."""
    may = SCOPES[token.scope]
    if token.made_by_id is None:
        return may
    maker = Role(token.maker_role) if token.maker_role is not None else None
    return may if maker and maker.has(may) else maker


class Tokens:
    """Makes and revokes them. ``clock`` gives Unix time."""

    def __init__(self, kept: AccessRepository, bus: EventBus, clock: Callable[[], float]) -> None:
        self._kept = kept
        self._bus = bus
        self._clock = clock

    async def make(self, name: str, scope: str, expires_at: float | None, who: Identity) -> tuple[str, TokenRow]:
        """A new API token: its secret, which nobody can see again, and what is kept of it."""
        secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        token = TokenRow(0, name, scope, self._clock(), expires_at=expires_at, made_by=who.name, made_by_id=who.user_id)
        return secret, await self._kept.make_token(digest(secret), token)

    async def of(self, secret: str, address: str) -> TokenRow | None:
        """The token with that secret, which is used thereby; None, and a line in the log, where there is none.

        Raises TokenExpired, MakerRemoved.
        """
        token = await self._kept.token(digest(secret))
        if token is None:
            log.warning("authentication failure: wrong API token from %s", address)
            return None
        if self.has_expired(token):
            log.info("API token %s has expired; it was used from %s", token.name, address)
            raise TokenExpired
        if role_of(token) is None:
            log.info(
                "API token %s was made by %s, who is removed; it was used from %s", token.name, token.made_by, address
            )
            raise MakerRemoved
        if token.used_at is None or self._clock() - token.used_at >= SEEN_EVERY_S:
            self._kept.use_token(token.id, self._clock())
        return token

    def has_expired(self, token: TokenRow) -> bool:
        """Whether its time is over."""
        return token.expires_at is not None and self._clock() >= token.expires_at

    async def is_good(self, id: int | None) -> bool:
        """Whether there is such a token that may do something, and its time is not over."""
        return any(each.id == id and not self.has_expired(each) and role_of(each) for each in await self.all())

    async def all(self) -> list[TokenRow]:
        """All of them, the oldest first."""
        return await self._kept.tokens()

    async def revoke(self, id: int) -> TokenRow | None:
        """Make a token, which is returned, worthless at once; None where there is none."""
        revoked = await self._kept.revoke_token(id)
        self._bus.publish(ACCESS)
        return revoked


def note_token(request: web.Request, token: TokenRow, *, made: bool) -> None:
    """For the audit log: a token that was made, or revoked."""
    notes = notes_of(request)
    notes.subject = token.name
    notes.changes["scope"] = (None, token.scope) if made else (token.scope, None)
    if made and token.expires_at is not None:
        notes.changes["expires_at"] = (None, token.expires_at)
