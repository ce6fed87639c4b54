"""What the calls of some days come to, drawn."""

import asyncio
from typing import Literal, get_args

from aiohttp import web

from ari_app.calls.figures import Figures, Period
from ari_app.sentence import Sentence, say
from ari_app.web.call_views import line_names
from ari_app.web.context import services, web_of
from ari_app.web.drawings import Drawings
from ari_app.web.refusals import Refused
from ari_app.web.render import render

routes = web.RouteTableDef()

PeriodName = Literal["today", "7d", "30d"]
DAYS: dict[PeriodName, int] = {"today": 1, "7d": 7, "30d": 30}
NAMES: dict[PeriodName, Sentence] = {"today": say("Today"), "7d": say("7 days"), "30d": say("30 days")}
LONGEST_LINE = 32


@routes.get("/charts")
async def charts(request: web.Request) -> web.StreamResponse:
    """All charts of a period, of one line or all."""
    name, line = _period(request.query.get("period", "7d")), request.query.get("line", "").strip()[:LONGEST_LINE]
    its = web_of(request)
    figures = Figures(its.services.store, its.services.zone)
    days = figures.last_days(DAYS[name], its.clock())
    period = Period(days.start, days.end, line)
    hours, lines, to_answer = await asyncio.gather(
        figures.hours(period), figures.lines(period), figures.to_answer(period)
    )
    names = line_names(services(request).lines)
    language = its.templates.language(request)
    drawings = Drawings.of(request)
    drawn = [drawings.calls(hours), drawings.lines(lines, names), drawings.to_answer(to_answer)]
    if DAYS[name] > 1:
        drawn.insert(1, drawings.hours_of_day(hours))
    return render(
        request,
        "charts/index.html",
        period=name,
        periods=[(each, language.tell(said)) for each, said in NAMES.items()],
        line=line,
        names=names,
        count=(sum(each.count.answered for each in lines), sum(each.count.unanswered for each in lines)),
        to_answer=to_answer,
        drawn=drawn,
    )


def _period(name: str) -> PeriodName:
    for known in get_args(PeriodName):
        if name == known:
            return known  # type: ignore[no-any-return]  # mypy does not follow get_args
    raise Refused(422, say("There is no such choice here: {value}", value=name))
