"""The overview: what is wrong with the program itself, the lines with their status, the calls now, today's figures."""

from typing import Any

from aiohttp import web

from ari_app.i18n import message
from ari_app.reports.figures import Figures
from ari_app.web.calls.views import line_names, placing
from ari_app.web.cluster.pages import machines
from ari_app.web.connect.checkup import checkup_of
from ari_app.web.http.context import services, web_of
from ari_app.web.http.flash import flash
from ari_app.web.lines.listing import OVERVIEW, line_list, part_of
from ari_app.web.overview.activity import recent
from ari_app.web.ui import words
from ari_app.web.ui.render import render

routes = web.RouteTableDef()

LINES = "/overview/lines"
ACTIVITY = 12  # entries


@routes.get("/")
async def overview(request: web.Request) -> web.StreamResponse:
    """All of it."""
    lines = line_list(request, OVERVIEW, LINES)
    parts = _trouble(request) | lines | _doctor(request) | _calls(request) | placing(request) | machines(request)
    return render(request, "overview/index.html", **parts, **await _today(request), **await _activity(request))


@routes.get("/overview/trouble")
async def trouble(request: web.Request) -> web.StreamResponse:
    """The part with what is wrong with the program itself."""
    return render(request, "overview/trouble.html", **_trouble(request))


@routes.get(LINES)
async def lines(request: web.Request) -> web.StreamResponse:
    """The part with the lines."""
    return part_of(request, OVERVIEW, LINES)


@routes.get("/overview/doctor")
async def doctor(request: web.Request) -> web.StreamResponse:
    """The part with what the doctor found."""
    return render(request, "overview/doctor.html", **_doctor(request))


@routes.get("/overview/calls")
async def calls(request: web.Request) -> web.StreamResponse:
    """The part with the calls now."""
    return render(request, "overview/calls.html", **_calls(request))


@routes.get("/overview/today")
async def today(request: web.Request) -> web.StreamResponse:
    """The part with today's figures."""
    return render(request, "overview/today.html", **await _today(request))


@routes.get("/overview/activity")
async def activity(request: web.Request) -> web.StreamResponse:
    """The part with what has happened lately."""
    return render(request, "overview/activity.html", **await _activity(request))


@routes.post("/drain")
async def begin_drain(request: web.Request) -> web.StreamResponse:
    """Take no new calls."""
    services(request).registry.begin_drain()
    flash(request, message("No new calls are taken on."))
    raise web.HTTPSeeOther("/")


@routes.post("/drain/cancel")
async def cancel_drain(request: web.Request) -> web.StreamResponse:
    """Take calls again."""
    services(request).registry.cancel_drain()
    flash(request, message("Calls are taken on again."))
    raise web.HTTPSeeOther("/")


def _trouble(request: web.Request) -> dict[str, Any]:
    its = services(request)
    registry = its.registry
    return {
        "waiting": its.store.queue,
        "failures": its.failures,
        "ami": its.ami,
        "webhooks": its.webhooks,
        "alerts": its.alerts,
        "newer": its.updates.newer,
        "shortage": registry.shortage,
        "drain": registry.drain,
        "calls": len(registry.calls),
    }


def _doctor(request: web.Request) -> dict[str, Any]:
    return {"examined": checkup_of(request).recent}


def _calls(request: web.Request) -> dict[str, Any]:
    its = services(request)
    return {"live_calls": its.history.live(), "names": line_names(its.lines), "words": words}


async def _activity(request: web.Request) -> dict[str, Any]:
    return {"activity": await recent(request, ACTIVITY)}


async def _today(request: web.Request) -> dict[str, Any]:
    its = web_of(request)
    return {"today": await Figures(its.services.store, its.services.zone).today(its.clock())}
