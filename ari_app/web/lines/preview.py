"""What a text looks like in the Telegram of somebody who gets it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from ari_app.lines.factory import message_templates
from ari_app.lines.installation import InstallationSettings
from ari_app.lines.settings import LineSettings
from ari_app.telegram.keypad_message import ROWS
from ari_app.telegram.peers import Person
from ari_app.telegram.texts import Language, MessageTemplates, TextName, rule_of

PRESSED = "102"
SAMPLE: dict[Language, Person] = {
    "en": Person(5000000002, phone="+442071838750", first_name="Alice", last_name="Brown", language="en"),
    "ru": Person(5000000002, phone="+79990000002", first_name="Анна", last_name="Иванова", language="ru"),
}
WROTE: dict[Language, str] = {"en": "Hello, are you open today?", "ru": "Здравствуйте, вы сегодня работаете?"}
ANSWERS: frozenset[TextName] = frozenset({"key_refused", "callback_too_soon", "callback_not_yours"})
PROGRESS: frozenset[TextName] = frozenset(
    {"callback_waiting", "callback_calling", "callback_reached", "callback_later"}
)


@dataclass(frozen=True)
class Preview:
    """A piece of a chat: what the person wrote, the line's message with its buttons, and what pops up over it.

    ``keys``: the buttons are a keypad's, three to a row.
    """

    sender: str
    text: str
    wrote: str = ""
    buttons: tuple[str, ...] = ()
    keys: bool = False
    answer: str = ""


def preview(
    settings: LineSettings,
    installation: InstallationSettings,
    language: Language,
    name: TextName,
    template: str,
    clock: Callable[[], datetime] | None = None,
) -> Preview:
    """One text, as it would be shown with this template; raises TemplateError."""
    rule_of(name).check(template)
    texts = settings.texts.of(language).model_copy(update={name: template})
    said = replace(message_templates(settings, installation), texts=settings.texts.model_copy(update={language: texts}))
    if clock:
        said = replace(said, clock=clock)
    return _drawn(said, SAMPLE[language], language, name)


def _drawn(said: MessageTemplates, person: Person, language: Language, name: TextName) -> Preview:
    def text(which: TextName) -> str:
        return said.text(which, person, digits=PRESSED)

    answer = text(name) if name in ANSWERS else ""
    if name == "auto_answer":
        return Preview(said.line, text(name), wrote=WROTE[language])
    if name == "keypad_hint":
        return Preview(said.line, text(name))
    if name.startswith("key"):
        above: TextName = "keypad" if answer else name
        return Preview(said.line, text(above), buttons=tuple("".join(ROWS)), keys=True, answer=answer)
    card = f"{text('card')}\n\n{text(name)}" if name in PROGRESS else text("card")
    return Preview(said.line, card, buttons=() if name == "callback_reached" else (text("card_button"),), answer=answer)
