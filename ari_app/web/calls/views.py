"""Calls as pages and API show them."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from ari_app.calls.call import Call
from ari_app.calls.events import Side, TimedEvent
from ari_app.calls.outcome import Direction
from ari_app.i18n import Message
from ari_app.lines.manager import LineManager
from ari_app.reports.history import CallRecord
from ari_app.store.calls import Query
from ari_app.web.http.context import services
from ari_app.web.http.files import CSV, file_answer

SIDES = {Side.TELEGRAM: "Telegram", Side.ASTERGRAM: "Astergram", Side.ASTERISK: "Asterisk"}


@dataclass(frozen=True)
class FlowRow:
    """One event of a call flow: in which lane, and which way it goes between Astergram and that side."""

    timed: TimedEvent
    way: str

    @property
    def at_s(self) -> float:
        """Seconds since the call began."""
        return self.timed.at_s

    @property
    def lane(self) -> str:
        """telegram, astergram or asterisk."""
        return self.timed.event.side.value

    @property
    def side(self) -> str:
        """The lane's name."""
        return SIDES[self.timed.event.side]

    @property
    def sentence(self) -> Message:
        """What happened."""
        return self.timed.event.sentence


def call_flow(call: CallRecord | Call) -> list[FlowRow]:
    """The events of a call, in their order."""
    direction = call.direction if isinstance(call, Call) else Direction(call.call.direction)
    return [FlowRow(each, each.event.way.of(direction).value) for each in call.events]


def line_names(lines: LineManager) -> dict[str, str]:
    """Each line's number with its name, if it has one."""
    return {each.number: f"{each.name} ({each.number})" if each.name else each.number for each in lines.all_settings()}


def placing(request: web.Request, fields: Mapping[str, str] | None = None) -> dict[str, Any]:
    """For the form that places a call; ``fields``: as it was sent."""
    wanted = {"from": "", "to": "", "line": "", **(fields or {}), "key": uuid.uuid4().hex}
    return {"wanted": wanted, "names": line_names(services(request).lines)}


async def csv_answer(request: web.Request, query: Query) -> web.StreamResponse:
    """Answer with all calls that fit, as they are read."""
    its = services(request)
    return await file_answer(request, "calls.csv", its.history.export_csv(query, its.zone), CSV)
