"""What limits a line, kept so that a restart forgets none of it."""

import uuid
from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.store import Store


@dataclass(frozen=True)
class LimitRepository:
    """The pauses and the outgoing calls of one line; times are Unix times."""

    store: Store
    line: str

    async def pauses(self, now: float) -> dict[str, tuple[float, str]]:
        """The pauses that are not over, by the request's name: until when, and why. Raises StoreUnavailable."""
        over = "line = ? AND until <= ?"
        self.store.later(("pauses", self.line), lambda db: db.table("pauses").delete_where(over, [self.line, now]))

        def read(db: Database) -> dict[str, tuple[float, str]]:
            rows = db.table("pauses").rows_where("line = ? AND until > ?", [self.line, now])
            return {row["request"]: (row["until"], row["reason"]) for row in rows}

        return await self.store.run(read)

    def pause(self, request: str, until: float, reason: str) -> None:
        """Keep a pause, in place of an earlier one of the same request; never waits."""
        row = {"line": self.line, "request": request, "until": until, "reason": reason}
        self.store.later(
            ("pause", self.line, request), lambda db: db.table("pauses").upsert(row, pk=("line", "request"))
        )

    async def calls(self, since: float) -> list[float]:
        """When this line called somebody, the oldest first; what is older is forgotten. Raises StoreUnavailable."""
        old = "line = ? AND at <= ?"
        self.store.later(("outgoing", self.line), lambda db: db.table("outgoing").delete_where(old, [self.line, since]))

        def read(db: Database) -> list[float]:
            rows = db.table("outgoing").rows_where("line = ? AND at > ?", [self.line, since], order_by="at")
            return [row["at"] for row in rows]

        return await self.store.run(read)

    def called(self, at: float) -> None:
        """Keep that the line called somebody; never waits."""
        row = {"line": self.line, "at": at}
        self.store.later(("outgoing", self.line, uuid.uuid4().hex), lambda db: db.table("outgoing").insert(row))
