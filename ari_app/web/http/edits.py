"""What somebody has changed in a form since it was shown to them, beside what others have changed meanwhile."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pydantic import SecretStr

from ari_app.i18n import Message, message

FIELD = "read"
"""The hidden field that sends back, as JSON, what a form showed when it was read."""

Value = str | bool
Values = Mapping[str, Value]

MEANWHILE = message("Somebody else has changed the same fields meanwhile: see those in red. Save again to keep yours.")
BESIDES = message("Saved. Somebody else has changed other settings meanwhile; they are kept.")
REMOVED, ANOTHER = (
    message("Somebody else has removed it meanwhile."),
    message("Somebody else has set another one meanwhile."),
)
"""Of a secret, which is never shown."""


def fingerprint(secret: SecretStr | str | None) -> str:
    """Tells a secret from another one, and nothing else about it; empty where there is none."""
    text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


def was_shown(read: str, now: Values) -> Values:
    """What a form sends back in `FIELD`; a field that is not there was shown as it is now."""
    try:
        known = json.loads(read)
    except ValueError:
        known = None
    shown = known.items() if isinstance(known, dict) else ()
    return {**now, **{name: value for name, value in shown if name in now and isinstance(value, str | bool)}}


@dataclass(frozen=True)
class Edit:
    """A form's fields: as they were shown, as they are now, and as they are sent; of secrets the fingerprints."""

    was: Values
    now: Values
    sent: Values

    @cached_property
    def changed(self) -> frozenset[str]:
        """The fields that somebody has changed."""
        return frozenset(name for name, value in self.sent.items() if value != self.was[name])

    @cached_property
    def differs(self) -> frozenset[str]:
        """Those of them that somebody else has changed, too, in another way."""
        return frozenset(name for name in self.changed if self.now[name] not in (self.was[name], self.sent[name]))

    @property
    def done(self) -> Message:
        """What to say once they are set."""
        others = any(self.now[name] != self.was[name] for name in self.now.keys() - self.changed)
        return BESIDES if others else message("Saved.")

    def read(self) -> str:
        """For `FIELD` when the form is shown again, with all that differs told: nobody is asked twice."""
        kept = self.changed - self.differs
        return json.dumps({name: self.was[name] if name in kept else value for name, value in self.now.items()})

    def shown(self) -> Values:
        """What the form shows: what was changed in it, or else what is set."""
        return {name: self.sent[name] if name in self.changed else value for name, value in self.now.items()}


def unchanged(now: Values) -> Edit:
    """A form that is shown for the first time."""
    return Edit(now, now, now)


def meanwhile(value: str) -> Message:
    """What somebody else has set in place of what is sent."""
    return message("Somebody else has set this meanwhile: {value}", value=value or "–")


def secret_meanwhile(value: object) -> Message:
    """The same of a secret; ``value`` is what is set now."""
    return ANOTHER if value else REMOVED


def secret_sent(name: str, fields: Mapping[str, str], was: Value) -> Value:
    """The fingerprint of what a form's secret is to be: an empty field leaves it, the box beside it removes it."""
    if text := fields.get(name):
        return fingerprint(text)
    return "" if f"remove_{name}" in fields else was
