"""The browsers that are signed in.

By hand: aiohttp-session keeps what it knows in the cookie or in a server beside; here sessions are listed, and ended.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace

from ari_app.bus import EventBus
from ari_app.store.access import AccessRepository, SessionRow
from ari_app.store.users import UserRepository, UserRow
from ari_app.web.access.secrets import digest
from ari_app.web.access.shared import SharedAccess
from ari_app.web.http.context import ACCESS
from ari_app.web.http.cookies import SECRET_BYTES

SEEN_EVERY_S = 60.0  # when somebody last asked is written down no more often
LONGEST_AGENT = 200

Living = tuple[SessionRow, UserRow]


class Sessions:
    """Starts and ends them. ``clock`` gives Unix time. ``admits``: whether a user may be in by the way they came."""

    def __init__(
        self,
        kept: AccessRepository,
        users: UserRepository,
        bus: EventBus,
        session_s: float,
        idle_s: float,
        clock: Callable[[], float],
        admits: Callable[[UserRow, str], bool],
        shared: SharedAccess,
    ) -> None:
        self._kept = kept
        self._users = users
        self._bus = bus
        self._session_s = session_s
        self._idle_s = idle_s
        self._clock = clock
        self._admits = admits
        self._shared = shared
        # What the database has not been told yet: nobody is kept out, or stays in, because it can't be written.
        self._started: dict[str, SessionRow] = {}
        self._ended: set[str] = set()

    async def start(self, user_id: int, address: str, agent: str, way: str) -> str:
        """The secret of a new session."""
        secret, now = secrets.token_urlsafe(SECRET_BYTES), self._clock()
        session = SessionRow(digest(secret), user_id, now, now, address, agent[:LONGEST_AGENT], way)
        self._started[session.digest] = session

        def done(kept: bool) -> None:
            self._started.pop(session.digest, None)

        self._kept.start_session(session, (now - self._session_s, now - self._idle_s), done)
        self._shared.session(session.digest)
        return secret

    async def of(self, secret: str, *, used: bool) -> Living | None:
        """The session that a browser's secret belongs to, and its user; None for none, or one expired.

        ``used``: somebody is at the browser, which puts off the end that idleness makes.
        """
        living = await self.living(digest(secret))
        if used and living and self._clock() - living[0].seen_at >= SEEN_EVERY_S:
            session, now = living[0], self._clock()
            self._kept.see_session(session.digest, now)
            self._shared.session(session.digest)
            if session.digest in self._started:
                self._started[session.digest] = replace(session, seen_at=now)
        return living

    async def living(self, session_digest: str) -> Living | None:
        """A session with its user, unless it has expired or ended."""
        if started := self._started.get(session_digest):
            user = await self._users.by_id(started.user_id)
            found = (started, user) if user else None
        else:
            found = await self._kept.session(session_digest)
        if session_digest in self._ended or found is None or not self._is_fresh(found[0]):
            return None
        return found if self._admits(found[1], found[0].way) else None

    def _is_fresh(self, session: SessionRow) -> bool:
        now = self._clock()
        return now - session.started_at < self._session_s and now - session.seen_at < self._idle_s

    async def all(self, user_id: int) -> list[SessionRow]:
        """Those of a user that have not expired, the latest seen first."""
        started = {each.digest: each for each in self._started.values() if each.user_id == user_id}
        known = {each.digest: each for each in await self._kept.sessions(user_id)} | started
        living = [each for each in known.values() if each.digest not in self._ended and self._is_fresh(each)]
        return sorted(living, key=lambda each: -each.seen_at)

    async def end(self, session_digest: str) -> None:
        """End a session."""
        self._end(session_digest)
        self._bus.publish(ACCESS)

    async def end_others(self, user: UserRow, session_digest: str) -> None:
        """End every session of a user but this one."""
        await self._kept.end_other_sessions(user.id, session_digest, self._clock())
        self.end_started(user.id, but=session_digest)
        self._shared.user(user.name)
        self._bus.publish(ACCESS)

    def end_started(self, user_id: int, but: str = "") -> None:
        """End a user's sessions that the database has not been told of: else they would be written afterwards."""
        for each in [each.digest for each in self._started.values() if each.user_id == user_id]:
            if each != but:
                self._end(each)

    def _end(self, session_digest: str) -> None:
        self._started.pop(session_digest, None)
        self._ended.add(session_digest)

        def done(kept: bool) -> None:
            if kept:
                self._ended.discard(session_digest)

        self._kept.end_session(session_digest, done)
        self._shared.session_ended(session_digest)
