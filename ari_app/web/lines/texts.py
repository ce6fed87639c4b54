"""A line's texts in both languages, with what each looks like in a Telegram chat."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, get_args

from aiohttp import web

from ari_app.described import described
from ari_app.i18n import Message, message
from ari_app.lines.settings import LineSettings, SettingRefused
from ari_app.lines.versions import SettingsChanged, version_of
from ari_app.telegram.texts import ENGLISH, RUSSIAN, VARIABLES, Language, TemplateError, TextName, Texts, rule_of
from ari_app.web.http.context import services
from ari_app.web.http.edits import FIELD, MEANWHILE, Edit, Value, Values, meanwhile, unchanged, was_shown
from ari_app.web.http.flash import flash
from ari_app.web.http.forms import form
from ari_app.web.lines.line import LINE, number_of, render_line
from ari_app.web.lines.preview import preview

routes = web.RouteTableDef()

PLACE = LINE + "/texts"
NAMES: tuple[TextName, ...] = get_args(TextName)
DEFAULTS = {"en": ENGLISH, "ru": RUSSIAN}

ABOUT = {each.key: (each.setting.title, each.setting.help) for each in described(Texts)}


@routes.get(PLACE)
async def choose(request: web.Request) -> web.StreamResponse:
    """The texts in the language of the line."""
    number = number_of(request)
    raise web.HTTPSeeOther(f"/lines/{number}/texts/{services(request).lines.settings(number).language}")


@routes.get(PLACE + "/{language:en|ru}")
async def show(request: web.Request) -> web.StreamResponse:
    """All texts in one language."""
    return _page(request, unchanged(_now(request)))


@routes.post(PLACE + "/{language:en|ru}")
async def save(request: web.Request) -> web.StreamResponse:
    """Keep what was changed, or put one back to its default; or say what somebody else has changed meanwhile."""
    number, language = number_of(request), _language(request)
    lines, fields = services(request).lines, await form(request)
    typed = _typed(fields)
    reset = fields.get("reset", "")
    if reset in NAMES:
        await lines.change(number, {"texts": {language: {reset: None}}})
        flash(request, message("This text is the default again."))
        now = _now(request)
        was: Values = {**was_shown(fields.get(FIELD, ""), now), reset: now[reset]}
        return _page(request, Edit(was, now, {**was, **typed, reset: now[reset]}))
    while True:
        version, now = version_of(lines.settings(number)), _now(request)
        was = was_shown(fields.get(FIELD, ""), now)
        edit = Edit(was, now, {**was, **typed})
        if edit.differs:
            return _page(request, edit, {name: meanwhile(str(now[name])) for name in edit.differs}, 412)
        changed = {name: typed[name] for name in edit.changed}
        try:
            await lines.change(number, {"texts": {language: changed}}, {version})
        except SettingsChanged:
            continue  # between our look and our change
        except SettingRefused as refused:
            errors = {wrong.key.rpartition(".")[2]: wrong.reason for wrong in refused.wrong}
            return _page(request, edit, errors, 422)
        flash(request, edit.done)
        raise web.HTTPSeeOther(request.path)


@routes.post(PLACE + "/{language:en|ru}/preview/{name}")
async def draw(request: web.Request) -> web.StreamResponse:
    """What one text looks like as it is typed."""
    settings, name = services(request).lines.settings(number_of(request)), request.match_info["name"]
    if name not in NAMES:
        raise web.HTTPNotFound
    template = _typed(await form(request)).get(name, "")
    return render_line(request, "lines/preview.html", drawn=_drawn(request, settings, name, template))


def _now(request: web.Request) -> dict[str, Value]:
    texts = services(request).lines.settings(number_of(request)).texts.of(_language(request))
    return {name: getattr(texts, name) for name in NAMES}


def _page(
    request: web.Request, edit: Edit, errors: Mapping[str, Message] | None = None, status: int = 200
) -> web.StreamResponse:
    settings, language = services(request).lines.settings(number_of(request)), _language(request)
    values = edit.shown()
    return render_line(
        request,
        "lines/texts.html",
        status,
        texts_language=language,
        about=ABOUT,
        values=values,
        read=edit.read(),
        errors=errors or {},
        meanwhile=MEANWHILE if status == HTTPStatus.PRECONDITION_FAILED else None,
        defaults=DEFAULTS[language],
        lengths={name: rule_of(name).length for name in NAMES},
        variables={name: (*VARIABLES, *rule_of(name).extra) for name in NAMES},
        drawn={name: _drawn(request, settings, name, str(values[name])) for name in NAMES},
    )


def _drawn(request: web.Request, settings: LineSettings, name: TextName, template: str) -> Any:
    """The preview, or why there is none."""
    installation = services(request).installation.settings
    try:
        return preview(settings, installation, _language(request), name, template)
    except TemplateError as error:
        return error.sentence


def _language(request: web.Request) -> Language:
    return "ru" if request.match_info["language"] == "ru" else "en"


def _typed(fields: Mapping[str, str]) -> dict[str, str]:
    """What was typed, with line ends as Telegram has them, not a form's (CR LF)."""
    return {name: text.replace("\r\n", "\n") for name, text in fields.items() if name in NAMES}
