"""The business cards that were sent, by this machine or another one of its cluster, as this machine knows them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from ari_app.cluster.shared_cards import IsLeft, OwnCards, SharedCards
from ari_app.cluster.shared_limits import CLOCKS_APART_S
from ari_app.store.cards import CardRepository, CardRow
from ari_app.store.store import Store

LIFE_S = 30 * 86400.0
"""How long a button can be pressed, if nothing else is set."""


class KnownCards:
    """Those of all lines, and who may press their buttons.

    ``life_s``: how long one is remembered. ``shared``: the other machines'. ``clock`` gives Unix time. ``on_request``
    is told who was called back by another machine; it may be set later.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float] = time.time,
        life_s: Callable[[], float] = lambda: LIFE_S,
        shared: SharedCards | None = None,
    ) -> None:
        self.on_request: Callable[[int], None] = lambda person_id: None
        self._table = CardRepository(store)
        self._clock = clock
        self._life_s = life_s
        self._shared = shared or OwnCards()
        self._cards: dict[str, CardRow] = {}

    async def load(self) -> None:
        """Remember the cards of earlier runs; before anything else."""
        cards = await self._table.since(self._clock() - self._life_s())
        own = self._shared.machine
        # Those of a time when this machine was the only one are its own, and all are where it is the only one again.
        self._cards = {card.id: card if own and card.machine else replace(card, machine=own) for card in cards}

    # --- of this machine's calls

    def save(self, card: CardRow) -> None:
        """Know a new one; before it is sent, so that the end of another call does not send a second one."""
        self._keep(replace(card, machine=self._shared.machine))

    def drop(self, card: CardRow) -> None:
        """It was not sent, or nobody is to know of it any more."""
        self._remove(card.id)
        self._shared.forgotten(card.id)

    def drop_old(self) -> None:
        """Those whose buttons work no more."""
        self._expire(self._clock() - self._life_s())

    def last_sent_at(self, person_id: int) -> float:
        """When they got their last card, or began to; whichever line it was: to them they are all the same company."""
        return max((card.sent_at for card in self._cards.values() if card.person_id == person_id), default=0.0)

    def find(self, card_id: str) -> CardRow | None:
        """A card whose button can be pressed."""
        card = self._cards.get(card_id)
        return card if card and card.secret and not self._is_old(card) else None

    def is_asked_elsewhere(self, person_id: int) -> bool:
        """Whether another machine is calling somebody back."""
        return any(card.person_id == person_id and self._shared.is_served(card) for card in self._cards.values())

    async def claim(self, card: CardRow, message_id: str) -> bool:
        """A message of the card's (its inline id) tells of a request from now on; False where that is not this
        machine's to serve. Waits for the other machines, for seconds at most."""
        claimed = await self._shared.claimed(self._cards.get(card.id, card), message_id)
        if claimed and (known := self._cards.get(card.id)):  # else it is forgotten by now
            self._keep(known.joined(claimed))
        return claimed is not None

    def told(self, card: CardRow) -> None:
        """No message of it tells of a request any more."""
        if known := self._cards.get(card.id):
            self._keep(known.changed(self._shared.machine, tells_in=""))

    def is_telling(self, card: CardRow) -> bool:
        """Whether a message of it tells of a request; not of one that is forgotten."""
        return card.id in self._cards and bool(self._cards[card.id].tells_in)

    def retire(self, card: CardRow) -> None:
        """Its button has done its work."""
        self.reached(card.id)

    def reached(self, card_id: str) -> None:
        """Who was called back for a card talks, perhaps in a call that an earlier run has left."""
        if known := self._cards.get(card_id):
            self._keep(known.changed(self._shared.machine, secret=""))

    def telling(self, line: str, is_left: IsLeft | None = None) -> list[CardRow]:
        """A line's cards that tell of requests of this machine's, or of those that others have left."""
        is_wanted = is_left or (lambda card: card.machine == self._shared.machine)
        return [card for card in self._cards.values() if card.line == line and card.tells_in and is_wanted(card)]

    async def repair_left(self, line: str, repair: Callable[[IsLeft], Awaitable[None]]) -> None:
        """See `SharedCards.repair_left`."""
        await self._shared.repair_left(line, repair)

    # --- of other machines' calls

    def all(self) -> Iterable[CardRow]:
        """Every one that is not too old."""
        return [card for card in self._cards.values() if not self._is_old(card)]

    def follow(self, card: CardRow) -> CardRow | None:
        """Join what another machine knows of one, and what comes of it; None where it is too old."""
        if self._is_old(card):
            return None
        known = self._cards.get(card.id)
        if not known and card.sent_at > self._clock() + CLOCKS_APART_S:  # that machine's clock is wrong
            return card
        joined = known.joined(card) if known else card
        if joined != known:
            self._cards[card.id] = joined
            self._table.save(joined)
            is_new = joined.tells_in and (known is None or joined.tells_in != known.tells_in)
            if is_new and joined.machine != self._shared.machine:
                self.on_request(joined.person_id)
        return joined

    def follow_forgotten(self, card_id: str) -> None:
        """Another machine has forgotten one."""
        if card_id in self._cards:
            self._remove(card_id)

    # --- what is not kept

    def forget(self, person_id: int) -> None:
        """Know nothing more of somebody's cards; what this machine has kept of them is not touched."""
        for card in [card for card in self._cards.values() if card.person_id == person_id]:
            del self._cards[card.id]
            self._shared.forgotten(card.id)

    def forget_line(self, line: str) -> None:
        """It is removed, and its cards with it."""
        for card in [card for card in self._cards.values() if card.line == line]:
            self.drop(card)

    async def prune(self, before: float) -> int:
        """Forget some cards that were sent before that Unix time; 0 when none is left. Raises StoreUnavailable."""
        self._expire(before)
        return await self._table.prune(before)

    def _expire(self, before: float) -> None:
        for card in [card for card in self._cards.values() if card.sent_at < before]:
            self._remove(card.id)
            self._shared.expired(card.id)

    def _keep(self, card: CardRow) -> None:
        self._cards[card.id] = card
        self._table.save(card)
        self._shared.changed(card)

    def _remove(self, card_id: str) -> None:
        self._cards.pop(card_id, None)
        self._table.delete(card_id)

    def _is_old(self, card: CardRow) -> bool:
        return card.sent_at <= self._clock() - self._life_s()
