"""Settings of the installation, and API tokens."""

from typing import Any

from aiohttp import web

from ari_app import zones
from ari_app.i18n import Message, message
from ari_app.lines.installation import BotUntried
from ari_app.lines.settings import SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.web.access.access import access_of
from ari_app.web.access.tokens import SCOPE_NAMES, SCOPES, note_token, role_of
from ari_app.web.http.context import identity, services, web_of
from ari_app.web.http.edits import MEANWHILE
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.http.roles import NAMES
from ari_app.web.settings import forms as installation_form
from ari_app.web.ui.render import render

routes = web.RouteTableDef()

LONGEST_NAME = 100
LASTS_DAYS = ("30", "90", "365")
DAY_S = 86400.0
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
        "proxy": its.services.installation.settings.way,
        "untried": False,
        "errors": {},
        "tokens": await access_of(request).tokens.all(),
        "made": None,
        "scopes": SCOPE_NAMES,
        "may_of_scope": SCOPES,
        "role_of": role_of,
        "role_names": NAMES,
        "lasts_days": LASTS_DAYS,
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


@routes.post("/settings/tokens")
async def make_token(request: web.Request) -> web.StreamResponse:
    """A new API token; the answer shows it, the only time."""
    fields = await form(request)
    name, scope, lasts = fields.get("name", ""), fields.get("scope", ""), fields.get("lasts", "")
    wrong: Message | None = None
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        wrong = message("Give the token a name of up to {longest} characters.", longest=LONGEST_NAME)
    if wrong:
        return await _page(request, 422, errors={"name": wrong})
    days = int(lasts) if lasts in LASTS_DAYS else None
    expires_at = web_of(request).clock() + days * DAY_S if days else None
    tokens = access_of(request).tokens
    scope = scope if scope in SCOPES else "read"
    secret, kept = await tokens.make(name, scope, expires_at, identity(request))
    note_token(request, kept, made=True)
    return await _page(request, made=(kept.name, secret))


@routes.post("/settings/tokens/{id}/revoke")
async def revoke_token(request: web.Request) -> web.StreamResponse:
    """Revoke one."""
    id = request.match_info["id"]
    token = await access_of(request).tokens.revoke(int(id)) if id.isdecimal() and len(id) <= ID_DIGITS else None
    if token is None:
        raise web.HTTPNotFound
    note_token(request, token, made=False)
    flash(request, message("The token is revoked."))
    raise web.HTTPSeeOther("/settings")
