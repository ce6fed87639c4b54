"""What an administrator sets for a part of the program, such as its alerts."""

from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.store import Store


@dataclass(frozen=True)
class PartRepository:
    """The settings of one part, as JSON; what they mean is not known here."""

    store: Store
    name: str

    async def read(self) -> str:
        """What was set; empty for nothing."""

        def read(db: Database) -> str:
            rows = db.table("part_settings").rows_where("name = ?", [self.name])
            return next((str(row["settings"]) for row in rows), "")

        return await self.store.run(read)

    async def save(self, settings: str) -> None:
        """Keep them, in place of what was kept."""
        row = {"name": self.name, "settings": settings}
        await self.store.run(lambda db: db.table("part_settings").upsert(row, pk="name"))
