"""Leases of lines in a bucket of the cluster's engine: compare-and-set only, and no clock but each machine's own.

A holder renews its lease by writing over its own last revision. It works until `WORKS` of the lease's time after the
beginning of the last renewal that was acknowledged. Another machine takes the lease once it has seen one revision for
the whole of that time. So a watch that is late, an acknowledgement that is lost and a write that arrives late only make
a compare-and-set fail. The lease of a machine that is suspended runs on: CLOCK_BOOTTIME does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ari_app.cluster.bucket import WRONG, Bucket, Conflict, EngineAway, KeyEntry, key_of
from ari_app.cluster.leases import HeldLine
from ari_app.tasks import finish, guarded_tasks

LEASE_S = 20.0
"""Longer than an engine of three servers takes to elect another leader: 4 to 8 s were measured."""
WORKS = 0.7
"""Of the lease's time: the rest is for clocks that run at different speeds, and for what is on its way."""
RENEWALS = 10  # in the lease's time
AGAIN = 0.02  # of the lease's time, before an engine that does not answer is asked again
LET_GO_S = 3.0  # for the engine to be told; without it the lease lapses

log = logging.getLogger(__name__)


def boottime() -> float:
    """Seconds since the machine's start, also those that it was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Owner:
    """A program: its machine, and which of its runs."""

    machine: str
    run: str


@dataclass(frozen=True)
class Lease:
    """What the bucket has of a line. ``lease_s``: after which, without a renewal, it is over. ``proven``: its owner has
    waited for whoever may have held it before. ``free``: its owner has let go of it, for ``hand_to`` before all others.
    """

    owner: Owner
    lease_s: float
    proven: bool = True
    free: bool = False
    hand_to: str | None = None

    @classmethod
    def parse(cls, value: bytes) -> Lease:
        """Read one; whatever can't be read is somebody's whom we do not know."""
        try:
            its: dict[str, Any] = json.loads(value)
            owner = Owner(str(its["machine"]), str(its["run"]))
            return cls(owner, float(its["lease_s"]), bool(its["proven"]), bool(its["free"]), its["hand_to"])
        except WRONG:
            return cls(Owner("", ""), 0.0)

    def serialized(self) -> bytes:
        """As the bucket has it."""
        its = {"lease_s": self.lease_s, "proven": self.proven, "free": self.free, "hand_to": self.hand_to}
        return json.dumps({**vars(self.owner), **its}).encode()


@dataclass(frozen=True)
class Seen:
    """A lease, and since when (by our clock) we know of this revision."""

    lease: Lease
    revision: int
    since: float


@dataclass(eq=False)
class Renewed(HeldLine):
    """``revision``: of our last write that was acknowledged; ``began_at``: when that write began; ``works_s``: for how
    long it is ours from then on. ``proven``: nobody else can hold it.
    """

    revision: int = 0
    began_at: float = 0.0
    works_s: float = 0.0
    proven: bool = False
    clock: Callable[[], float] = field(default=boottime)

    @property
    def works_for_s(self) -> float:
        """How long it is ours yet."""
        return self.began_at + self.works_s - self.clock()

    @property
    def is_valid(self) -> bool:
        """Also right after the machine was suspended, before the loop's timers have noticed."""
        return super().is_valid and self.works_for_s > 0


class EngineLeases:
    """Those of a cluster, as one of its machines sees them; `watch` has to run meanwhile.

    ``lease_s``: seconds, the same on every machine. ``clock`` gives seconds that only grow.
    """

    def __init__(
        self, bucket: Bucket, owner: Owner, lease_s: float = LEASE_S, clock: Callable[[], float] = boottime
    ) -> None:
        self._bucket = bucket
        self._owner = owner
        self._lease_s = lease_s
        self._clock = clock
        self._seen: dict[str, Seen] = {}
        self._changed: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._has_namesake = False

    def owner(self, line: str) -> Owner | None:
        """The program that was last known to hold a line."""
        seen = self._seen.get(key_of(line))
        return None if seen is None or seen.lease.free else seen.lease.owner

    def holder(self, line: str) -> str | None:
        """Its machine."""
        owner = self.owner(line)
        return owner.machine if owner else None

    async def held_by(self, line: str, machine: str) -> None:
        """Wait until a machine is known to hold a line."""
        while self.holder(line) != machine:
            await self._changed[key_of(line)].wait()

    def may_be_held_s(self, line: str) -> float:
        """For how long yet another machine may hold a line, as far as is known; 0 where none does."""
        seen = self._seen.get(key_of(line))
        return 0.0 if seen is None or seen.lease.owner == self._owner else max(0.0, self._wait_s(seen))

    async def watch(self) -> None:
        """Follow the changes, without an end."""
        while True:
            try:
                async for entry in self._bucket.watch(self._lease_s):
                    self._see(entry.key, entry)
            except EngineAway as error:
                log.debug("leases: %s", error)
                await asyncio.sleep(self._lease_s * AGAIN)

    @asynccontextmanager
    async def hold(self, line: str) -> AsyncIterator[HeldLine]:
        """Wait until this machine holds a line, and renew its lease; leaving the block lets go of it."""
        while True:
            held = await self._take(line)
            try:
                async with guarded_tasks() as tasks:
                    tasks.spawn(self._renew(held), f"lease of {line}", partial(_lose, held))
                    # One without a past may be one that the engine has lost: whoever held it stops within this time.
                    held.proven = held.proven or not await held.is_lost_within(self._lease_s)
                    if held.proven:
                        yield held
                        return
            finally:
                held.lost.set()
                if held.proven:  # else nobody may take at once what we had no right to yet
                    await finish(self._let_go(held), f"end of the lease of {line}", LET_GO_S)

    # --- taking

    async def _take(self, line: str) -> Renewed:
        """Wait for the right to a lease, and write it."""
        while True:
            try:
                seen = self._seen.get(key_of(line)) or await self._look(line)
                if seen and (wait_s := self._wait_s(seen)) > 0:
                    await self._change(line, wait_s)
                    continue
                proven = seen is not None and (seen.lease.proven or not self._is_of_this_machine(seen.lease))
                began_at = self._clock()
                revision = await self._write(line, seen.revision if seen else 0, proven=proven)
            except Conflict:
                self._seen.pop(key_of(line), None)
            except EngineAway as error:
                log.debug("lease of %s: %s", line, error)
                await asyncio.sleep(self._lease_s * AGAIN)
            else:
                held = Renewed(
                    line,
                    token=revision,
                    revision=revision,
                    began_at=began_at,
                    works_s=self._lease_s * WORKS,
                    proven=proven,
                    clock=self._clock,
                )
                if held.works_for_s > 0:
                    return held

    def _wait_s(self, seen: Seen) -> float:
        """How long to wait for the right to a lease that nobody renews meanwhile."""
        its, waited_s = seen.lease, self._clock() - seen.since
        if its.free:
            return 0.0 if its.hand_to in (None, self._owner.machine) else self._lease_s / RENEWALS - waited_s
        if self._is_of_this_machine(its):
            # A write whose acknowledgement was lost, a lease that we let lapse, or one of an earlier run, which has
            # ended: the state directory is locked by this one.
            return 0.0
        return max(self._lease_s, its.lease_s) - waited_s

    def _is_of_this_machine(self, lease: Lease) -> bool:
        """Not so where another program has its name: nothing says then whose it is."""
        return lease.owner == self._owner or (lease.owner.machine == self._owner.machine and not self._has_namesake)

    # --- renewing

    async def _renew(self, held: Renewed) -> None:
        while not await held.is_lost_within(held.began_at + self._lease_s / RENEWALS - self._clock()):
            if not await self._renewed(held):
                held.lost.set()

    async def _renewed(self, held: Renewed) -> bool:
        """Renew a lease once; False where the time is over, or another machine has taken it."""
        while (left_s := held.works_for_s) > 0:
            began_at = self._clock()
            try:
                async with asyncio.timeout(left_s):
                    held.revision = await self._write(held.line, held.revision, proven=held.proven)
            except Conflict:
                if not await self._is_ours(held, left_s):
                    return False
            except (EngineAway, TimeoutError) as error:
                log.debug("lease of %s: %s", held.line, error)
                await held.is_lost_within(self._lease_s * AGAIN)
            else:
                held.began_at = began_at
                return True
        log.warning("lease of %s: it could not be renewed for %g s", held.line, self._lease_s * WORKS)
        return False

    async def _is_ours(self, held: Renewed, within_s: float) -> bool:
        """Look whose the lease is after a conflict: an acknowledgement may have been lost."""
        with suppress(EngineAway, TimeoutError):
            async with asyncio.timeout(within_s):
                seen = await self._look(held.line)
            if seen is None:
                log.warning("lease of %s: the cluster's NATS servers have lost it", held.line)
                return False
            if seen.lease.owner != self._owner:
                self._taken_by(held.line, seen.lease.owner)
                return False
            held.revision = seen.revision
        return True

    def _taken_by(self, line: str, owner: Owner) -> None:
        if owner.machine != self._owner.machine:
            log.warning("lease of %s: machine %s has taken it", line, owner.machine)
        else:
            self._has_namesake = True
            log.error(
                "lease of %s: another program has taken it under the name of this machine, %s: give each machine a "
                "name of its own (machine in [cluster])",
                line,
                owner.machine,
            )

    async def _let_go(self, held: Renewed) -> None:
        try:
            while not await self._freed(held):
                seen = await self._look(held.line)
                if seen is None or seen.lease.owner != self._owner or seen.lease.free:
                    return
                held.revision = seen.revision  # of a renewal that was on its way
        except EngineAway as error:
            log.info("lease of %s: it lapses by itself: %s", held.line, error)

    async def _freed(self, held: Renewed) -> bool:
        try:
            await self._write(held.line, held.revision, proven=True, free=True, hand_to=held.hand_to)
        except Conflict:
            return False
        return True

    # --- what is known

    async def _look(self, line: str) -> Seen | None:
        key = key_of(line)
        self._see(key, await self._bucket.read(key))
        return self._seen.get(key)

    async def _write(
        self, line: str, last: int, *, proven: bool, free: bool = False, hand_to: str | None = None
    ) -> int:
        key, value = key_of(line), Lease(self._owner, self._lease_s, proven, free, hand_to).serialized()
        revision = await self._bucket.write(key, value, last)
        self._see(key, KeyEntry(key, value, revision))
        return revision

    def _see(self, key: str, entry: KeyEntry | None) -> None:
        """Take note of what was read or told. Revisions may begin anew: any other one than the known is a change."""
        known = self._seen.get(key)
        if entry is None or entry.value is None:
            self._seen.pop(key, None)
        elif known is None or known.revision != entry.revision:
            self._seen[key] = Seen(Lease.parse(entry.value), entry.revision, self._clock())
        else:
            return
        if changed := self._changed.pop(key, None):
            changed.set()

    async def _change(self, line: str, within_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._changed[key_of(line)].wait()


def _lose(held: HeldLine, _: BaseException) -> None:
    """Its renewals have ended by an unexpected error."""
    held.lost.set()
