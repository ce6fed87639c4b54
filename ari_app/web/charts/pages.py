"""What the calls of some days come to, drawn."""

import asyncio
from typing import Any

from aiohttp import web

from ari_app.reports.figures import Figures
from ari_app.store.figures import Period
from ari_app.web.calls.views import line_names
from ari_app.web.charts import period
from ari_app.web.charts.period import Days, PeriodRefused
from ari_app.web.http.context import web_of
from ari_app.web.ui.charts import Chart
from ari_app.web.ui.drawings import Drawings
from ari_app.web.ui.render import render, templates_of, translator_of

routes = web.RouteTableDef()

LONGEST_LINE = 32


@routes.get("/charts")
async def charts(request: web.Request) -> web.StreamResponse:
    """All charts of a period, of one line or all."""
    its, query = web_of(request), request.query
    line = query.get("line", "").strip()[:LONGEST_LINE]
    today = period.today(its.clock(), its.services.zone)
    translate, names = translator_of(request), line_names(its.services.lines)
    shown: dict[str, Any] = {
        "period": period.OWN,
        "periods": [(each, translate(said)) for each, said in period.NAMES.items()],
        "line": line,
        "names": names,
        "error": "",
    }
    try:
        days = period.from_address(query, today)
    except PeriodRefused as refused:
        typed = {"first": query.get("from", ""), "last": query.get("to", ""), "error": refused.sentence}
        return render(request, "charts/index.html", 422, **shown | typed, drawn=[])
    figures = Figures(its.services.store, its.services.zone)
    all_lines = figures.days(days.first, days.last)
    span = Period(all_lines.start, all_lines.end, line)
    lines, to_answer = await asyncio.gather(figures.lines(span), figures.to_answer(span))
    drawings = Drawings.of(request)
    shown |= {"period": days.name, "first": days.first.isoformat(), "last": days.last.isoformat()}
    return render(
        request,
        "charts/index.html",
        **shown,
        count=(sum(each.count.answered for each in lines), sum(each.count.unanswered for each in lines)),
        to_answer=to_answer,
        drawn=[
            *await _over_time(drawings, figures, days, span, templates_of(request).locale(request).first_week_day),
            drawings.lines(lines, names),
            drawings.to_answer(to_answer),
        ],
    )


async def _over_time(drawings: Drawings, figures: Figures, days: Days, span: Period, week_begins: int) -> list[Chart]:
    if days.many == 1:
        return [drawings.hours(await figures.hours(span))]
    spans, hours = await asyncio.gather(figures.spans(span, days.unit, week_begins), figures.hours_of_day(span))
    return [drawings.spans(spans, days.unit), drawings.hours_of_day(hours)]
