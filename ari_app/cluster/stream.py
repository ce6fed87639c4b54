"""What histories ask of the cluster's engine: a stream, whose messages have numbers that grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class StreamState:
    """``id``: of this stream, another one where the engine has lost it; ``last``: the highest number, 0 for none."""

    id: str
    last: int


@dataclass(frozen=True)
class StreamMessage:
    """``number``: in the stream, where some may be missing."""

    number: int
    value: bytes


@dataclass(frozen=True)
class OutgoingMessage:
    """Replaces what the stream has of the same ``subject``, where that keeps one of each; ``id``: the same once more is
    left out, for some minutes at least.
    """

    subject: str
    id: str
    value: bytes


class Stream(Protocol):
    """Everything raises EngineAway."""

    name: str

    async def state(self) -> StreamState:
        """How it is now; it is made where there is none."""

    async def after(self, number: int, most: int) -> list[StreamMessage]:
        """The next messages after a number, in their order; none where there are none yet."""

    async def publish(self, messages: Sequence[OutgoingMessage]) -> list[int | None]:
        """Have messages kept, in any order: the number that each got; None: it was left out."""
