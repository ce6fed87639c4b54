"""The events on their way to AMI: in order, bounded, and kept over a restart."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ari_app.pbx.events import TelegramEventsLost
from ari_app.store.ami_spool import AmiSpoolRepository, SpooledEvent
from ari_app.store.store import Store, StoreUnavailable

LOST = TelegramEventsLost.event

log = logging.getLogger(__name__)


class Spool:
    """A queue of at most ``most`` events; `put` never waits. ``clock`` gives Unix time.

    Where there is no room the two oldest make room for an event that counts them. What is being sent is kept.
    """

    def __init__(self, store: Store, most: int, clock: Callable[[], float] = time.time) -> None:
        self.lost = 0
        """Events that there was no room for, since the start."""
        self._repository = AmiSpoolRepository(store)
        self._most = most
        self._clock = clock
        self._sending: SpooledEvent | None = None
        self._waiting: deque[SpooledEvent] = deque()
        self._last_id = 0
        self._own_from = 0
        self._taken: int | None = None
        self._taken_before = 0  # as an earlier run has left it
        self._unwritten: dict[int, SpooledEvent] = {}
        self._writing = self._outdated = False
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def __len__(self) -> int:
        return len(self._waiting) + (self._sending is not None)

    async def load(self) -> None:
        """Have what an earlier run has left, before anything else is put."""
        try:
            events, self._taken_before, self._last_id = await self._repository.all()
        except StoreUnavailable as error:
            log.warning("events that wait for AMI from an earlier run are not sent before the next start: %s", error)
            self._own_from = round(self._clock() * 1000)
            return
        for event in events:
            self._add(event)

    def restore(self, event_id: int | None, name: str, headers: Mapping[str, str]) -> None:
        """An event of a call that an earlier run has put with this number, or was killed before it could.

        It waits, with this number, unless it is known to have been kept or taken; before anything else is put.
        """
        its = name, headers["CallID"]
        if any((each.name, each.headers.get("CallID")) == its for each in self._waiting):
            return
        if event_id is None:
            self.put(name, headers)
        elif event_id > self._taken_before:
            self._last_id = max(self._last_id, event_id)
            event = self._unwritten[event_id] = SpooledEvent(event_id, name, headers)
            self._add(event)
            self._waiting = deque(sorted(self._waiting, key=lambda each: each.id))
            self._write()

    def put(self, name: str, headers: Mapping[str, str]) -> int:
        """One more event; its number."""
        self._last_id = max(self._last_id + 1, round(self._clock() * 1000))
        event = self._unwritten[self._last_id] = SpooledEvent(self._last_id, name, headers)
        self._add(event)
        self._write()
        return self._last_id

    async def first(self) -> SpooledEvent:
        """Wait for the oldest event; it stays until it is `taken`."""
        if self._sending is None:
            await self._filled.wait()
            self._sending = self._waiting.popleft()
            self._tell()
        return self._sending

    async def emptied(self) -> None:
        """Wait until every event has been taken."""
        await self._emptied.wait()

    def taken(self) -> None:
        """The `first` needs not be sent any more."""
        assert self._sending is not None
        self._taken = self._sending.id
        self._unwritten.pop(self._taken, None)
        self._sending = None
        self._tell()
        self._write()

    def forget(self, which: Callable[[SpooledEvent], bool]) -> int:
        """Let go of events that wait, but for one that is being sent: AMI is told how many are lost. How many."""
        gone = [event for event in self._waiting if which(event)]
        if not gone:
            return 0
        first, ids = gone[0], {event.id for event in gone}
        lost = self._count_lost(first, gone)
        self._waiting = deque(
            lost if event is first else event for event in self._waiting if event is first or event.id not in ids
        )
        for id in ids - {first.id}:
            self._unwritten.pop(id, None)
        self._repository.remove(ids)
        self._write()
        return len(gone)

    def expire(self, before: float) -> int:
        """Let go of what waits since before that Unix time, as `forget` does; how many."""
        return self.forget(lambda event: event.id < before * 1000 and event.name != LOST)

    def _add(self, event: SpooledEvent) -> None:
        self._waiting.append(event)
        while len(self) > self._most:
            self._drop_oldest()
        self._tell()

    def _drop_oldest(self) -> None:
        if self._waiting[0].name != LOST:
            log.error("AMI has taken no event for too long: the oldest of %d that wait are lost", self._most)
        dropped, replaced = self._waiting.popleft(), self._waiting.popleft()
        self._unwritten.pop(dropped.id, None)
        self._waiting.appendleft(self._count_lost(replaced, (dropped, replaced)))

    def _count_lost(self, replaced: SpooledEvent, gone: Iterable[SpooledEvent]) -> SpooledEvent:
        """What stands in the place of an event, and tells how many are gone."""
        count = 0
        for event in gone:
            count += int(event.headers["Count"]) if event.name == LOST else 1
            self.lost += event.name != LOST
        lost = TelegramEventsLost(event_time=self._clock(), count=count)
        event = self._unwritten[replaced.id] = replace(replaced, name=LOST, headers=lost.headers())
        return event

    def _tell(self) -> None:
        """Set the events to what they tell."""
        for event, is_so in ((self._filled, bool(self._waiting)), (self._emptied, not len(self))):
            if is_so:
                event.set()
            else:
                event.clear()

    def _write(self) -> None:
        """Have the database follow. One write at a time: however long it is in trouble, another event costs no more."""
        if self._writing:
            self._outdated = True
            return
        self._writing, self._outdated = True, False
        events = list(self._unwritten.values())

        def done(kept: bool) -> None:
            for event in events:  # what could not be kept at all is sent all the same
                if self._unwritten.get(event.id) is event:
                    del self._unwritten[event.id]
            self._writing = False
            if self._outdated:
                self._write()

        first = self._waiting[0].id if self._waiting else self._last_id + 1
        sending = [self._sending.id] if self._sending else []
        self._repository.apply(events, range(self._own_from, first), sending, self._taken, done)
