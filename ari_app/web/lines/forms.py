"""What can be set for a line, as forms: which fields each has, and how what was typed becomes a change."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ari_app.i18n import Message, message
from ari_app.lines.settings import LineSettings, SettingRefused
from ari_app.web.http.edits import (
    FIELD,
    Edit,
    Value,
    Values,
    fingerprint,
    meanwhile,
    secret_meanwhile,
    secret_sent,
    unchanged,
    was_shown,
)

Kind = Literal["text", "number", "switch", "list", "secret", "choice"]


@dataclass(frozen=True)
class Entry:
    """One field; ``key`` is the setting's name, with dots. A field left empty sets the default."""

    key: str
    label: Message
    kind: Kind = "text"
    hint: Message | None = None
    options: tuple[tuple[str, str], ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Fields under one heading."""

    title: Message
    entries: tuple[Entry, ...]


Form = tuple[Group, ...]
ON, OFF = (
    message("Somebody else has switched it on meanwhile."),
    message("Somebody else has switched it off meanwhile."),
)
WHOLE, ANY = {"min": 0, "step": 1}, {"min": 0, "step": "any"}

SETTINGS: Form = (
    Group(
        message("The line"),
        (
            Entry("name", message("Name"), hint=message("What pages and logs call it.")),
            Entry(
                "company", message("Company"), hint=message("{{company}} in the texts; the installation's where empty.")
            ),
            Entry(
                "language",
                message("Language of the texts"),
                "choice",
                message("For people whose Telegram does not tell theirs."),
                (("en", "English"), ("ru", "Русский")),
            ),
        ),
    ),
    Group(
        message("Calls"),
        (
            Entry(
                "context",
                message("Context of incoming calls"),
                hint=message("In Asterisk's dialplan; the extension is the line's number without the plus."),
            ),
            Entry(
                "max_calls",
                message("Calls at a time"),
                "number",
                message("Both ways together; one more caller hears “busy”."),
                attributes={"min": 1, "step": 1},
            ),
            Entry(
                "callers",
                message("Phones that call through this line"),
                "list",
                message("Their caller ID numbers, one per line: for calls that name no line themselves."),
            ),
            Entry(
                "default",
                message("The default line"),
                "switch",
                message("Takes the calls of all other phones. Without one, the least busy line takes them."),
            ),
            Entry(
                "bare_number_prefix",
                message("Before dialled digits without a plus"),
                hint=message("“+” or “+7” makes phone numbers of them. Empty: they are Telegram ids."),
            ),
        ),
    ),
    Group(
        message("An application of its own"),
        (
            Entry(
                "api_id",
                message("api_id"),
                "number",
                message("From my.telegram.org. The installation's is used unless both are set here."),
                attributes={"min": 1, "step": 1},
            ),
            Entry("api_hash", message("api_hash"), "secret"),
        ),
    ),
)
CARD: Form = (
    Group(
        message("When the card is sent"),
        (
            Entry("card.no_answer", message("It rang, and nobody answered"), "switch"),
            Entry("card.declined", message("The person declined"), "switch"),
            Entry("card.busy", message("The person was in another call"), "switch"),
            Entry("card.cancelled", message("Our side hung up after it had rung"), "switch"),
            Entry("card.cancelled_after_s", message("… for at least so many seconds"), "number", attributes=ANY),
            Entry(
                "card.missed",
                message("A call of the person's was missed"),
                "switch",
                message("They hung up before the answer, or the PBX was busy or closed."),
            ),
            Entry(
                "card.card_every_s",
                message("Seconds until the same person may get another one"),
                "number",
                attributes=ANY,
            ),
        ),
    ),
    Group(
        message("The button “call me back”"),
        (
            Entry(
                "card.callback",
                message("Whom it rings first"),
                hint=message("EXTENSION@CONTEXT of the dialplan, such as a queue: 600@queues. Empty: no button."),
            ),
        ),
    ),
    Group(
        message("What comes with it"),
        (
            Entry(
                "card.contact_phone",
                message("Phone of the contact"),
                hint=message("With + and country code. Empty: no contact is sent."),
            ),
            Entry("card.contact_first_name", message("First name"), hint=message("The company where empty.")),
            Entry("card.contact_last_name", message("Last name")),
        ),
    ),
)
LISTS: Form = (
    Group(
        message("Who may call the line, and whom it may call"),
        (
            Entry(
                "deny",
                message("Never"),
                "list",
                message(
                    "Phone numbers (+79990000002), usernames (@name) or Telegram IDs, one per line. They hear “busy”."
                ),
            ),
            Entry(
                "allow",
                message("Always"),
                "list",
                message("One per line. While it is empty and “only contacts” is off, everybody may call."),
            ),
            Entry(
                "only_contacts",
                message("Of everybody else, only the account's contacts"),
                "switch",
                message("Contacts in the line's own Telegram."),
            ),
        ),
    ),
)
LIMITS: Form = (
    Group(
        message("Outgoing calls"),
        (
            Entry(
                "calls_per_minute",
                message("In any minute"),
                "number",
                message("0: no limit."),
                attributes=WHOLE,
            ),
            Entry(
                "calls_per_day",
                message("In any 24 hours"),
                "number",
                message("0: no limit."),
                attributes=WHOLE,
            ),
        ),
    ),
    Group(
        message("When Telegram limits the account"),
        (
            Entry(
                "flood_margin_s",
                message("Seconds on top of what Telegram asks (FLOOD_WAIT)"),
                "number",
                attributes=ANY,
            ),
            Entry("peer_flood_s", message("Seconds of pause after PEER_FLOOD"), "number", attributes=ANY),
        ),
    ),
    Group(
        message("How long Telegram's answers are cached"),
        (
            Entry("resolve_cache_s", message("Seconds, for a person who was found"), "number", attributes=ANY),
            Entry("not_found_cache_s", message("Seconds, for “not on Telegram”"), "number", attributes=ANY),
        ),
    ),
)


def entries(form: Form) -> Iterable[Entry]:
    """All fields of a form."""
    return (entry for group in form for entry in group.entries)


def unedited(form: Form, settings: LineSettings) -> Edit:
    """A form that is shown for the first time."""
    return unchanged(_now(form, settings))


def edit(form: Form, fields: Mapping[str, str], settings: LineSettings) -> Edit:
    """What somebody has changed."""
    now = _now(form, settings)
    was = was_shown(fields.get(FIELD, ""), now)
    return Edit(was, now, {entry.key: _sent(entry, fields, was[entry.key]) for entry in entries(form)})


def shown(form: Form, edited: Edit) -> Values:
    """What each field shows; of a secret, whether it is set."""
    secrets = {entry.key: bool(edited.now[entry.key]) for entry in entries(form) if entry.kind == "secret"}
    return {**edited.shown(), **secrets}


def change(form: Form, fields: Mapping[str, str], keys: Collection[str]) -> dict[str, Any]:
    """The merge patch that sets these fields, as they were sent."""
    patch: dict[str, Any] = {}
    for entry in entries(form):
        if entry.key not in keys:
            continue
        text = fields.get(entry.key, "")
        *above, name = entry.key.split(".")
        target = patch
        for each in above:
            target = target.setdefault(each, {})
        match entry.kind:
            case "switch":
                target[name] = entry.key in fields
            case "list":
                target[name] = [line.strip() for line in text.splitlines() if line.strip()]
            case _:
                target[name] = text or None
    return patch


def differences(form: Form, settings: LineSettings, keys: Collection[str]) -> dict[str, list[Message]]:
    """What somebody else has set in these fields."""
    return {entry.key: [_meanwhile(entry, _value(settings, entry.key))] for entry in entries(form) if entry.key in keys}


def errors(form: Form, refused: SettingRefused) -> dict[str, list[Message]]:
    """What was refused, at its field; under the empty key where it has none here."""
    told: dict[str, list[Message]] = {}
    keys = {entry.key for entry in entries(form)}
    for wrong in refused.wrong:
        above, _, last = wrong.key.rpartition(".")
        if wrong.key in keys:
            told.setdefault(wrong.key, []).append(wrong.reason)
        elif above in keys and last.isdecimal():
            said = message("Entry {n}: {reason}", n=int(last) + 1, reason=wrong.reason)
            told.setdefault(above, []).append(said)
        else:
            told.setdefault("", []).append(message("{key}: {reason}", key=wrong.key, reason=wrong.reason))
    return told


def _value(settings: LineSettings, key: str) -> Any:
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _now(form: Form, settings: LineSettings) -> dict[str, Value]:
    return {entry.key: _compared(entry, _value(settings, entry.key)) for entry in entries(form)}


def _compared(entry: Entry, value: Any) -> Value:
    match entry.kind:
        case "switch":
            return bool(value)
        case "list":
            return "\n".join(value)
        case "secret":
            return fingerprint(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value).strip()


def _sent(entry: Entry, fields: Mapping[str, str], was: Value) -> Value:
    text = fields.get(entry.key, "")
    match entry.kind:
        case "switch":
            return entry.key in fields
        case "list":
            return "\n".join(line.strip() for line in text.splitlines() if line.strip())
        case "secret":
            return secret_sent(entry.key, fields, was)
        case _:
            return text


def _meanwhile(entry: Entry, value: Any) -> Message:
    match entry.kind:
        case "secret":
            return secret_meanwhile(value)
        case "switch":
            return ON if value else OFF
        case "choice":
            return meanwhile(dict(entry.options)[value])
        case "list":
            return meanwhile(", ".join(value))
        case _:
            return meanwhile(str(_compared(entry, value)))
