"""`astergram token ...`: API tokens, through the API of the running program."""

import argparse
import time
from datetime import datetime, tzinfo
from typing import Any

from rich.markup import escape
from rich.table import Table

from ari_app import zones
from ari_app.api_client import Api
from ari_app.cli.terminal import show, show_json

DAY_S = 86400.0
MAY = {"read": "viewer", "calls": "operator", "admin": "administrator"}
"""What each scope may do: as much as this role."""


async def run(options: argparse.Namespace, api: Api) -> None:
    """Do what was asked for; raises RequestRefused."""
    match options.action:
        case "list":
            tokens = await api.ask("GET", "/access/tokens")
            if options.json:
                return show_json(tokens)
            _show(tokens, zones.named((await api.ask("GET", "/installation"))["timezone"]))
        case "add":
            expires_at = time.time() + options.days * DAY_S if options.days else None
            body = {"name": options.name, "scope": options.scope, "expires_at": expires_at}
            made = await api.ask("POST", "/access/tokens", body)
            if options.json:
                return show_json(made)
            print(made["token"])
        case "revoke":
            await api.ask("DELETE", f"/access/tokens/{options.id}")
            print(f"token {options.id} is revoked")


def _show(tokens: list[dict[str, Any]], zone: tzinfo) -> None:
    """One line for each; times are those of ``zone``."""
    table = Table(box=None, pad_edge=False)
    for column in ("Id", "Name", "Scope", f"Created ({zones.name_of(zone)})", "By", "Last used", "Expires"):
        table.add_column(column)
    for token in tokens:
        made, used, expires = (_at(token[name], zone) for name in ("made_at", "used_at", "expires_at"))
        name, by = escape(token["name"]), _by(token)
        table.add_row(str(token["id"]), name, token["scope"], made, by, used or "never", expires or "never")
    show(table)


def _by(token: dict[str, Any]) -> str:
    """Whose it is, with what they may where that is less than its scope."""
    if not token["made_by"] or token["role"] == MAY[token["scope"]]:
        return str(token["made_by"])
    return f"{token['made_by']}, as {token['role']}" if token["role"] else f"{token['made_by']} (removed)"


def _at(seconds: float | None, zone: tzinfo) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, zone):%Y-%m-%d %H:%M}"
