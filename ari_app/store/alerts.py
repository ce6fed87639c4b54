"""Alerts: what was found wrong, what was told of it to whom, and what is muted. Times are Unix times."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlite_utils import Database

from ari_app.store.passes import BATCH
from ari_app.store.store import Store
from ari_app.store.webhooks import DeliveryRow

MOST_KEPT = 1000
"""Alerts that are over, and as many messages about alerts, that are kept to be looked at."""


@dataclass(frozen=True)
class AlertRow:
    """An alert; ``sentence`` is JSON, ``told`` whether somebody was told of it."""

    id: str
    kind: str
    subject: str
    line: str
    sentence: str
    since: float
    closed_at: float | None
    told: bool


@dataclass(frozen=True)
class MuteRow:
    """What nobody is told of until a time, or, None, until somebody ends it; an empty ``kind`` is all of it."""

    id: str
    kind: str
    subject: str
    until: float | None
    who: str
    made_at: float


@dataclass(frozen=True)
class AlertRepository:
    """All of it; what is awaited raises StoreUnavailable."""

    store: Store

    async def open(self) -> list[AlertRow]:
        """Those that are not over, the oldest first."""

        def read(db: Database) -> list[AlertRow]:
            return [_alert(row) for row in db.table("alerts").rows_where("closed_at IS NULL", order_by="since, id")]

        return await self.store.run(read)

    async def last(self, limit: int) -> list[AlertRow]:
        """Those that are over, the last one first."""

        def read(db: Database) -> list[AlertRow]:
            rows = db.table("alerts").rows_where("closed_at IS NOT NULL", order_by="closed_at desc", limit=limit)
            return [_alert(row) for row in rows]

        return await self.store.run(read)

    def keep(self, alert: AlertRow) -> None:
        """Keep an alert as it is now; never waits."""

        def write(db: Database) -> None:
            db.table("alerts").upsert({**asdict(alert), "told": int(alert.told)}, pk="id")
            db.execute(
                "DELETE FROM alerts WHERE closed_at <= ("
                "SELECT closed_at FROM alerts WHERE closed_at IS NOT NULL ORDER BY closed_at DESC LIMIT 1 OFFSET ?)",
                [MOST_KEPT],
            )

        self.store.later(("alert", alert.id), write)

    async def waiting(self) -> tuple[list[DeliveryRow], int]:
        """The messages that are not over, in their order; and the highest number that was ever given."""

        def read(db: Database) -> tuple[list[DeliveryRow], int]:
            rows = db.table("alert_deliveries").rows_where("state = 'waiting'", order_by="id")
            last = db.execute("SELECT max(id) FROM alert_deliveries").fetchone()[0]
            return [DeliveryRow(**row) for row in rows], last or 0

        return await self.store.run(read)

    async def deliveries(self, limit: int) -> list[DeliveryRow]:
        """The last messages, the newest first."""

        def read(db: Database) -> list[DeliveryRow]:
            rows = db.table("alert_deliveries").rows_where(order_by="id desc", limit=limit)
            return [DeliveryRow(**row) for row in rows]

        return await self.store.run(read)

    def keep_delivery(self, row: DeliveryRow) -> None:
        """Keep a message as it is now; never waits."""

        def write(db: Database) -> None:
            db.table("alert_deliveries").upsert(asdict(row), pk="id")
            db.execute(
                "DELETE FROM alert_deliveries WHERE state <> 'waiting' AND id <= ("
                "SELECT id FROM alert_deliveries WHERE state <> 'waiting' ORDER BY id DESC LIMIT 1 OFFSET ?)",
                [MOST_KEPT],
            )

        self.store.later(("alert delivery", row.id), write)

    async def prune(self, before: float) -> int:
        """Remove some alerts, and messages about alerts, that are over, and from before; 0 when none is left."""

        def remove(db: Database) -> int:
            alerts = "DELETE FROM alerts WHERE id IN (SELECT id FROM alerts WHERE closed_at < ? LIMIT ?)"
            old = "SELECT id FROM alert_deliveries WHERE made_at < ? AND state <> 'waiting' LIMIT ?"
            messages = f"DELETE FROM alert_deliveries WHERE id IN ({old})"  # noqa: S608
            return sum(db.execute(sql, [before, BATCH]).rowcount for sql in (alerts, messages))

        return await self.store.run(remove)

    async def mutes(self) -> list[MuteRow]:
        """All of them, the oldest first."""

        def read(db: Database) -> list[MuteRow]:
            return [MuteRow(**row) for row in db.table("alert_mutes").rows_where(order_by="made_at, id")]

        return await self.store.run(read)

    async def mute(self, row: MuteRow) -> None:
        """Keep one, in place of what was muted of the same."""

        def write(db: Database) -> None:
            db.table("alert_mutes").delete_where("kind = ? AND subject = ?", [row.kind, row.subject])
            db.table("alert_mutes").insert(asdict(row))

        await self.store.run(write)

    async def unmute(self, ids: Sequence[str]) -> None:
        """Forget some."""

        def write(db: Database) -> None:
            for id in ids:
                db.table("alert_mutes").delete_where("id = ?", [id])

        await self.store.run(write)

    async def people(self) -> dict[str, int]:
        """The Telegram ids of destinations that a line has found."""

        def read(db: Database) -> dict[str, int]:
            return {row["destination"]: row["person_id"] for row in db.table("alert_people").rows}

        return await self.store.run(read)

    def keep_person(self, destination: str, person_id: int) -> None:
        """Keep whom a line has found; never waits."""
        row = {"destination": destination, "person_id": person_id}
        self.store.later(
            ("alert person", destination), lambda db: db.table("alert_people").upsert(row, pk="destination")
        )

    async def calls_since(self, since: float, failed: Sequence[str]) -> tuple[int, int]:
        """How many calls of this machine that have begun since are over, and how many of them with these statuses."""
        places = ", ".join("?" * len(failed))
        sql = (
            f"SELECT count(*), coalesce(sum(status IN ({places})), 0) FROM calls "  # noqa: S608
            "WHERE began_at >= ? AND status IS NOT NULL AND machine = ''"
        )

        def read(db: Database) -> tuple[int, int]:
            found, fail = db.execute(sql, [*failed, since]).fetchone()
            return int(found), int(fail)

        return await self.store.run(read)


def _alert(row: dict[str, object]) -> AlertRow:
    return AlertRow(**{**row, "told": bool(row["told"])})  # type: ignore[arg-type]
