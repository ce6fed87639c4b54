"""What can be set, as forms: which fields each has, and how what was typed becomes a change."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from ari_app.described import Described, Kind
from ari_app.i18n import Message, message
from ari_app.lines.settings import SettingRefused
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


@dataclass(frozen=True)
class Entry:
    """One field; ``key`` is the setting's name, with dots. A field left empty sets the default."""

    key: str
    about: Described
    labels: Mapping[str, Message | str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """What it is typed into."""
        return self.about.kind

    @property
    def label(self) -> Message:
        """With the unit."""
        setting = self.about.setting
        return message("{title}, {unit}", title=setting.title, unit=setting.unit) if setting.unit else setting.title

    @property
    def hint(self) -> Message | None:
        """Below the field."""
        return self.about.setting.help

    @property
    def options(self) -> tuple[tuple[str, Message | str], ...]:
        """Of a choice, each with its label."""
        return tuple((each, self.labels[each]) for each in self.about.options)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Of the HTML of a number."""
        if self.kind != "number":
            return {}
        least, most = self.about.bounds
        bounds = {"min": least or self.about.above, "max": most, "step": "1" if self.about.is_whole else "any"}
        return {name: value for name, value in bounds.items() if value is not None}


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


def group(title: Message, about: Mapping[str, Described], *keys: str, **labels: Mapping[str, Message | str]) -> Group:
    """Fields by their keys; ``labels`` are those of a choice's options, by its key."""
    return Group(title, tuple(Entry(key, about[key], labels.get(key, {})) for key in keys))


def entries(form: Form) -> Iterable[Entry]:
    """All fields of a form."""
    return (entry for group in form for entry in group.entries)


def unedited(form: Form, settings: BaseModel) -> Edit:
    """A form that is shown for the first time."""
    return unchanged(_now(form, settings))


def edit(form: Form, fields: Mapping[str, str], settings: BaseModel) -> Edit:
    """What somebody has changed."""
    now = _now(form, settings)
    was = was_shown(fields.get(FIELD, ""), now)
    return Edit(was, now, {entry.key: _sent(entry, fields, was[entry.key]) for entry in entries(form)})


def shown(form: Form, edited: Edit) -> Values:
    """What each field shows; of a secret, whether it is set."""
    secrets = {entry.key: bool(edited.now[entry.key]) for entry in entries(form) if entry.kind == "secret"}
    return {**edited.shown(), **secrets}


def change(form: Form, fields: Mapping[str, str], keys: Collection[str]) -> dict[str, Any]:
    """The merge patch that sets these fields, as they were sent; with them a secret that was typed, also the same."""
    patch: dict[str, Any] = {}
    for entry in entries(form):
        text = fields.get(entry.key, "")
        if entry.key not in keys and not (entry.kind == "secret" and text):
            continue
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


def differences(form: Form, settings: BaseModel, keys: Collection[str]) -> dict[str, list[Message]]:
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
            said = message("{key}: {reason}", key=wrong.key, reason=wrong.reason) if wrong.key else wrong.reason
            told.setdefault("", []).append(said)
    return told


def _value(settings: BaseModel, key: str) -> Any:
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _now(form: Form, settings: BaseModel) -> dict[str, Value]:
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
            return meanwhile(str(dict(entry.options)[value]))
        case "list":
            return meanwhile(", ".join(value))
        case _:
            return meanwhile(str(_compared(entry, value)))
