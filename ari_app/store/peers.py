"""What Telegram answered when a line asked who a destination is."""

from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.store import Store


@dataclass(frozen=True)
class LinePeers:
    """The answers that one line has got. Access hashes are good for that account only, so lines share none."""

    store: Store
    line: str

    async def get(self, destination: str, now: float) -> str | None:
        """The answer, as it was put, unless it has become too old; None where there is none."""

        def read(db: Database) -> str | None:
            where = "line = ? AND destination = ? AND until > ?"
            rows = db.table("resolved").rows_where(where, [self.line, destination, now])
            return next((row["answer"] for row in rows), None)

        return await self.store.run(read)

    async def put(self, destination: str, answer: str, now: float, until: float) -> None:
        """Keep an answer until then, in place of an earlier one; what is too old by now is forgotten."""

        def write(db: Database) -> None:
            db.table("resolved").delete_where("until <= ?", [now])
            row = {"line": self.line, "destination": destination, "until": until, "answer": answer}
            db.table("resolved").upsert(row, pk=("line", "destination"))

        await self.store.run(write)

    async def drop(self, destination: str) -> None:
        """Forget an answer."""
        where = "line = ? AND destination = ?"
        await self.store.run(lambda db: db.table("resolved").delete_where(where, [self.line, destination]))
