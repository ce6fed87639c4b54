"""The desk knows every live call and admits or refuses new ones."""

import asyncio
import logging
import uuid
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ari_app.calls import outcome
from ari_app.calls.call import Call
from ari_app.calls.outcome import Direction, Ending

log = logging.getLogger(__name__)


RECENT = 100  # ended calls that are remembered with their ladders


class LineFull(Exception):
    """A line has as many calls as it may; carries the ending that the new one gets."""

    def __init__(self, line: str, calls: int) -> None:
        super().__init__(f"line {line} has {calls} calls already, as many as it may")
        self.ending: Ending = outcome.line_full(calls)


class Desk:
    """Every live call by its id, the last that ended, and what has been counted since the start."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.counted: Counter[str] = Counter()
        self.ended: deque[Call] = deque(maxlen=RECENT)
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Wait until no call is live."""
        await self._idle.wait()

    def count(self, what: str) -> None:
        """One more of something."""
        self.counted[what] += 1

    def busy(self) -> Counter[str]:
        """How many calls each line has."""
        return Counter(call.line for call in self.calls.values())

    def dialling(self, line: str, person_id: int) -> Call | None:
        """The call of a line in which a person (his Telegram id) can press keys; the latest where he has two."""
        for call in reversed(self.calls.values()):
            if call.line == line and call.person and call.person.id == person_id and call.keys.taken:
                return call
        return None

    @asynccontextmanager
    async def admit(self, direction: Direction, line: str, peer: str, max_calls: int) -> AsyncIterator[Call]:
        """Take a call on; whoever does has to `run` it. Raises LineFull."""
        on_line = self.busy()[line]
        if on_line >= max_calls:
            self.counted["refused"] += 1
            raise LineFull(line, on_line)
        call = Call(uuid.uuid4().hex[:12], direction, line, peer)
        self.calls[call.id] = call
        self._idle.clear()
        try:
            yield call
        finally:
            self.ended.append(self.calls.pop(call.id))
            if call.ending:
                self.counted[f"{direction.value}.{call.ending.status.value}"] += 1
            self.counted["redials"] += call.redials
            if not self.calls:
                self._idle.set()
