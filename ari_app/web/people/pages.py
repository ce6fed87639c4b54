"""People's data: what is kept, why and for how long; a person is found, their data exported and erased."""

from typing import Any

from aiohttp import web

from ari_app.i18n import message
from ari_app.lines.retention import PERIODS
from ari_app.lines.settings import SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.people.errors import PersonRefused
from ari_app.people.kinds import ELSEWHERE, KINDS
from ari_app.telegram.peers import MalformedDestination
from ari_app.web.calls.filter import LONGEST_TEXT
from ari_app.web.http.context import services
from ari_app.web.http.edits import MEANWHILE
from ari_app.web.http.errors import PageError
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.http.notes import notes_of
from ari_app.web.people import views
from ari_app.web.people.views import LONGEST_REFERENCE, export_answer
from ari_app.web.settings import forms as installation_form
from ari_app.web.ui.render import render

routes = web.RouteTableDef()

ALL = "/people"
ONE = ALL + "/{person}"


@routes.get(ALL)
async def people(request: web.Request) -> web.StreamResponse:
    """All kinds of data, and whoever is looked for."""
    return await _page(request)


@routes.post(f"{ALL}/periods")
async def change_periods(request: web.Request) -> web.StreamResponse:
    """How long each kind is kept; or what somebody else has changed of it meanwhile."""
    installation, fields = services(request).installation, await form(request)
    while True:
        now = installation.settings
        edit = installation_form.edit(fields, now, PERIODS)
        if differs := installation_form.differences(edit, now):
            return await _page(request, 412, edit=edit, errors=differs, meanwhile=MEANWHILE)
        try:
            await installation.change(installation_form.change(edit, fields), {version_of(now)})
        except SettingsChanged:
            continue  # between our look and our change
        except SettingRefused as refused:
            return await _page(request, 422, edit=edit, errors={each.key: each.reason for each in refused.wrong})
        flash(request, edit.done)
        raise web.HTTPSeeOther(ALL)


@routes.get(ONE)
async def person(request: web.Request) -> web.StreamResponse:
    """One person, and how much is kept of them."""
    try:
        summary = await services(request).people.summary(request.match_info["person"])
    except (MalformedDestination, PersonRefused) as refused:
        raise _refused(refused) from None
    return render(request, "people/person.html", its=summary, kinds=KINDS, longest=LONGEST_REFERENCE)


@routes.get(f"{ONE}/export")
async def export(request: web.Request) -> web.StreamResponse:
    """All that is kept of them, as a file."""
    try:
        return await export_answer(request, request.match_info["person"])
    except (MalformedDestination, PersonRefused) as refused:
        raise _refused(refused) from None


@routes.post(f"{ONE}/erase")
async def erase(request: web.Request) -> web.StreamResponse:
    """Erase it."""
    key, reference = request.match_info["person"], (await form(request)).get("reference", "")
    try:
        await views.erase(request, key, "".join(filter(str.isprintable, reference))[:LONGEST_REFERENCE])
    except (MalformedDestination, PersonRefused) as refused:
        notes_of(request).failed = not notes_of(request).begun
        flash(request, message("{error}", error=refused), "failed")
        raise web.HTTPSeeOther(f"{ALL}/{key}") from None
    flash(request, message("Erased. The audit log says how much of what, and not of whom."))
    raise web.HTTPSeeOther(ALL)


async def _page(request: web.Request, status: int = 200, **values: Any) -> web.StreamResponse:
    its = services(request)
    edit = values.pop("edit", None) or installation_form.unedited(its.installation.settings, PERIODS)
    text = "".join(filter(str.isprintable, request.query.get("q", "")))[:LONGEST_TEXT].strip()
    try:
        found = await its.people.find(text) if text else None
    except PersonRefused as refused:
        raise _refused(refused) from None
    base = {
        "text": text,
        "found": found,
        "kinds": KINDS,
        "elsewhere": ELSEWHERE,
        "settings": its.installation.settings,
        "periods": [(name, installation_form.ABOUT[name]) for name in PERIODS],
        "days": installation_form.shown(edit),
        "read": edit.read(),
        "meanwhile": None,
        "errors": {},
    }
    return render(request, "people/index.html", status=status, **(base | values))


def _refused(refused: MalformedDestination | PersonRefused) -> PageError:
    status = 404 if isinstance(refused, MalformedDestination) else 409
    return PageError(status, message("{error}", error=refused))
