"""The business cards of all machines of a cluster: a button works, and nobody gets a card too soon, whichever of them
has sent it.

Each machine has all of them. What two of them know of a card is joined (`CardRow.joined`), so that it does not matter
in which order they hear of it; one that is forgotten stays so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from ari_app.store.cards import CardRow

IsLeft = Callable[[CardRow], bool]
"""Whether a card tells of a request of a machine that is gone for good."""


class MachineCards(Protocol):
    """Those of this machine. Nothing here waits."""

    def all(self) -> Iterable[CardRow]:
        """Every one that is not too old."""

    def follow(self, card: CardRow) -> CardRow | None:
        """Join what another machine knows of one, and what comes of it; None where it is too old."""

    def follow_forgotten(self, card_id: str) -> None:
        """Another machine has forgotten one."""


class SharedCards(Protocol):
    """Tells other machines of cards. Only `claimed` waits, and `repair_left`."""

    machine: str
    """This one's name; empty where it is the only one."""

    def changed(self, card: CardRow) -> None:
        """One is sent, or has changed."""

    def forgotten(self, card_id: str) -> None:
        """One was not sent, or nothing of it may be known any more."""

    def expired(self, card_id: str) -> None:
        """One is too old."""

    def is_served(self, card: CardRow) -> bool:
        """Whether another machine, which is there, serves a request that it tells of."""

    async def claimed(self, card: CardRow, message_id: str) -> CardRow | None:
        """The card, when this machine serves a request, of which that message tells; None where that is another one's,
        or its button has done its work."""

    async def run(self, cards: MachineCards) -> None:
        """Follow the other machines, and tell them what they lack; without an end."""

    async def repair_left(self, line: str, repair: Callable[[IsLeft], Awaitable[None]]) -> None:
        """Have a line's cards put right that are left telling of a request, while this machine acts for it.

        ``repair`` is told which are. Without an end, but where there are no other machines.
        """


class OwnCards:
    """Where there is no other machine."""

    machine = ""

    def changed(self, card: CardRow) -> None:
        """Nobody else is told."""

    def forgotten(self, card_id: str) -> None:
        """Nobody else is told."""

    def expired(self, card_id: str) -> None:
        """Nobody else is told."""

    def is_served(self, card: CardRow) -> bool:
        """By nobody else."""
        return False

    async def claimed(self, card: CardRow, message_id: str) -> CardRow | None:
        """It is this machine's."""
        return card.changed("", tells_in=message_id)

    async def run(self, cards: MachineCards) -> None:
        """There is nobody to follow."""

    async def repair_left(self, line: str, repair: Callable[[IsLeft], Awaitable[None]]) -> None:
        """Nobody has left any."""
