"""Which machine answers a call that comes in: the line's holder, or another one, where it stops or says nothing.

Every machine that has the line sees the call. Telegram gives it to whoever accepts first and tells the others, so that
a claim only keeps machines out of each other's way: where they cannot ask the engine, Telegram decides.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from ari_app.cluster.bucket import WRONG, Bucket, Conflict, EngineAway, KeyEntry, key_of
from ari_app.tasks import guarded_tasks

SILENT_S = 1.5
"""After so long without a word of whoever has claimed a call, another machine takes it."""
NOBODY_S = 4.0
"""After so long without anybody who takes a call, one that can't take it either has it, to tell the caller so."""
WORD_S = 0.4  # between two words of whoever rings the PBX
LEFT_S = 1.5
"""For the others to be told that a call is left to them; without it they take it after `SILENT_S`."""
LEFT, OVER = "left", "over"
"""What a word may say besides whose it is: a call is left to the other machines, or has ended."""
FOLLOWED = "followed"
"""How the key of the claim on what follows a call ends."""
FOLLOW_UP_S = 30.0
"""For a machine that is cut off to ask who follows a call up; it may be stopped meanwhile, and nobody does then."""
KEPT_S = 3600.0  # longer than a call rings; then the engine may forget it

log = logging.getLogger(__name__)


class RingingCall(Protocol):
    """A call that rings; `telegram.phone.Offer`."""

    id: int

    async def rings_no_more(self) -> None:
        """Wait until somebody is about to answer it, here or elsewhere, or it is over."""

    def leave_to_other_devices(self) -> bool:
        """Take no part in it any more; whether it rings on for the others."""


class Claim(Protocol):
    """A call that is this machine's to answer."""

    def leave(self) -> bool:
        """Leave it to the other machines, as this one stops; False where none could take it, or it rings no more."""

    async def told(self) -> None:
        """Wait until the others know that it was left to them; returns at once where it was not."""

    def ended(self) -> None:
        """The call is over: have the others told, for one that doesn't hear so from Telegram would take it."""


class Claims(Protocol):
    """Gives each call to one machine."""

    def claimed(
        self, line: str, call: RingingCall, is_online: Callable[[], bool], has_room: Callable[[], bool]
    ) -> AbstractAsyncContextManager[Claim | None]:
        """See `EngineClaims.claimed`."""

    async def is_ours(self, line: str, call_id: int) -> bool:
        """Whether a call that rang for an earlier run of this program is still this machine's to end."""

    async def follows_up(self, line: str, call_id: int) -> bool:
        """Whether a call that has rung for this program is this machine's to follow up, by a card; waits for that."""


class EngineClaims:
    """Those of a cluster, as one of its machines sees them.

    ``holds``: whether this machine holds a line; ``may_be_held_s``: for how long yet another one may; ``others_take``:
    whether another one could take a call to it now.
    """

    def __init__(
        self,
        bucket: Bucket,
        machine: str,
        holds: Callable[[str], bool],
        may_be_held_s: Callable[[str], float],
        others_take: Callable[[str], bool],
    ) -> None:
        self._bucket = bucket
        self._machine = machine
        self._holds = holds
        self._may_be_held_s = may_be_held_s
        self._others_take = others_take
        self._clock = asyncio.get_running_loop().time

    @asynccontextmanager
    async def claimed(
        self, line: str, call: RingingCall, is_online: Callable[[], bool], has_room: Callable[[], bool]
    ) -> AsyncIterator[Claim | None]:
        """Wait until a call is this machine's to answer: at once where it holds the line. None where it is not.

        A machine that hasn't room for it leaves it to the others, and has it only where none of them takes it: any
        device that refuses a call ends it for all. While it rings, and the line ``is_online`` here, the claim is kept
        up; where another one has taken the call after all, it is left to that.
        """
        key = key_of(line, call.id)
        revision = 0
        if not (self._holds(line) and has_room()):
            try:
                taken = await self._taken(line, key, call, lambda: is_online() and has_room())
            except BaseException:  # this machine stops; the call goes on ringing elsewhere
                call.leave_to_other_devices()
                raise
            if taken is None:
                yield None
                return
            revision = taken
        claim = _EngineClaim(line, key, call, self._others_take, revision)
        async with guarded_tasks() as tasks:
            tasks.spawn(self._keep(claim, is_online), f"claim of call {call.id}")
            yield claim
        if claim.is_over:
            async with _bounded(key, WORD_S):
                with suppress(Conflict):  # another machine has it after all
                    await self._write(key, claim.revision, over=True)

    async def is_ours(self, line: str, call_id: int) -> bool:
        """Whether nobody else has taken it, who may do so until we have been silent for long enough.

        Where the engine is away somebody may have.
        """
        await asyncio.sleep(SILENT_S + WORD_S)
        try:
            its = await self._bucket.read(key_of(line, call_id))
        except EngineAway as error:
            log.warning(
                "call %s to line %s is not ended on Telegram, another machine may have it: %s", call_id, line, error
            )
            return False
        return its is None or _machine(its) == self._machine

    async def follows_up(self, line: str, call_id: int) -> bool:
        """Whether nobody else has taken it, nor follows it up: two may have rung for it that could not agree.

        Where the engine is away it is asked for `FOLLOW_UP_S`: better one late than two. Afterwards each does.
        """
        key, until = key_of(line, call_id), self._clock() + FOLLOW_UP_S
        while True:
            try:
                async with asyncio.timeout(SILENT_S):
                    return await self._followed_up(key)
            except (EngineAway, TimeoutError) as error:
                if self._clock() >= until:
                    log.warning("call %s: followed up here, perhaps by another machine, too: %s", key, error)
                    return True
            await asyncio.sleep(WORD_S)

    async def _followed_up(self, key: str) -> bool:
        """Claim that; one of ours may be there whose acknowledgement was lost."""
        its = await self._bucket.read(key)
        if its and _machine(its) != self._machine:  # one that heard of it late may have taken it for its own
            return False
        followed = f"{key}.{FOLLOWED}"
        try:
            await self._write(followed, 0)
        except Conflict:
            known = await self._bucket.read(followed)
            return known is not None and _machine(known) == self._machine
        return True

    async def _taken(self, line: str, key: str, call: RingingCall, can_take: Callable[[], bool]) -> int | None:
        """Take a call that nobody says a word of: its claim's revision, 0 where the engine is away; None once over."""
        async with guarded_tasks() as tasks:
            over = tasks.spawn(call.rings_no_more(), f"end of ringing of call {key}")
            taking = tasks.spawn(self._take(line, key, can_take), f"claim of call {key}")
            await asyncio.wait({over, taking}, return_when=asyncio.FIRST_COMPLETED)
            return None if over.done() else taking.result() or 0

    async def _take(self, line: str, key: str, can_take: Callable[[], bool]) -> int:
        known: KeyEntry | None = None
        heard_at = self._clock()
        while True:
            silent_s = NOBODY_S if not can_take() else 0.0 if known and _is(known, LEFT) else SILENT_S
            left_s = heard_at + silent_s - self._clock()
            try:
                if left_s <= 0:
                    async with asyncio.timeout(WORD_S):
                        revision = await self._write(key, known.revision if known else 0)
                    if known and _is(known, LEFT):
                        log.info("claim of call %s: machine %s has left it to this one", key, _machine(known))
                    else:
                        log.warning("claim of call %s: no other machine takes it, this one does", key)
                    return revision
                async with asyncio.timeout(left_s):
                    its = await self._bucket.read(key)
                if its and its != known:
                    known, heard_at = its, self._clock()
                    if _is(its, OVER):
                        await asyncio.Event().wait()  # until this machine's device hears so, too
                    if _is(its, LEFT):
                        continue  # it need not be waited for
            except Conflict:  # a word has come just now
                known, heard_at = None, self._clock()
            except (EngineAway, TimeoutError) as error:
                if left_s <= 0 and self._may_be_held_s(line) <= 0:
                    log.warning("claim of call %s: the engine is away, Telegram decides: %s", key, error)
                    return 0
            # Asked, and not watched: to begin and end a watch takes the engine longer than the few questions of a call.
            wait_s = heard_at + silent_s - self._clock()
            await asyncio.sleep(min(WORD_S, wait_s if wait_s > 0 else WORD_S))

    async def _keep(self, claim: _EngineClaim, is_online: Callable[[], bool]) -> None:
        """Say a word of a call for as long as it rings, and at the end whether it is left to the others."""
        try:
            async with guarded_tasks() as tasks:
                over = tasks.spawn(claim.call.rings_no_more(), f"end of ringing of call {claim.key}")
                while not over.done():
                    if is_online():  # else another machine may take it
                        async with _bounded(claim.key, SILENT_S):
                            await self._say(claim)
                    await asyncio.wait({over}, timeout=WORD_S)
            if claim.is_left:
                async with _bounded(claim.key, LEFT_S):
                    while not await self._say(claim):
                        pass
        finally:
            claim.all_said.set()

    async def _say(self, claim: _EngineClaim) -> bool:
        """One word, or that it is left; where another machine has it, it is left to that. False: not said yet."""
        try:
            claim.revision = await self._write(claim.key, claim.revision, left=claim.is_left)
        except Conflict:
            its = await self._bucket.read(claim.key)
            if its and _machine(its) != self._machine:
                log.warning("call %s: answered by machine %s, which has heard nothing of us", claim.key, _machine(its))
                claim.call.leave_to_other_devices()
                return True
            claim.revision = its.revision if its else 0
            return False
        return True

    async def _write(self, key: str, last: int, *, left: bool = False, over: bool = False) -> int:
        word = {"machine": self._machine, LEFT: left, OVER: over}
        return await self._bucket.write(key, json.dumps(word).encode(), last)


@dataclass(eq=False)
class _EngineClaim:
    """A call that this machine has; ``revision``: of its last word of it."""

    line: str
    key: str
    call: RingingCall
    others_take: Callable[[str], bool]
    revision: int
    is_left: bool = False
    is_over: bool = False
    all_said: asyncio.Event = field(default_factory=asyncio.Event)

    def leave(self) -> bool:
        self.is_left = self.others_take(self.line) and self.call.leave_to_other_devices()
        return self.is_left

    async def told(self) -> None:
        if self.is_left:
            await self.all_said.wait()

    def ended(self) -> None:
        self.is_over = not self.is_left


@asynccontextmanager
async def _bounded(key: str, within_s: float) -> AsyncIterator[None]:
    """What is asked of the engine, which may be away."""
    try:
        async with asyncio.timeout(within_s):
            yield
    except (EngineAway, TimeoutError) as error:
        log.debug("claim of call %s: %s", key, error)


def _machine(entry: KeyEntry) -> str:
    try:
        return str(json.loads(entry.value or b"")["machine"])
    except WRONG:
        return ""


def _is(entry: KeyEntry, what: str) -> bool:
    """Whether the machine that had it has said that it is LEFT to the others, or OVER."""
    try:
        return json.loads(entry.value or b"").get(what) is True  # which an earlier version does not say
    except WRONG:
        return False


class OnlyMachine:
    """Claims where there is no cluster: each call is ours, to its end."""

    @asynccontextmanager
    async def claimed(
        self, line: str, call: RingingCall, is_online: Callable[[], bool], has_room: Callable[[], bool]
    ) -> AsyncIterator[Claim | None]:
        """At once."""
        yield self

    def leave(self) -> bool:
        """To nobody."""
        return False

    async def told(self) -> None:
        """Nobody is."""

    def ended(self) -> None:
        """Nobody is told."""

    async def is_ours(self, line: str, call_id: int) -> bool:
        """Whose else."""
        return True

    async def follows_up(self, line: str, call_id: int) -> bool:
        """Who else."""
        return True
