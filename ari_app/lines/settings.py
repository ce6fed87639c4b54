"""What an administrator sets for one line; kept in the store as JSON."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import phonenumbers
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    SerializationInfo,
    ValidationError,
    field_serializer,
)

from ari_app.i18n import Message, message
from ari_app.telegram.peers import Destination
from ari_app.telegram.texts import Language, LineTexts
from ari_app.wrong import Form, Told, Wrong, wrong_in

WITH_SECRETS = {"secrets": True}
"""The context of `model_dump` that shows secrets: for the store alone."""


class LineError(Exception):
    """Something that can't be done with the lines; ``sentence`` is for an administrator."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class NoSuchLine(LineError):
    """There is no line with this number."""


class LineExists(LineError):
    """There is a line with this number already."""


class SettingRefused(LineError):
    """Some settings can't be used, so none is changed; ``wrong`` says what is wrong with each."""

    def __init__(self, *wrong: Wrong) -> None:
        super().__init__(message("Nothing was changed: not every setting can be used."))
        self.wrong = wrong

    def __str__(self) -> str:
        return "; ".join(map(str, self.wrong))


def no_number(text: str) -> Message:
    """That a text is no phone number."""
    return message("{given} is no phone number with a country code, such as +79990000001.", given=repr(text))


def line_number(text: str) -> str | None:
    """A phone number as E.164; None where it is none."""
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _e164(text: str) -> str:
    number = line_number(text)
    if number is None:
        raise Told(no_number(text))
    return number


def _number_or_nothing(text: str) -> str:
    return _e164(text) if text else ""


def _list_entry(text: str) -> str:
    return str(Destination.parse(text))


Number = Annotated[str, AfterValidator(_e164)]
ListEntry = Annotated[str, AfterValidator(_list_entry)]
Secret = Annotated[SecretStr, Field(min_length=1)]
Context = Annotated[
    str, Form(r"^[^\s,&|@/;]+$", message("Enter the name of one context: no spaces, and none of , & | @ / ;"))
]
CallBackTarget = Annotated[
    str,
    Form(r"^([^\s@/&|,;]+@[^\s@/&|,;]+)?$", message("Enter EXTENSION@CONTEXT, such as 600@queues, or nothing.")),
]
NumberPrefix = Annotated[
    str, Form(r"^(\+[0-9]*)?$", message("Enter a plus, or a plus and digits such as +7, or nothing."))
]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


UPLOADED = message("This is a file to upload, under the line's Card; no path of the server's is taken.")
MOVED = {key: Wrong(key, UPLOADED) for key in ("card.contact_vcard", "card.picture")}
"""What earlier versions had as settings."""


class CardSettings(_Settings):
    """The business card, all but its files."""

    no_answer: bool = True
    declined: bool = True
    busy: bool = True
    cancelled: bool = True
    cancelled_after_s: float = Field(10.0, ge=0)
    missed: bool = False
    card_every_s: float = Field(3600.0, ge=0, le=30 * 86400)
    callback: CallBackTarget = ""
    contact_phone: Annotated[str, AfterValidator(_number_or_nothing)] = ""
    contact_first_name: str = ""
    contact_last_name: str = ""


class LineSettings(_Settings):
    """One Telegram account; docs/line.sample.toml says what each of it means.

    ``api_id`` and ``api_hash`` are the installation's where the line has none of its own.
    """

    number: Number = Field(examples=["+79990000005"])
    name: str = ""
    api_id: int | None = Field(None, ge=1)
    api_hash: Secret | None = None
    context: Context = "from-telegram"
    max_calls: int = Field(1, ge=1)
    callers: tuple[str, ...] = ()
    default: bool = False
    bare_number_prefix: NumberPrefix = ""
    allow: tuple[ListEntry, ...] = ()
    deny: tuple[ListEntry, ...] = ()
    only_contacts: bool = False
    resolve_cache_s: float = Field(86400.0, ge=0)
    not_found_cache_s: float = Field(3600.0, ge=0)
    calls_per_minute: int = Field(0, ge=0)
    calls_per_day: int = Field(0, ge=0)
    flood_margin_s: float = Field(30.0, ge=0)
    peer_flood_s: float = Field(86400.0, ge=0)
    company: str = ""
    language: Language = "en"
    texts: LineTexts = LineTexts()
    card: CardSettings = CardSettings()

    @field_serializer("api_hash", when_used="json")
    def _hidden(self, secret: SecretStr | None, info: SerializationInfo) -> str | None:
        if secret is not None and info.context == WITH_SECRETS:
            return secret.get_secret_value()
        return None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "LineSettings":
        """Check an administrator's settings; raises SettingRefused."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingRefused(*(MOVED.get(each.key, each) for each in wrong_in(error))) from None

    def stored(self) -> str:
        """As the store keeps it: JSON of what differs from the defaults, secrets included."""
        return self.model_dump_json(context=WITH_SECRETS, exclude_defaults=True)

    def changed(self, changes: Mapping[str, Any]) -> "LineSettings":
        """With some of it changed, as JSON Merge Patch (RFC 7396) says: None is the default. Raises SettingRefused."""
        known = self.model_dump(mode="json", context=WITH_SECRETS, exclude_defaults=True)
        return LineSettings.of(_merged(known, changes))


def _merged(known: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(known)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            below = merged.get(key)
            merged[key] = _merged(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def check_together(lines: Iterable[LineSettings]) -> None:
    """What several lines must not have in common; raises SettingRefused."""
    lines = list(lines)
    for caller, count in Counter(caller for line in lines for caller in set(line.callers)).items():
        if count > 1:
            said = message(
                "{count} lines have {caller} in their callers; a phone can have one line only.",
                count=count,
                caller=repr(caller),
            )
            raise SettingRefused(Wrong("callers", said))
    if sum(line.default for line in lines) > 1:
        raise SettingRefused(
            Wrong("default", message("Another line is the default already; only one can be the default."))
        )
