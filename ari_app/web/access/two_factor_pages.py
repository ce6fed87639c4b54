"""One's own two-factor authentication: turned on with an authenticator app, and off again."""

from typing import Any

import segno
from aiohttp import web
from markupsafe import Markup

from ari_app.i18n import message
from ari_app.store.users import UserRow
from ari_app.web.access.access import access_of
from ari_app.web.access.account import own
from ari_app.web.access.passkeys import relying_party
from ari_app.web.access.refusals import AccessRefused, TooManyTries
from ari_app.web.access.signed_in import needs_second_factor
from ari_app.web.http.context import identity
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.http.middlewares import remote
from ari_app.web.ui.render import render

routes = web.RouteTableDef()

PLACE = "/account/two-factor"
QR_MODULE_PX, QR_BORDER = 6, 4
NOTHING_TO_CONFIRM_BY = message(
    "Nothing can be changed here: you have no password, no device that works at this address, and no recovery code "
    "left. Ask an administrator to turn your two-factor authentication off under Settings → Users, then set it up anew."
)


@routes.get(PLACE)
async def show(request: web.Request) -> web.StreamResponse:
    """Whether it is on, and how to turn it on."""
    return await two_factor_page(request)


async def two_factor_page(request: web.Request, status: int = 200, **values: Any) -> web.StreamResponse:
    """All of it."""
    access, user, session = access_of(request), await own(request), identity(request).digest
    its, party = access.two_factor, relying_party(request)
    left = await its.codes_left(user)
    again = "" if user.hash else await access.passkeys.confirmation_options(user, session, party)
    base: dict[str, Any] = {
        "user": user,
        "needed": identity(request).must_enrol,
        "demanded": needs_second_factor(request, user, identity(request).way),
        "codes": None,
        "left": left,
        "again_options": again,
        "cannot_confirm": NOTHING_TO_CONFIRM_BY if _is_stuck(user, again, left) else None,
        "passkeys": await access.passkeys.all(user),
        "here": party.id if party else "",
        "works_here": await access.has_second_factor(user, party),
        "passkey_name": "",
        "options": await access.passkeys.creation_options(user, session, party) if party else "",
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
    its, user, fields = access_of(request).two_factor, await own(request), await form(request)
    if user.totp is not None:
        raise web.HTTPSeeOther(PLACE)
    if user.second_factor and (refused := await unconfirmed(request, user, "again-app")):
        return refused
    try:
        code = fields.get("new_code" if user.second_factor else "code", "")
        codes = await its.confirm(user, identity(request).digest, code)
    except AccessRefused as refused:
        return await two_factor_page(request, 422, errors={"code": refused.sentence})
    return await two_factor_page(request, codes=codes)


@routes.post(PLACE + "/codes")
async def new_codes(request: web.Request) -> web.StreamResponse:
    """Other recovery codes, for whoever says their password, or a code, again."""
    user = await own(request)
    if not user.second_factor:
        raise web.HTTPSeeOther(PLACE)
    if refused := await unconfirmed(request, user):
        return refused
    return await two_factor_page(request, codes=await access_of(request).two_factor.new_codes(user))


@routes.post(PLACE + "/off")
async def turn_off(request: web.Request) -> web.StreamResponse:
    """Turn it off, for whoever says their password, or a code, again."""
    user = await own(request)
    if not user.second_factor:
        raise web.HTTPSeeOther(PLACE)
    if refused := await kept_on(request, user) or await unconfirmed(request, user):
        return refused
    await access_of(request).two_factor.turn_off(user)
    flash(request, message("Two-factor authentication is off."))
    raise web.HTTPSeeOther(PLACE)


async def kept_on(request: web.Request, user: UserRow, place: str = "again") -> web.StreamResponse | None:
    """The page that says why somebody can't go without a second factor; None where they can."""
    if not needs_second_factor(request, user, identity(request).way):
        return None
    said = message("Your role needs two-factor authentication: add another device first, or ask an administrator.")
    return await two_factor_page(request, 422, errors={place: said})


async def unconfirmed(
    request: web.Request, user: UserRow, place: str = "again", **values: Any
) -> web.StreamResponse | None:
    """None once they have said their password again, or, without one, a code, or their passkey's device has answered;
    else the page that says why not, where.

    ``values``: of the page.
    """
    access, fields, address = access_of(request), await form(request), remote(request)
    try:
        if user.hash is not None:
            await access.check_own(user, fields.get("password", ""), address)
        elif credential := fields.get("confirmation"):
            session, party = identity(request).digest, relying_party(request)
            await access.check_own_passkey(user, session, party, credential, address)
        else:
            await access.check_own_code(user, fields.get("code", ""), address)
    except TooManyTries as refused:
        page = await two_factor_page(request, 429, errors={place: refused.sentence}, **values)
        page.headers["Retry-After"] = str(refused.wait_s)
        return page
    except AccessRefused as refused:
        return await two_factor_page(request, 422, errors={place: refused.sentence}, **values)
    return None


def _is_stuck(user: UserRow, options: str, codes_left: int) -> bool:
    """Whether somebody has nothing that they could confirm a change by."""
    return user.second_factor and not (user.hash or user.totp or options or codes_left)


def _qr(address: str) -> Markup:
    svg = segno.make(address, error="m").svg_inline(scale=QR_MODULE_PX, border=QR_BORDER, omitsize=True, svgclass="qr")
    return Markup(svg)  # noqa: S704 - segno's own, of numbers
