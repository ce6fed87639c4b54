"""The middlewares that decide who gets in, and the rules every request has to keep.

CSRF protection by hand: it is one HMAC of the session, and aiohttp has none of its own.
"""

import hmac
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from ari_app.i18n import message
from ari_app.web.http.context import IDENTITY, web_of
from ari_app.web.http.errors import PageError, is_api, is_htmx
from ari_app.web.http.roles import ANYBODY, SAFE_METHODS, route_of, route_roles_of

UNATTENDED_PATHS = frozenset({"/events", "/api/events", "/alive"})
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf"
BEARER = "bearer "
ENROL = "/account/two-factor"
WHERE_TO_ENROL = frozenset({ENROL, "/account/passkeys", "/logout"})
"""All that is open to somebody whose role needs two-factor authentication, and who has none yet."""
NOT_YOUR_ROLE = message("Your role does not allow this: ask an administrator.")


@web.middleware
async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer only under our own names: else a site whose name is made to point here could read our pages.

    An address in place of a name is safe: that attack needs a name of the attacker's.
    """
    settings = web_of(request).settings
    names = {"localhost", settings.host, urlsplit(settings.public_url).hostname, *settings.allowed_hosts}
    name = _name(request.headers.get("Host", ""))
    if name not in names and not is_address(name):
        raise PageError(421, message("This host name is unknown. Add it to allowed_hosts under [web]."))
    return await handler(request)


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_address(name: str) -> bool:
    """Whether it is an IP address."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_open(request: web.Request) -> bool:
    """Whether what is asked for is there for those, too, who have not signed in."""
    route, roles = route_of(request), route_roles_of(request)
    return roles.need(*route) == ANYBODY if route else roles.is_open(request.path)


@web.middleware
async def require_role(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send who has not signed in to the page where they can, and refuse what somebody's role may not do."""
    who, route, roles = request[IDENTITY], route_of(request), route_roles_of(request)
    if is_open(request):
        return await handler(request)
    if who.role is None:
        if is_api(request):
            raise PageError(401, message("Sign in, or send an API token: Authorization: Bearer TOKEN."))
        if is_htmx(request):
            return web.Response(status=401)  # live.js loads the page anew
        if request.path == "/events":
            raise PageError(401, message("Sign in first."))
        back = quote(request.path_qs, safe="/") if request.method == "GET" else "/"
        raise web.HTTPSeeOther("/login" if back == "/" else f"/login?next={quote(back)}")
    if who.must_enrol and route and route[1] not in WHERE_TO_ENROL:
        if is_api(request) or is_htmx(request) or request.method not in SAFE_METHODS:
            raise PageError(403, message("Your role needs two-factor authentication: turn it on first."))
        raise web.HTTPSeeOther(ENROL)
    if route and not roles.may(who.role, route[1], route[0]):
        raise PageError(403, message("This API token may not do this.") if who.kind == "token" else NOT_YOUR_ROLE)
    return await handler(request)


@web.middleware
async def csrf_protect(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a browser change something only when one of our own pages has asked for it.

    A token in a header is sent by no browser on its own, so programs need none of this.
    """
    who = request[IDENTITY]
    if request.method not in SAFE_METHODS and who.kind in ("session", "visitor"):
        if not _own_origin(request):
            raise PageError(403, message("This request came from another site, so nothing was changed."))
        sent = request.headers.get(CSRF_HEADER) or await _field(request)
        if not who.csrf or not hmac.compare_digest(sent.encode("utf-8", "replace"), who.csrf.encode()):
            raise PageError(403, message("This page is too old to change anything. Reload it and try again."))
    return await handler(request)


def _own_origin(request: web.Request) -> bool:
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")
    return (
        origin == web_of(request).settings.public_url
        or origin == f"{request.scheme}://{request.headers.get('Host', '')}"
    )


async def _field(request: web.Request) -> str:
    if request.content_type not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return ""
    field = (await request.post()).get(CSRF_FIELD, "")
    return field if isinstance(field, str) else ""


def remote(request: web.BaseRequest) -> str:
    """The address that a request comes from; a proxy that is trusted says for whom it asks."""
    proxies = web_of(request).settings.proxies if isinstance(request, web.Request) else ()
    address = request.remote or "unknown"
    for before in reversed(",".join(request.headers.getall("X-Forwarded-For", [])).split(",")):
        if not is_address(address) or not any(ip_address(address) in network for network in proxies):
            break
        if not is_address(before.strip()):
            break
        address = before.strip()
    return address
