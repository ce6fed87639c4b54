"""What a shell offers to complete with, besides fixed words: it is asked of the running program, within a moment.

argcomplete calls each of these with what has been typed so far; where nothing can be found out, nothing is offered.
"""

import argparse
import http.client
import json
import os
import socket
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ari_app.suggest import dotted_keys
from media.sockets import short_address

ANSWER_S = 1.0  # somebody has pressed Tab
SECRETS = frozenset({"api_hash", "bot_token", "proxy", "turn_password", "turn_secret", "mail_password", "passphrase"})
FILES = ("card.contact_vcard", "card.picture")
"""No settings: files that are uploaded."""
DEFAULT_CONFIG = Path("/etc/astergram/astergram.toml")
STATE_DIR = "/var/lib/astergram"
LAST_CALLS = 20


def numbers(prefix: str = "", *, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The lines."""
    return [line["number"] for line in _asked(parsed_args, "/lines")]


def call_ids(prefix: str = "", *, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The calls now, and the last ones."""
    found = _asked(parsed_args, f"/calls?limit={LAST_CALLS}")
    return [call["id"] for call in (found or {"calls": []})["calls"]]


def live_call_ids(prefix: str = "", *, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The calls now."""
    return [live["call"]["id"] for live in _asked(parsed_args, "/calls/live")]


def webhook_ids(prefix: str = "", *, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """Those of the running program."""
    return [webhook["id"] for webhook in _asked(parsed_args, "/webhooks")]


def users(prefix: str = "", *, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The users of the admin page."""
    return [user["name"] for user in _asked(parsed_args, "/users")]


def alert_ids(prefix: str = "", *, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The open alerts."""
    return [alert["id"] for alert in (_asked(parsed_args, "/alerts") or {"open": []})["open"]]


def mute_ids(prefix: str = "", *, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """What is muted."""
    return [mute["id"] for mute in (_asked(parsed_args, "/alerts") or {"mutes": []})["mutes"]]


def alert_keys(prefix: str = "", **_: Any) -> list[str]:
    """What can be set for alerts."""
    from ari_app.alerts.settings import AlertSettings

    return _keys(dotted_keys(AlertSettings))


def backup_names(prefix: str = "", *, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """Those that there are."""
    return [file["name"] for file in (_asked(parsed_args, "/backups") or {"files": []})["files"]]


def backup_keys(prefix: str = "", **_: Any) -> list[str]:
    """What can be set for backups."""
    from ari_app.backups.settings import BackupSettings

    return _keys(dotted_keys(BackupSettings))


def line_keys(prefix: str = "", **_: Any) -> list[str]:
    """What can be set for a line."""
    from ari_app.lines.settings import LineSettings

    return _keys(key for key in (*dotted_keys(LineSettings), *FILES) if key != "number")


def installation_keys(prefix: str = "", **_: Any) -> list[str]:
    """What can be set for the whole installation."""
    from ari_app.lines.installation import InstallationSettings

    return _keys(dotted_keys(InstallationSettings))


def _keys(known: Iterable[str]) -> list[str]:
    return [f"{key}=-" if key in SECRETS else f"{key}=" for key in known]


class _Connection(http.client.HTTPConnection):
    """HTTP over the program's Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("astergram", timeout=ANSWER_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with short_address(self._path) as address:
            self.sock.connect(address)


def _asked(options: argparse.Namespace, path: str) -> Any:
    """The running program's answer; an empty list where there is none."""
    try:
        connection = _Connection(_state_dir(getattr(options, "config", DEFAULT_CONFIG)) / "astergram.sock")
        try:
            connection.request("GET", f"/api{path}")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException):
        return []


def _state_dir(config: Path) -> Path:
    """Read in haste: what is wrong with the configuration is said when a command is run."""
    given = os.environ.get("ASTERGRAM_STATE_DIR") or tomllib.loads(config.read_text()).get("state_dir", STATE_DIR)
    return Path(given)
