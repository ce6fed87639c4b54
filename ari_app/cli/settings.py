"""Settings as they are written on a command line: KEY=VALUE, and secrets that must not stand there."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import tomli_w

from ari_app.api_client import RequestRefused
from ari_app.cli.complete import SECRETS
from ari_app.cli.terminal import NothingTyped, typed
from ari_app.suggest import did_you_mean

ASK = "-"
"""In place of a secret: it is asked for, and read from standard input."""
VERSION = "version"
"""No setting: which version of them was read, or is to be changed."""


def pairs(given_settings: Sequence[str], settings: dict[str, Any]) -> dict[str, Any]:
    """KEY=VALUE each, into the settings; a key with dots goes into a section. Raises RequestRefused."""
    for given in given_settings:
        key, equals, value = given.partition("=")
        if not (key and equals):
            raise RequestRefused(f"{given!r} is no setting: write KEY=VALUE, such as name=Sales")
        *path, last = key.split(".")
        section = settings
        for name in path:
            section = section.setdefault(name, {})
            if not isinstance(section, dict):
                raise RequestRefused(f"{given!r} does not go together with {name}={section!r}")
        section[last] = value if last in (*SECRETS, VERSION) and value != "null" else _value(value)
    return settings


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


async def ask_secrets(given_settings: Sequence[str]) -> list[str]:
    """KEY=VALUE each, with every secret that is `-` read from standard input, where a terminal does not show it.

    Raises NothingTyped.
    """
    filled = []
    for given in given_settings:
        key, _, value = given.partition("=")
        if key in SECRETS and value == ASK:
            value = (await typed(f"{key}: ", hidden=True)).strip()
            if not value:
                raise NothingTyped(f"Nothing was typed; {key} stays as it is.")
            filled.append(f"{key}={value}")
            continue
        if key in SECRETS and value not in ("", "null"):
            print(
                f"# {key} stood on the command line, where other users of this machine can read it, and in the shell's "
                f"history: write {key}={ASK} to be asked for it",
                file=sys.stderr,
            )
        filled.append(given)
    return filled


def refuse_unknown(
    settings: Mapping[str, Any], known: Mapping[str, Any] | Iterable[str], of: str, besides: Iterable[str] = (VERSION,)
) -> None:
    """Raises RequestRefused for keys that there are not, with those that were probably meant."""
    keys = [*(_keys(known) if isinstance(known, Mapping) else known), *besides]
    wrong = [key for key in _keys(settings) if key not in keys and not any(each.startswith(f"{key}.") for each in keys)]
    if wrong:
        raise RequestRefused("; ".join(f"{key} is no setting of {of}{did_you_mean(key, keys)}" for key in wrong))


def _keys(settings: Mapping[str, Any]) -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from (f"{key}.{each}" for each in _keys(value))
        else:
            yield key


def as_toml(settings: dict[str, Any]) -> str:
    """What is set, without what is not; with its version, it can be edited and given to `line set --file`."""
    return tomli_w.dumps(_without_nothing(settings))


def versioned(settings: dict[str, Any], version: str) -> dict[str, Any]:
    """What is shown of settings."""
    return {VERSION: version, **settings}


def _without_nothing(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nothing(value) if isinstance(value, dict) else value
        for key, value in settings.items()
        if value is not None
    }
