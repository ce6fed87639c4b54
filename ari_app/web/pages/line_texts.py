"""A line's texts in both languages, with what each looks like in a Telegram chat."""

from collections.abc import Mapping
from typing import Any, get_args

from aiohttp import web

from ari_app.lines.settings import LineSettings, SettingRefused
from ari_app.sentence import Sentence, say
from ari_app.telegram.texts import ENGLISH, RUSSIAN, VARIABLES, Language, TemplateError, TextName, rule_of
from ari_app.web.context import services
from ari_app.web.flash import flash
from ari_app.web.forms import form
from ari_app.web.pages.line_of import LINE, number_of, render_line
from ari_app.web.preview import preview

routes = web.RouteTableDef()

PLACE = LINE + "/texts"
NAMES: tuple[TextName, ...] = get_args(TextName)
DEFAULTS = {"en": ENGLISH, "ru": RUSSIAN}

ABOUT: dict[TextName, tuple[Sentence, Sentence]] = {
    "auto_answer": (
        say("Answer to a message"),
        say("To a message that is no digits of a call, at most once in 30 s. Empty: no answer."),
    ),
    "keypad": (say("Above the keypad"), say("While a call of the person's is live.")),
    "keypad_dialled": (say("Above the keypad, once something is dialled"), say("{{digits}} is what was pressed.")),
    "keypad_hint": (say("In place of the keypad"), say("When the bot can't show it. Empty: nothing is sent.")),
    "key_refused": (say("To a key that does not count"), say("Pops up over the chat.")),
    "card": (say("Business card"), say("After a call that the person did not take.")),
    "card_button": (say("Button of the card"), say("Asks for a call back.")),
    "callback_waiting": (say("Call back: somebody is being found"), say("Below the card.")),
    "callback_calling": (say("Call back: the person is being called"), say("Below the card.")),
    "callback_reached": (say("Call back: done"), say("Below the card; its button goes.")),
    "callback_later": (say("Call back: nobody was free"), say("Below the card.")),
    "callback_too_soon": (say("Call back: pressed again"), say("Pops up over the chat.")),
    "callback_not_yours": (say("Call back: pressed by somebody else"), say("Pops up over the chat.")),
}


@routes.get(PLACE)
async def choose(request: web.Request) -> web.StreamResponse:
    """The texts in the language of the line."""
    number = number_of(request)
    raise web.HTTPSeeOther(f"/lines/{number}/texts/{services(request).lines.settings(number).language}")


@routes.get(PLACE + "/{language:en|ru}")
async def show(request: web.Request) -> web.StreamResponse:
    """All texts in one language."""
    return _page(request, {}, {})


@routes.post(PLACE + "/{language:en|ru}")
async def save(request: web.Request) -> web.StreamResponse:
    """Keep what was changed, or put one back to its default."""
    number, language = number_of(request), _language(request)
    lines, typed = services(request).lines, await _typed(request)
    if (name := typed.pop("reset", "")) in NAMES:
        await lines.change(number, {"texts": {language: {name: None}}})
        del typed[name]
        flash(request, say("This text is the default again."))
        return _page(request, typed, {})
    before = lines.settings(number).texts.of(language)
    changed = {name: text for name, text in typed.items() if text != getattr(before, name)}
    try:
        await lines.change(number, {"texts": {language: changed}})
    except SettingRefused as refused:
        return _page(request, typed, {wrong.key.rpartition(".")[2]: wrong.reason for wrong in refused.wrong}, 422)
    flash(request, say("Saved."))
    raise web.HTTPSeeOther(request.path)


@routes.post(PLACE + "/{language:en|ru}/preview/{name}")
async def draw(request: web.Request) -> web.StreamResponse:
    """What one text looks like as it is typed."""
    settings, name = services(request).lines.settings(number_of(request)), request.match_info["name"]
    if name not in NAMES:
        raise web.HTTPNotFound
    template = (await _typed(request)).get(name, "")
    return render_line(request, "lines/preview.html", drawn=_drawn(request, settings, name, template))


def _page(
    request: web.Request, typed: Mapping[str, str], errors: Mapping[str, Sentence], status: int = 200
) -> web.StreamResponse:
    settings, language = services(request).lines.settings(number_of(request)), _language(request)
    now = settings.texts.of(language)
    values = {name: typed.get(name, getattr(now, name)) for name in NAMES}
    return render_line(
        request,
        "lines/texts.html",
        status,
        texts_language=language,
        about=ABOUT,
        values=values,
        errors=errors,
        defaults=DEFAULTS[language],
        lengths={name: rule_of(name).length for name in NAMES},
        variables={name: (*VARIABLES, *rule_of(name).extra) for name in NAMES},
        drawn={name: _drawn(request, settings, name, values[name]) for name in NAMES},
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


async def _typed(request: web.Request) -> dict[str, str]:
    """What was typed, with line ends as Telegram has them, not a form's (CR LF)."""
    return {
        name: text.replace("\r\n", "\n") for name, text in (await form(request)).items() if name in (*NAMES, "reset")
    }
