"""The bot of several machines: one of them fetches what is meant for it, and asks the others about what is theirs.

Telegram gives a bot's updates to one program only. So each machine puts its address into the queries and buttons that
it makes, and whoever fetches needs no list of them: a query or a press says itself whom it is for.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

Answer = Callable[[bytes], bytes]
"""Answers another machine, without waiting."""


class MachineAway(Exception):
    """A machine has not answered, or not in time: it may have done what it was asked to."""


class Machines(Protocol):
    """This machine among those that the bot works for."""

    @property
    def address(self) -> str:
        """How queries and buttons name this machine: 8 letters, digits, - or _. Empty where it is the only one."""

    def fetches(self) -> bool:
        """Whether this machine fetches what is meant for the bot, at this moment."""

    def others(self) -> Sequence[str]:
        """The addresses of the others that are there."""

    async def ask(self, address: str, what: str, question: bytes) -> bytes:
        """What another machine answers, within a few seconds. Raises MachineAway."""

    def serve(self, what: str, answer: Answer) -> None:
        """Answer what the others ask."""


class BotAlone:
    """It has nobody to ask."""

    address = ""

    def fetches(self) -> bool:
        """Who else."""
        return True

    def others(self) -> Sequence[str]:
        """None."""
        return ()

    async def ask(self, address: str, what: str, question: bytes) -> bytes:
        """Nobody answers."""
        raise MachineAway("there is no other machine")

    def serve(self, what: str, answer: Answer) -> None:
        """Nobody asks."""
