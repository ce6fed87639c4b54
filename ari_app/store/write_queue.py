"""Writes that nobody waits for: each is carried out as soon as the database lets it, and waits in memory until then."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.backoff import Backoff
from ari_app.i18n import Message
from ari_app.store.errors import StoreUnavailable, too_slow
from ari_app.tasks import FAILURES

WAITING_MOST = 5000
"""Writes that may wait, at most some 50 MB: what a busy office has to keep of a night. What comes then is lost."""
RETRY = Backoff(first_s=0.5, last_s=10.0)
"""Between two tries; doubled each time. Space that was freed is noticed within this."""
SLOW_S = 5.0  # a disk that takes longer for one write is in trouble, too

log = logging.getLogger(__name__)

Key = tuple[str | int | float, ...]
"""What a write is about, a word first: of two that wait under the same key only the newer one is carried out."""
Write = Callable[[Database], object]
Done = Callable[[bool], None]
"""Told that a write was carried out, or, False, that it is lost. Not told of one that a newer one has replaced."""


@dataclass(frozen=True)
class Trouble:
    """Why writes have to wait, and since when (a Unix time)."""

    sentence: Message
    since: float


class WriteQueue:
    """``execute`` carries a write out, as one transaction; raises StoreUnavailable where it can't at the moment."""

    def __init__(
        self,
        execute: Callable[[Write], Awaitable[object]],
        path: object,
        *,
        most: int = WAITING_MOST,
        slow_s: float = SLOW_S,
        clock: Callable[[], float] = time.time,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.trouble: Trouble | None = None
        self.lost = 0  # writes, since the start
        self._on_change = on_change
        self._execute = execute
        self._path = path
        self._most = most
        self._slow_s = slow_s
        self._clock = clock
        self._waiting: dict[Key, tuple[Write, Done]] = {}
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._at_rest = asyncio.Event()  # nothing waits, or it waits for the trouble to end
        self._hurried = asyncio.Event()
        self._rest()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, key: Key, write: Write, done: Done = lambda kept: None) -> None:
        """Have something written, in place of what waits under the same key; never waits, never raises."""
        if self._waiting.pop(key, None) is None and len(self._waiting) >= self._most:
            return self._lose(key, done, f"{self._most} changes wait for the database already")
        self._waiting[key] = write, done
        self._rest()
        return None

    async def written(self) -> bool:
        """Wait until nothing waits, or there is trouble; whether all is written."""
        while self._waiting and self.trouble is None:  # who waits is woken late: more may have come meanwhile
            await self._at_rest.wait()
        return not self._waiting

    async def flush(self, timeout_s: float) -> None:
        """Wait until all is written, trouble or not, but not for longer than that; what is left then is lost."""
        self._hurried.set()
        try:
            async with asyncio.timeout(timeout_s):
                while self._waiting:  # who is told that a write is done may have another one at once
                    await self._empty.wait()
        except TimeoutError:
            why = self.trouble.sentence if self.trouble else "it takes too long"
            log.error(  # noqa: TRY400 - the administrator needs the sentence
                "%d of what was to be kept are not in the database: %s", len(self._waiting), why
            )

    async def run(self) -> None:
        """Carry out what waits, the oldest first, without an end."""
        failures = 0
        while True:
            await self._filled.wait()
            key, (write, done) = next(iter(self._waiting.items()))
            try:
                await self._carry_out(write)
            except StoreUnavailable as error:
                self._fail(error)
                failures += 1
                await self._pause(RETRY.pause_s(failures))
                continue
            except Exception as error:  # noqa: BLE001 - recorded; it is the write that is wrong
                FAILURES.add(f"database: {_words(key)}", error)
                if self._take_out(key, write):
                    self._lose(key, done, repr(error))
                continue
            failures = 0
            if self._take_out(key, write):
                done(True)
            self._recover()

    async def _carry_out(self, write: Write) -> None:
        slow = asyncio.get_running_loop().call_later(self._slow_s, self._fail, too_slow(self._slow_s, self._path))
        try:
            await self._execute(write)
        finally:
            slow.cancel()

    async def _pause(self, seconds: float) -> None:
        if self._hurried.is_set():
            return await asyncio.sleep(RETRY.first_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurried.wait()

    def _take_out(self, key: Key, write: Write) -> bool:
        """Take a write out that is done with; False where a newer one has replaced it."""
        current = self._waiting.get(key, (None, None))[0] is write
        if current:
            del self._waiting[key]
            self._rest()
        return current

    def _rest(self) -> None:
        """Set the events to what they tell."""
        for event, is_so in (
            (self._filled, bool(self._waiting)),
            (self._empty, not self._waiting),
            (self._at_rest, not self._waiting or self.trouble is not None),
        ):
            if is_so:
                event.set()
            else:
                event.clear()

    def _fail(self, error: StoreUnavailable) -> None:
        if self.trouble is None or self.trouble.sentence != error.sentence:
            log.error("%s Calls go on; what is to be kept waits in memory.", error)
            self.trouble = Trouble(error.sentence, self.trouble.since if self.trouble else self._clock())
            self._rest()
            self._on_change()

    def _recover(self) -> None:
        if self.trouble:
            log.warning("the database can be written again; changes that waited: %d", len(self._waiting) + 1)
            self.trouble = None
            self._rest()
            self._on_change()

    def _lose(self, key: Key, done: Done, why: str) -> None:
        self.lost += 1
        log.error("not kept: %s (%d changes are lost by now): %s", _words(key), self.lost, why)
        self._on_change()
        done(False)


def _words(key: Key) -> str:
    return " ".join(map(str, key))
