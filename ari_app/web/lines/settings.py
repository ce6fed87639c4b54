"""A line's settings, its card, lists and limits: each a form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from ari_app.i18n import Message, message
from ari_app.lines.settings import SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.web.http import setting_forms
from ari_app.web.http.context import services
from ari_app.web.http.edits import MEANWHILE, Edit
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.lines import forms as line_forms
from ari_app.web.lines.card_file_fields import card_files
from ari_app.web.lines.line import LINE, number_of, render_line

routes = web.RouteTableDef()


@dataclass(frozen=True)
class Tab:
    """One of the forms, and what stands above it."""

    form: setting_forms.Form
    about: Message


TABS = {
    "settings": Tab(line_forms.SETTINGS, message("Changes take effect at once; live calls go on.")),
    "card": Tab(
        line_forms.CARD,
        message("After an outgoing call that the person did not take, the line sends them its business card."),
    ),
    "lists": Tab(line_forms.LISTS, message("Refused callers hear “busy”, and no phone rings.")),
    "limits": Tab(
        line_forms.LIMITS,
        message("They protect the account: Telegram limits accounts that call strangers too often."),
    ),
}
PLACE = LINE + "/{tab:settings|card|lists|limits}"


@routes.get(PLACE)
async def show(request: web.Request) -> web.StreamResponse:
    """The form."""
    name, settings = request.match_info["tab"], services(request).lines.settings(number_of(request))
    return await tab_page(request, name, setting_forms.unedited(TABS[name].form, settings))


@routes.post(PLACE)
async def save(request: web.Request) -> web.StreamResponse:
    """Change what was changed, or say what can't be, or what somebody else has changed meanwhile."""
    number, name, fields = number_of(request), request.match_info["tab"], await form(request)
    lines, tab = services(request).lines, TABS[name].form
    while True:
        settings = lines.settings(number)
        edit = setting_forms.edit(tab, fields, settings)
        if edit.differs:
            return await tab_page(request, name, edit, setting_forms.differences(tab, settings, edit.differs), 412)
        try:
            await lines.change(number, setting_forms.change(tab, fields, edit.changed), {version_of(settings)})
        except SettingsChanged:
            continue  # between our look and our change
        except SettingRefused as refused:
            return await tab_page(request, name, edit, setting_forms.errors(tab, refused), 422)
        flash(request, edit.done)
        raise web.HTTPSeeOther(request.path)


async def tab_page(
    request: web.Request,
    name: str,
    edit: Edit,
    errors: Mapping[str, Sequence[Message]] | None = None,
    status: int = 200,
    file_errors: Mapping[str, Message] | None = None,
) -> web.StreamResponse:
    """A tab with its form, and what is wrong in it; that of the card has files, too."""
    files = await card_files(request, file_errors or {}) if name == "card" else {}
    return render_line(
        request,
        "lines/form.html",
        status,
        tab=TABS[name],
        tab_name=name,
        values=setting_forms.shown(TABS[name].form, edit),
        read=edit.read(),
        errors=errors or {},
        meanwhile=MEANWHILE if status == HTTPStatus.PRECONDITION_FAILED else None,
        **files,
    )
