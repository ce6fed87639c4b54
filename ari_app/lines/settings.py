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

from ari_app.described import Setting
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
    str,
    Form(r"^[^\s,&|@/;]+$", message("Enter the name of one context: no spaces, and none of , & | @ / ;")),
    Field(examples=["from-telegram"]),
]
CallBackTarget = Annotated[
    str,
    Form(r"^([^\s@/&|,;]+@[^\s@/&|,;]+)?$", message("Enter EXTENSION@CONTEXT, such as 600@queues, or nothing.")),
    Field(examples=["600@queues"]),
]
NumberPrefix = Annotated[
    str,
    Form(r"^(\+[0-9]*)?$", message("Enter a plus, or a plus and digits such as +7, or nothing.")),
    Field(examples=["+7"]),
]

AccountCode = Annotated[
    str,
    Form(r"^[^\s,;\"|]{0,79}$", message('Enter up to 79 characters: no spaces, and none of , ; " |')),
    Field(examples=["sales"]),
]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)  # some are secrets


UPLOADED = message("This is a file to upload, under the line's Card; no path of the server's is taken.")
MOVED = {key: Wrong(key, UPLOADED) for key in ("card.contact_vcard", "card.picture")}
"""What earlier versions had as settings."""


S = message("s")


class CardSettings(_Settings):
    """The business card, all but its files."""

    no_answer: Annotated[bool, Setting(message("It rang, and nobody answered"))] = True
    declined: Annotated[bool, Setting(message("The person declined"))] = True
    busy: Annotated[
        bool,
        Setting(
            message("The person was in another call"),
            message("Telegram calls a decline busy, too: what did not ring before counts as this one."),
        ),
    ] = True
    cancelled: Annotated[bool, Setting(message("Our side hung up after it had rung"))] = True
    cancelled_after_s: Annotated[float, Setting(message("… for at least"), unit=S)] = Field(10.0, ge=0)
    missed: Annotated[
        bool,
        Setting(
            message("A call of the person's was missed"),
            message("They hung up before the answer, or the PBX was busy or closed."),
        ),
    ] = False
    card_every_s: Annotated[float, Setting(message("Time until the same person may get another one"), unit=S)] = Field(
        3600.0, ge=0, le=30 * 86400
    )
    callback: Annotated[
        CallBackTarget,
        Setting(
            message("Whom it rings first"),
            message(
                "EXTENSION@CONTEXT of the dialplan, such as a queue: 600@queues. Empty: no button. Calls that are "
                "placed from a phone's extension alone (101) dial it in this context, too."
            ),
        ),
    ] = ""
    contact_phone: Annotated[
        str,
        AfterValidator(_number_or_nothing),
        Setting(message("Phone of the contact"), message("With + and country code. Empty: no contact is sent.")),
    ] = ""
    contact_first_name: Annotated[str, Setting(message("First name"), message("The company where empty."))] = ""
    contact_last_name: Annotated[str, Setting(message("Last name"))] = ""


class LineSettings(_Settings):
    """One Telegram account."""

    number: Annotated[
        Number,
        Setting(
            message("Phone number of the Telegram account"),
            message("With + and country code. Its digits are the extension of its incoming calls."),
        ),
    ] = Field(examples=["+79990000005"])
    name: Annotated[str, Setting(message("Name"), message("What pages and logs call it. Empty: its number."))] = ""
    api_id: Annotated[
        int | None,
        Setting(
            message("api_id"),
            message("From my.telegram.org. The installation's is used unless both are set here."),
            example=12345,
        ),
    ] = Field(None, ge=1)
    api_hash: Annotated[Secret | None, Setting(message("api_hash"), example="0123456789abcdef0123456789abcdef")] = None
    context: Annotated[
        Context,
        Setting(
            message("Context of incoming calls"),
            message("In Asterisk's dialplan; the extension is the line's number without the plus."),
        ),
    ] = "from-telegram"
    max_calls: Annotated[
        int,
        Setting(
            message("Calls at a time"),
            message("Both ways together, on all machines of a cluster; one more caller hears “busy”."),
        ),
    ] = Field(1, ge=1)
    callers: Annotated[
        tuple[str, ...],
        Setting(
            message("Phones that call through this line"),
            message("Their caller ID numbers, one per line: for calls that name no line themselves."),
        ),
    ] = ()
    default: Annotated[
        bool,
        Setting(
            message("The default line"),
            message("Takes the calls of all other phones. Without one, the least busy line takes them."),
        ),
    ] = False
    bare_number_prefix: Annotated[
        NumberPrefix,
        Setting(
            message("Before dialled digits without a plus"),
            message(
                "“+” or “+7” makes phone numbers of them, and an ID is tg#5000000002. Empty: they are Telegram IDs."
            ),
        ),
    ] = ""
    account_code: Annotated[
        AccountCode,
        Setting(
            message("Account code for CDR"),
            message("Goes into the column accountcode of Asterisk's CDR. A phone that has a code keeps its own."),
        ),
    ] = ""
    deny: Annotated[
        tuple[ListEntry, ...],
        Setting(
            message("Never"),
            message("Phone numbers (+79990000002), usernames (@name) or Telegram IDs, one per line. They hear “busy”."),
        ),
    ] = ()
    allow: Annotated[
        tuple[ListEntry, ...],
        Setting(
            message("Always"),
            message("One per line. While it is empty and “only contacts” is off, everybody may call."),
        ),
    ] = ()
    only_contacts: Annotated[
        bool,
        Setting(
            message("Of everybody else, only the account's contacts"), message("Contacts in the line's own Telegram.")
        ),
    ] = False
    resolve_cache_s: Annotated[float, Setting(message("How long to cache a person who was found"), unit=S)] = Field(
        86400.0, ge=0
    )
    not_found_cache_s: Annotated[float, Setting(message("How long to cache “not on Telegram”"), unit=S)] = Field(
        3600.0, ge=0
    )
    calls_per_minute: Annotated[int, Setting(message("Outgoing calls in any minute"), message("0: no limit."))] = Field(
        0, ge=0
    )
    calls_per_day: Annotated[int, Setting(message("Outgoing calls in any 24 hours"), message("0: no limit."))] = Field(
        0, ge=0
    )
    lookups_per_minute: Annotated[
        int,
        Setting(
            message("People looked up in any minute"),
            message("For programs of the PBX that do not call them; what is cached does not count. 0: no limit."),
        ),
    ] = Field(10, ge=0)
    flood_margin_s: Annotated[
        float, Setting(message("Added to the pause that Telegram asks for (FLOOD_WAIT)"), unit=S)
    ] = Field(30.0, ge=0)
    peer_flood_s: Annotated[float, Setting(message("Pause after PEER_FLOOD"), unit=S)] = Field(86400.0, ge=0)
    company: Annotated[
        str, Setting(message("Company"), message("{{company}} in the texts; the installation's where empty."))
    ] = ""
    language: Annotated[
        Language,
        Setting(
            message("Language of the texts"),
            message(
                "For people whose Telegram does not tell theirs. People with Telegram in Russian, Belarusian, Kazakh "
                "or Kyrgyz get Russian, all others English."
            ),
        ),
    ] = "en"
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
