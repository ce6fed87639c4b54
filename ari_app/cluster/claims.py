"""Which machine answers a call that comes in: the line's holder, and another one where nothing is heard of it.

Every machine that has the line sees the call. Telegram gives it to whoever accepts first and tells the others, so that
a claim only keeps machines out of each other's way: where they cannot ask the engine, Telegram decides.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol

from ari_app.cluster.bucket import Bucket, Conflict, EngineAway, KeyEntry, key_of
from ari_app.tasks import guarded_tasks

SILENT_S = 1.5
"""After so long without a word of whoever has claimed a call, another machine takes it."""
NOBODY_S = 4.0
"""After so long without anybody who takes a call, one that can't take it either has it, to tell the caller so."""
WORD_S = 0.4  # between two words of whoever rings the PBX
KEPT_S = 3600.0  # longer than a call rings; then the engine may forget it

log = logging.getLogger(__name__)


class RingingCall(Protocol):
    """A call that rings; `telegram.phone.Offer`."""

    id: int

    async def rings_no_more(self) -> None:
        """Wait until somebody is about to answer it, here or elsewhere, or it is over."""

    def leave_to_other_devices(self) -> None:
        """Take no part in it any more."""


class Claims(Protocol):
    """Gives each call to one machine."""

    def claimed(
        self, line: str, call: RingingCall, is_online: Callable[[], bool], has_room: Callable[[], bool]
    ) -> AbstractAsyncContextManager[bool]:
        """See `EngineClaims.claimed`."""

    async def is_ours(self, line: str, call_id: int) -> bool:
        """Whether a call that rang for an earlier run of this program is still this machine's to end."""


class EngineClaims:
    """Those of a cluster, as one of its machines sees them.

    ``holds``: whether this machine holds a line; ``may_be_held_s``: for how long yet another one may.
    """

    def __init__(
        self, bucket: Bucket, machine: str, holds: Callable[[str], bool], may_be_held_s: Callable[[str], float]
    ) -> None:
        self._bucket = bucket
        self._machine = machine
        self._holds = holds
        self._may_be_held_s = may_be_held_s
        self._clock = asyncio.get_running_loop().time

    @asynccontextmanager
    async def claimed(
        self, line: str, call: RingingCall, is_online: Callable[[], bool], has_room: Callable[[], bool]
    ) -> AsyncIterator[bool]:
        """Wait until a call is this machine's to answer: at once where it holds the line. False where it is not.

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
                yield False
                return
            revision = taken
            log.warning("call %s to line %s: no other machine takes it, this one does", call.id, line)
        async with guarded_tasks() as tasks:
            tasks.spawn(self._keep(key, revision, call, is_online), f"claim of call {call.id}")
            yield True

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
            silent_s = SILENT_S if can_take() else NOBODY_S
            left_s = heard_at + silent_s - self._clock()
            try:
                if left_s <= 0:
                    async with asyncio.timeout(WORD_S):
                        return await self._write(key, known.revision if known else 0)
                async with asyncio.timeout(left_s):
                    its = await self._bucket.read(key)
                if its and its != known:
                    known, heard_at = its, self._clock()
            except Conflict:  # a word has come just now
                known, heard_at = None, self._clock()
            except (EngineAway, TimeoutError) as error:
                if left_s <= 0 and self._may_be_held_s(line) <= 0:
                    log.warning("claim of call %s: the engine is away, Telegram decides: %s", key, error)
                    return 0
            # Asked, and not watched: to begin and end a watch takes the engine longer than the few questions of a call.
            wait_s = heard_at + silent_s - self._clock()
            await asyncio.sleep(min(WORD_S, wait_s if wait_s > 0 else WORD_S))

    async def _keep(self, key: str, revision: int, call: RingingCall, is_online: Callable[[], bool]) -> None:
        """Say a word of a call for as long as it rings."""
        async with guarded_tasks() as tasks:
            over = tasks.spawn(call.rings_no_more(), f"end of ringing of call {key}")
            while not over.done():
                try:
                    if is_online():  # else another machine may take it
                        async with asyncio.timeout(SILENT_S):
                            revision = await self._write(key, revision)
                except Conflict:
                    its = await self._read(key)
                    if its and _machine(its) != self._machine:
                        log.warning(
                            "call %s: answered by machine %s, which has heard nothing of us", key, _machine(its)
                        )
                        return call.leave_to_other_devices()
                    revision = its.revision if its else 0
                except (EngineAway, TimeoutError) as error:
                    log.debug("claim of call %s: %s", key, error)
                await asyncio.wait({over}, timeout=WORD_S)
        return None

    async def _read(self, key: str) -> KeyEntry | None:
        with suppress(EngineAway, TimeoutError):
            async with asyncio.timeout(SILENT_S):
                return await self._bucket.read(key)
        return None

    async def _write(self, key: str, last: int) -> int:
        return await self._bucket.write(key, json.dumps({"machine": self._machine}).encode(), last)


def _machine(entry: KeyEntry) -> str:
    try:
        return str(json.loads(entry.value or b"")["machine"])
    except (ValueError, KeyError, TypeError):
        return ""


class OnlyMachine:
    """Claims where there is no cluster: each call is ours."""

    @asynccontextmanager
    async def claimed(
        self, line: str, call: RingingCall, is_online: Callable[[], bool], has_room: Callable[[], bool]
    ) -> AsyncIterator[bool]:
        """At once."""
        yield True

    async def is_ours(self, line: str, call_id: int) -> bool:
        """Whose else."""
        return True
