"""This machine's users, API tokens and sessions, as they follow those of the other machines in a cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ari_app.bus import EventBus
from ari_app.cluster.shared_settings import LeftOut
from ari_app.store import shared_access
from ari_app.store.shared_access import TOKEN, USER, SharedSession, SharedToken, SharedUser
from ari_app.store.store import Store
from ari_app.store.users import LastAdministrator
from ari_app.web.http.context import ACCESS

REMEMBERED = 20_000
"""Sessions that are not looked up again, some MB."""

log = logging.getLogger(__name__)


@dataclass
class FollowedSessions:
    """By their digests. ``is_ending``: whether one has ended here, which the others have not been told yet."""

    store: Store
    bus: EventBus
    is_ending: Callable[[str], bool]
    _of_nobody: dict[str, SharedSession] = field(default_factory=dict)  # whose user this machine does not know yet
    _done: dict[str, int] = field(default_factory=dict)  # hashes of what was taken over: each watch tells all again
    _has_said: bool = False
    _following: asyncio.Lock = field(default_factory=asyncio.Lock)  # one after the other: an end is the last word

    async def all(self) -> Mapping[str, str]:
        """Every one that there is here."""
        return await self.store.run(shared_access.sessions)

    async def follow(self, name: str, value: str | None) -> None:
        """Take it over; None: it has ended."""
        async with self._following:
            if self._done.get(name) == hash(value) or (value is not None and self.is_ending(name)):
                return
            if value is None:
                await self._end(name)
            else:
                await self._take(name, self._session_in(value))
            if len(self._done) >= REMEMBERED:
                self._done.clear()
            self._done[name] = hash(value)

    async def _end(self, digest: str) -> None:
        self._of_nobody.pop(digest, None)
        if await self.store.run(lambda db: shared_access.end_session(db, digest)):
            self.bus.publish(ACCESS)

    def _session_in(self, value: str) -> SharedSession:
        try:
            return SharedSession.model_validate_json(value)
        except ValueError as error:
            if not self._has_said:
                self._has_said = True
                log.warning("sessions of the cluster: this version can't use those of another machine: upgrade it")
            raise LeftOut from error

    async def _take(self, digest: str, its: SharedSession) -> None:
        if await self.store.run(lambda db: shared_access.follow_session(db, digest, its)):
            self._of_nobody.pop(digest, None)
        else:
            self._of_nobody[digest] = its

    async def follow_user(self, name: str) -> None:
        """There is such a user since."""
        async with self._following:
            for digest, its in [each for each in self._of_nobody.items() if each[1].user == name]:
                await self._take(digest, its)


@dataclass
class FollowedUsers:
    """By `USER` and their names, and API tokens by `TOKEN` and their digests.

    ``changing``: held while this machine changes some itself. ``has_more``: told of a user of whom this machine knows
    more than the others.
    """

    store: Store
    bus: EventBus
    changing: asyncio.Lock
    sessions: FollowedSessions
    has_more: Callable[[str], None]
    left_out: dict[str, str] = field(default_factory=dict)
    """Why something stays as it is here, by its name; the log has it."""

    async def all(self) -> Mapping[str, str]:
        """Every one that there is here."""
        return await self.store.run(shared_access.users_and_tokens)

    async def follow(self, name: str, value: str | None) -> None:
        """Take it over; None: it is removed. What can't be used here is left out, and the log says so."""
        try:
            if name.startswith(TOKEN):
                await self._follow_token(name.removeprefix(TOKEN), value)
            elif name.startswith(USER):
                await self._follow_user(name.removeprefix(USER), value)
            else:
                raise ValueError("this version knows of no such thing")  # noqa: TRY301
        except (LastAdministrator, ValueError) as error:
            self._leave_out(name, error)
            raise LeftOut from error
        self.left_out.pop(name, None)

    async def _follow_user(self, name: str, value: str | None) -> None:
        its = None if value is None else SharedUser.model_validate_json(value)
        async with self.changing:
            changed, has_more = await self.store.run(lambda db: shared_access.follow_user(db, name, its))
        if has_more:
            self.has_more(name)
        if changed:
            log.info("user %s was %s by another machine", name, "set" if its else "removed")
            await self.sessions.follow_user(name)
            self.bus.publish(ACCESS)

    async def _follow_token(self, digest: str, value: str | None) -> None:
        its = None if value is None else SharedToken.model_validate_json(value)
        async with self.changing:
            changed = await self.store.run(lambda db: shared_access.follow_token(db, digest, its))
        if changed:
            log.info("API token %s by another machine", f"{its.name} was made" if its else "was revoked")
            self.bus.publish(ACCESS)

    def _leave_out(self, name: str, error: Exception) -> None:
        why = (
            "there would be no administrator"
            if isinstance(error, LastAdministrator)
            else "it can't be used by this version"
        )
        if self.left_out.get(name) != why:  # it is told again with each watch
            self.left_out[name] = why
            log.error("users of the cluster: %s stays as it is here, whatever another machine has set: %s", name, why)
