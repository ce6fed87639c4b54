"""The port between a Telegram call and whatever speaks and listens at its other end."""

from collections.abc import Callable
from typing import Protocol

from media.types import MediaStats

LostCallback = Callable[[str], None]
"""Takes a sentence; called once when the other end is gone."""


class Transport(Protocol):
    """One way to Asterisk, or to files. Nothing in it blocks.

    It is opened and closed by the event loop; from then on a `Tick` has it, in a thread of its own.
    """

    name: str
    rate: int
    """Of what ``push`` takes, in Hz."""

    def start(self) -> None:
        """Telegram media is connected: from now on ``pull`` is called with every tick."""

    def push(self, sound: bytes) -> None:
        """Take one tick of what the Telegram party says, s16le."""

    def pull(self) -> list[bytes]:
        """Give one tick of what the Telegram party is to hear, s16le of 48 kHz, and the next one, too, if it is there.

        In the next tick there is no pull, then. None while nothing is to be sent.
        """

    def stats(self) -> MediaStats:
        """What was counted so far; what the transport does not know is left at its default."""

    async def close(self) -> None:
        """Let go of sockets and files."""
