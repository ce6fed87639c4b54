"""How the program is, and its live events."""

from aiohttp import web
from pydantic import BaseModel

from ari_app import __version__, zones
from ari_app.web.api.operation import Asked, Operation


class Status(BaseModel):
    """The version, for how long it has been running (seconds), how many calls are live, and the time zone of days."""

    version: str
    running_s: float
    calls: int
    timezone: str


async def get_status(asked: Asked) -> Status:
    """How the program is."""
    running_s = asked.web.steady() - asked.web.started
    timezone = zones.name_of(asked.services.zone)
    return Status(version=__version__, running_s=running_s, calls=len(asked.services.desk.calls), timezone=timezone)


async def hear_events(asked: Asked) -> web.StreamResponse:
    """All news, until either side leaves."""
    return await asked.web.streams.run(asked.request)


operations = (
    Operation("GET", "/api/status", get_status, "How the program is"),
    Operation("GET", "/api/events", hear_events, "Live events (server-sent events)", media_type="text/event-stream"),
)
