"""Keypads that are shown, so that the next start removes what a killed program left."""

from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.store import Store


@dataclass(frozen=True)
class ShownKeypads:
    """The messages of one line."""

    store: Store
    line: str

    async def add(self, message_id: int) -> None:
        """A keypad was sent; the id is the message's in the line's account."""
        row = {"line": self.line, "message_id": message_id}
        await self.store.run(lambda db: db.table("keypads").upsert(row, pk=("line", "message_id")))

    async def all(self) -> list[int]:
        """What is, or was, shown."""

        def read(db: Database) -> list[int]:
            return [row["message_id"] for row in db.table("keypads").rows_where("line = ?", [self.line])]

        return await self.store.run(read)

    async def remove(self, message_id: int) -> None:
        """It is deleted."""
        where = "line = ? AND message_id = ?"
        await self.store.run(lambda db: db.table("keypads").delete_where(where, [self.line, message_id]))
