"""What a line says to people: every text is a template, per line, in English and in Russian.

A template's variables are written in braces, `{caller_name}`; a brace itself is doubled. A value is inserted as it is,
never read as a template, and every text is sent without markup, so a name can't break or expand anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from string import Formatter
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, field_validator

from ari_app.described import Setting
from ari_app.i18n import message
from ari_app.telegram.peers import Person
from ari_app.wrong import Told

Language = Literal["en", "ru"]
TextName = Literal[
    "auto_answer",
    "keypad",
    "keypad_dialled",
    "keypad_hint",
    "key_refused",
    "card",
    "card_button",
    "callback_waiting",
    "callback_calling",
    "callback_reached",
    "callback_later",
    "callback_too_soon",
    "callback_not_yours",
]

RUSSIAN_FOR = {"ru", "be", "kk", "ky"}
"""Telegram languages (ISO 639-1) whose readers get Russian; all others get English."""
DATE_FORMATS: Mapping[Language, str] = {"en": "%Y-%m-%d", "ru": "%d.%m.%Y"}
TIME_FORMAT = "%H:%M"
VARIABLES = ("caller_name", "caller_number", "company", "line", "number", "date", "time")
"""In every text: the person's name and number (phone, else username, else id), the company, the line's name and number,
and when the text is sent. `{digits}` besides, where a text is about pressed keys."""

MESSAGE_LENGTH = 4096  # core.telegram.org/api/config, message_length_max
ANSWER_LENGTH = 200  # core.telegram.org/bots/api#answercallbackquery
BUTTON_LENGTH = 64  # Telegram names no limit; a longer one is cut off on a phone's screen


class TemplateError(Told):
    """A text that can't be used as a template; says which variable or brace is wrong."""


@dataclass(frozen=True)
class TextRule:
    """What one text may be: the variables it has besides, its length in characters, whether it is needed."""

    extra: tuple[str, ...] = ()
    length: int = MESSAGE_LENGTH
    may_be_empty: bool = False

    def check(self, template: str) -> str:
        """The template itself, if it can be used. Raises TemplateError."""
        known = (*VARIABLES, *self.extra)
        parts = _parts(template)
        for _, name in parts:
            if name is not None and name not in known:
                choice = ", ".join(f"{{{each}}}" for each in known)
                said = message(
                    "{name} is no variable of this text, which are {choice}; "
                    "a brace that is no variable is doubled: {{{{ or }}}}.",
                    name="{" + name + "}",
                    choice=choice,
                )
                raise TemplateError(said)
        if sum(len(literal) for literal, _ in parts) > self.length:
            raise TemplateError(message("It is longer than the {n} characters that fit.", n=self.length))
        if not template.strip() and not self.may_be_empty:
            raise TemplateError(message("It is empty; it needs a text."))
        return template


def render(template: str, values: Mapping[str, str], length: int = MESSAGE_LENGTH) -> str:
    """Put the values in, and cut to `length` characters what got too long by them."""
    text = "".join(literal + (values[name] if name is not None else "") for literal, name in _parts(template)).strip()
    return text if len(text) <= length else text[: length - 1] + "…"


def _parts(template: str) -> list[tuple[str, str | None]]:
    """Pairs of plain text and the variable behind it; raises TemplateError."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        raise TemplateError(
            message("A brace is left open, or closed alone; a brace that is no variable is doubled: {{{{ or }}}}.")
        ) from None
    for _, name, spec, conversion in parts:
        if spec or conversion:
            said = message("{name} may have nothing behind its name, neither : nor !", name="{" + str(name) + "}")
            raise TemplateError(said)
    return [(literal, name) for literal, name, _, _ in parts]


MESSAGE = TextRule()
MAY_BE_EMPTY = TextRule(may_be_empty=True)
PRESSED = TextRule(extra=("digits",))
ANSWER = TextRule(length=ANSWER_LENGTH)
BUTTON = TextRule(length=BUTTON_LENGTH)


class Texts(BaseModel):
    """Every text in one language."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    auto_answer: Annotated[
        str,
        MAY_BE_EMPTY,
        Setting(
            message("Answer to a message"),
            message("To a message that is no digits of a call, at most once in 30 s. Empty: no answer."),
        ),
    ]
    keypad: Annotated[str, MESSAGE, Setting(message("Above the keypad"), message("During a call with this person."))]
    keypad_dialled: Annotated[
        str,
        PRESSED,
        Setting(message("Above the keypad, once something is dialled"), message("{{digits}} are the digits dialled.")),
    ]
    keypad_hint: Annotated[
        str,
        MAY_BE_EMPTY,
        Setting(message("In place of the keypad"), message("When the bot can't show it. Empty: nothing is sent.")),
    ]
    key_refused: Annotated[
        str, ANSWER, Setting(message("To a press that is refused"), message("Pops up over the chat."))
    ]
    card: Annotated[
        str, MESSAGE, Setting(message("Business card"), message("After a call that the person did not take."))
    ]
    card_button: Annotated[str, BUTTON, Setting(message("Button of the card"), message("Asks for a call back."))]
    callback_waiting: Annotated[
        str, ANSWER, Setting(message("Call back: an agent is being called"), message("Below the card."))
    ]
    callback_calling: Annotated[
        str, ANSWER, Setting(message("Call back: the person is being called"), message("Below the card."))
    ]
    callback_reached: Annotated[
        str, ANSWER, Setting(message("Call back: done"), message("Below the card; its button goes."))
    ]
    callback_later: Annotated[str, ANSWER, Setting(message("Call back: nobody was free"), message("Below the card."))]
    callback_too_soon: Annotated[
        str, ANSWER, Setting(message("Call back: pressed again"), message("Pops up over the chat."))
    ]
    callback_not_yours: Annotated[
        str, ANSWER, Setting(message("Call back: pressed by somebody else"), message("Pops up over the chat."))
    ]

    @field_validator("*")
    @classmethod
    def _usable(cls, template: str, info: ValidationInfo) -> str:
        return rule_of(str(info.field_name)).check(template)


def rule_of(name: str) -> TextRule:
    """The rule that a text has."""
    return next(each for each in Texts.model_fields[name].metadata if isinstance(each, TextRule))


ENGLISH = Texts(
    auto_answer="Hello, {caller_name}! We don't read messages here, but do call us right in Telegram.",
    keypad="You are calling {company}. Press an extension, or just write it here.",
    keypad_dialled="You are calling {company}. Dialled: {digits}",
    keypad_hint="You are calling {company}. Write the extension here, for example 101, and we'll put you through.",
    key_refused="This keypad belongs to another call, or its call is over.",
    card="Hello, {caller_name}! {company} called you at {time} and missed you. Shall we call back?",
    card_button="📞 Call me back",
    callback_waiting="Got it! We are looking for somebody to talk to you.",
    callback_calling="We are calling you now, please pick up.",
    callback_reached="Good to have talked to you!",
    callback_later="Everybody is busy just now. Please try again a little later.",
    callback_too_soon="We are on it already, just a moment.",
    callback_not_yours="This button is for somebody else.",
)
RUSSIAN = Texts(
    auto_answer="Здравствуйте, {caller_name}! Сообщения здесь мы не читаем, но позвонить нам можно прямо в Telegram.",
    keypad="Вы звоните в «{company}». Наберите добавочный или просто напишите его сюда.",
    keypad_dialled="Вы звоните в «{company}». Набрано: {digits}",
    keypad_hint="Вы звоните в «{company}». Напишите сюда добавочный номер, например 101, и мы вас соединим.",
    key_refused="Эта клавиатура от другого звонка, или звонок уже закончился.",
    card="Здравствуйте, {caller_name}! Вам звонили из «{company}» в {time}, но не застали. Перезвонить?",
    card_button="📞 Перезвоните мне",
    callback_waiting="Принято! Ищем, кто с вами поговорит.",
    callback_calling="Звоним вам, возьмите трубку.",
    callback_reached="Рады были поговорить!",
    callback_later="Сейчас все заняты. Попробуйте, пожалуйста, чуть позже.",
    callback_too_soon="Уже занимаемся, подождите чуть-чуть.",
    callback_not_yours="Эта кнопка не для вас.",
)


def _over(defaults: Texts) -> BeforeValidator:
    """Lets a table name just the texts that differ from the defaults."""
    return BeforeValidator(lambda given: {**defaults.model_dump(), **given} if isinstance(given, dict) else given)


class LineTexts(BaseModel):
    """[lines.texts.en] and [lines.texts.ru]: a line's texts; what is not given is the default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    en: Annotated[Texts, _over(ENGLISH)] = ENGLISH
    ru: Annotated[Texts, _over(RUSSIAN)] = RUSSIAN

    def of(self, language: Language) -> Texts:
        """All texts in one language."""
        return self.ru if language == "ru" else self.en


def language_for(lang_code: str, unknown: Language = "en") -> Language:
    """The language for a person's Telegram language (TL user.lang_code, such as `ru` or `pt-br`).

    `unknown` is for people whose language Telegram does not tell; to an account, other than to a bot, it seldom does.
    """
    code = lang_code.lower().replace("_", "-").partition("-")[0]
    if not code:
        return unknown
    return "ru" if code in RUSSIAN_FOR else "en"


def _now() -> datetime:
    """The machine's local time."""
    return datetime.now().astimezone()


@dataclass(frozen=True)
class MessageTemplates:
    """A line's texts, with what is the same in all of them: company, the line's name and number.

    ``language`` is for people whose language is unknown; ``learnt`` gives what is known beside what Telegram tells with
    a person, by their id; ``clock`` gives the time in the installation's zone.
    """

    company: str
    line: str
    number: str
    texts: LineTexts = field(default_factory=LineTexts)
    language: Language = "en"
    clock: Callable[[], datetime] = _now
    learnt: Callable[[int], str] = lambda _: ""

    def with_language(self, person: Person) -> Person:
        """The same person, with their language if it has been learnt."""
        return person if person.language else replace(person, language=self.learnt(person.id))

    def text(self, name: TextName, person: Person, **extra: str) -> str:
        """One text for one person, ready to be sent as plain text; empty where the administrator wants silence."""
        language = language_for(self.with_language(person).language, self.language)
        now = self.clock()
        values = {
            **extra,
            "caller_name": person.name,
            "caller_number": person.number,
            "company": self.company,
            "line": self.line,
            "number": self.number,
            "date": now.strftime(DATE_FORMATS[language]),
            "time": now.strftime(TIME_FORMAT),
        }
        return render(getattr(self.texts.of(language), name), values, rule_of(name).length)
