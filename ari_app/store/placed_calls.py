"""Calls that programs have asked for under a key of theirs, so that none is placed twice."""

from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.passes import BATCH
from ari_app.store.store import Store

KEPT_S = 7 * 24 * 3600.0
"""How long a key is known: longer than anybody goes on trying."""


@dataclass(frozen=True)
class PlacedCallRow:
    """``request``: what was asked for, as its hash; ``call``: the call's id, empty where it is not known."""

    key: str
    request: str
    call: str
    made_at: float


@dataclass(frozen=True)
class PlacedCallRepository:
    """All keys of the last days. Raises StoreUnavailable."""

    store: Store

    async def reserve(self, key: str, request: str, now: float) -> PlacedCallRow | None:
        """Take a key for a call that is to be placed; what it was taken for before, if it was."""

        def write(db: Database) -> PlacedCallRow | None:
            table = db.table("placed_calls")
            table.delete_where("made_at < ?", [now - KEPT_S])
            for row in table.rows_where("key = ?", [key]):
                return PlacedCallRow(**row)
            table.insert({"key": key, "request": request, "call": "", "made_at": now})
            return None

        return await self.store.run(write)

    async def prune(self, now: float) -> int:
        """Forget some keys that are too old; 0 when none is left."""
        sql = "DELETE FROM placed_calls WHERE key IN (SELECT key FROM placed_calls WHERE made_at < ? LIMIT ?)"
        return await self.store.run(lambda db: db.execute(sql, [now - KEPT_S, BATCH]).rowcount)

    def placed(self, key: str, call: str) -> None:
        """Its call has begun. Never waits."""
        self.store.later(
            ("key of a call", key),
            lambda db: db.execute("UPDATE placed_calls SET call = ? WHERE key = ?", [call, key]),
        )

    def free(self, key: str) -> None:
        """No call was placed. Never waits."""
        self.store.later(("key of a call", key), lambda db: db.table("placed_calls").delete_where("key = ?", [key]))
