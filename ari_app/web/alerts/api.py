"""Alerts: which there are, what is muted, who is told, and a test."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, field_serializer

from ari_app.alerts.alerts import Alerts, NobodyTold, UnknownAlert
from ari_app.alerts.book import Alert
from ari_app.alerts.settings import AlertSettings
from ari_app.lines.settings import SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.store.alerts import MuteRow
from ari_app.store.webhooks import DeliveryRow
from ari_app.web.alerts.forms import ABOUT
from ari_app.web.http.notes import notes_of
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.http.roles import Role
from ari_app.web.lines.api import told

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$", examples=["0f3a5c7e9b1d"])]
LONGEST_MUTE_H = 24 * 365
Kind = Literal["light", "pause", "frozen", "disk", "failed_calls", "backup", "cluster"]


class AlertAnswer(BaseModel):
    """Something that needs an administrator, or did until `closed_at`; times are Unix times."""

    id: str
    kind: Kind
    line: str = Field(description="The line's number; empty where it is about all of them.")
    sentence: str
    since: float
    closed_at: float | None
    told: bool = Field(description="Whether it was told, and not muted.")
    muted: bool = Field(description="Whether nobody is told of it now.")


class MuteAnswer(BaseModel):
    """What nobody is told of, until a Unix time or, null, until somebody ends it; an empty `kind` is all of it."""

    id: str
    kind: Literal["", Kind]
    subject: str
    until: float | None
    who: str
    made_at: float

    @classmethod
    def of(cls, row: MuteRow) -> "MuteAnswer":
        """As it is kept."""
        return cls.model_validate(row, from_attributes=True)


class AlertsAnswer(BaseModel):
    """The open alerts, the oldest first; the last ones that are over; what is muted."""

    open: list[AlertAnswer]
    last: list[AlertAnswer]
    mutes: list[MuteAnswer]
    trouble: str | None = Field(description="By which way nothing gets through; for administrators, also why.")
    waiting: int = Field(description="Messages that are tried again.")


class Mute(BaseModel):
    """Tell nobody of an open alert, or, without `alert`, of anything; for some hours, or, null, until it is ended."""

    model_config = ConfigDict(extra="forbid")

    alert: Id | None = None
    hours: float | None = Field(None, gt=0, le=LONGEST_MUTE_H, allow_inf_nan=False)


class AlertSettingsAnswer(AlertSettings):
    """What is set; of a secret only that it is set."""

    mail_password: Annotated[Literal["set"] | None, ABOUT["mail_password"].setting] = None  # type: ignore[assignment]

    @field_serializer("mail_password", when_used="json")
    def _hidden(self, secret: object) -> Literal["set"] | None:
        return "set" if secret else None


class AlertSettingsChange(RootModel[dict[str, JsonValue]]):
    """A JSON Merge Patch (RFC 7396) of what is set for alerts: null is the default."""


class AlertDelivery(BaseModel):
    """A message about alerts to one person: by which way, and what became of it."""

    id: int
    by: Literal["telegram", "mail"]
    to: str
    type: Literal["open", "over", "test"]
    made_at: float
    state: Literal["waiting", "delivered", "failed", "lost"]
    attempts: int
    next_at: float | None = Field(description="When it is tried next; null where it is over.")
    error: str

    @classmethod
    def of(cls, row: DeliveryRow) -> "AlertDelivery":
        """As it is kept."""
        next_at = row.next_at if row.state == "waiting" else None
        values = {name: getattr(row, name) for name in ("id", "type", "made_at", "state", "attempts", "error")}
        return cls.model_validate(values | {"by": row.webhook, "to": row.key, "next_at": next_at})


class DeliveriesOfAlertsWanted(BaseModel):
    """How many."""

    limit: int = Field(50, ge=1, le=500)


async def get_alerts(asked: Asked) -> AlertsAnswer:
    """What is wrong now, and was."""
    its = _alerts(asked)
    trouble = its.outbox.trouble(reason=asked.who.may(Role.ADMINISTRATOR))
    return AlertsAnswer(
        open=[_answer(asked, each) for each in its.open],
        last=[_answer(asked, each) for each in await its.last()],
        mutes=[MuteAnswer.of(each) for each in its.mutes],
        trouble=told(asked, trouble) if trouble else None,
        waiting=its.outbox.waiting,
    )


async def mute_alerts(asked: Asked, body: Mute) -> MuteAnswer:
    """Tell nobody for a time; what is still open afterwards is told then."""
    row = await _alerts(asked).mute(body.alert, body.hours, asked.who.name)
    notes_of(asked.request).subject = f"{row.kind} {row.subject}".strip() or "all"
    return MuteAnswer.of(row)


async def unmute_alerts(asked: Asked, id: Id) -> None:
    """Tell again; what is open and was not told is told now."""
    await _alerts(asked).unmute(id)


async def get_alert_settings(asked: Asked) -> AlertSettingsAnswer:
    """Who is told, and from when on."""
    return _settings(asked, _alerts(asked).part.settings)


async def change_alert_settings(asked: Asked, body: AlertSettingsChange) -> AlertSettingsAnswer:
    """Change some of it; it takes effect at once."""
    return _settings(asked, await _alerts(asked).part.change(body.root, asked.read))


async def test_alerts(asked: Asked) -> list[AlertDelivery]:
    """Send a test to everybody who is told; `/api/alerts/deliveries` says what becomes of it."""
    return [AlertDelivery.of(row) for row in await _alerts(asked).test()]


async def list_alert_deliveries(asked: Asked, query: DeliveriesOfAlertsWanted) -> list[AlertDelivery]:
    """The last messages about alerts, the newest first."""
    return [AlertDelivery.of(row) for row in await _alerts(asked).outbox.deliveries(query.limit)]


def _alerts(asked: Asked) -> Alerts:
    return asked.services.alerts


def _answer(asked: Asked, alert: Alert) -> AlertAnswer:
    its = alert.condition
    return AlertAnswer(
        id=alert.id,
        kind=its.kind.value,
        line=its.line,
        sentence=told(asked, its.sentence),
        since=alert.since,
        closed_at=alert.closed_at,
        told=alert.told,
        muted=asked.services.alerts.muted(alert),
    )


def _settings(asked: Asked, settings: AlertSettings) -> AlertSettingsAnswer:
    asked.answers_version(version_of(settings))
    return AlertSettingsAnswer.model_construct(**dict(settings))


operations = (
    Operation("GET", "/api/alerts", get_alerts, "Alerts that are open, and the last ones"),
    Operation("POST", "/api/alerts/mutes", mute_alerts, "Mute alerts", errors={404: UnknownAlert}, status=201),
    Operation("DELETE", "/api/alerts/mutes/{id}", unmute_alerts, "Unmute alerts", errors={404: UnknownAlert}),
    Operation("GET", "/api/alerts/settings", get_alert_settings, "What is set for alerts", versioned=True),
    Operation(
        "PATCH",
        "/api/alerts/settings",
        change_alert_settings,
        "Change what is set for alerts",
        errors={412: SettingsChanged, 422: SettingRefused},
        versioned=True,
    ),
    Operation("POST", "/api/alerts/test", test_alerts, "Test alerts", errors={409: NobodyTold}, status=202),
    Operation("GET", "/api/alerts/deliveries", list_alert_deliveries, "What became of each message about alerts"),
)
