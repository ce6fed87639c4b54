"""The business cards that were sent, kept so that a restart neither sends one too early nor forgets a button."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from sqlite_utils import Database

from ari_app.store.passes import BATCH
from ari_app.store.store import Store


@dataclass(frozen=True)
class CardRow:
    """One card of a line for one person.

    ``person``: what was known of them, as JSON. ``text`` and ``button``: what the message says. ``secret``: what its
    button is signed with, in hex; empty where it has none (any more). ``sent_at``: Unix time. ``tells_in``: the message
    (its inline id) that tells of a request while there is one. ``changes``: how often it has changed since it was sent,
    and ``machine``: which one of a cluster has made the last change; empty for one that is alone.
    """

    id: str
    line: str
    person_id: int
    person: str
    text: str
    button: str
    secret: str
    sent_at: float
    tells_in: str = ""
    changes: int = 0
    machine: str = ""

    def changed(self, machine: str, *, secret: str | None = None, tells_in: str | None = None) -> CardRow:
        """After one more change, of that machine's; None: that stays."""
        return replace(
            self,
            secret=self.secret if secret is None else secret,
            tells_in=self.tells_in if tells_in is None else tells_in,
            changes=self.changes + 1,
            machine=machine,
        )

    def joined(self, other: CardRow) -> CardRow:
        """What two machines know of it, in whichever order: the later change counts, and a button that has done its
        work stays so."""
        later = max(self, other, key=lambda each: (each.changes, each.machine))
        return later if self.secret and other.secret else replace(later, secret="")


@dataclass(frozen=True)
class CardRepository:
    """The cards of all lines."""

    store: Store

    async def since(self, sent_at: float) -> list[CardRow]:
        """The cards sent since then, the oldest first; what is older is forgotten. Raises StoreUnavailable."""
        self.store.later(("cards",), lambda db: db.table("cards").delete_where("sent_at < ?", [sent_at]))

        def read(db: Database) -> list[CardRow]:
            rows = db.table("cards").rows_where("sent_at >= ?", [sent_at], order_by="sent_at")
            return [CardRow(**row) for row in rows]

        return await self.store.run(read)

    async def prune(self, before: float) -> int:
        """Forget some that were sent before; 0 when none is left."""
        sql = "DELETE FROM cards WHERE id IN (SELECT id FROM cards WHERE sent_at < ? LIMIT ?)"
        return await self.store.run(lambda db: db.execute(sql, [before, BATCH]).rowcount)

    def save(self, card: CardRow) -> None:
        """Keep a card, in place of what was kept of it; never waits."""
        self.store.later(("card", card.id), lambda db: db.table("cards").upsert(asdict(card), pk="id"))

    def delete(self, card_id: str) -> None:
        """Forget a card; never waits."""
        self.store.later(("card", card_id), lambda db: db.table("cards").delete_where("id = ?", [card_id]))
