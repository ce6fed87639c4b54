"""A line's settings, its card, lists and limits: each a form."""

from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from ari_app.lines.settings import SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.sentence import Sentence, say
from ari_app.web.context import services
from ari_app.web.edits import MEANWHILE, Edit
from ari_app.web.flash import flash
from ari_app.web.forms import form
from ari_app.web.pages import line_forms
from ari_app.web.pages.line_of import LINE, number_of, render_line

routes = web.RouteTableDef()


@dataclass(frozen=True)
class Tab:
    """One of the forms, and what stands above it."""

    form: line_forms.Form
    about: Sentence


TABS = {
    "settings": Tab(line_forms.SETTINGS, say("Changes take effect at once; live calls go on.")),
    "card": Tab(
        line_forms.CARD,
        say("After an outgoing call that the person did not take, the line sends him its business card."),
    ),
    "lists": Tab(line_forms.LISTS, say("Who is refused hears “busy”, and nothing rings.")),
    "limits": Tab(
        line_forms.LIMITS,
        say("They protect the account: Telegram limits accounts that call strangers too often."),
    ),
}
PLACE = LINE + "/{tab:settings|card|lists|limits}"


@routes.get(PLACE)
async def show(request: web.Request) -> web.StreamResponse:
    """The form."""
    tab, settings = TABS[request.match_info["tab"]], services(request).lines.settings(number_of(request))
    return _form(request, line_forms.unedited(tab.form, settings))


@routes.post(PLACE)
async def save(request: web.Request) -> web.StreamResponse:
    """Change what was changed, or say what can't be, or what somebody else has changed meanwhile."""
    number, tab, fields = number_of(request), TABS[request.match_info["tab"]].form, await form(request)
    lines = services(request).lines
    while True:
        settings = lines.settings(number)
        edit = line_forms.edit(tab, fields, settings)
        if edit.differs:
            return _form(request, edit, line_forms.differences(tab, settings, edit.differs), 412)
        try:
            await lines.change(number, line_forms.change(tab, fields, edit.changed), {version_of(settings)})
        except SettingsChanged:
            continue  # between our look and our change
        except SettingRefused as refused:
            return _form(request, edit, line_forms.errors(tab, refused), 422)
        flash(request, edit.done)
        raise web.HTTPSeeOther(request.path)


def _form(
    request: web.Request, edit: Edit, errors: dict[str, list[Sentence]] | None = None, status: int = 200
) -> web.StreamResponse:
    name = request.match_info["tab"]
    return render_line(
        request,
        "lines/form.html",
        status,
        tab=TABS[name],
        tab_name=name,
        values=line_forms.shown(TABS[name].form, edit),
        read=edit.read(),
        errors=errors or {},
        meanwhile=MEANWHILE if status == HTTPStatus.PRECONDITION_FAILED else None,
    )
