"""Signing in by the OpenID Connect provider: to it, and back from it."""

from urllib.parse import quote, urlsplit

from aiohttp import web

from ari_app.i18n import Message, message
from ari_app.reports.audit import Actor
from ari_app.store.identities import Admitted
from ari_app.web.access.access import access_of
from ari_app.web.access.account import start_session
from ari_app.web.access.pages import WITH_OIDC, ask_for_code, local_place, login_page
from ari_app.web.access.refusals import AccessRefused
from ari_app.web.audit.actions import ROLE_CHANGED, SIGN_IN_FAILED, SIGNED_IN, USER_ADDED
from ari_app.web.http.context import identity, services, web_of
from ari_app.web.http.flash import flash
from ari_app.web.http.middlewares import remote
from ari_app.web.oidc.flow import Flow
from ari_app.web.oidc.oidc import PLACE, Oidc, oidc_of
from ari_app.web.oidc.refusals import ProviderAway
from ari_app.web.oidc.users import NotAdmitted
from ari_app.web.ui.render import render

routes = web.RouteTableDef()

START = "/login/oidc"
LONGEST_ERROR = 100  # of what the provider, or whoever made an address, says
LED_HERE = "led"  # in an address: a browser was led to our own name already

NOT_BEGUN = message("This sign-in was not begun in this browser, or is over: try again.")
DENIED = message("The sign-in provider has not let you in, or you have not agreed.")


@routes.get(START, allow_head=False)
async def start(request: web.Request) -> web.StreamResponse:
    """Send a browser to the provider."""
    oidc, its = _oidc(request), web_of(request)
    wanted = local_place(request.query.get("next", ""))
    if identity(request).role:
        raise web.HTTPSeeOther(wanted)
    # The provider leads back to the name that it knows, so the cookie has to be that name's.
    if request.host != urlsplit(its.url).netloc and LED_HERE not in request.query:
        raise web.HTTPSeeOther(f"{its.url}{START}?{LED_HERE}=1&next={quote(wanted, safe='')}")
    flow = Flow.begin(wanted)
    try:
        place = await oidc.provider.sign_in_url(flow)
    except AccessRefused as refused:
        return await _failed(request, refused.sentence, wanted, 502)
    response = web.Response(status=303, headers={"Location": place})
    its.cookies.set_flow(response, flow.cookie)
    return response


@routes.get(PLACE, allow_head=False)
async def answered(request: web.Request) -> web.StreamResponse:
    """Let in whom the provider sends back, if it proves who they are."""
    oidc, query = _oidc(request), request.query
    flow = Flow.of(request.cookies.get(web_of(request).cookies.flow, ""))
    if flow is None or not flow.is_answered_by(query.get("state", "")):
        return await _failed(request, NOT_BEGUN)
    wanted = local_place(flow.wanted)
    if query.get("iss", oidc.settings.issuer) != oidc.settings.issuer:  # RFC 9207
        return await _failed(request, NOT_BEGUN, wanted)
    if error := query.get("error"):
        said = message("The sign-in provider says: {error}.", error=error[:LONGEST_ERROR])
        return await _failed(request, DENIED if error == "access_denied" else said, wanted)
    try:
        admitted = await oidc.users.admit(await oidc.provider.claims(flow, query.get("code", "")))
    except AccessRefused as refused:
        if isinstance(refused, NotAdmitted):  # what proves nothing is not kept: anybody could fill the database
            services(request).audit.record(Actor("visitor", address=remote(request)), SIGN_IN_FAILED)
        return await _failed(request, refused.sentence, wanted, 502 if isinstance(refused, ProviderAway) else 403)
    _record(request, admitted)
    return await _let_in(request, admitted, wanted)


async def _let_in(request: web.Request, admitted: Admitted, wanted: str) -> web.StreamResponse:
    access, user, its = access_of(request), admitted.user, web_of(request)
    if user.second_factor and access.asks_second_factor("oidc"):
        page = await ask_for_code(request, user, wanted, "oidc")
    else:
        access.signed_in(user, remote(request))
        services(request).audit.record(Actor("user", user.name, remote(request)), SIGNED_IN, changes=WITH_OIDC)
        # No redirect: a browser would leave the session's cookie out, since another site has led it here.
        page = render(request, "oidc/signed_in.html", wanted=wanted, back=wanted)
        await start_session(request, page, user, "oidc")
    its.cookies.drop_flow(page)
    return page


@routes.get(f"{START}/logout", allow_head=False)
async def log_out(request: web.Request) -> web.StreamResponse:
    """Sign a browser out of the provider, too, which leads it back."""
    oidc = _oidc(request)
    try:
        place = await oidc.provider.sign_out_url(f"{web_of(request).url}/login")
    except AccessRefused as refused:
        return await login_page(request, 502, error=refused.sentence)
    raise web.HTTPSeeOther(place or "/login")


@routes.post("/users/oidc/test")
async def examine(request: web.Request) -> web.StreamResponse:
    """Ask the provider for its addresses and keys."""
    try:
        await _oidc(request).provider.examine()
    except AccessRefused as refused:
        flash(request, refused.sentence, "failed")
    else:
        flash(request, message("The sign-in provider answers as it should."))
    raise web.HTTPSeeOther("/users")


def _oidc(request: web.Request) -> Oidc:
    oidc = oidc_of(request)
    if oidc is None:
        raise web.HTTPNotFound
    return oidc


async def _failed(request: web.Request, sentence: Message, wanted: str = "/", status: int = 403) -> web.StreamResponse:
    page = await login_page(request, status, next=wanted, refused=sentence, back="/login")
    web_of(request).cookies.drop_flow(page)
    return page


def _record(request: web.Request, admitted: Admitted) -> None:
    """That somebody was added, or has another role, as the provider says."""
    user, was = admitted.user, admitted.was
    if was != user.role:
        actor = Actor("user", user.name, remote(request))
        action = ROLE_CHANGED if was else USER_ADDED
        services(request).audit.record(actor, action, user.name, {"role": (was, user.role)})
