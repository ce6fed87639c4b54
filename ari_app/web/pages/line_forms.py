"""What can be set for a line, as forms: which fields each has, and how what was typed becomes a change."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ari_app.lines.settings import LineSettings, SettingRefused
from ari_app.sentence import Sentence, say
from ari_app.web.edits import (
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
    label: Sentence
    kind: Kind = "text"
    hint: Sentence | None = None
    options: tuple[tuple[str, str], ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Fields under one heading."""

    title: Sentence
    entries: tuple[Entry, ...]


Form = tuple[Group, ...]
ON, OFF = say("Somebody else has switched it on meanwhile."), say("Somebody else has switched it off meanwhile.")
WHOLE, ANY = {"min": 0, "step": 1}, {"min": 0, "step": "any"}

SETTINGS: Form = (
    Group(
        say("The line"),
        (
            Entry("name", say("Name"), hint=say("What pages and logs call it.")),
            Entry("company", say("Company"), hint=say("{{company}} in the texts; the installation's where empty.")),
            Entry(
                "language",
                say("Language of the texts"),
                "choice",
                say("For people whose Telegram does not tell theirs."),
                (("en", "English"), ("ru", "Русский")),
            ),
        ),
    ),
    Group(
        say("Calls"),
        (
            Entry(
                "context",
                say("Context of incoming calls"),
                hint=say("In Asterisk's dialplan; the extension is the line's number without its plus."),
            ),
            Entry(
                "max_calls",
                say("Calls at a time"),
                "number",
                say("Both ways together; one more caller hears “busy”."),
                attributes={"min": 1, "step": 1},
            ),
            Entry(
                "callers",
                say("Phones that call through this line"),
                "list",
                say("Their caller id numbers, one a line: for calls that name no line themselves."),
            ),
            Entry(
                "default",
                say("The default line"),
                "switch",
                say("Takes the calls of all other phones. Without one, the least busy line takes them."),
            ),
            Entry(
                "bare_number_prefix",
                say("Before dialled digits without a plus"),
                hint=say("“+” or “+7” makes phone numbers of them. Empty: they are Telegram ids."),
            ),
        ),
    ),
    Group(
        say("An application of its own"),
        (
            Entry(
                "api_id",
                say("api_id"),
                "number",
                say("From my.telegram.org. The installation's is used unless both are set here."),
                attributes={"min": 1, "step": 1},
            ),
            Entry("api_hash", say("api_hash"), "secret"),
        ),
    ),
)
CARD: Form = (
    Group(
        say("When the card is sent"),
        (
            Entry("card.no_answer", say("It rang, and nobody answered"), "switch"),
            Entry("card.declined", say("The person declined"), "switch"),
            Entry("card.busy", say("The person was in another call"), "switch"),
            Entry("card.cancelled", say("Our side gave up after it had rung"), "switch"),
            Entry("card.cancelled_after_s", say("… for at least so many seconds"), "number", attributes=ANY),
            Entry(
                "card.missed",
                say("A call of the person's was missed"),
                "switch",
                say("They gave up, or the PBX was busy or closed."),
            ),
            Entry(
                "card.card_every_s",
                say("Seconds until the same person gets another one"),
                "number",
                attributes=ANY,
            ),
        ),
    ),
    Group(
        say("The button “call me back”"),
        (
            Entry(
                "card.callback",
                say("Whom it rings first"),
                hint=say("EXTENSION@CONTEXT of the dialplan, such as a queue: 600@queues. Empty: no button."),
            ),
        ),
    ),
    Group(
        say("What comes with it"),
        (
            Entry(
                "card.contact_phone",
                say("Phone of the contact"),
                hint=say("With + and country code. Empty: no contact is sent."),
            ),
            Entry("card.contact_first_name", say("First name"), hint=say("The company where empty.")),
            Entry("card.contact_last_name", say("Last name")),
        ),
    ),
)
LISTS: Form = (
    Group(
        say("Whom the line may call and be called by"),
        (
            Entry(
                "deny",
                say("Never"),
                "list",
                say("Phones (+79990000002), usernames (@name) or Telegram ids, one a line. They hear “busy”."),
            ),
            Entry(
                "allow",
                say("Always"),
                "list",
                say("One a line. As long as it is empty, and “only contacts” is off, everybody passes."),
            ),
            Entry(
                "only_contacts",
                say("Of all others, only the account's contacts"),
                "switch",
                say("Contacts in the line's own Telegram."),
            ),
        ),
    ),
)
LIMITS: Form = (
    Group(
        say("Outgoing calls"),
        (
            Entry("calls_per_minute", say("In any minute"), "number", say("0: as many as you like."), attributes=WHOLE),
            Entry("calls_per_day", say("In any 24 hours"), "number", say("0: as many as you like."), attributes=WHOLE),
        ),
    ),
    Group(
        say("When Telegram limits the account"),
        (
            Entry(
                "flood_margin_s",
                say("Seconds on top of what Telegram asks (FLOOD_WAIT)"),
                "number",
                attributes=ANY,
            ),
            Entry("peer_flood_s", say("Seconds of rest after PEER_FLOOD"), "number", attributes=ANY),
        ),
    ),
    Group(
        say("How long Telegram's answers stay good"),
        (
            Entry("resolve_cache_s", say("Seconds, for who somebody is"), "number", attributes=ANY),
            Entry("not_found_cache_s", say("Seconds, for “not on Telegram”"), "number", attributes=ANY),
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


def differences(form: Form, settings: LineSettings, keys: Collection[str]) -> dict[str, list[Sentence]]:
    """What somebody else has set in these fields."""
    return {entry.key: [_meanwhile(entry, _value(settings, entry.key))] for entry in entries(form) if entry.key in keys}


def errors(form: Form, refused: SettingRefused) -> dict[str, list[Sentence]]:
    """What was refused, at its field; under the empty key where it has none here."""
    told: dict[str, list[Sentence]] = {}
    keys = {entry.key for entry in entries(form)}
    for wrong in refused.wrong:
        above, _, last = wrong.key.rpartition(".")
        if wrong.key in keys:
            told.setdefault(wrong.key, []).append(wrong.reason)
        elif above in keys and last.isdecimal():
            said = say("Entry {n}: {reason}", n=int(last) + 1, reason=wrong.reason)
            told.setdefault(above, []).append(said)
        else:
            told.setdefault("", []).append(say("{key}: {reason}", key=wrong.key, reason=wrong.reason))
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


def _meanwhile(entry: Entry, value: Any) -> Sentence:
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
