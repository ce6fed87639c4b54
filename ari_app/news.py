"""What changes while the program runs, for whoever watches: pages, mostly."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

BACKLOG = 200  # of a reader who does not keep up; he gets RELOAD in place of what he has missed
RELOAD = "reload"


@dataclass(frozen=True)
class Item:
    """Something has changed: what kind of thing, which one (a line's number, a call's id), and what to send of it."""

    kind: str
    key: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


class News:
    """Tells each item to everybody who listens now; nothing is kept for later."""

    def __init__(self) -> None:
        self._readers: set[asyncio.Queue[Item]] = set()

    def tell(self, kind: str, key: str = "", **data: Any) -> None:
        """Tell an item; never waits."""
        for reader in self._readers:
            if reader.full():
                while not reader.empty():
                    reader.get_nowait()
                reader.put_nowait(Item(RELOAD))
            else:
                reader.put_nowait(Item(kind, key, data))

    @property
    def wanted(self) -> bool:
        """Whether anybody listens."""
        return bool(self._readers)

    @contextmanager
    def heard(self) -> Iterator[asyncio.Queue[Item]]:
        """What is told while inside."""
        reader: asyncio.Queue[Item] = asyncio.Queue(BACKLOG)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
