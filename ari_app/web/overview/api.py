"""How the program is, and its live events."""

import asyncio
from collections.abc import Callable
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, Field

from ari_app import __version__, zones
from ari_app.calls.registry import CallRegistry
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.http.sse import streams_of
from ari_app.web.overview.activity import recent
from ari_app.web.ui.render import translator_of


class DatabaseStatus(BaseModel):
    """Whether it can be written; `trouble` says why it can't, and what to do. Calls go on meanwhile.

    `since` is a Unix time. `waiting` changes wait in memory to be written, `lost` ones are given up since the start.
    """

    trouble: str | None
    since: float | None
    waiting: int
    lost: int


class AmiStatus(BaseModel):
    """Events for AMI since the start; `trouble` says why it takes none, and what to do.

    `waiting` ones are sent when it does; of `lost` ones there were too many, and Asterisk did not take `given_up` ones.
    """

    trouble: str | None
    sent: int
    waiting: int
    lost: int
    given_up: int


class WebhookStatus(BaseModel):
    """Events for all webhooks since the start; `trouble` says which takes none, and why.

    `waiting` ones are sent again; of `lost` ones there were too many, `given_up` ones were not taken within a day.
    """

    trouble: str | None
    delivered: int
    waiting: int
    lost: int
    given_up: int


class AdmissionStatus(BaseModel):
    """Whether one more call is taken on, all lines together. `shortage` says why it would be refused, and what to do.

    `room`: for how many more calls. All of it is measured on this machine, and null as long as it is not known.
    """

    shortage: str | None
    room: int | None
    cpu_percent: float | None = Field(description="In use, of all processors, over the last seconds.")
    call_cpu_percent: float | None = Field(description="What a call's media process takes, of all processors.")
    late_percent: float | None = Field(description="Of the calls' audio, what came late.")
    memory_free_mb: float | None
    call_memory_mb: float | None = Field(description="What a call's media process has of its own.")


class DrainStatus(BaseModel):
    """Whether no new calls are taken on, since when (a Unix time), and how many calls there are."""

    draining: bool
    since: float | None
    calls: int


class ActivityEntry(BaseModel):
    """Something that has happened: when (a Unix time), what, and who did it, if it was somebody.

    `colour`: how it is since, as of a light; grey where it was neither good nor bad.
    """

    at: float
    kind: Literal["light", "pause", "program", "alert", "audit"]
    sentence: str
    who: str
    colour: Literal["red", "orange", "green", "grey"]


class ActivityWanted(BaseModel):
    """How many."""

    limit: int = Field(50, ge=1, le=500)


class ErrorsStatus(BaseModel):
    """Unexpected errors since the start, of which the log says more; the last one: when (a Unix time), and in what."""

    count: int
    last_at: float | None
    last_in: str | None


class ProgramStatus(BaseModel):
    """The version, how long it has been running (seconds), its live calls, its tasks, and the time zone of days."""

    version: str
    newer_version: str | None = Field(
        description="One that can be installed; null where there is none, or nobody asks."
    )
    running_s: float
    calls: int
    tasks: int
    timezone: str
    admission: AdmissionStatus
    telegram_offset_s: float | None = Field(
        description="How much Telegram's clock is ahead of this machine's; null if no line is connected."
    )
    database: DatabaseStatus
    ami: AmiStatus | None = Field(description="null where no events are sent.")
    webhooks: WebhookStatus
    unexpected_errors: ErrorsStatus


async def get_status(asked: Asked) -> ProgramStatus:
    """How the program is."""
    its, queue, failures = asked.services, asked.services.store.queue, asked.services.failures
    ami, hooks, translate = its.ami, its.webhooks, translator_of(asked.request)
    last = failures.last[-1] if failures.last else None
    return ProgramStatus(
        version=__version__,
        newer_version=its.updates.newer,
        running_s=asked.web.steady() - asked.web.started,
        calls=len(its.registry.calls),
        tasks=len(asyncio.all_tasks()),
        timezone=zones.name_of(its.zone),
        admission=_admission(its.registry, translate),
        telegram_offset_s=its.lines.telegram_offset_s,
        database=DatabaseStatus(
            trouble=translate(queue.trouble.sentence) if queue.trouble else None,
            since=queue.trouble.since if queue.trouble else None,
            waiting=len(queue),
            lost=queue.lost,
        ),
        ami=AmiStatus(
            trouble=translate(ami.trouble) if ami.trouble else None,
            sent=ami.delivery.sent,
            waiting=len(ami.spool),
            lost=ami.spool.lost,
            given_up=ami.delivery.given_up,
        )
        if ami
        else None,
        webhooks=WebhookStatus(
            trouble=translate(hooks.trouble) if hooks.trouble else None,
            delivered=hooks.delivered,
            waiting=hooks.waiting,
            lost=hooks.lost,
            given_up=hooks.given_up,
        ),
        unexpected_errors=ErrorsStatus(
            count=failures.count, last_at=last.at if last else None, last_in=last.task if last else None
        ),
    )


def _admission(registry: CallRegistry, translate: Callable[[object], str]) -> AdmissionStatus:
    shortage, load = registry.shortage, registry.load

    def rounded(figure: float | None) -> float | None:
        return None if figure is None else round(figure, 2)

    return AdmissionStatus(
        shortage=f"{translate(shortage.sentence)} {translate(shortage.remedy)}" if shortage else None,
        room=registry.room,
        cpu_percent=rounded(load.cpu_percent if load else None),
        call_cpu_percent=rounded(load.call_cpu_percent if load else None),
        late_percent=rounded(load.late_percent if load else None),
        memory_free_mb=rounded(load.free_mb if load else None),
        call_memory_mb=rounded(load.call_mb if load else None),
    )


async def get_drain(asked: Asked) -> DrainStatus:
    """Whether it is being drained."""
    registry = asked.services.registry
    return DrainStatus(draining=registry.drain.active, since=registry.drain.since, calls=len(registry.calls))


async def begin_drain(asked: Asked) -> DrainStatus:
    """Take no new calls: a dialplan gets LIMITED with cause 42, callers hear "busy". Those that there are go on."""
    asked.services.registry.begin_drain()
    return await get_drain(asked)


async def cancel_drain(asked: Asked) -> DrainStatus:
    """Take calls again."""
    asked.services.registry.cancel_drain()
    return await get_drain(asked)


async def hear_events(asked: Asked) -> web.StreamResponse:
    """All events, until either side leaves."""
    return await streams_of(asked.request).run(asked.request)


async def get_activity(asked: Asked, query: ActivityWanted) -> list[ActivityEntry]:
    """What has happened lately, the newest first; what people did is told to administrators only."""
    translate = translator_of(asked.request)
    return [
        ActivityEntry(
            at=each.at,
            kind=each.kind,
            sentence=translate(each.sentence),
            who=translate(each.who),
            colour=each.colour.value,
        )
        for each in await recent(asked.request, query.limit)
    ]


operations = (
    Operation("GET", "/api/activity", get_activity, "What has happened lately"),
    Operation("GET", "/api/status", get_status, "How the program is"),
    Operation("GET", "/api/drain", get_drain, "Whether new calls are taken on"),
    Operation("PUT", "/api/drain", begin_drain, "Take no new calls"),
    Operation("DELETE", "/api/drain", cancel_drain, "Take calls again"),
    Operation("GET", "/api/events", hear_events, "Live events (server-sent events)", media_type="text/event-stream"),
)
