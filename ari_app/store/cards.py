"""The business cards that were sent, kept so that a restart neither sends one too early nor forgets a button."""

from dataclasses import asdict, dataclass

from sqlite_utils import Database

from ari_app.store.passes import BATCH
from ari_app.store.store import Store


@dataclass(frozen=True)
class CardRow:
    """One card of a line for one person.

    ``person``: what was known of them, as JSON. ``text`` and ``button``: what the message says. ``secret``: what its
    button is signed with, in hex; empty where it has none (any more). ``sent_at``: Unix time. ``tells_in``: the message
    (its inline id) that tells of a request while there is one.
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

    def delete(self, card: CardRow) -> None:
        """Forget a card; never waits."""
        self.store.later(("card", card.id), lambda db: db.table("cards").delete_where("id = ?", [card.id]))
