"""What limits a line, kept so that a restart forgets none of it."""

from dataclasses import dataclass

from sqlite_utils import Database

from ari_app.store.store import Store


@dataclass(frozen=True)
class LineLimits:
    """The pauses and the outgoing calls of one line; times are Unix times."""

    store: Store
    line: str

    async def pauses(self, now: float) -> dict[str, tuple[float, str]]:
        """The pauses that are not over, by the request's name: until when, and why."""

        def read(db: Database) -> dict[str, tuple[float, str]]:
            db.table("pauses").delete_where("line = ? AND until <= ?", [self.line, now])
            rows = db.table("pauses").rows_where("line = ?", [self.line])
            return {row["request"]: (row["until"], row["reason"]) for row in rows}

        return await self.store.run(read)

    async def pause(self, request: str, until: float, reason: str) -> None:
        """Keep a pause, in place of an earlier one of the same request."""
        row = {"line": self.line, "request": request, "until": until, "reason": reason}
        await self.store.run(lambda db: db.table("pauses").upsert(row, pk=("line", "request")))

    async def calls(self, since: float) -> list[float]:
        """When this line called somebody, the oldest first; what is older is forgotten."""

        def read(db: Database) -> list[float]:
            db.table("outgoing").delete_where("line = ? AND at <= ?", [self.line, since])
            return [row["at"] for row in db.table("outgoing").rows_where("line = ?", [self.line], order_by="at")]

        return await self.store.run(read)

    async def called(self, at: float) -> None:
        """Remember an outgoing call."""
        await self.store.run(lambda db: db.table("outgoing").insert({"line": self.line, "at": at}))
