"""Settings of the installation, the password, who is signed in, and API tokens."""

from typing import Any

from aiohttp import web

from ari_app import zones
from ari_app.i18n import Message, message
from ari_app.lines.installation import BotUntried
from ari_app.lines.settings import SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.web.access.access import AccessRefused, PasswordRefused, TooManyTries, access_of, digest
from ari_app.web.access.pages import Unanswered, tokens_too
from ari_app.web.access.passwords import SHORTEST
from ari_app.web.http.context import identity, services, web_of
from ari_app.web.http.edits import MEANWHILE
from ari_app.web.http.flash import FlashMessage, flash, flashes_of
from ari_app.web.http.forms import form
from ari_app.web.http.middlewares import remote
from ari_app.web.settings import forms as installation_form
from ari_app.web.ui.render import render

routes = web.RouteTableDef()

LONGEST_NAME = 100
WRONG_FIELDS = {PasswordRefused: "new_password", Unanswered: "tokens"}
ID_DIGITS = 18  # of a token: what SQLite can hold, and int() can read


@routes.get("/settings")
async def settings(request: web.Request) -> web.StreamResponse:
    """All of it."""
    return await _page(request)


async def _page(request: web.Request, status: int = 200, **values: Any) -> web.StreamResponse:
    its = web_of(request)
    edit = values.pop("edit", None) or installation_form.unedited(its.services.installation.settings)
    base = {
        "installation": installation_form.shown(edit),
        "read": edit.read(),
        "meanwhile": None,
        "untried": False,
        "errors": {},
        "sessions": await access_of(request).sessions(),
        "tokens": await access_of(request).tokens(),
        "made": None,
        "shortest": SHORTEST,
        "about": installation_form.ABOUT,
        "timezones": zones.names(),
        "machines_zone": zones.name_of(zones.MACHINE),
        "drain": its.services.registry.drain,
    }
    return render(request, "settings/index.html", status=status, **(base | values))


@routes.post("/settings/installation")
async def change_installation(request: web.Request) -> web.StreamResponse:
    """The company, the application's identity, the bot; or what somebody else has changed of it meanwhile."""
    installation, fields = services(request).installation, await form(request)
    while True:
        now = installation.settings
        edit = installation_form.edit(fields, now)
        if differs := installation_form.differences(edit, now):
            return await _page(request, 412, edit=edit, errors=differs, meanwhile=MEANWHILE)
        try:
            changes, untried = installation_form.change(edit, fields), "untried" in fields
            bot = await installation.change(changes, {version_of(now)}, untried=untried)
        except SettingsChanged:
            continue  # between our look and our change
        except SettingRefused as refused:
            return await _page(request, 422, edit=edit, errors={each.key: each.reason for each in refused.wrong})
        except BotUntried as refused:
            return await _page(request, 422, edit=edit, errors={"bot_token": refused.sentence}, untried=True)
        flash(request, edit.done)
        if bot:
            flash(request, message("This is the token of @{bot}.", bot=bot.username))
        raise web.HTTPSeeOther("/settings")


@routes.post("/settings/password")
async def change_password(request: web.Request) -> web.StreamResponse:
    """A new password; every other browser is signed out."""
    its, fields = web_of(request), await form(request)
    address = remote(request)
    try:
        if fields.get("new_password", "") != fields.get("password_again", ""):
            raise PasswordRefused(message("The two passwords are not the same."))
        revoke = await tokens_too(access_of(request), fields)
        await access_of(request).change_password(
            fields.get("old_password", ""), fields.get("new_password", ""), address, revoke_tokens=revoke
        )
    except AccessRefused as refused:
        where = WRONG_FIELDS.get(type(refused), "old_password")
        status = 429 if isinstance(refused, TooManyTries) else 422
        page = await _page(request, status, errors={where: refused.sentence})
        if isinstance(refused, TooManyTries):
            page.headers["Retry-After"] = str(refused.wait_s)
        return page
    secret = await access_of(request).start_session(address, request.headers.get("User-Agent", ""))
    done = (
        message("The password is changed, and the API tokens are revoked.")
        if revoke
        else message("The password is changed.")
    )
    flashes_of(request).add(digest(secret), FlashMessage("done", done))
    response = web.Response(status=303, headers={"Location": "/settings"})
    its.cookies.set_session(response, secret)
    return response


@routes.post("/settings/sessions/others")
async def end_others(request: web.Request) -> web.StreamResponse:
    """Sign every other browser out."""
    await access_of(request).log_out_others(identity(request).digest)
    flash(request, message("Every other browser is signed out."))
    raise web.HTTPSeeOther("/settings")


@routes.post("/settings/tokens")
async def make_token(request: web.Request) -> web.StreamResponse:
    """A new API token; the answer shows it, the only time."""
    fields = await form(request)
    name, right = fields.get("name", ""), fields.get("right", "")
    wrong: Message | None = None
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        wrong = message("Give the token a name of up to {longest} characters.", longest=LONGEST_NAME)
    if wrong:
        return await _page(request, 422, errors={"name": wrong})
    secret, kept = await access_of(request).make_token(name, "write" if right == "write" else "read")
    return await _page(request, made=(kept.name, secret))


@routes.post("/settings/tokens/{id}/revoke")
async def revoke_token(request: web.Request) -> web.StreamResponse:
    """Revoke one."""
    id = request.match_info["id"]
    if not (id.isdecimal() and len(id) <= ID_DIGITS and await access_of(request).revoke_token(int(id))):
        raise web.HTTPNotFound
    flash(request, message("The token is revoked."))
    raise web.HTTPSeeOther("/settings")
