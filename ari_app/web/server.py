"""Serves the admin page, and the JSON API to the command line."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from ari_app.tasks import guarded_tasks
from ari_app.web.access.access import ACCESS_KEY, Access
from ari_app.web.access.refusals import UnknownUser
from ari_app.web.access.shared import EngineAccess, OwnAccess, SharedAccess
from ari_app.web.access.signed_in import authenticate, still_in
from ari_app.web.areas import OPERATIONS, PAGES, ROLES
from ari_app.web.audit.recording import recorded
from ari_app.web.connect.checkup import CHECKUP, Checkup
from ari_app.web.http.compression import compressed
from ari_app.web.http.context import IDENTITY, WEB, Identity, Web
from ari_app.web.http.cookies import Cookies
from ari_app.web.http.flash import FLASHES, Flashes
from ari_app.web.http.headers import add_headers
from ari_app.web.http.listening import ListeningSockets
from ari_app.web.http.middlewares import check_host, csrf_protect, require_role
from ari_app.web.http.mount import mount
from ari_app.web.http.roles import ROUTE_ROLES, Role
from ari_app.web.http.services import Services
from ari_app.web.http.settings import WebSettings
from ari_app.web.http.sse import HEARTBEAT_S, STREAMS, Streams
from ari_app.web.http.uploads import larger_files
from ari_app.web.oidc.oidc import OIDC, Oidc, open_oidc
from ari_app.web.oidc.settings import OidcSettings
from ari_app.web.ui.error_pages import error_pages
from ari_app.web.ui.render import STATIC, TEMPLATES_KEY, Templates, load_templates

log = logging.getLogger(__name__)

RULES = (compressed, error_pages, check_host, authenticate, require_role, larger_files, csrf_protect)
"""What every request of a browser or a token passes, in this order."""
SHUTDOWN_S = 2.0  # for a request that is being answered when the program stops
LARGEST_BODY = 1024 * 1024


@dataclass(frozen=True)
class Served:
    """Where the page is. ``first_link``: where the password can be set; empty once there is one.

    ``port``: the one that is listened to, 0 for none; ``url`` may lead to a proxy in front of it.
    """

    url: str
    first_link: str
    port: int


@dataclass(frozen=True)
class Parts:
    """What requests find in their application, each part by its own key."""

    common: Web
    access: Access
    templates: Templates
    flashes: Flashes
    streams: Streams
    checkup: Checkup
    oidc: Oidc | None

    def put_into(self, app: web.Application) -> None:
        """Let an application's requests find them."""
        app[WEB] = self.common
        app[ACCESS_KEY] = self.access
        app[TEMPLATES_KEY] = self.templates
        app[FLASHES] = self.flashes
        app[STREAMS] = self.streams
        app[CHECKUP] = self.checkup
        app[ROUTE_ROLES] = ROLES
        if self.oidc:
            app[OIDC] = self.oidc


@asynccontextmanager
async def serving(
    services: Services,
    settings: WebSettings,
    at: ListeningSockets,
    oidc: OidcSettings | None = None,
    *,
    clock: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
    heartbeat_s: float = HEARTBEAT_S,
) -> AsyncIterator[Served]:
    """Serve ``at`` these sockets while inside: the page, and, without any password, the API.

    ``oidc``: the OpenID Connect provider, if there is one.
    """
    async with AsyncExitStack() as stack:
        port = at.page.getsockname()[1] if at.page else settings.port
        url = settings.public_url or f"http://{_in_url(settings.host)}:{port}"
        session_s, idle_s = settings.browsers_s
        shared = await _shared(stack, services)
        access = Access(services.store, services.bus, session_s, idle_s, clock, steady, oidc, shared=shared)
        its = Web(
            url=url,
            settings=settings,
            services=services,
            cookies=Cookies(port, settings.secure, session_s),
            clock=clock,
            steady=steady,
            started=steady(),
        )
        parts = Parts(
            its,
            access,
            await asyncio.to_thread(load_templates),
            Flashes(),
            Streams(still_in, heartbeat_s),
            Checkup(services.doctor, services.bus, clock),
            await open_oidc(oidc, url, access, services.bus, clock, steady) if oidc else None,
        )
        if at.here:
            await _serve(stack, _api(parts), at.here)
        first_link = ""
        if at.page:
            await _serve(stack, _page(parts), at.page)
            first_link = await _first_link(access, url)
        yield Served(url, first_link, port if at.page else 0)


async def _shared(stack: AsyncExitStack, services: Services) -> SharedAccess:
    if services.shared_page is None:
        return OwnAccess(services.store)
    shared = EngineAccess(services.store, services.shared_page, services.bus)
    shared.begin(await stack.enter_async_context(guarded_tasks()))
    return shared


async def _first_link(access: Access, url: str) -> str:
    """Where the first password is set; empty where there is one, or nobody who could use it."""
    try:
        first = await access.first()
    except UnknownUser:
        log.warning("[oidc] emergency_user: there is no such user, so nobody can sign in with a password")
        return ""
    if await access.users.any_password():
        return ""
    return f"{url}/password?link={await access.users.new_link(first)}"


def _page(parts: Parts) -> web.Application:
    app = web.Application(
        middlewares=[
            compressed,
            error_pages,
            check_host,
            authenticate,
            require_role,
            larger_files,
            csrf_protect,
            recorded,
        ],
        client_max_size=LARGEST_BODY,
    )
    parts.put_into(app)
    for routes in PAGES:
        app.add_routes(routes)
    mount(app, OPERATIONS, ROLES)
    app.router.add_static("/static/", STATIC)
    app.on_response_prepare.append(add_headers)
    return app


def _api(parts: Parts) -> web.Application:
    @web.middleware
    async def administrator(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[IDENTITY] = Identity("socket", Role.ADMINISTRATOR)
        return await handler(request)

    app = web.Application(middlewares=[error_pages, administrator, recorded], client_max_size=LARGEST_BODY)
    parts.put_into(app)
    mount(app, OPERATIONS, ROLES)
    return app


async def _serve(stack: AsyncExitStack, app: web.Application, listening: socket.socket) -> None:
    async def close_streams(app: web.Application) -> None:
        app[STREAMS].close()

    app.on_shutdown.append(close_streams)
    runner = web.AppRunner(
        app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S, logger=_HttpLog(log)
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, listening).start()


class _HttpLog(logging.LoggerAdapter[logging.Logger]):
    """What is no HTTP comes from every port scanner; it is no error of ours.

    What is wrong with it is not told: that would quote the request, and the secrets in it.
    """

    def exception(self, msg: object, *args: object, **options: Any) -> None:
        if isinstance(error := options.get("exc_info"), HttpProcessingError):
            self.debug(f"{msg}: %s", *args, type(error).__name__)
        else:
            super().exception(msg, *args, **options)


def _in_url(host: str) -> str:
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound
    return everywhere.get(host) or (f"[{host}]" if ":" in host else host)
