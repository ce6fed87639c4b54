"""The events that AMI has not taken yet, kept so that a restart loses none."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.store import Store
from ari_app.store.write_queue import Done

MARK = ""
"""The name of the row that holds the last number that was taken, so that numbers grow whatever becomes of the clock."""


@dataclass(frozen=True)
class SpooledEvent:
    """One event; ``id`` is its EventID, and only grows, also over a restart."""

    id: int
    name: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class AmiSpoolRepository:
    """All that wait."""

    store: Store

    async def all(self) -> tuple[list[SpooledEvent], int, int]:
        """In their order, the last number that is known to be taken, and the highest that was ever given.

        0 where there is none. Raises StoreUnavailable.
        """

        def read(db: Database) -> list[tuple[int, str, str]]:
            return list(db.execute("SELECT id, name, headers FROM ami_events ORDER BY id"))

        rows = await self.store.run(read)
        events = [SpooledEvent(id, name, json.loads(headers)) for id, name, headers in rows if name != MARK]
        taken = next((id for id, name, _ in rows if name == MARK), 0)
        return events, taken, rows[-1][0] if rows else 0

    def apply(
        self, events: Sequence[SpooledEvent], over: range, but: Collection[int], taken: int | None, done: Done
    ) -> None:
        """Keep these events; forget those with the numbers ``over``, ``but`` these; remember ``taken``. Never waits.

        What follows has to wait until ``done`` is told.
        """

        def write(db: Database) -> None:
            rows = [(event.id, event.name, json.dumps(dict(event.headers))) for event in events]
            rows += [(taken, MARK, "{}")] if taken is not None else []
            db.conn.executemany("INSERT OR REPLACE INTO ami_events (id, name, headers) VALUES (?, ?, ?)", rows)
            kept = [*but, *([] if taken is None else [taken])]
            sql = f"DELETE FROM ami_events WHERE id >= ? AND id < ? AND id NOT IN ({','.join('?' * len(kept))})"  # noqa: S608
            db.execute(sql, [over.start, over.stop, *kept])

        self.store.later(("events for AMI",), write, done)

    def remove(self, ids: Collection[int]) -> None:
        """Forget events by their numbers, also those that are being written. Never waits."""

        def write(db: Database) -> None:
            db.conn.executemany("DELETE FROM ami_events WHERE id = ?", [(id,) for id in ids])

        self.store.later(("events for AMI", "forgotten", min(ids)), write)
