"""Calls as pages and API show them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from ari_app.calls.call import Call, CallEvent
from ari_app.calls.history import CallRecord
from ari_app.calls.outcome import Direction
from ari_app.lines.manager import LineManager
from ari_app.sentence import Sentence
from ari_app.store.calls import Query
from ari_app.web import words
from ari_app.web.context import services

Lane = Literal["telegram", "astergram", "asterisk"]

LANES: dict[str, Lane] = {"telegram": "telegram", "keypad": "telegram", "keys": "telegram", "asterisk": "asterisk"}
LANE_NAMES: dict[Lane, str] = {"telegram": "Telegram", "astergram": "Astergram", "asterisk": "Asterisk"}


@dataclass(frozen=True)
class FlowRow:
    """One step of a call: in which lane, after how many seconds, what, and which way it went."""

    lane: Lane
    at_s: float
    sentence: Sentence
    way: Literal["", "to", "from"]

    @property
    def side(self) -> str:
        """The lane's name."""
        return LANE_NAMES[self.lane]


def call_flow(call: CallRecord | Call) -> list[FlowRow]:
    """The steps of a call, in their order."""
    steps: Iterable[CallEvent] = call.events
    direction = call.direction if isinstance(call, Call) else Direction(call.call.direction)
    rungs = []
    for step in steps:
        lane = LANES.get(step.side, "astergram")
        said = words.step(step.text)
        way = "" if lane == "astergram" else words.way(said, direction)
        rungs.append(FlowRow(lane, step.at_s, said.sentence, way))
    return rungs


def line_names(lines: LineManager) -> dict[str, str]:
    """Each line's number with its name, if it has one."""
    return {each.number: f"{each.name} ({each.number})" if each.name else each.number for each in lines.all_settings()}


async def csv_answer(request: web.Request, query: Query) -> web.StreamResponse:
    """Answer with all calls that fit, as they are read."""
    response = web.StreamResponse(headers={"Content-Disposition": 'attachment; filename="calls.csv"'})
    response.content_type, response.charset = "text/csv", "utf-8"
    await response.prepare(request)
    its = services(request)
    async for piece in its.history.export_csv(query, its.zone):
        await response.write(piece.encode())
    await response.write_eof()
    return response
