"""What Telegram limits on one machine, and when it called somebody, for the others: the account is the same one.

Times are Unix times: here the machines' clocks have to agree, to a few seconds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ari_app.cluster.bucket import AGAIN_S, WRONG, Bucket, Conflict, EngineAway, KeyEntry, changes_of, key_of
from ari_app.telegram.limits import DAY_S, Limits, LimitStore, Pause

PAUSES_KEPT_S = 30 * DAY_S
"""Longer than Telegram makes anybody wait; then NATS may forget them. Calls are counted for a day (`DAY_S`)."""
CLOCKS_APART_S = 60.0
"""A call that is further in the future is not counted: its machine's clock is wrong."""
TIDY_EVERY_S = 60.0
WHAT = "limits of the cluster"
NOT_UNDERSTOOD = f"{WHAT}: %s is not understood: another version may have written it"

log = logging.getLogger(__name__)


class SharedLimits(Protocol):
    """Where the limits of lines are kept."""

    def store(self, line: str, own: LimitStore) -> LimitStore:
        """Where a line's are; ``own``: this machine's."""

    def follow(self, line: str, limits: Limits) -> None:
        """Tell a line's limits what other machines were told, from now on."""

    def forget(self, line: str) -> None:
        """A line has been removed here."""


class OwnLimits:
    """Where there is no other machine."""

    def store(self, line: str, own: LimitStore) -> LimitStore:
        """Its own."""
        return own

    def follow(self, line: str, limits: Limits) -> None:
        """Nobody else is told anything."""

    def forget(self, line: str) -> None:
        """There is nothing to forget."""


@dataclass
class EngineLimits:
    """Those of a cluster, as one of its machines has them; `watch_pauses`, `watch_calls` and `send` have to run.

    ``pauses``: a key for each line and request; ``calls``: one for each call.
    """

    machine: str
    pauses: Bucket
    calls: Bucket
    clock: Callable[[], float] = time.time
    _own: dict[str, LimitStore] = field(default_factory=dict)
    _followers: dict[str, Limits] = field(default_factory=dict)
    _known_pauses: dict[tuple[str, str], Pause] = field(default_factory=dict)
    _known_calls: dict[str, tuple[str, float]] = field(default_factory=dict)
    _unsent: asyncio.Queue[_SharedPause | _SharedCall] = field(default_factory=asyncio.Queue)

    def store(self, line: str, own: LimitStore) -> LimitStore:
        """What is kept there is sent to the others, as soon as NATS answers."""
        self._own[line] = own
        return _SharedLimitStore(line, own, self)

    def follow(self, line: str, limits: Limits) -> None:
        """First what is known of it already."""
        self._followers[line] = limits
        for (of, _), pause in self._known_pauses.items():
            if of == line:
                self._tell(line, pause)
        for of, at in self._known_calls.values():
            if of == line:
                limits.counts(at)

    def share(self, it: _SharedPause | _SharedCall) -> None:
        """Send it to the others; never waits."""
        self._unsent.put_nowait(it)

    async def send(self) -> None:
        """Without an end."""
        while True:
            it = await self._unsent.get()
            while it.until > self.clock():
                try:
                    await it.write(self)
                except EngineAway as error:
                    log.debug("%s: %s", WHAT, error)
                    await asyncio.sleep(AGAIN_S)
                except Conflict:
                    continue  # another machine was told just now, too
                else:
                    break

    def forget(self, line: str) -> None:
        """Tell it no more."""
        self._own.pop(line, None)
        self._followers.pop(line, None)

    async def watch_pauses(self) -> None:
        """Take note of what other machines were told, without an end."""
        async for entry in changes_of(self.pauses, WHAT, self._tell_again):
            if (said := _pause_of(entry)) is None or not self.is_now(said[1]):
                continue
            line, pause = said
            known = self._known_pauses.get((line, pause.request))
            if known is None or known.until < pause.until:
                self._known_pauses[line, pause.request] = pause
                self._tell(line, pause)

    def is_now(self, pause: Pause) -> bool:
        """Not over, nor by a clock that was wrong."""
        now = self.clock()
        return now < pause.until < now + PAUSES_KEPT_S

    def _tell_again(self) -> None:
        """The servers may have lost them."""
        if self._unsent.empty():  # else they do not answer
            for (line, _), pause in self._known_pauses.items():
                if self.is_now(pause):
                    self.share(_SharedPause(line, pause))

    def _tell(self, line: str, pause: Pause) -> None:
        if (limits := self._followers.get(line)) and limits.told(pause):
            self._own[line].pause(pause.request, pause.until, pause.reason)

    async def watch_calls(self) -> None:
        """Count the calls of other machines, without an end."""
        tidied_at = self.clock()
        async for entry in changes_of(self.calls, WHAT):
            now = self.clock()
            if (said := _call_of(entry)) is None or entry.key in self._known_calls:
                continue
            line, at, machine = said
            if machine == self.machine or not now - DAY_S < at < now + CLOCKS_APART_S:
                continue
            if now - tidied_at > TIDY_EVERY_S:
                tidied_at = now
                self._known_calls = {key: call for key, call in self._known_calls.items() if call[1] > now - DAY_S}
            self._known_calls[entry.key] = line, at
            if limits := self._followers.get(line):
                limits.counts(at)


def _pause_of(entry: KeyEntry) -> tuple[str, Pause] | None:
    try:
        its = json.loads(entry.value or b"")
        return str(its["line"]), Pause(str(its["request"]), float(its["until"]), str(its["reason"]))
    except WRONG:
        log.warning(NOT_UNDERSTOOD, entry.key)
        return None


def _call_of(entry: KeyEntry) -> tuple[str, float, str] | None:
    try:
        its = json.loads(entry.value or b"")
        return str(its["line"]), float(its["at"]), str(its["machine"])
    except WRONG:
        log.warning(NOT_UNDERSTOOD, entry.key)
        return None


@dataclass(frozen=True)
class _SharedLimitStore:
    line: str
    own: LimitStore
    shared: EngineLimits

    async def pauses(self, now: float) -> dict[str, tuple[float, str]]:
        found = await self.own.pauses(now)
        for request, (until, reason) in found.items():  # an earlier run may not have come to tell of it
            self.shared.share(_SharedPause(self.line, Pause(request, until, reason)))
        return found

    def pause(self, request: str, until: float, reason: str) -> None:
        self.own.pause(request, until, reason)
        self.shared.share(_SharedPause(self.line, Pause(request, until, reason)))

    async def calls(self, since: float) -> list[float]:
        return await self.own.calls(since)

    def called(self, at: float) -> None:
        self.own.called(at)
        self.shared.share(_SharedCall(self.line, at))


@dataclass(frozen=True)
class _SharedPause:
    line: str
    pause: Pause

    @property
    def until(self) -> float:
        return self.pause.until

    async def write(self, limits: EngineLimits) -> None:
        """Unless a longer one is there."""
        key = key_of(self.line, self.pause.request)
        known = await limits.pauses.read(key)
        if known and (said := _pause_of(known)) and said[1].until >= self.pause.until and limits.is_now(said[1]):
            return
        value = {"line": self.line, **vars(self.pause)}
        await limits.pauses.write(key, json.dumps(value).encode(), known.revision if known else 0)


@dataclass(frozen=True)
class _SharedCall:
    line: str
    at: float
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def until(self) -> float:
        """As long as it counts."""
        return self.at + DAY_S

    async def write(self, limits: EngineLimits) -> None:
        value = {"line": self.line, "at": self.at, "machine": limits.machine}
        try:
            await limits.calls.write(key_of(self.line, self.id), json.dumps(value).encode(), 0)
        except Conflict:
            return  # it has arrived before, though nobody said so
