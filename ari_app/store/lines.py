"""The lines, and what is set for the whole installation."""

from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.store import Store

OF_A_LINE = ("pauses", "outgoing", "resolved", "keypads", "keypads_sending", "cards", "card_files")
"""Tables whose rows belong to a line; they go with it. Its calls stay: they are the installation's history."""
CACHES = ("resolved",)


@dataclass(frozen=True)
class LineRepository:
    """The settings of each line, as JSON; what they mean is not known here."""

    store: Store

    async def all(self) -> dict[str, str]:
        """By number, the oldest line first."""

        def read(db: Database) -> dict[str, str]:
            return {row["number"]: row["settings"] for row in db.table("lines").rows_where(order_by="rowid")}

        return await self.store.run(read)

    async def save(self, number: str, settings: str) -> None:
        """Keep a line, in place of what was kept of it."""

        def write(db: Database) -> None:
            db.execute(
                "INSERT INTO lines (number, settings) VALUES (?, ?) "
                "ON CONFLICT (number) DO UPDATE SET settings = excluded.settings",
                [number, settings],
            )

        await self.store.run(write)

    async def had_device(self) -> set[str]:
        """The lines that this machine has had a device of, or was asked for the password of one."""

        def read(db: Database) -> set[str]:
            return {row["number"] for row in db.table("lines").rows_where("had_device = 1")}

        return await self.store.run(read)

    async def has_device(self, number: str) -> None:
        """From now on it is one of these."""

        def write(db: Database) -> None:
            db.execute("UPDATE lines SET had_device = 1 WHERE number = ?", [number])

        await self.store.run(write)

    async def remove(self, number: str) -> None:
        """Forget a line, and what belongs to it."""

        def write(db: Database) -> None:
            db.table("lines").delete_where("number = ?", [number])
            for name in OF_A_LINE:
                db.table(name).delete_where("line = ?", [number])

        await self.store.run(write)

    async def forget_caches(self, number: str) -> None:
        """What the line has learnt from Telegram; it will ask again."""

        def write(db: Database) -> None:
            for name in CACHES:
                db.table(name).delete_where("line = ?", [number])

        await self.store.run(write)


@dataclass(frozen=True)
class InstallationRepository:
    """What an administrator has set for the whole installation, by name."""

    store: Store

    async def all(self) -> dict[str, str]:
        """What has been set."""

        def read(db: Database) -> dict[str, str]:
            return {row["name"]: row["value"] for row in db.table("installation").rows}

        return await self.store.run(read)

    async def change(self, values: dict[str, str | None]) -> None:
        """Keep some; None forgets."""

        def write(db: Database) -> None:
            for name, value in values.items():
                if value is None:
                    db.table("installation").delete_where("name = ?", [name])
                else:
                    db.table("installation").upsert({"name": name, "value": value}, pk="name")

        await self.store.run(write)
