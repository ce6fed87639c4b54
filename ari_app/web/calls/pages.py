"""The call history: found, exported, and each call opened; live calls are ended from here."""

from collections.abc import Mapping

from aiohttp import web

from ari_app.calls.progress import CallState
from ari_app.calls.registry import CallRefused
from ari_app.i18n import Message, message
from ari_app.pbx.placing import NO_TARGET, KeyRefused, NoContext, target_of
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.peers import MalformedDestination
from ari_app.web.calls.filter import RESULTS, CallFilter
from ari_app.web.calls.views import call_flow, csv_answer, line_names, placing
from ari_app.web.http.context import services
from ari_app.web.http.errors import PageError, is_htmx, is_live
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.http.notes import notes_of
from ari_app.web.http.operation import idempotency_key
from ari_app.web.ui import words
from ari_app.web.ui.drawings import Drawings
from ari_app.web.ui.render import render, translator_of

routes = web.RouteTableDef()

ON_A_PAGE = 50
STOP_POLLING = 286  # to htmx (htmx.org/docs/#polling); else as 200


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
        this_machine=its.cluster.machine if its.cluster else "",
        words=words,
    )
    if is_htmx(request) and not live:
        page.headers["HX-Push-Url"] = chosen.address("/calls")
    return page


@routes.post("/calls")
async def place_call(request: web.Request) -> web.StreamResponse:
    """Ring somebody in the PBX, then call a person; a form that is sent twice places one call."""
    fields = await form(request)
    wrong = await _placed(request, fields)
    if isinstance(wrong, str):
        flash(request, message("It rings in the PBX; the person is called when somebody answers there."))
        raise web.HTTPSeeOther(f"/calls/{wrong}")
    where, sentence = wrong
    return render(request, "calls/place.html", status=422, **placing(request, fields), errors={where: sentence})


async def _placed(request: web.Request, fields: Mapping[str, str]) -> str | tuple[str, Message]:
    """The call's id; or what keeps it from being placed, with the field that it is about."""
    to, line, key = fields.get("to", ""), fields.get("line", ""), idempotency_key(request, fields.get("key") or None)
    if (target := target_of(fields.get("from", ""))) is None:
        return "from", NO_TARGET
    notes_of(request).subject = f"{fields['from']} → {to}"
    try:
        return await services(request).placer.place(line or None, to, target, key)
    except NoContext as refused:
        return "from", refused.sentence
    except CallRefused as refused:
        return "to", refused.ending.reason.sentence
    except (MalformedDestination, TelegramError, KeyRefused) as refused:
        return "to", message("{error}", error=refused)


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
    record = await services(request).whole_calls.one(request.match_info["id"])
    if record is None and is_live(request):
        return render(request, "calls/lost.html", status=STOP_POLLING)
    if record is None:
        raise PageError(404, message("There is no such call in the history; old ones are removed from it."))
    its = services(request)
    live_now = record.state is not CallState.ENDED
    return render(
        request,
        template,
        status=STOP_POLLING if is_live(request) and record.call.machine and not live_now else 200,
        record=record,
        this_machine=its.cluster.machine if its.cluster else "",
        call=record.call,
        live_now=live_now,
        flow=call_flow(record),
        plots=Drawings.of(request).audio(record),
        names=line_names(its.lines),
        words=words,
    )
