"""Who may use the admin page and the API: the password, links to set it, sessions, tokens.

By hand: aiohttp-session keeps what it knows in the cookie or in a server beside; here sessions are listed, and ended.
"""

import hashlib
import logging
import math
import secrets
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from ari_app.bus import EventBus
from ari_app.i18n import Message, message
from ari_app.store.access import AccessRepository, SessionRow, TokenRow
from ari_app.web.access.passwords import LONGEST, SHORTEST, Passwords
from ari_app.web.access.throttle import Throttle
from ari_app.web.http.context import ACCESS, Right
from ari_app.web.http.cookies import SECRET_BYTES

log = logging.getLogger(__name__)

TOKEN_PREFIX = "astergram_"  # noqa: S105 - so that secret scanners and people know what it is
RESET_LINK_S = 3600.0
SEEN_EVERY_S = 60.0  # when somebody last asked is written down no more often
LONGEST_AGENT = 200
REVOKED = "; every API token is revoked"


class AccessRefused(Exception):
    """Somebody may not do something; the sentence says why."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class PasswordRefused(AccessRefused):
    """A new password is too short, or too long."""


class WrongPassword(AccessRefused):
    """It is not the password."""


class LinkRefused(AccessRefused):
    """A link to set the password does not work (any more)."""

    def __init__(self) -> None:
        super().__init__(
            message("This link does not work any more. Run `astergram web link` on the server for a new one.")
        )


class TooManyTries(AccessRefused):
    """An address has to wait, for ``wait_s`` seconds."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = math.ceil(wait_s)
        super().__init__(
            message("Too many wrong passwords from your address. Try again in {seconds} s.", seconds=self.wait_s)
        )


class Access:
    """Lets people and programs in. ``clock`` gives Unix time, ``steady`` a clock that nobody sets."""

    def __init__(
        self,
        kept: AccessRepository,
        bus: EventBus,
        session_s: float,
        idle_s: float,
        clock: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        self._kept = kept
        self._bus = bus
        self._session_s = session_s
        self._idle_s = idle_s
        self._clock = clock
        # What the database has not been told yet: nobody is kept out, or stays in, because it can't be written.
        self._started: dict[str, SessionRow] = {}
        self._ended: set[str] = set()
        self._passwords = Passwords()
        self._throttle = Throttle(steady)

    async def has_password(self) -> bool:
        """Whether somebody has set it."""
        return await self._kept.password() is not None

    async def new_link(self) -> str:
        """The secret of a new link to set the password, in place of an earlier link.

        It works once; for RESET_LINK_S where there is a password already, else until there is one.
        """
        secret = secrets.token_urlsafe(SECRET_BYTES)
        await self._kept.put_link(digest(secret), self._clock())
        return secret

    async def check_link(self, secret: str) -> None:
        """Raises LinkRefused for a link that does not work."""
        made_at = await self._kept.link_made_at(digest(secret))
        if made_at is None or (await self.has_password() and self._clock() - made_at >= RESET_LINK_S):
            raise LinkRefused

    async def set_password(self, link: str, password: str, *, revoke_tokens: bool = False) -> None:
        """Set the password by a link, and end every session; raises LinkRefused, PasswordRefused."""
        await self.check_link(link)
        hashed = await self._passwords.hashed(acceptable(password))
        if not await self._kept.set_password(hashed, digest(link), revoke_tokens=revoke_tokens):
            raise LinkRefused  # somebody else was faster
        self._end_started()
        self._bus.publish(ACCESS)
        log.info("the password of the admin page was set by a link%s", REVOKED if revoke_tokens else "")

    async def change_password(self, old: str, new: str, address: str, *, revoke_tokens: bool = False) -> None:
        """Change the password, and end every session; raises WrongPassword, TooManyTries, PasswordRefused."""
        acceptable(new)
        await self.check_password(old, address)
        await self._kept.set_password(await self._passwords.hashed(new), revoke_tokens=revoke_tokens)
        self._end_started()
        self._bus.publish(ACCESS)
        revoked = REVOKED if revoke_tokens else ""
        log.info("the password of the admin page was changed from %s%s", address, revoked)

    async def check_password(self, password: str, address: str) -> None:
        """Raises WrongPassword, and TooManyTries for an address that has to wait.

        Each failure is one line in the log; docs/admin.md promises its form to fail2ban.
        """
        if wait_s := self._throttle.wait_s(address):
            log.warning("authentication failure: too many wrong passwords from %s", address)
            raise TooManyTries(wait_s)
        self._throttle.wrong(address)
        hashed = await self._kept.password()
        if hashed is None or not await self._passwords.matches(hashed, password):
            log.warning("authentication failure: wrong password from %s", address)
            raise WrongPassword(message("This is not the password."))
        self._throttle.right(address)
        if self._passwords.outdated(hashed):
            self._kept.rehash_password(hashed, await self._passwords.hashed(password))

    async def start_session(self, address: str, agent: str) -> str:
        """The secret of a new session."""
        secret, now = secrets.token_urlsafe(SECRET_BYTES), self._clock()
        session = SessionRow(digest(secret), now, now, address, agent[:LONGEST_AGENT])
        self._started[session.digest] = session

        def done(kept: bool) -> None:
            self._started.pop(session.digest, None)

        self._kept.start_session(session, (now - self._session_s, now - self._idle_s), done)
        return secret

    async def session(self, secret: str, *, used: bool) -> SessionRow | None:
        """The session that a browser's secret belongs to; None for none, or one expired.

        ``used``: somebody is at the browser, which puts off the end that idleness makes.
        """
        session = await self.living(digest(secret))
        if used and session and self._clock() - session.seen_at >= SEEN_EVERY_S:
            self._kept.see_session(session.digest, self._clock())
            if session.digest in self._started:
                self._started[session.digest] = replace(session, seen_at=self._clock())
        return session

    async def living(self, session_digest: str) -> SessionRow | None:
        """A session, unless it has expired or ended."""
        started = self._started.get(session_digest)
        session, now = started or await self._kept.session(session_digest), self._clock()
        if session_digest in self._ended:
            return None
        if session and now - session.started_at < self._session_s and now - session.seen_at < self._idle_s:
            return session
        return None

    async def sessions(self) -> list[SessionRow]:
        """Those that have not expired, the latest seen first."""
        known = {each.digest: each for each in await self._kept.sessions()} | self._started
        living = [each for each in known.values() if await self.living(each.digest)]
        return sorted(living, key=lambda each: -each.seen_at)

    async def log_out(self, session_digest: str) -> None:
        """End a session."""
        self._end(session_digest)
        self._bus.publish(ACCESS)

    async def log_out_others(self, session_digest: str) -> None:
        """End every session but this one."""
        await self._kept.end_other_sessions(session_digest)
        self._end_started(but=session_digest)
        self._bus.publish(ACCESS)

    def _end_started(self, but: str = "") -> None:
        """End the sessions that the database has not been told of, too: else they would be written afterwards."""
        for each in self._started.keys() - {but}:
            self._end(each)

    def _end(self, session_digest: str) -> None:
        self._started.pop(session_digest, None)
        self._ended.add(session_digest)

        def done(kept: bool) -> None:
            if kept:
                self._ended.discard(session_digest)

        self._kept.end_session(session_digest, done)

    async def make_token(self, name: str, right: Right) -> tuple[str, TokenRow]:
        """A new API token: its secret, which nobody can see again, and what is kept of it."""
        secret = TOKEN_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        return secret, await self._kept.make_token(digest(secret), name, right, self._clock())

    async def token(self, secret: str, address: str) -> TokenRow | None:
        """The token with that secret, which is used thereby; None, and a line in the log, where there is none."""
        token = await self._kept.token(digest(secret))
        if token is None:
            log.warning("authentication failure: wrong API token from %s", address)
        elif token.used_at is None or self._clock() - token.used_at >= SEEN_EVERY_S:
            self._kept.use_token(token.id, self._clock())
        return token

    async def tokens(self) -> list[TokenRow]:
        """All of them, the oldest first."""
        return await self._kept.tokens()

    async def revoke_token(self, id: int) -> bool:
        """Make a token worthless at once; False where there is none."""
        revoked = await self._kept.revoke_token(id)
        self._bus.publish(ACCESS)
        return revoked


ACCESS_KEY = web.AppKey("access", Access)


def access_of(request: web.Request) -> Access:
    """That of the page."""
    return request.config_dict[ACCESS_KEY]


def acceptable(password: str) -> str:
    """A password that may be set; raises PasswordRefused. Length is what counts, so there are no other rules."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise PasswordRefused(
            message("A password has {shortest} to {longest} characters.", shortest=SHORTEST, longest=LONGEST)
        )
    return password


def digest(secret: str) -> str:
    """What is kept of a random secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
