"""A line's settings, its card, lists and limits: each a form."""

from dataclasses import dataclass

from aiohttp import web

from ari_app.lines.settings import SettingRefused
from ari_app.sentence import Sentence, say
from ari_app.web.context import services
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
    name = request.match_info["tab"]
    settings = services(request).lines.settings(number_of(request))
    return _form(request, name, line_forms.shown(TABS[name].form, settings))


@routes.post(PLACE)
async def save(request: web.Request) -> web.StreamResponse:
    """Change what was changed, or say what can't be."""
    name, number = request.match_info["tab"], number_of(request)
    lines, tab, fields = services(request).lines, TABS[request.match_info["tab"]], await form(request)
    before = lines.settings(number)
    try:
        await lines.change(number, line_forms.change(tab.form, fields))
    except SettingRefused as refused:
        values = line_forms.typed(tab.form, fields, before)
        return _form(request, name, values, line_forms.errors(tab.form, refused), 422)
    flash(request, say("Saved."))
    raise web.HTTPSeeOther(request.path)


def _form(
    request: web.Request,
    name: str,
    values: dict[str, object],
    errors: dict[str, list[Sentence]] | None = None,
    status: int = 200,
) -> web.StreamResponse:
    return render_line(
        request, "lines/form.html", status, tab=TABS[name], tab_name=name, values=values, errors=errors or {}
    )
