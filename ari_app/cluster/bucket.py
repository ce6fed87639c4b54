"""What the cluster asks of its engine: keys with revisions, compare-and-set, and to be told of changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

QUIET_S = 60.0  # after so long without news a watch is begun anew
AGAIN_S = 2.0  # until an engine is asked again that did not answer
AT_ONCE = 100  # entries, before anything else has its turn
WRONG = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What comes of reading what another version, or somebody else, has written."""

log = logging.getLogger(__name__)


class EngineAway(Exception):
    """The engine does not answer: whether it has done what it was asked to is not known."""


class Conflict(Exception):
    """Another machine has written the key meanwhile, or an earlier write of our own arrived after all."""


@dataclass(frozen=True)
class KeyEntry:
    """A key's value as of a revision, which each write to the bucket raises; ``value``: None where it is removed."""

    key: str
    value: bytes | None
    revision: int


def key_of(line: str, *parts: object) -> str:
    """What is kept of a line, as a key: of letters, digits and ``-/_=.`` only (NATS ADR-8)."""
    return ".".join([line.removeprefix("+"), *map(str, parts)])


class Bucket(Protocol):
    """Values by key. Of two writes over the same revision one fails, and nothing more is asked of it."""

    async def read(self, key: str) -> KeyEntry | None:
        """What a key has, None where it has nothing; it may be out of date. Raises EngineAway."""

    async def write(self, key: str, value: bytes, last: int) -> int:
        """Write over the revision ``last`` (0: the key has nothing); the new revision. Raises Conflict, EngineAway."""

    def watch(self, quiet_s: float) -> AsyncGenerator[KeyEntry, None]:
        """What each key has, then each change. Ends after ``quiet_s`` seconds without one: a watch may die in silence.

        Raises EngineAway.
        """


async def changes_of(bucket: Bucket, what: str, begins: Callable[[], None] = lambda: None) -> AsyncIterator[KeyEntry]:
    """What a bucket has, and whatever comes, without an end; each time a watch ``begins`` anew, all of it again.

    ``what``: for the log, where the engine is away.
    """
    while True:
        begins()
        try:
            count = 0
            async for entry in bucket.watch(QUIET_S):
                yield entry
                count += 1
                if count % AT_ONCE == 0:
                    await asyncio.sleep(0)
        except EngineAway as error:
            log.debug("%s: %s", what, error)
            await asyncio.sleep(AGAIN_S)
