"""What the machines of a cluster ask each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

ASK_S = 2.0
"""For one answer, of another machine or of the engine; it is asked again by whoever needs it."""


class Messenger(Protocol):
    """Brings questions to other machines, by their address (`members.address_of`)."""

    async def ask(self, address: str, what: str, question: bytes, within_s: float = ASK_S) -> bytes:
        """What that machine answers.

        Raises EngineAway, also where it does not answer: it may have done what it was asked to all the same.
        """

    def serve(self, what: str, answer: Callable[[bytes], bytes]) -> None:
        """Answer what the others ask this machine, in their order and without waiting."""

    def serve_in_tasks(self, what: str, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        """The same for what takes time: several are answered at once."""
