"""What is set for the whole installation, as a form, or as a part of one."""

from collections.abc import Collection, Mapping, Sequence

from ari_app.described import described
from ari_app.i18n import Message
from ari_app.lines.installation import InstallationSettings
from ari_app.lines.versions import SECRETS
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

ABOUT = {each.key: each.setting for each in described(InstallationSettings)}
ALL = tuple(ABOUT)
APPLICATION = ("api_id", "api_hash")
NUMBERS = frozenset(each.key for each in described(InstallationSettings) if each.kind == "number")
"""An empty field goes back to what the configuration file says."""


def unedited(settings: InstallationSettings, names: Sequence[str] = ALL) -> Edit:
    """A form that is shown for the first time."""
    return unchanged(_now(settings, names))


def edit(fields: Mapping[str, str], settings: InstallationSettings, names: Sequence[str] = ALL) -> Edit:
    """What somebody has changed; a field that was not sent stays."""
    now = _now(settings, names)
    was = was_shown(fields.get(FIELD, ""), now)
    return Edit(was, now, {name: _sent(name, fields, was[name]) for name in names})


def change(edited: Edit, fields: Mapping[str, str]) -> dict[str, str | None]:
    """What is to be set, a secret that was typed again too: all else goes on following the configuration file."""
    wanted: dict[str, str | None] = {}
    for name in edited.now:
        text = fields.get(name, "")
        if name not in edited.changed and not (name in SECRETS and text):
            continue
        wanted[name] = None if name in NUMBERS and not text else text
    return wanted


def differences(edited: Edit, settings: InstallationSettings) -> dict[str, Message]:
    """What somebody else has set in the same fields."""
    told = {}
    for name in edited.differs:
        value = getattr(settings, name)
        told[name] = secret_meanwhile(value) if name in SECRETS else meanwhile("" if value is None else str(value))
    return told


def shown(edited: Edit) -> Values:
    """What each field shows; of a secret, whether it is set."""
    return {name: bool(edited.now[name]) if name in SECRETS else value for name, value in edited.shown().items()}


def _now(settings: InstallationSettings, names: Collection[str]) -> dict[str, Value]:
    values = {name: getattr(settings, name) for name in names}
    return {
        name: fingerprint(value) if name in SECRETS else "" if value is None else str(value)
        for name, value in values.items()
    }


def _sent(name: str, fields: Mapping[str, str], was: Value) -> Value:
    if name not in SECRETS:
        return fields.get(name, was)
    return secret_sent(name, fields, was)
