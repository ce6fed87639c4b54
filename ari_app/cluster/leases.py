"""Who holds a line, and with it acts for it: the port that what keeps the leases is behind."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(eq=False)
class HeldLine:
    """A line that this machine holds until ``lost`` is set; whoever works for it then stops, and leaves `hold()`.

    ``token`` grows with each holder. ``hand_to``: the machine that is to have it next.
    """

    line: str
    token: int
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    hand_to: str | None = None

    @property
    def is_valid(self) -> bool:
        """Whether it is still ours at this moment."""
        return not self.lost.is_set()

    async def is_lost_within(self, seconds: float) -> bool:
        """Wait for so long at most; whether it is lost then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.lost.wait()
        return self.lost.is_set()

    def hand_over_to(self, machine: str) -> None:
        """Let go of it in favour of another machine, which takes it at once."""
        self.hand_to = machine
        self.lost.set()


class Leases(Protocol):
    """Gives each line to one machine at a time."""

    def hold(self, line: str) -> AbstractAsyncContextManager[HeldLine]:
        """Wait until this machine holds a line; leaving the block lets go of it."""
