"""The events that AMI has not taken yet, kept so that a restart loses none."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.store import Store
from ari_app.store.write_queue import Done


@dataclass(frozen=True)
class AmiEventRow:
    """One event by its number, which only grows: its name, and its headers as JSON."""

    id: int
    name: str
    headers: str


@dataclass(frozen=True)
class AmiSpoolRepository:
    """All that wait."""

    store: Store

    async def all(self) -> list[AmiEventRow]:
        """In their order. Raises StoreUnavailable."""

        def read(db: Database) -> list[AmiEventRow]:
            return [AmiEventRow(**row) for row in db.table("ami_events").rows_where(order_by="id")]

        return await self.store.run(read)

    def apply(self, changes: Mapping[int, AmiEventRow | None], done: Done) -> None:
        """Keep these events, and forget those that are None; never waits.

        Until ``done`` is told, a further call has to have the same changes, too: it takes this one's place.
        """

        def write(db: Database) -> None:
            for id, row in changes.items():
                if row is None:
                    db.table("ami_events").delete_where("id = ?", [id])
                else:
                    db.table("ami_events").upsert(vars(row), pk="id")

        self.store.later(("events for AMI",), write, done)
