"""Webhooks: where events are sent by HTTP, and what became of each."""

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from ari_app.lines.settings import SettingRefused
from ari_app.store.webhooks import DeliveryRow
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.webhooks.noted import note_webhook
from ari_app.webhooks.fields import LONGEST_URL
from ari_app.webhooks.payload import TYPES
from ari_app.webhooks.webhooks import Outbox, UnknownWebhook

WebhookId = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$", examples=["0f3a5c7e9b1d"])]
DeliveryId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Url = Annotated[str, Field(max_length=LONGEST_URL, examples=["https://crm.example.com/astergram"])]
EventTypes = Annotated[list[str], Field(max_length=len(TYPES), examples=[["call.offered", "call.ended"]])]


class WebhookAnswer(BaseModel):
    """A webhook. `events`: the types that it gets; none: all of them. The counts are since the start."""

    id: str
    url: str
    events: list[str]
    enabled: bool
    message_text: bool = Field(description="Whether texts of people are sent.")
    made_at: float
    waiting: int
    delivered: int
    given_up: int = Field(description="Not taken within a day.")
    lost: int = Field(description="There was no room for them.")
    error: str = Field(description="Why the last try has failed; empty where it has not.")

    @classmethod
    def of(cls, outbox: Outbox) -> "WebhookAnswer":
        """Without the secret."""
        row, queue = outbox.row, outbox.queue
        return cls(
            id=row.id,
            url=row.url,
            events=list(row.events),
            enabled=row.enabled,
            message_text=row.message_text,
            made_at=row.made_at,
            waiting=len(queue),
            delivered=queue.delivered,
            given_up=queue.given_up,
            lost=queue.lost,
            error=queue.error,
        )


class MadeWebhook(WebhookAnswer):
    """With the secret that its requests are signed with, which is not shown again."""

    secret: str


class NewWebhook(BaseModel):
    """Where to send which events; addresses of a private network may be used."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    events: EventTypes = []
    enabled: StrictBool = True
    message_text: StrictBool = False


class WebhookChange(BaseModel):
    """Some of it, or all."""

    model_config = ConfigDict(extra="forbid")

    url: Url = ""
    events: EventTypes = []
    enabled: StrictBool = True
    message_text: StrictBool = False


class DeliveryAnswer(BaseModel):
    """An event for a webhook. `status`, `answer` (its first bytes) and `error` are the last try's."""

    id: int
    event_id: str
    type: str
    body: str
    made_at: float
    state: Literal["waiting", "delivered", "failed", "lost"]
    attempts: int
    next_at: float | None = Field(description="When it is tried next; null where it is over.")
    last_at: float | None
    status: int | None
    answer: str
    error: str

    @classmethod
    def of(cls, row: DeliveryRow) -> "DeliveryAnswer":
        """As it is kept."""
        waits = row.state == "waiting"
        return cls.model_validate(asdict(row) | {"next_at": row.next_at if waits else None})


class DeliveriesWanted(BaseModel):
    """Which deliveries: those with a lower id than `before`."""

    state: Literal["", "waiting", "delivered", "failed", "lost"] = ""
    before: int | None = Field(None, ge=1, le=2**63 - 1)
    limit: int = Field(50, ge=1, le=500)


async def list_webhooks(asked: Asked) -> list[WebhookAnswer]:
    """All webhooks."""
    return [WebhookAnswer.of(each) for each in asked.services.webhooks.all()]


async def get_webhook(asked: Asked, id: WebhookId) -> WebhookAnswer:
    """One of them."""
    return WebhookAnswer.of(asked.services.webhooks.one(id))


async def add_webhook(asked: Asked, body: NewWebhook) -> MadeWebhook:
    """A new one; it gets what happens from now on."""
    row = await asked.services.webhooks.add(body.model_dump() | {"events": tuple(body.events)})
    note_webhook(asked.request, None, row)
    return _made(asked, row.id)


async def change_webhook(asked: Asked, id: WebhookId, body: WebhookChange) -> WebhookAnswer:
    """Change some of it; it takes effect at once."""
    changes = body.model_dump(exclude_unset=True)
    if "events" in changes:
        changes["events"] = tuple(changes["events"])
    before = asked.services.webhooks.one(id).row
    note_webhook(asked.request, before, await asked.services.webhooks.change(id, changes))
    return await get_webhook(asked, id)


async def remove_webhook(asked: Asked, id: WebhookId) -> None:
    """Remove one, with what waits for it."""
    note_webhook(asked.request, await asked.services.webhooks.remove(id), None)


async def renew_webhook_secret(asked: Asked, id: WebhookId) -> MadeWebhook:
    """Another secret, with which every request from now on is signed."""
    await asked.services.webhooks.renew_secret(id)
    return _made(asked, id)


async def test_webhook(asked: Asked, id: WebhookId) -> DeliveryAnswer:
    """Send an event of the type `test`; its delivery says what becomes of it."""
    return DeliveryAnswer.of(asked.services.webhooks.test(id))


async def list_deliveries(asked: Asked, id: WebhookId, query: DeliveriesWanted) -> list[DeliveryAnswer]:
    """What was sent, or waits, the newest first."""
    rows = await asked.services.webhooks.deliveries(id, query.state or None, query.before, query.limit)
    return [DeliveryAnswer.of(row) for row in rows]


async def send_delivery_again(asked: Asked, id: WebhookId, delivery: DeliveryId) -> DeliveryAnswer:
    """Try one now that waits, or anew one that is over; with the same id of its event."""
    return DeliveryAnswer.of(await asked.services.webhooks.send_again(id, delivery))


def _made(asked: Asked, id: str) -> MadeWebhook:
    outbox = asked.services.webhooks.one(id)
    return MadeWebhook(**WebhookAnswer.of(outbox).model_dump(), secret=outbox.row.secret)


UNKNOWN = {404: UnknownWebhook}
ONE = "/api/webhooks/{id}"

operations = (
    Operation("GET", "/api/webhooks", list_webhooks, "Where events are sent"),
    Operation(
        "POST",
        "/api/webhooks",
        add_webhook,
        "Add a webhook; the answer has its secret, the only time",
        errors={422: SettingRefused},
        status=201,
    ),
    Operation("GET", ONE, get_webhook, "A webhook, and how it is", errors=UNKNOWN),
    Operation("PATCH", ONE, change_webhook, "Change a webhook", errors={**UNKNOWN, 422: SettingRefused}),
    Operation("DELETE", ONE, remove_webhook, "Remove a webhook", errors=UNKNOWN),
    Operation(
        "POST",
        f"{ONE}/secret",
        renew_webhook_secret,
        "Another secret; the answer has it, the only time",
        errors=UNKNOWN,
    ),
    Operation("POST", f"{ONE}/test", test_webhook, "Send a test", errors=UNKNOWN, status=202),
    Operation("GET", f"{ONE}/deliveries", list_deliveries, "What became of each event", errors=UNKNOWN),
    Operation(
        "POST",
        f"{ONE}/deliveries/{{delivery}}/send",
        send_delivery_again,
        "Send an event again",
        errors=UNKNOWN,
        status=202,
    ),
)
