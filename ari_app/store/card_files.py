"""The files of the lines' business cards: kept in the database, so that they go with their line and into a backup."""

from dataclasses import asdict, dataclass

from sqlite_utils import Database

from ari_app.store.store import Store


@dataclass(frozen=True)
class CardFileRow:
    """One file of a line's card. ``kind``: what it is for; ``type``: its media type; ``put_at``: a Unix time."""

    line: str
    kind: str
    name: str
    type: str
    content: bytes
    put_at: float


@dataclass(frozen=True)
class AboutCardFile:
    """All of it but its content; ``size`` in bytes."""

    kind: str
    name: str
    type: str
    size: int
    put_at: float


ABOUT = "kind, name, type, length(content) AS size, put_at"


@dataclass(frozen=True)
class CardFileRepository:
    """The files of all lines."""

    store: Store

    async def save(self, file: CardFileRow) -> bool:
        """Keep a file in place of the one of its kind; False where there is no such line (any more)."""

        def write(db: Database) -> bool:
            if not db.table("lines").count_where("number = ?", [file.line]):
                return False
            db.table("card_files").upsert(asdict(file), pk=("line", "kind"))
            return True

        return await self.store.run(write)

    async def has_line(self, number: str) -> bool:
        """Whether there is a line that files could be kept of."""
        return await self.store.run(lambda db: bool(db.table("lines").count_where("number = ?", [number])))

    async def get(self, line: str, kind: str) -> CardFileRow | None:
        """One file; None where there is none."""

        def read(db: Database) -> CardFileRow | None:
            rows = db.table("card_files").rows_where("line = ? AND kind = ?", [line, kind])
            return next((CardFileRow(**row) for row in rows), None)

        return await self.store.run(read)

    async def about(self, line: str) -> dict[str, AboutCardFile]:
        """What files a line has, by their kind."""

        def read(db: Database) -> dict[str, AboutCardFile]:
            rows = db.table("card_files").rows_where("line = ?", [line], select=ABOUT)
            return {row["kind"]: AboutCardFile(**row) for row in rows}

        return await self.store.run(read)

    async def all_about(self) -> list[tuple[str, AboutCardFile]]:
        """What files there are, each with its line."""

        def read(db: Database) -> list[tuple[str, AboutCardFile]]:
            rows = db.table("card_files").rows_where(select=f"line, {ABOUT}")
            return [(row.pop("line"), AboutCardFile(**row)) for row in rows]

        return await self.store.run(read)

    async def remove(self, line: str, kind: str) -> bool:
        """Forget a file; False where there was none."""

        def write(db: Database) -> bool:
            table = db.table("card_files")
            there = bool(table.count_where("line = ? AND kind = ?", [line, kind]))
            table.delete_where("line = ? AND kind = ?", [line, kind])
            return there

        return await self.store.run(write)
