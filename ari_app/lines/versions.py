"""Which version of the settings somebody has read, so that nobody undoes what others have set since."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from ari_app.i18n import message
from ari_app.lines.settings import WITH_SECRETS, LineError

SECRETS = frozenset({"api_hash", "bot_token", "proxy", "turn_password", "turn_secret", "mail_password", "passphrase"})
SET = "set"  # what is told of a secret
LENGTH = 16  # of a version, in hex digits


@dataclass(frozen=True)
class Difference:
    """A setting (its name, with dots): what it is now, and what was sent; both as JSON, a secret as `SET`."""

    where: str
    now: Any
    sent: Any


class SettingsChanged(LineError):
    """Somebody else has changed the settings since they were read, so nothing is changed now.

    ``version`` is that of the settings now.
    """

    def __init__(self, settings: BaseModel, changes: Mapping[str, Any]) -> None:
        super().__init__(
            message(
                "Somebody else has changed the settings since you read them, so nothing was changed: read them again."
            )
        )
        self.version = version_of(settings)
        known = settings.model_dump(mode="json", context=WITH_SECRETS)
        self.differs = tuple(_differences(known, changes))


def version_of(settings: BaseModel) -> str:
    """The version of some settings: the same for the same settings, and nothing that a secret could be read from."""
    text = settings.model_dump_json(context=WITH_SECRETS)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def check_version(settings: BaseModel, changes: Mapping[str, Any], read: Collection[str] | None) -> None:
    """Raise SettingsChanged unless the settings are a version that was read; None is any."""
    if read is not None and version_of(settings) not in read:
        raise SettingsChanged(settings, changes)


def _differences(known: Mapping[str, Any], changes: Mapping[str, Any], above: str = "") -> Iterator[Difference]:
    for name, sent in changes.items():
        now, where = known.get(name), f"{above}{name}"
        if isinstance(sent, Mapping):
            yield from _differences(now if isinstance(now, Mapping) else {}, sent, f"{where}.")
        elif sent != now:
            secret = name in SECRETS
            yield Difference(where, now and SET if secret else now, sent and SET if secret else sent)
