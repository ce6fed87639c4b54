"""What Telegram answered when a line asked who a destination is."""

from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.passes import BATCH
from ari_app.store.store import Store


@dataclass(frozen=True)
class PeerRepository:
    """The answers that one line has got. Access hashes are good for that account only, so lines share none."""

    store: Store
    line: str

    async def all(self, now: float) -> dict[str, tuple[str, float]]:
        """The answers that have not become too old, by destination: as they were put, and until when they are good.

        Raises StoreUnavailable.
        """

        def read(db: Database) -> dict[str, tuple[str, float]]:
            rows = db.table("resolved").rows_where("line = ? AND until > ?", [self.line, now], order_by="until")
            return {row["destination"]: (row["answer"], row["until"]) for row in rows}

        return await self.store.run(read)

    def save(self, destination: str, answer: str, now: float, until: float) -> None:
        """Keep an answer until then, in place of an earlier one; what is too old by now is forgotten. Never waits."""

        def write(db: Database) -> None:
            db.table("resolved").delete_where("until <= ?", [now])
            row = {"line": self.line, "destination": destination, "until": until, "answer": answer}
            db.table("resolved").upsert(row, pk=("line", "destination"))

        self.store.later(("resolved", self.line, destination), write)

    def delete(self, destination: str) -> None:
        """Forget an answer; never waits."""
        where = "line = ? AND destination = ?"
        self.store.later(
            ("resolved", self.line, destination),
            lambda db: db.table("resolved").delete_where(where, [self.line, destination]),
        )


async def prune_resolved(store: Store, now: float) -> int:
    """Forget some answers, of any line, that are not good any more; 0 when none is left. Raises StoreUnavailable."""
    sql = "DELETE FROM resolved WHERE rowid IN (SELECT rowid FROM resolved WHERE until <= ? LIMIT ?)"
    return await store.run(lambda db: db.execute(sql, [now, BATCH]).rowcount)
