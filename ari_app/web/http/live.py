"""Live events, and whether a browser is still signed in."""

from aiohttp import web

from ari_app.web.http.context import identity
from ari_app.web.http.middlewares import CSRF_HEADER
from ari_app.web.http.sse import streams_of

routes = web.RouteTableDef()


@routes.get("/events", allow_head=False)
async def events(request: web.Request) -> web.StreamResponse:
    """All events, as server-sent events."""
    return await streams_of(request).run(request)


@routes.get("/alive")
async def alive(request: web.Request) -> web.Response:
    """204 for a browser that is signed in, else 401: what a page asks when its events stop, and before it sends a form.

    With the token that the form has to have, for the session may be a newer one than the page.
    """
    who = identity(request)
    return web.Response(status=204, headers={CSRF_HEADER: who.csrf}) if who.role else web.Response(status=401)
