"""What was told of a person, or to them: events for webhooks and AMI, and alerts."""

from __future__ import annotations

import json
from collections.abc import Callable

from sqlite_utils import Database

from ari_app.pbx.ami_spool import Spool
from ari_app.people.data_subject import DataSubject
from ari_app.people.places import Item, TablePlace
from ari_app.store.passes import TableRow
from ari_app.store.store import Store


class DeliveryPlace(TablePlace):
    """Deliveries of webhooks."""

    kind = "deliveries"
    table = "webhook_deliveries"
    columns = ("webhook", "type", "body", "state", "made_at")
    sought_in = ("body",)

    def owns(self, db: Database, row: TableRow, who: DataSubject) -> bool:
        """By the event."""
        return in_body(who, row["body"])

    def item(self, db: Database, row: TableRow, when: Callable[[float], str]) -> Item:
        """As it was sent."""
        return {"made_at": when(row["made_at"]), "state": row["state"], "event": json.loads(row["body"])}


class EventPlace(TablePlace):
    """Events that wait for AMI; without a ``spool``, those of a time when AMI was told."""

    kind = "events"
    table = "ami_events"
    columns = ("name", "headers")
    sought_in = ("headers",)

    def __init__(self, store: Store, spool: Spool | None) -> None:
        super().__init__(store)
        self._spool = spool

    def owns(self, db: Database, row: TableRow, who: DataSubject) -> bool:
        """By the event."""
        return who.is_in_event(json.loads(row["headers"]))

    def item(self, db: Database, row: TableRow, when: Callable[[float], str]) -> Item:
        """As AMI would get it."""
        return {"event": row["name"], **json.loads(row["headers"])}

    async def erase(self, who: DataSubject) -> int:
        """Erase them where they wait, too, from where they are written."""
        events = await self.count(who)
        if self._spool:
            self._spool.forget(lambda event: who.is_in_event(event.headers))
        await super().erase(who)
        return events


class AlertPlace(TablePlace):
    """Messages about alerts to somebody on Telegram who is told of them."""

    kind = "alerts"
    table = "alert_deliveries"
    columns = ("webhook", "key", "body", "state", "made_at")
    sought_in = ("key",)

    def owns(self, db: Database, row: TableRow, who: DataSubject) -> bool:
        """By where it goes."""
        return who.is_called(row["key"])

    def item(self, db: Database, row: TableRow, when: Callable[[float], str]) -> Item:
        """As it was sent."""
        return {"made_at": when(row["made_at"]), "by": row["webhook"], "to": row["key"], **json.loads(row["body"])}


class AlertPersonPlace(TablePlace):
    """Whose Telegram account a destination of alerts is."""

    kind = "alerts"
    table = "alert_people"
    columns = ("destination", "person_id")
    sought_in = ("destination", "person_id")

    def owns(self, db: Database, row: TableRow, who: DataSubject) -> bool:
        """By the Telegram id."""
        return bool(row["person_id"] == who.id)

    def item(self, db: Database, row: TableRow, when: Callable[[float], str]) -> Item:
        """Both."""
        return {"to": row["destination"], "telegram_id": row["person_id"]}


def in_body(who: DataSubject, body: str) -> bool:
    """Whether the event in a webhook's body is about somebody."""
    try:
        data = json.loads(body)["data"]
    except (ValueError, KeyError, TypeError):
        return False
    return isinstance(data, dict) and who.is_in_event(data)
