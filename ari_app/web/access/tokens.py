"""API tokens, for programs."""

import logging
import secrets
from collections.abc import Callable

from ari_app.bus import EventBus
from ari_app.store.access import AccessRepository, TokenRow
from ari_app.web.access.secrets import digest
from ari_app.web.access.sessions import SEEN_EVERY_S
from ari_app.web.http.context import ACCESS
from ari_app.web.http.cookies import SECRET_BYTES

log = logging.getLogger(__name__)

PREFIX = "astergram_"  # so that secret scanners and people know what it is


class Tokens:
    """Makes and revokes them. ``clock`` gives Unix time."""

    def __init__(self, kept: AccessRepository, bus: EventBus, clock: Callable[[], float]) -> None:
        self._kept = kept
        self._bus = bus
        self._clock = clock

    async def make(self, name: str, right: str) -> tuple[str, TokenRow]:
        """A new API token: its secret, which nobody can see again, and what is kept of it."""
        secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        return secret, await self._kept.make_token(digest(secret), name, right, self._clock())

    async def of(self, secret: str, address: str) -> TokenRow | None:
        """The token with that secret, which is used thereby; None, and a line in the log, where there is none."""
        token = await self._kept.token(digest(secret))
        if token is None:
            log.warning("authentication failure: wrong API token from %s", address)
        elif token.used_at is None or self._clock() - token.used_at >= SEEN_EVERY_S:
            self._kept.use_token(token.id, self._clock())
        return token

    async def all(self) -> list[TokenRow]:
        """All of them, the oldest first."""
        return await self._kept.tokens()

    async def revoke(self, id: int) -> bool:
        """Make a token worthless at once; False where there is none."""
        revoked = await self._kept.revoke_token(id)
        self._bus.publish(ACCESS)
        return revoked
