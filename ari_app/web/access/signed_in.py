"""Who is asking, and whether they are still let in."""

import logging
import secrets

from aiohttp import web
from aiohttp.typedefs import Handler

from ari_app.i18n import message
from ari_app.networks import address_of
from ari_app.store.errors import StoreUnavailable
from ari_app.store.users import UserRow
from ari_app.web.access.access import access_of
from ari_app.web.access.passkeys import relying_party
from ari_app.web.access.tokens import MakerRemoved, TokenExpired, role_of
from ari_app.web.http.context import IDENTITY, Identity, identity, web_of
from ari_app.web.http.cookies import SECRET_BYTES, csrf_of
from ari_app.web.http.errors import METRICS, PROBES, PageError, is_api, is_live
from ari_app.web.http.middlewares import BEARER, UNATTENDED_PATHS, is_open, remote
from ari_app.web.http.roles import SAFE_METHODS, Role

log = logging.getLogger(__name__)


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who is asking: by their API token, by their session's cookie, or nobody known."""
    its = web_of(request)
    authorization = request.headers.get("Authorization", "")
    secret = request.cookies.get(its.cookies.session, "")
    new_visitor = ""
    if request.path in PROBES:  # asked every few seconds, and who asks does not matter
        request[IDENTITY] = Identity("network", None)
        return await handler(request)
    if is_api(request) and authorization:
        request[IDENTITY] = await _bearer(request, authorization)
    elif secret and (living := await access_of(request).sessions.of(secret, used=_is_use(request))):
        session, user = living
        request[IDENTITY] = Identity(
            "session",
            Role(user.role),
            session.digest,
            csrf_of(secret),
            name=user.name,
            user_id=user.id,
            must_enrol=await _must_enrol(request, user, session.way),
            way=session.way,
        )
    elif request.path == METRICS and _may_scrape(request):
        request[IDENTITY] = Identity("network", Role.VIEWER)
    else:
        # The secret of a session that is over does, too: tabs that ask for the page of sign-in at once all have it.
        visitor = request.cookies.get(its.cookies.visitor, "") or secret
        if not visitor and is_open(request):
            visitor = new_visitor = secrets.token_urlsafe(SECRET_BYTES)
        request[IDENTITY] = Identity("visitor", None, csrf=csrf_of(visitor) if visitor else "")
    response = await handler(request)
    if new_visitor and not response.prepared and its.cookies.visitor not in response.cookies:
        its.cookies.set_visitor(response, new_visitor)
    return response


def needs_second_factor(request: web.Request, user: UserRow, way: str) -> bool:
    """Whether it is demanded of a user who has signed in by some way."""
    return access_of(request).asks_second_factor(way) and user.role in web_of(request).settings.require_two_factor


async def _must_enrol(request: web.Request, user: UserRow, way: str) -> bool:
    if not needs_second_factor(request, user, way):
        return False
    return not await access_of(request).has_second_factor(user, relying_party(request))


def _may_scrape(request: web.Request) -> bool:
    """Whether the figures may be read from there without a token."""
    try:
        address = address_of(remote(request))
    except ValueError:  # no address: a socket's
        return False
    return any(address in network for network in web_of(request).settings.metrics_allow)


def _is_use(request: web.Request) -> bool:
    """Whether somebody has done something: an open page asks again at each event, for as long as it is open."""
    if request.method not in SAFE_METHODS:
        return True
    return request.path not in UNATTENDED_PATHS and not is_live(request)


async def _bearer(request: web.Request, authorization: str) -> Identity:
    if authorization[: len(BEARER)].lower() != BEARER:
        raise PageError(401, message("Use an API token: Authorization: Bearer TOKEN."))
    try:
        token = await access_of(request).tokens.of(authorization[len(BEARER) :].strip(), remote(request))
    except (TokenExpired, MakerRemoved) as refused:
        raise PageError(401, refused.sentence) from None
    if token is None:
        raise PageError(401, message("This API token is unknown. It may have been revoked."))
    return Identity("token", role_of(token), name=token.name, token_id=token.id)


async def still_in(request: web.Request) -> bool:
    """Whether the session or the token that a request came with is still good, and may still do it."""
    who, access = identity(request), access_of(request)
    try:
        if who.kind == "session":
            living = await access.sessions.living(who.digest)
            return living is not None and not await _must_enrol(request, living[1], living[0].way)
        if who.kind == "token":
            return await access.tokens.is_good(who.token_id)
    except StoreUnavailable as error:
        log.warning("live events go on unchecked until the next time: %s", error)
    return True
