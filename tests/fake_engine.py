"""A cluster's engine in memory, and each machine's way to it, which may fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from ari_app.cluster.bucket import Conflict, EngineAway, KeyEntry


@dataclass
class Engine:
    """What all machines write to."""

    entries: dict[str, KeyEntry] = field(default_factory=dict)
    revision: int = 0
    watches: set[asyncio.Queue[KeyEntry]] = field(default_factory=set)

    def write(self, key: str, value: bytes, last: int) -> int:
        known = self.entries.get(key)
        if (known.revision if known else 0) != last:
            raise Conflict(key)
        self.revision += 1
        self.entries[key] = KeyEntry(key, value, self.revision)
        for each in self.watches:
            each.put_nowait(self.entries[key])
        return self.revision

    def lose_everything(self) -> None:
        """As where all servers come back without their disks."""
        self.entries.clear()
        self.revision = 0


@dataclass(eq=False)
class WayToEngine:
    """One machine's bucket, and what is wrong with its way there."""

    engine: Engine
    away: bool = False
    acknowledges: bool = True
    tells: bool = True
    delay_s: Callable[[], float] = lambda: 0.001
    reads: int = 0

    async def read(self, key: str) -> KeyEntry | None:
        self.reads += 1
        await self._reached()
        return self.engine.entries.get(key)

    async def write(self, key: str, value: bytes, last: int) -> int:
        if self.away:
            raise EngineAway("away")
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(self.delay_s(), self._arrives, key, value, last, done)
        revision = await done
        await asyncio.sleep(self.delay_s())
        if self.away or not self.acknowledges:
            raise EngineAway("no acknowledgement")
        return revision

    def _arrives(self, key: str, value: bytes, last: int, done: asyncio.Future[int]) -> None:
        """Also of a writer who has given up meanwhile."""
        try:
            revision = self.engine.write(key, value, last)
        except Conflict as error:
            if not done.done():
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(revision)

    async def watch(self, quiet_s: float) -> AsyncGenerator[KeyEntry, None]:
        await self._reached()
        told: asyncio.Queue[KeyEntry] = asyncio.Queue()
        self.engine.watches.add(told)
        try:
            for entry in sorted(self.engine.entries.values(), key=lambda each: each.revision):
                yield entry
            with suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(quiet_s):
                        while (entry := await told.get()) and (self.away or not self.tells):
                            pass
                    yield entry
        finally:
            self.engine.watches.discard(told)

    async def _reached(self) -> None:
        await asyncio.sleep(self.delay_s())
        if self.away:
            raise EngineAway("away")
