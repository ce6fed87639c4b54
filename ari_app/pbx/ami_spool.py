"""The events on their way to AMI: in order, bounded, and kept over a restart."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ari_app.pbx.ami_events import TelegramEventsLost
from ari_app.store.ami_spool import AmiEventRow, AmiSpoolRepository
from ari_app.store.store import Store, StoreUnavailable

LOST = TelegramEventsLost.event

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpooledEvent:
    """One event; ``id`` is its EventID, and only grows, also over a restart."""

    id: int
    name: str
    headers: Mapping[str, str]


class Spool:
    """A queue of at most ``most`` events; `put` never waits. ``clock`` gives Unix time.

    Where there is no room the oldest ones go, and an event that counts them is in their place.
    """

    def __init__(self, store: Store, most: int, clock: Callable[[], float] = time.time) -> None:
        self.lost = 0
        """Events that there was no room for, since the start."""
        self._repository = AmiSpoolRepository(store)
        self._most = most
        self._clock = clock
        self._waiting: dict[int, SpooledEvent] = {}
        self._unwritten: dict[int, AmiEventRow | None] = {}
        self._last_id = 0
        self._sending: int | None = None
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def __len__(self) -> int:
        return len(self._waiting)

    async def load(self) -> None:
        """Have what an earlier run has left, before anything else is put."""
        try:
            rows = await self._repository.all()
        except StoreUnavailable as error:
            log.warning("events that wait for AMI from an earlier run are not sent: %s", error)
            rows = []
        for row in rows:
            self._last_id = row.id
            self._add(SpooledEvent(row.id, row.name, json.loads(row.headers)))

    def put(self, name: str, headers: Mapping[str, str]) -> None:
        """One more event."""
        self._last_id = max(self._last_id + 1, round(self._clock() * 1000))
        event = SpooledEvent(self._last_id, name, headers)
        self._write(event)
        self._add(event)

    async def first(self) -> SpooledEvent:
        """Wait for the oldest event; it stays until it is `taken`."""
        await self._filled.wait()
        self._sending = next(iter(self._waiting))
        return self._waiting[self._sending]

    async def emptied(self) -> None:
        """Wait until every event has been taken."""
        await self._emptied.wait()

    def taken(self, event: SpooledEvent) -> None:
        """It needs not be sent any more."""
        self._sending = None
        self._remove(event.id)

    def _add(self, event: SpooledEvent) -> None:
        self._waiting[event.id] = event
        self._filled.set()
        self._emptied.clear()
        while len(self._waiting) > self._most:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Count one more in the event that stands for those that are lost; what is being sent stays."""
        ids = iter(self._waiting)
        first = next(ids)
        if first == self._sending:
            first = next(ids)
        counting = self._waiting[first]
        before = int(counting.headers["Count"]) if counting.name == LOST else 0
        if before:
            self._remove(next(ids))
        else:
            log.error("AMI has taken no event for too long: the oldest of %d that wait are lost", self._most)
        self.lost += 1
        lost = TelegramEventsLost(event_time=self._clock(), count=before + 1)
        self._waiting[first] = replace(counting, name=LOST, headers=lost.headers())
        self._write(self._waiting[first])

    def _remove(self, id: int) -> None:
        del self._waiting[id]
        self._unwritten[id] = None
        self._apply()
        if not self._waiting:
            self._filled.clear()
            self._emptied.set()

    def _write(self, event: SpooledEvent) -> None:
        self._unwritten[event.id] = AmiEventRow(event.id, event.name, json.dumps(dict(event.headers)))
        self._apply()

    def _apply(self) -> None:
        changes = dict(self._unwritten)

        def done(kept: bool) -> None:
            for id, row in changes.items():
                if id in self._unwritten and self._unwritten[id] is row:
                    del self._unwritten[id]

        self._repository.apply(changes, done)
