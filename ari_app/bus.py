"""Publish and subscribe: what changes while the program runs, for pages and programs that show it."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

BACKLOG = 200  # events of a subscriber that does not keep up; it gets RELOAD in place of what it has missed
RELOAD = "reload"
ACCOUNT, BOT, ASTERISK = "account", "bot", "asterisk"
"""Something about a line's account, the bot, or the connection to Asterisk may have changed..."""
INTERNAL = frozenset((ACCOUNT, BOT, ASTERISK))
"""...of which only this program's own parts are told: they publish "line" for what comes of it."""


@dataclass(frozen=True)
class BusEvent:
    """Something has changed: what kind of thing, which one (a line's number, a call's id), and what to send of it."""

    kind: str
    key: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


class EventBus:
    """Delivers each event to the subscribers of that moment; nothing is stored."""

    def __init__(self) -> None:
        self._subscribers: set[asyncio.Queue[BusEvent]] = set()

    def publish(self, kind: str, key: str = "", **data: Any) -> None:
        """Deliver an event; never waits."""
        for queue in self._subscribers:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(BusEvent(RELOAD))
            else:
                queue.put_nowait(BusEvent(kind, key, data))

    @property
    def has_subscribers(self) -> bool:
        """Whether there are any."""
        return bool(self._subscribers)

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Queue[BusEvent]]:
        """The events that are published while inside."""
        queue: asyncio.Queue[BusEvent] = asyncio.Queue(BACKLOG)
        self._subscribers.add(queue)
        try:
            yield queue
        finally:
            self._subscribers.discard(queue)
