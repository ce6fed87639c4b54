"""Users, API tokens and sessions of this page, and of the other machines' in a cluster.

A change of users and tokens counts once the other machines can know of it: it is tried out in the database first, and
what it would change there is told. Who signs in or out, and what they use up thereby, is told afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlite_utils import Database

from ari_app.bus import EventBus
from ari_app.cluster.bucket import AGAIN_S
from ari_app.cluster.shared_settings import ChangedElsewhere, NotShared, SharedPage
from ari_app.store import shared_access
from ari_app.store.errors import StoreUnavailable
from ari_app.store.shared_access import USER
from ari_app.store.store import Changes, Store
from ari_app.tasks import GuardedTasks
from ari_app.web.access.followed import FollowedSessions, FollowedUsers

T = TypeVar("T")

log = logging.getLogger(__name__)


class SharedAccess(Changes, Protocol):
    """Carries changes of users and tokens out, and knows whom to tell of what else has happened. Only ``run`` waits."""

    tells: bool
    """Whether there is somebody to be told."""

    def user(self, name: str) -> None:
        """Something of a user's was used up: a recovery code, say."""

    def session(self, digest: str) -> None:
        """A session has begun, or somebody uses it."""

    def session_ended(self, digest: str) -> None:
        """Somebody has signed out."""


class OwnAccess:
    """Where there is no other machine to be told."""

    tells = False

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, work: Callable[[Database], T]) -> T:
        """It counts here."""
        return await self._store.run(work)

    def user(self, name: str) -> None:
        """Nobody else is told."""

    def session(self, digest: str) -> None:
        """Nobody else is told."""

    def session_ended(self, digest: str) -> None:
        """Nobody else is told."""


class EngineAccess:
    """Those of a cluster, as one of its machines has them; `begin` has to be called."""

    tells = True

    def __init__(self, store: Store, page: SharedPage, bus: EventBus) -> None:
        self._store = store
        self._page = page
        self._changing = asyncio.Lock()
        """What is told is what this machine has; so nothing is taken over meanwhile."""
        self._sessions = FollowedSessions(store, bus, self._is_ending)
        self._users = FollowedUsers(store, bus, self._changing, self._sessions, self.user)
        self._unsent: dict[str, bool] = {}  # users and sessions, by their names; whether it is a session that has ended
        self._has_unsent = asyncio.Event()

    def begin(self, tasks: GuardedTasks) -> None:
        """Follow the other machines, and tell them, from now on."""
        tasks.supervise(partial(self._page.users.run, self._users), "users of the cluster")
        tasks.supervise(partial(self._page.sessions.run, self._sessions), "sessions of the cluster")
        tasks.supervise(self._send, "sign-ins of this machine")

    async def run(self, work: Callable[[Database], T]) -> T:
        """Once the others know what comes of it. Raises NotShared, and what the work raises; then nothing is done.

        Where several things change, tokens are told of first: what is told is done, whatever comes then.
        """
        async with self._changing:
            for name, value in (await self._outcome(work)).items():
                await self._page.users.keep(name, value)
            return await self._store.run(work)

    async def _outcome(self, work: Callable[[Database], Any]) -> Mapping[str, str | None]:
        def rehearse(db: Database) -> None:
            before = shared_access.users_and_tokens(db)
            work(db)
            after = shared_access.users_and_tokens(db)
            names = sorted(name for name in {**before, **after} if before.get(name) != after.get(name))
            raise _Rehearsed({name: after.get(name) for name in names})

        try:
            await self._store.run(rehearse)
        except _Rehearsed as rehearsed:
            return rehearsed.outcome
        raise AssertionError("a rehearsal has no other end")

    def user(self, name: str) -> None:
        """Tell it as soon as NATS answers."""
        self._put(USER + name, ended=False)

    def session(self, digest: str) -> None:
        """Tell it as soon as NATS answers."""
        self._put(digest, ended=False)

    def session_ended(self, digest: str) -> None:
        """Tell it as soon as NATS answers, also where that is in a later run."""
        self._put(digest, ended=True)

    def _put(self, name: str, *, ended: bool) -> None:
        self._unsent[name] = ended or self._is_ending(name)
        self._has_unsent.set()

    def _is_ending(self, name: str) -> bool:
        return self._unsent.get(name, False)

    async def _send(self) -> None:
        for digest in await self._store.run(shared_access.ended_sessions):
            self.session_ended(digest)
        while True:
            await self._has_unsent.wait()
            self._has_unsent.clear()
            while self._unsent:
                name, ended = next(iter(self._unsent.items()))
                try:
                    await self._tell(name, ended=ended)
                except ChangedElsewhere as error:
                    log.debug("%s: %s", name, error)
                    if ended:
                        await asyncio.sleep(AGAIN_S)
                        continue
                    # What is taken over from there is told again where this machine knows of more.
                except (NotShared, StoreUnavailable) as error:
                    log.debug("%s: %s", name, error)
                    await asyncio.sleep(AGAIN_S)
                    continue
                if self._unsent.get(name) == ended:
                    del self._unsent[name]

    async def _tell(self, name: str, *, ended: bool) -> None:
        if name.startswith(USER):
            async with self._changing:
                value = (await self._store.run(shared_access.users_and_tokens)).get(name)
                if value is not None:
                    await self._page.users.keep(name, value)
        elif ended:
            await self._page.sessions.keep(name, None)
            await self._store.run(lambda db: shared_access.forget_ended_session(db, name))
        elif value := (await self._store.run(shared_access.sessions)).get(name):
            await self._page.sessions.keep(name, value)


class _Rehearsed(Exception):
    """Undoes what was tried out; ``outcome``: what it would change, None for what it would remove."""

    def __init__(self, outcome: Mapping[str, str | None]) -> None:
        super().__init__()
        self.outcome = outcome
