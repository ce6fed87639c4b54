"""The overview: the lights, the calls now, today's figures."""

from typing import Any

from aiohttp import web

from ari_app.calls.figures import Figures
from ari_app.web import words
from ari_app.web.call_views import line_names
from ari_app.web.context import services, web_of
from ari_app.web.render import render

routes = web.RouteTableDef()


@routes.get("/")
async def overview(request: web.Request) -> web.StreamResponse:
    """All of it."""
    return render(request, "overview/index.html", **_lights(request), **_calls(request), **await _today(request))


@routes.get("/overview/lights")
async def lights(request: web.Request) -> web.StreamResponse:
    """The part with the lines."""
    return render(request, "overview/lights.html", **_lights(request))


@routes.get("/overview/calls")
async def calls(request: web.Request) -> web.StreamResponse:
    """The part with the calls now."""
    return render(request, "overview/calls.html", **_calls(request))


@routes.get("/overview/today")
async def today(request: web.Request) -> web.StreamResponse:
    """The part with today's figures."""
    return render(request, "overview/today.html", **await _today(request))


def _lights(request: web.Request) -> dict[str, Any]:
    book = services(request).lines
    shown = [(settings, book.lights(settings.number)) for settings in book.all_settings()]
    return {"lines": shown, "examined": web_of(request).checkup.recent}


def _calls(request: web.Request) -> dict[str, Any]:
    its = services(request)
    return {"live_calls": its.history.live(), "names": line_names(its.lines), "words": words}


async def _today(request: web.Request) -> dict[str, Any]:
    its = web_of(request)
    return {"today": await Figures(its.services.store, its.services.zone).today(its.clock())}
