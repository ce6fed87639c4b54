"""Signing a line in, by code or by QR code; in the wizard, and at any later time."""

import hashlib
from typing import Any, cast

import segno
from aiohttp import web
from markupsafe import Markup

from ari_app.i18n import Message, message
from ari_app.lines.settings import SettingRefused
from ari_app.lines.sign_ins import SignInWay
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.line import LineState
from ari_app.telegram.signin import SignIn
from ari_app.telegram.signin_view import SignInState
from ari_app.web.http.context import services, web_of
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.lines.line import LINE, line_of, number_of, render_line

routes = web.RouteTableDef()

PLACE = LINE + "/signin"
ADOPTED_S = 60.0  # within that, a line goes on with the session that was just signed in
QR_MODULE_PX, QR_BORDER = 6, 4

WAYS: dict[str, Message] = {
    "app": message("as a message in the account's Telegram app"),
    "sms": message("by SMS"),
    "call": message("by a phone call that says it"),
    "flash call": message("by a call that hangs up: the code is in the caller's number"),
    "missed call": message("by a missed call: the code is the last digits of the caller's number"),
    "email": message("by e-mail"),
    "fragment": message("to the number's owner at fragment.com"),
}


@routes.get(PLACE)
async def show(request: web.Request) -> web.StreamResponse:
    """How far it is, and what comes next."""
    return _page(request, "lines/signin.html")


@routes.get(PLACE + "/view")
async def view(request: web.Request) -> web.StreamResponse:
    """The part of the page that changes; what shows already is left as it is, with what is being typed into it."""
    values = _values(request)
    if request.query.get("seen") == values["seen"]:
        return web.Response(status=204)
    return render_line(request, "lines/signin_view.html", **values)


@routes.post(PLACE + "/{way:code|qr|machine}")
async def begin(request: web.Request) -> web.StreamResponse:
    """Have a code sent, a QR code shown, or another machine accept."""
    number = number_of(request)
    way = cast(SignInWay, request.match_info["way"])
    try:
        await services(request).lines.sign_ins.begin(number, way)
    except SettingRefused:
        flash(request, message("Set the application's id and hash first."), "failed")
        raise web.HTTPSeeOther("/lines/add?application") from None
    except TelegramError as error:
        flash(request, getattr(error, "sentence", None) or message("{error}", error=error), "failed")
    raise web.HTTPSeeOther(f"/lines/{number}/signin")


@routes.post(PLACE + "/enter")
async def enter_code(request: web.Request) -> web.StreamResponse:
    """Enter the code."""
    fields = await form(request)
    if signing := _signing(request):
        await signing.code(fields.get("code", ""))
    return _after(request, typed=fields.get("code", ""))


@routes.post(PLACE + "/password")
async def enter_password(request: web.Request) -> web.StreamResponse:
    """Enter the two-step password."""
    fields = await form(request)
    if signing := _signing(request):
        await signing.password(fields.get("password", ""))
    return _after(request)


@routes.post(PLACE + "/resend")
async def resend(request: web.Request) -> web.StreamResponse:
    """Have the code sent again."""
    if signing := _signing(request):
        await signing.resend()
    return _after(request)


@routes.post(PLACE + "/cancel")
async def cancel(request: web.Request) -> web.StreamResponse:
    """Forget about it."""
    number = number_of(request)
    await services(request).lines.sign_ins.cancel(number)
    raise web.HTTPSeeOther(f"/lines/{number}/signin")


def _signing(request: web.Request) -> SignIn | None:
    return services(request).lines.sign_ins.of(number_of(request))


def _after(request: web.Request, typed: str = "") -> web.StreamResponse:
    """What was refused is shown with what was typed; else the page goes on."""
    signing = _signing(request)
    if signing and signing.view.error:
        return _page(request, "lines/signin.html", 422, typed=typed)
    raise web.HTTPSeeOther(f"/lines/{number_of(request)}/signin")


def _page(request: web.Request, template: str, status: int = 200, typed: str = "") -> web.StreamResponse:
    return render_line(request, template, status, **_values(request) | {"typed": typed})


def _values(request: web.Request) -> dict[str, Any]:
    line, signing = line_of(request), _signing(request)
    light = services(request).statuses.status(line).account
    view = signing.view if signing else None
    state, qr = "choose", Markup()
    if view is not None:
        fresh = web_of(request).clock() - view.since < ADOPTED_S
        if view.state is SignInState.SIGNED_IN and (fresh or line.state is not LineState.SIGNED_OUT):
            state = "done"
        elif view.state is SignInState.CODE_SENT:
            state = "code"
        elif view.state is SignInState.PASSWORD_NEEDED:
            state = "password"
        elif view.state is SignInState.QR_SHOWN and view.qr_url:
            state, qr = "qr", _drawn(view.qr_url)
    shown: tuple[object, ...] = (state, view and (view.since, view.error, view.sent_by, view.qr_url))
    if state in ("choose", "done"):
        shown = (*shown, light.colour, light.sentence)
    seen = hashlib.sha256(repr(shown).encode()).hexdigest()[:16]
    has_others = services(request).cluster is not None
    return {
        "view": view, "typed": "", "ways": WAYS, "state": state, "qr": qr, "seen": seen, "has_others": has_others,
    }  # fmt: skip


def _drawn(url: str) -> Markup:
    """A QR code as inline SVG; its size and colours are the stylesheet's."""
    svg = segno.make(url, error="m").svg_inline(scale=QR_MODULE_PX, border=QR_BORDER, omitsize=True, svgclass="qr")
    return Markup(svg)  # noqa: S704 - segno's own, of numbers
