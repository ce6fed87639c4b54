"""A stream of a cluster's engine in memory, and each machine's way to it, which may fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.stream import OutgoingMessage, StreamMessage, StreamState


@dataclass
class StoredStream:
    """What all machines write to. ``one_each``: of a subject only the last message stays."""

    one_each: bool = True
    id: str = "1"
    last: int = 0
    messages: dict[int, OutgoingMessage] = field(default_factory=dict)

    def store(self, message: OutgoingMessage) -> int | None:
        """Its number; None where it is known."""
        if any(each.id == message.id for each in self.messages.values()):
            return None
        if self.one_each:
            self.messages = {n: each for n, each in self.messages.items() if each.subject != message.subject}
        self.last += 1
        self.messages[self.last] = message
        return self.last

    def lose_everything(self) -> None:
        """As where all servers come back without their disks."""
        self.messages.clear()
        self.last = 0
        self.id += "1"

    def lose_end(self, last: int) -> None:
        """As where a server comes back without what it had not on its disk yet."""
        self.messages = {n: each for n, each in self.messages.items() if n <= last}
        self.last = min(self.last, last)


@dataclass
class WayToStream:
    """One machine's stream, and what is wrong with its way there.

    ``arranged``: the order in which what is published at once arrives. ``arrive``: how much of it, before the way
    fails; None: all. ``late``: what arrives only with the next that is published.
    """

    stored: StoredStream
    name: str = "calls"
    away: bool = False
    acknowledges: bool = True
    arranged: Callable[[list[OutgoingMessage]], list[OutgoingMessage]] = list
    arrive: int | None = None
    late: list[OutgoingMessage] = field(default_factory=list)

    async def state(self) -> StreamState:
        self._reached()
        return StreamState(self.stored.id, self.stored.last)

    async def after(self, number: int, most: int) -> list[StreamMessage]:
        self._reached()
        found = [StreamMessage(n, each.value) for n, each in sorted(self.stored.messages.items()) if n > number]
        return found[:most]

    async def publish(self, messages: Sequence[OutgoingMessage]) -> list[int | None]:
        self._reached()
        arriving = self.arranged(list(messages))
        if self.arrive is not None:
            self.late += arriving[self.arrive :]
            arriving = arriving[: self.arrive]
        numbers = {each.id: self.stored.store(each) for each in arriving}
        if self.arrive is not None or not self.acknowledges:
            raise EngineAway("no acknowledgement")
        for each in self.late:
            self.stored.store(each)
        self.late.clear()
        return [numbers[each.id] for each in messages]

    def _reached(self) -> None:
        if self.away:
            raise EngineAway("away")
