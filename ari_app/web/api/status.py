"""How the program is, and its live events."""

from aiohttp import web
from pydantic import BaseModel, Field

from ari_app import __version__, zones
from ari_app.web.api.operation import Asked, Operation


class Status(BaseModel):
    """The version, for how long it has been running (seconds), how many calls are live, and the time zone of days."""

    version: str
    running_s: float
    calls: int
    timezone: str
    telegram_offset_s: float | None = Field(
        description="How much Telegram's clock is ahead of this machine's; null if no line is connected."
    )


async def get_status(asked: Asked) -> Status:
    """How the program is."""
    running_s = asked.web.steady() - asked.web.started
    its = asked.services
    return Status(
        version=__version__,
        running_s=running_s,
        calls=len(its.desk.calls),
        timezone=zones.name_of(its.zone),
        telegram_offset_s=its.lines.telegram_offset_s,
    )


async def hear_events(asked: Asked) -> web.StreamResponse:
    """All news, until either side leaves."""
    return await asked.web.streams.run(asked.request)


operations = (
    Operation("GET", "/api/status", get_status, "How the program is"),
    Operation("GET", "/api/events", hear_events, "Live events (server-sent events)", media_type="text/event-stream"),
)
