"""Where events are sent by HTTP, and what became of each."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from sqlite_utils import Database

from ari_app.store.passes import BATCH
from ari_app.store.store import Store
from ari_app.store.write_queue import Done

MOST_KEPT = 1000
"""Deliveries of a webhook that are over and are kept, to be looked at and sent again: some MB."""

DeliveryState = Literal["waiting", "delivered", "failed", "lost"]


@dataclass(frozen=True)
class WebhookRow:
    """A webhook. ``events``: the types that it gets; none: all. ``message_text``: whether texts of people are sent."""

    id: str
    url: str
    events: tuple[str, ...]
    enabled: bool
    message_text: bool
    made_at: float
    secret: str = field(repr=False)


@dataclass(frozen=True)
class DeliveryRow:
    """An event for a webhook; times are Unix times. ``id`` only grows.

    ``event_id`` is the event's own, the same for each webhook and each try. Events with the same ``key`` go one after
    the other. Tries are counted from ``since`` on. ``status`` and ``answer``, its first bytes, are the last try's.
    """

    id: int
    webhook: str
    event_id: str
    type: str
    key: str
    body: str
    made_at: float
    since: float
    next_at: float
    state: DeliveryState = "waiting"
    attempts: int = 0
    last_at: float | None = None
    status: int | None = None
    answer: str = ""
    error: str = ""


@dataclass(frozen=True)
class WebhookRepository:
    """All webhooks and their deliveries."""

    store: Store

    async def all(self) -> list[WebhookRow]:
        """The oldest first. Raises StoreUnavailable, as all that is awaited here."""

        def read(db: Database) -> list[WebhookRow]:
            return [_webhook(row) for row in db.table("webhooks").rows_where(order_by="made_at, id")]

        return await self.store.run(read)

    async def save(self, webhook: WebhookRow) -> None:
        """Keep a webhook, in place of what was kept of it."""
        row = asdict(webhook) | {"events": json.dumps(webhook.events)}
        await self.store.run(lambda db: db.table("webhooks").upsert(row, pk="id"))

    async def remove(self, id: str) -> None:
        """Forget a webhook with its deliveries."""

        def write(db: Database) -> None:
            db.table("webhooks").delete_where("id = ?", [id])
            db.table("webhook_deliveries").delete_where("webhook = ?", [id])

        await self.store.run(write)

    async def waiting(self) -> tuple[list[DeliveryRow], int]:
        """The deliveries that are not over, in their order; and the highest number that was ever given."""

        def read(db: Database) -> tuple[list[DeliveryRow], int]:
            rows = db.table("webhook_deliveries").rows_where("state = 'waiting'", order_by="id")
            last = db.execute("SELECT max(id) FROM webhook_deliveries").fetchone()[0]
            return [DeliveryRow(**row) for row in rows], last or 0

        return await self.store.run(read)

    async def deliveries(
        self, webhook: str, state: DeliveryState | None, before: int | None, limit: int
    ) -> list[DeliveryRow]:
        """The newest first, those with a number below ``before``."""
        where, values = "webhook = :webhook", {"webhook": webhook, "state": state, "before": before}
        where += " AND state = :state" if state else ""
        where += " AND id < :before" if before is not None else ""

        def read(db: Database) -> list[DeliveryRow]:
            table = db.table("webhook_deliveries")
            return [DeliveryRow(**row) for row in table.rows_where(where, values, order_by="id desc", limit=limit)]

        return await self.store.run(read)

    async def kept(self, event_ids: Sequence[str]) -> set[tuple[str, str]]:
        """Which webhook has a delivery of which of these events, whatever became of it."""
        marks = ", ".join("?" * len(event_ids))
        query = f"SELECT DISTINCT webhook, event_id FROM webhook_deliveries WHERE event_id IN ({marks})"  # noqa: S608
        return set(await self.store.run(lambda db: db.execute(query, event_ids).fetchall())) if event_ids else set()

    async def delivery(self, webhook: str, id: int) -> DeliveryRow | None:
        """One of them."""

        def read(db: Database) -> DeliveryRow | None:
            rows = db.table("webhook_deliveries").rows_where("id = ? AND webhook = ?", [id, webhook])
            return next((DeliveryRow(**row) for row in rows), None)

        return await self.store.run(read)

    async def prune(self, before: float) -> int:
        """Forget some that were made before, and are over; 0 when none is left."""
        old = "SELECT id FROM webhook_deliveries WHERE made_at < ? AND state <> 'waiting' LIMIT ?"
        sql = f"DELETE FROM webhook_deliveries WHERE id IN ({old})"  # noqa: S608
        return await self.store.run(lambda db: db.execute(sql, [before, BATCH]).rowcount)

    def keep(self, rows: Sequence[DeliveryRow], done: Done) -> None:
        """Keep these as they are now, and forget the oldest that are over. Never waits.

        What follows has to wait until ``done`` is told.
        """

        def write(db: Database) -> None:
            known = {row["id"] for row in db.table("webhooks").rows}
            kept = [asdict(row) for row in rows if row.webhook in known]  # one may be removed meanwhile
            db.table("webhook_deliveries").upsert_all(kept, pk="id")
            for webhook in {row["webhook"] for row in kept}:
                db.execute(
                    "DELETE FROM webhook_deliveries WHERE webhook = :webhook AND state <> 'waiting' AND id <= ("
                    "SELECT id FROM webhook_deliveries WHERE webhook = :webhook AND state <> 'waiting' "
                    "ORDER BY id DESC LIMIT 1 OFFSET :most)",
                    {"webhook": webhook, "most": MOST_KEPT},
                )

        self.store.later(("deliveries of webhooks",), write, done)


def _webhook(row: dict[str, object]) -> WebhookRow:
    webhook = WebhookRow(**row)  # type: ignore[arg-type]
    events = tuple(json.loads(str(row["events"])))
    return replace(webhook, events=events, enabled=bool(webhook.enabled), message_text=bool(webhook.message_text))
