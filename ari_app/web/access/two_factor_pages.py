"""One's own two-factor authentication: turned on with an authenticator app, and off again."""

from typing import Any

import segno
from aiohttp import web
from markupsafe import Markup

from ari_app.i18n import message
from ari_app.store.users import UserRow
from ari_app.web.access.access import access_of
from ari_app.web.access.account import own
from ari_app.web.access.refusals import AccessRefused, TooManyTries
from ari_app.web.http.context import identity
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.http.middlewares import remote
from ari_app.web.ui.render import render

routes = web.RouteTableDef()

PLACE = "/account/two-factor"
QR_MODULE_PX, QR_BORDER = 6, 4


@routes.get(PLACE)
async def show(request: web.Request) -> web.StreamResponse:
    """Whether it is on, and how to turn it on."""
    return await _page(request)


async def _page(request: web.Request, status: int = 200, **values: Any) -> web.StreamResponse:
    its, user, session = access_of(request).two_factor, await own(request), identity(request).digest
    base: dict[str, Any] = {
        "user": user,
        "needed": identity(request).must_enrol,
        "codes": None,
        "left": await its.codes_left(user) if user.totp else 0,
        "errors": {},
        "secret": "",
        "qr": "",
    }
    if user.totp is None:
        base |= {"secret": its.offer(user, session), "qr": _qr(its.address(user, session))}
    return render(request, "access/two_factor.html", status=status, **(base | values))


@routes.post(PLACE)
async def confirm(request: web.Request) -> web.StreamResponse:
    """Turn it on, and sign every other browser out; the answer shows the recovery codes, the only time."""
    its, user = access_of(request).two_factor, await own(request)
    if user.totp is not None:
        raise web.HTTPSeeOther(PLACE)
    try:
        codes = await its.confirm(user, identity(request).digest, (await form(request)).get("code", ""))
    except AccessRefused as refused:
        return await _page(request, 422, errors={"code": refused.sentence})
    return await _page(request, codes=codes)


@routes.post(PLACE + "/codes")
async def new_codes(request: web.Request) -> web.StreamResponse:
    """Other recovery codes, for whoever says their password, or a code, again."""
    user = await own(request)
    if user.totp is None:
        raise web.HTTPSeeOther(PLACE)
    if refused := await _unconfirmed(request, user):
        return refused
    return await _page(request, codes=await access_of(request).two_factor.new_codes(user))


@routes.post(PLACE + "/off")
async def turn_off(request: web.Request) -> web.StreamResponse:
    """Turn it off, for whoever says their password, or a code, again."""
    user = await own(request)
    if user.totp is None:
        raise web.HTTPSeeOther(PLACE)
    if refused := await _unconfirmed(request, user):
        return refused
    await access_of(request).two_factor.turn_off(user)
    flash(request, message("Two-factor authentication is off."))
    raise web.HTTPSeeOther(PLACE)


async def _unconfirmed(request: web.Request, user: UserRow) -> web.StreamResponse | None:
    """None once they have said their password again, or, without one, a code; else the page that says why not."""
    access, fields, address = access_of(request), await form(request), remote(request)
    try:
        if user.hash is None:
            await access.check_own_code(user, fields.get("code", ""), address)
        else:
            await access.check_own(user, fields.get("password", ""), address)
    except TooManyTries as refused:
        page = await _page(request, 429, errors={"again": refused.sentence})
        page.headers["Retry-After"] = str(refused.wait_s)
        return page
    except AccessRefused as refused:
        return await _page(request, 422, errors={"again": refused.sentence})
    return None


def _qr(address: str) -> Markup:
    svg = segno.make(address, error="m").svg_inline(scale=QR_MODULE_PX, border=QR_BORDER, omitsize=True, svgclass="qr")
    return Markup(svg)  # noqa: S704 - segno's own, of numbers
