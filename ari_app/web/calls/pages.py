"""The call history: found, exported, and each call opened; live calls are ended from here."""

from aiohttp import web

from ari_app.calls.progress import CallState
from ari_app.i18n import message
from ari_app.web.calls.filter import RESULTS, CallFilter
from ari_app.web.calls.views import call_flow, csv_answer, line_names
from ari_app.web.http.context import services
from ari_app.web.http.errors import PageError, is_htmx
from ari_app.web.http.flash import flash
from ari_app.web.http.notes import notes_of
from ari_app.web.ui import words
from ari_app.web.ui.drawings import Drawings
from ari_app.web.ui.render import render, translator_of

routes = web.RouteTableDef()

ON_A_PAGE = 50


@routes.get("/calls")
async def calls(request: web.Request) -> web.StreamResponse:
    """A page of the history; to htmx, without what is around it. With `live` it is only to be shown anew."""
    chosen = CallFilter.of(request.query)
    live = "live" in request.query
    translate = translator_of(request)
    its = services(request)
    found = await its.history.find(chosen.query(its.zone), (chosen.page - 1) * ON_A_PAGE, ON_A_PAGE)
    page = render(
        request,
        "calls/rows.html" if live else "calls/found.html" if is_htmx(request) else "calls/index.html",
        chosen=chosen,
        found=found,
        pages=-(-found.total // ON_A_PAGE),
        names=line_names(its.lines),
        directions=[(each.value, translate(said)) for each, said in words.DIRECTIONS.items()],
        results=[(each, translate(said)) for each, said in RESULTS.items()],
        words=words,
    )
    if is_htmx(request) and not live:
        page.headers["HX-Push-Url"] = chosen.address("/calls")
    return page


@routes.get("/calls.csv")
async def export(request: web.Request) -> web.StreamResponse:
    """All calls that fit, as CSV."""
    return await csv_answer(request, CallFilter.of(request.query).query(services(request).zone))


@routes.get("/calls/{id}")
async def call(request: web.Request) -> web.StreamResponse:
    """All that is known of one call; it goes on as the call does."""
    return await _one(request, "calls/call.html")


@routes.get("/calls/{id}/now")
async def call_now(request: web.Request) -> web.StreamResponse:
    """The part of it that changes with the call."""
    return await _one(request, "calls/now.html")


@routes.get("/calls/{id}/audio")
async def call_audio(request: web.Request) -> web.StreamResponse:
    """The part of it that changes each second."""
    return await _one(request, "calls/audio.html")


@routes.post("/calls/{id}/hangup")
async def hang_up(request: web.Request) -> web.StreamResponse:
    """End a live call."""
    id = request.match_info["id"]
    if services(request).registry.hang_up(id):
        flash(request, message("The call is being ended."))
    else:
        notes_of(request).failed = True
        flash(request, message("The call was over already."), "failed")
    if is_htmx(request):
        return render(request, "calls/nothing.html")
    raise web.HTTPSeeOther(f"/calls/{id}")


async def _one(request: web.Request, template: str) -> web.StreamResponse:
    record = await services(request).history.one(request.match_info["id"])
    if record is None:
        raise PageError(404, message("There is no such call in the history; old ones are removed from it."))
    return render(
        request,
        template,
        record=record,
        call=record.call,
        live_now=record.state is not CallState.ENDED,
        flow=call_flow(record),
        plots=Drawings.of(request).audio(record),
        names=line_names(services(request).lines),
        words=words,
    )
