"""The calls: those now, and the history."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from ari_app.calls.progress import CallState
from ari_app.calls.registry import CallRefused
from ari_app.i18n import Message, message
from ari_app.lines.settings import SettingRefused
from ari_app.pbx.placing import NO_TARGET, KeyInUse, KeyReused, NoContext, target_of
from ari_app.reports.history import CallRecord, end_reason
from ari_app.store.calls import CallRow, Query
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.peers import MalformedDestination
from ari_app.web.calls.views import FlowRow, call_flow, csv_answer
from ari_app.web.http.notes import notes_of
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.ui import words
from ari_app.web.ui.render import translator_of
from ari_app.wrong import Wrong

CallId = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$", examples=["0f3a5c7e9b1d"])]
NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
LATEST = 32503680000.0  # the year 3000
Direction = Literal["in", "out", "back"]
Status = Literal[
    "ANSWER", "BUSY", "NOANSWER", "UNAVAILABLE", "NOTFOUND", "RESTRICTED", "LIMITED", "CANCEL", "ERROR"
]  # fmt: skip


class UnknownCall(Exception):
    """There is no such call."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


@dataclass(frozen=True)
class CallBody(CallRow):
    """One call."""

    direction: Annotated[Direction, Field(description="From Telegram (in), to it (out), or a call back.")]
    status: Annotated[Status | None, Field(description="TELEGRAM_STATUS of the dialplan; null while it is live.")]
    reason: Annotated[str, Field(exclude=True)]
    detail: Annotated[str, Field(description="Why it ended, in English; empty while it is live.")]

    @classmethod
    def of(cls, kept: CallRow) -> "CallBody":
        """A row of the history."""
        return cls(**asdict(kept), detail=str(end_reason(kept) or ""))


class LiveCall(BaseModel):
    """A call now. `lasted_s`: seconds since it began. Levels in dBFS over the last second, null without audio."""

    call: CallBody
    state: Literal["begun", "ringing", "answered", "talking", "ending"]
    lasted_s: float
    from_telegram_dbfs: float | None
    to_telegram_dbfs: float | None


class EventAnswer(BaseModel):
    """What happened to a call: seconds since it began, on which side, and what, in the language that is asked for.

    `type` and `fields` are the same for programs.
    """

    at_s: float
    side: Literal["telegram", "astergram", "asterisk"]
    way: Literal["", "to", "from"] = Field(description="To this side, or from it, seen from Astergram.")
    text: str
    type: str
    fields: dict[str, Any]

    @classmethod
    def of(cls, row: FlowRow, translate: Callable[[object], str]) -> "EventAnswer":
        """A row of a call flow."""
        fields = row.timed.event.as_data()
        kind = fields.pop("type")
        return cls.model_validate(
            {
                "at_s": row.at_s,
                "side": row.lane,
                "way": row.way,
                "text": translate(row.sentence),
                "type": kind,
                "fields": fields,
            }
        )


class AudioSample(BaseModel):
    """The audio at one moment; `lost` packets and `concealed_ms` are sums since the audio began."""

    at_s: float
    jitter_ms: float
    lost: int
    concealed_ms: int
    to_telegram_dbfs: float
    from_telegram_dbfs: float


class WholeCall(BaseModel):
    """All that is known of one call. Set-up times in seconds, null where it did not come that far."""

    call: CallBody
    state: Literal["begun", "ringing", "answered", "talking", "ending", "ended"]
    ending: str
    post_dial_delay_s: float | None
    to_answer_s: float | None
    to_audio_s: float | None
    events: list[EventAnswer]
    audio: list[AudioSample]
    missing: str = Field(
        description="Why there are no events and no audio, where another machine of the cluster has them and does not "
        "tell them; else empty."
    )


class CallPage(BaseModel):
    """Some of the calls that fit, the newest first, and how many fit."""

    calls: list[CallBody]
    total: int


class CallsWanted(BaseModel):
    """Which calls; what is empty does not matter."""

    text: str = Field(
        "",
        max_length=200,
        pattern=NO_CONTROLS,
        description="In name, phone, username, id or dialled.",
        examples=["Anna"],
    )
    line: str = Field("", pattern=r"^(\+[0-9]{5,15})?$", examples=["+79990000001"])
    direction: Literal["", "in", "out", "back"] = ""
    status: Literal["", Status] = ""
    answered: Literal["", "true", "false"] = ""
    since: float = Field(0, ge=0, le=LATEST, allow_inf_nan=False, description="Unix time, inclusive.")
    until: float = Field(LATEST, ge=0, le=LATEST, allow_inf_nan=False, description="Unix time, exclusive.")

    @property
    def query(self) -> Query:
        """For the history."""
        return Query(
            text=self.text,
            line=self.line,
            direction=self.direction or None,
            status=self.status or None,
            answered=self.answered == "true" if self.answered else None,
            since=self.since,
            until=self.until,
        )


class PageWanted(CallsWanted):
    """Which calls, and which of them."""

    offset: int = Field(0, ge=0, le=10_000_000)
    limit: int = Field(50, ge=1, le=500)


class NewCall(BaseModel):
    """A call: `from` in the PBX rings first, and `to` is called when it answers.

    Without `line` it goes through the line for that extension, the default one, or the least busy one.
    """

    model_config = ConfigDict(extra="forbid")

    to: str = Field(
        min_length=1,
        max_length=200,
        pattern=NO_CONTROLS,
        examples=["+79990000002"],
        description="As Stasis(telegram,...) takes it: +79990000002, @anna or tg#5000000002.",
    )
    from_: str = Field(
        alias="from",
        max_length=200,
        pattern=r"^[^@\s]+(@[^@\s]+)?$",
        examples=["101@phones", "101", "PJSIP/101"],
        description="EXTENSION@CONTEXT; a phone's extension alone, which is dialled in the context of the line's "
        "card.callback; or an endpoint by its technology (PJSIP, SIP, IAX2, DAHDI, SCCP), past the dialplan.",
    )
    line: Annotated[str, Field(pattern=r"^\+[0-9]{5,15}$", examples=["+79990000001"])] | None = None


class PlacedCall(BaseModel):
    """The call that has begun: GET /api/calls/{id} tells how it goes, and what came of it."""

    id: str


async def place_call(asked: Asked, body: NewCall) -> PlacedCall:
    """Ring somebody in the PBX, then call a person; a request with the same Idempotency-Key places no second call."""
    if (target := target_of(body.from_)) is None:
        raise SettingRefused(Wrong("from", NO_TARGET))
    notes_of(asked.request).subject = f"{body.from_} → {body.to}"
    id = await asked.services.placer.place(body.line, body.to, target, asked.key)
    asked.headers["Location"] = f"/api/calls/{id}"
    return PlacedCall(id=id)


async def list_live_calls(asked: Asked) -> list[LiveCall]:
    """The calls now, the newest first."""
    return [_live(record, asked.web.clock()) for record in asked.services.history.live()]


async def hang_up_call(asked: Asked, id: CallId) -> None:
    """End a live call."""
    if not asked.services.registry.hang_up(id):
        raise UnknownCall(message("No call {id} is live.", id=id))


async def find_calls(asked: Asked, query: PageWanted) -> CallPage:
    """A page of the history."""
    found = await asked.services.history.find(query.query, query.offset, query.limit)
    return CallPage(calls=[CallBody.of(row) for row in found.rows], total=found.total)


async def get_call(asked: Asked, id: CallId) -> WholeCall:
    """One call; a live one as it is now."""
    record = await asked.services.whole_calls.one(id)
    if record is None:
        raise UnknownCall(message("There is no call {id} in the history.", id=id))
    translate = translator_of(asked.request)
    return WholeCall(
        call=CallBody.of(record.call),
        state=record.state.value,
        ending="" if record.call.status is None else translate(words.ending(record.call)),
        post_dial_delay_s=record.post_dial_delay_s,
        to_answer_s=record.to_answer_s,
        to_audio_s=record.to_audio_s,
        events=[EventAnswer.of(each, translate) for each in call_flow(record)],
        audio=[AudioSample.model_validate(asdict(sample)) for sample in record.samples],
        missing=translate(record.missing) if record.missing else "",
    )


async def export_calls(asked: Asked, query: CallsWanted) -> web.StreamResponse:
    """All calls that fit, as CSV."""
    return await csv_answer(asked.request, query.query)


def _live(record: CallRecord, now: float) -> LiveCall:
    last = record.samples[-1] if record.samples else None
    assert record.state is not CallState.ENDED, "the history tells only of live ones"
    return LiveCall(
        call=CallBody.of(record.call),
        state=record.state.value,
        lasted_s=max(0.0, now - record.call.began_at),
        from_telegram_dbfs=last.from_telegram_dbfs if last else None,
        to_telegram_dbfs=last.to_telegram_dbfs if last else None,
    )


operations = (
    Operation("GET", "/api/calls", find_calls, "Calls of the history, live ones too"),
    Operation(
        "POST",
        "/api/calls",
        place_call,
        "Place a call",
        status=202,
        errors={
            409: (TelegramError, CallRefused, KeyInUse),
            422: (MalformedDestination, NoContext, SettingRefused, KeyReused),
        },
        keyed=True,
    ),
    Operation("GET", "/api/calls.csv", export_calls, "The same as CSV", media_type="text/csv"),
    Operation("GET", "/api/calls/live", list_live_calls, "The calls now"),
    Operation("GET", "/api/calls/{id}", get_call, "One call with its steps and its audio", errors={404: UnknownCall}),
    Operation("POST", "/api/calls/{id}/hangup", hang_up_call, "End a live call", errors={404: UnknownCall}),
)
