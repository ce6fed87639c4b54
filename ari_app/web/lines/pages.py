"""All lines, and one line with what can be done with it."""

from aiohttp import web

from ari_app.i18n import Message, message
from ari_app.lines.settings import LineExists, LineSettings, SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.telegram.errors import TelegramError
from ari_app.web.http.context import services
from ari_app.web.http.edits import Edit
from ari_app.web.http.errors import is_htmx
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.http.notes import notes_of
from ari_app.web.lines.line import LINE, number_of, render_line
from ari_app.web.lines.listing import line_list, part_of
from ari_app.web.settings import forms as installation_form
from ari_app.web.settings.forms import APPLICATION
from ari_app.web.ui.render import render
from ari_app.wrong import Wrong

routes = web.RouteTableDef()


@routes.get("/lines")
async def lines(request: web.Request) -> web.StreamResponse:
    """Those that fit, page by page; to htmx, without what is around them."""
    if is_htmx(request):
        return part_of(request, "/lines", "/lines")
    return render(request, "lines/index.html", **line_list(request, "/lines", "/lines"))


@routes.get("/lines/add")
async def add_form(request: web.Request) -> web.StreamResponse:
    """The first steps of the wizard: the application, if the installation has none, and the number."""
    application = services(request).installation.settings
    if not (application.api_id and application.api_hash) or "application" in request.query:
        return _application(request, installation_form.unedited(application, APPLICATION))
    return render(request, "lines/add.html", typed={}, errors={})


@routes.post("/lines/add/application")
async def set_application(request: web.Request) -> web.StreamResponse:
    """The application's id and hash, for all lines."""
    installation, fields = services(request).installation, await form(request)
    while True:
        now = installation.settings
        edit = installation_form.edit(fields, now, APPLICATION)
        if differs := installation_form.differences(edit, now):
            return _application(request, edit, differs, 412)
        if missing := {name: message("It is needed.") for name in APPLICATION if not edit.sent[name]}:
            return _application(request, edit, missing, 422)
        try:
            await installation.change(installation_form.change(edit, fields), {version_of(now)})
        except SettingsChanged:
            continue  # between our look and our change
        except SettingRefused as refused:
            return _application(request, edit, {wrong.key: wrong.reason for wrong in refused.wrong}, 422)
        raise web.HTTPSeeOther("/lines/add")


def _application(
    request: web.Request, edit: Edit, errors: dict[str, Message] | None = None, status: int = 200
) -> web.StreamResponse:
    shown = installation_form.shown(edit)
    return render(request, "lines/application.html", status, application=shown, read=edit.read(), errors=errors or {})


@routes.post("/lines/add")
async def add(request: web.Request) -> web.StreamResponse:
    """The line itself; then it is signed in."""
    fields = await form(request)
    wanted = {name: fields.get(name, "") for name in ("number", "name")}
    try:
        settings = LineSettings.of(wanted)
        await services(request).lines.add(settings)
    except (LineExists, SettingRefused) as refused:
        wrong = refused.wrong if isinstance(refused, SettingRefused) else (Wrong("number", refused.sentence),)
        errors = {each.key: each.reason for each in wrong}
        return render(request, "lines/add.html", 422, typed=fields, errors=errors)
    raise web.HTTPSeeOther(f"/lines/{settings.number}/signin")


@routes.get(LINE)
async def line(request: web.Request) -> web.StreamResponse:
    """One line."""
    return render_line(request, "lines/line.html", machines=_machines(request))


@routes.get(LINE + "/now")
async def line_now(request: web.Request) -> web.StreamResponse:
    """The part of its page that changes."""
    return render_line(request, "lines/line_now.html", machines=_machines(request))


def _machines(request: web.Request) -> list[str]:
    """Where it is signed in; nothing where this is the only machine."""
    cluster = services(request).cluster
    return cluster.signed_in(number_of(request)) if cluster else []


@routes.get(LINE + "/pauses")
async def line_pauses(request: web.Request) -> web.StreamResponse:
    """What it backs off from now."""
    return render_line(request, "lines/pauses.html")


@routes.post(LINE + "/reset")
async def reset(request: web.Request) -> web.StreamResponse:
    """Remove its session and what it has learnt."""
    number = number_of(request)
    await services(request).lines.reset(number)
    flash(request, message("The line is reset: sign it in."))
    raise web.HTTPSeeOther(f"/lines/{number}")


@routes.post(LINE + "/logout")
async def log_out(request: web.Request) -> web.StreamResponse:
    """Sign its session out at Telegram."""
    number = number_of(request)
    try:
        await services(request).lines.log_out(number)
    except TelegramError as error:
        notes_of(request).failed = True
        flash(request, message("It could not be logged out. {error}", error=error), "failed")
    else:
        flash(request, message("The line is logged out."))
    raise web.HTTPSeeOther(f"/lines/{number}")


@routes.post(LINE + "/remove")
async def remove(request: web.Request) -> web.StreamResponse:
    """Remove it."""
    number = number_of(request)
    await services(request).lines.remove(number)
    flash(request, message("The line {number} is removed.", number=number))
    raise web.HTTPSeeOther("/lines")
