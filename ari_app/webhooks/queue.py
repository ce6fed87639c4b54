"""The deliveries of one webhook, or of one way for alerts, that wait: each again until it is taken or too old.

Those with the same key go one after the other.
"""

import asyncio
import heapq
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from ari_app.backoff import Backoff
from ari_app.cooldown import Cooldown
from ari_app.store.webhooks import DeliveryRow

MOST_WAITING = 10_000
"""Deliveries of one webhook, some 10 MB: what a busy office has in a day. Then the oldest are lost."""
RETRY = Backoff(first_s=5.0, last_s=600.0, jitter=0.1)
"""Between two tries of one event. A receiver that is back has the first events within ten minutes."""
GIVE_UP_S = 24 * 3600.0
"""How long an event is tried: a receiver that fails over a night misses nothing."""
SAID_S = 60.0
"""That events are lost is logged once in this time."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SendResult:
    """What came of one try. ``wait_s``: how long the receiver asks to be left alone (Retry-After).

    ``final``: another try would come to the same.
    """

    taken: bool
    status: int | None = None
    text: str = ""
    error: str = ""
    wait_s: float = 0.0
    final: bool = False


class DeliveryQueue:
    """``save`` keeps a delivery as it is now, and never waits; ``clock`` gives Unix time. ``name`` is for the log."""

    def __init__(
        self,
        name: str,
        save: Callable[[DeliveryRow], None],
        clock: Callable[[], float] = time.time,
        *,
        most: int = MOST_WAITING,
        retry: Backoff = RETRY,
    ) -> None:
        self.lost = self.given_up = self.delivered = 0
        """Since the start: events that there was no room for, that were not taken in time, that were taken."""
        self.error = ""
        """Why the last try has failed; empty where it has not."""
        self.name = name
        self._save = save
        self._clock = clock
        self._most = most
        self._retry = retry
        self._rows: dict[int, DeliveryRow] = {}
        self._chains: dict[str, deque[int]] = {}
        self._due: list[tuple[float, int]] = []
        self._sending: set[int] = set()
        self._forgotten: set[int] = set()
        self._changed = asyncio.Event()
        self._at_rest = asyncio.Event()
        self._said = Cooldown(SAID_S)
        self._tell()

    def __len__(self) -> int:
        return len(self._rows)

    def load(self, row: DeliveryRow) -> None:
        """One that an earlier run has left."""
        longest = self._clock() + self._retry.last_s  # the clock may have been set back
        self._append(replace(row, next_at=min(row.next_at, longest)))

    def put(self, row: DeliveryRow) -> None:
        """One more; never waits."""
        while len(self._rows) - len(self._sending) >= self._most:
            self._drop_oldest()
        self._append(row)
        self._save(row)

    def send_again(self, row: DeliveryRow) -> DeliveryRow:
        """Try one now that waits, or anew one that is over."""
        now = self._clock()
        if waiting := self._rows.get(row.id):
            if row.id not in self._sending:
                self._rows[row.id] = waiting = replace(waiting, next_at=now)
                self._schedule(waiting.key)
            return waiting
        again = replace(row, state="waiting", attempts=0, since=now, next_at=now)
        self.put(again)
        return again

    async def next(self) -> DeliveryRow:
        """Wait for one that is to be sent now; it is `answered`, or `released`, by whoever has it."""
        while (row := self.take()) is None:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.wait_s):
                    await self._changed.wait()
        return row

    def take(self) -> DeliveryRow | None:
        """One that is to be sent now; None where none is."""
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            at, id = heapq.heappop(self._due)
            if self._is_next(at, id):
                self._sending.add(id)
                return self._rows[id]
        self._tell()
        return None

    @property
    def wait_s(self) -> float | None:
        """Until one is to be sent; None where none waits."""
        return max(0.0, self._due[0][0] - self._clock()) if self._due else None

    def answered(self, id: int, answer: SendResult) -> None:
        """What came of a try; nothing more is done of one that is forgotten."""
        self._sending.discard(id)
        now, before = self._clock(), self._rows[id]
        if id in self._forgotten:
            return self._remove(before)
        row = replace(
            before,
            attempts=before.attempts + 1,
            last_at=now,
            status=answer.status,
            answer=answer.text,
            error=answer.error,
        )
        self.error = answer.error
        pause_s = max(self._retry.pause_s(row.attempts), min(answer.wait_s, self._retry.last_s))
        if answer.taken:
            self.delivered += 1
            self._over(replace(row, state="delivered"))
        elif answer.final or now + pause_s > row.since + GIVE_UP_S:
            self.given_up += 1
            log.error("%s: %s %s was not taken, it is given up: %s", *self._named(row), answer.error)
            self._over(replace(row, state="failed"))
        else:
            log.info("%s: %s %s was not taken: %s", *self._named(row), answer.error)
            self._rows[id] = row = replace(row, next_at=now + pause_s)
            self._save(row)
            self._schedule(row.key)
        return None

    def released(self, id: int) -> None:
        """It was not tried to the end; it is tried again."""
        self._sending.discard(id)
        if id in self._forgotten:
            self._remove(self._rows[id])
        elif id in self._rows:
            self._schedule(self._rows[id].key)

    def forget(self, which: Callable[[DeliveryRow], bool]) -> int:
        """Let go of some that wait; one that is being sent is not tried again, and nothing is kept of it. How many."""
        found = [row for row in self._rows.values() if which(row)]
        for row in found:
            if row.id in self._sending:
                self._forgotten.add(row.id)
            else:
                self._remove(row)
        return len(found)

    async def at_rest(self) -> None:
        """Wait until nothing is being sent, or is to be sent now."""
        await self._at_rest.wait()

    def _named(self, row: DeliveryRow) -> tuple[str, str, str]:
        return self.name, row.type, row.event_id

    def _append(self, row: DeliveryRow) -> None:
        self._rows[row.id] = row
        self._chains.setdefault(row.key, deque()).append(row.id)
        self._schedule(row.key)

    def _schedule(self, key: str) -> None:
        """Have the first of those that go one after the other sent in its time."""
        first = self._rows[self._chains[key][0]]
        if first.id not in self._sending:
            heapq.heappush(self._due, (first.next_at, first.id))
        self._changed.set()
        self._tell()

    def _is_next(self, at: float, id: int) -> bool:
        """Whether what was scheduled still holds."""
        row = self._rows.get(id)
        return row is not None and row.next_at == at and id not in self._sending and self._chains[row.key][0] == id

    def _over(self, row: DeliveryRow) -> None:
        """Keep what became of it, and go on with the next one."""
        self._save(row)
        self._remove(row)

    def _remove(self, row: DeliveryRow) -> None:
        """Go on with the next one."""
        del self._rows[row.id]
        self._forgotten.discard(row.id)
        chain = self._chains[row.key]
        chain.remove(row.id)
        if chain:
            self._schedule(row.key)
        else:
            del self._chains[row.key]
            self._tell()

    def _drop_oldest(self) -> None:
        self.lost += 1
        oldest = next(row for id, row in self._rows.items() if id not in self._sending)
        if self._said.admit("lost"):
            log.error("%s: too many events wait, the oldest of %d are lost", self.name, self._most)
        self._over(replace(oldest, state="lost"))

    def _tell(self) -> None:
        """Set the event to what it tells."""
        if self._sending or self.wait_s == 0:
            self._at_rest.clear()
        else:
            self._at_rest.set()
