"""`astergram alerts ...`: what needs somebody, who is told, what is muted; through the API of the running program."""

import argparse
from datetime import datetime, tzinfo
from typing import Any

from rich.markup import escape
from rich.table import Table

from ari_app import zones
from ari_app.api_client import Api
from ari_app.cli.settings import VERSION, as_toml, ask_secrets, pairs, refuse_unknown, versioned
from ari_app.cli.terminal import show, show_json

PATH = "/alerts"


async def run(options: argparse.Namespace, api: Api) -> None:
    """Do what was asked for; raises RequestRefused."""
    match options.action:
        case "list":
            found = await api.ask("GET", PATH)
            if options.json:
                return show_json(found)
            show_alerts(found, await _zone(api))
        case "mute":
            muted = await api.ask("POST", f"{PATH}/mutes", {"alert": options.id, "hours": options.hours})
            print(f"muted; `astergram alerts unmute {muted['id']}` ends it")
        case "unmute":
            await api.ask("DELETE", f"{PATH}/mutes/{options.id}")
            print(f"{options.id} is no longer muted")
        case "test":
            sent = await api.ask("POST", f"{PATH}/test")
            if options.json:
                return show_json(sent)
            print(f"tests are being sent: {len(sent)}; `astergram alerts deliveries` says what becomes of them")
        case "deliveries":
            sent = await api.ask("GET", f"{PATH}/deliveries?limit={options.last}")
            if options.json:
                return show_json(sent)
            show_deliveries(sent, await _zone(api))
        case _:
            await _settings(options, api)
    return None


async def _settings(options: argparse.Namespace, api: Api) -> None:
    known, version = await api.read(f"{PATH}/settings")
    if options.settings:
        refuse_unknown(pairs(options.settings, {}), known, "alerts")
        changes = pairs(await ask_secrets(options.settings), {})
        read = str(changes.pop(VERSION, ""))
        await api.ask("PATCH", f"{PATH}/settings", changes, read)
        known, version = await api.read(f"{PATH}/settings")
    answer = versioned(known, version)
    if options.json:
        show_json(answer)
    else:
        print(as_toml(answer), end="")


async def _zone(api: Api) -> tzinfo:
    return zones.named((await api.ask("GET", "/installation"))["timezone"])


def show_alerts(found: dict[str, Any], zone: tzinfo) -> None:
    """The open ones, the last ones, and what is muted; times are those of ``zone``."""

    def at(seconds: float | None) -> str:
        return "" if seconds is None else f"{datetime.fromtimestamp(seconds, zone):%Y-%m-%d %H:%M}"

    if not found["open"]:
        print("There is no alert.")
    table = Table(box=None, pad_edge=False)
    for column in ("Id", f"Since ({zones.name_of(zone)})", "Until", "Kind", "Alert"):
        table.add_column(column)
    for each in [*found["open"], *found["last"]]:
        state = at(each["closed_at"]) or ("muted" if each["muted"] else "")
        table.add_row(each["id"], at(each["since"]), state, each["kind"], escape(each["sentence"]))
    if table.row_count:
        show(table)
    for each in found["mutes"]:
        what = f"{each['kind']} {each['subject']}".strip() or "everything"
        print(f"muted: {what}, until {at(each['until']) or 'ended'} ({each['id']})")
    if found["trouble"]:
        print(found["trouble"])


def show_deliveries(sent: list[dict[str, Any]], zone: tzinfo) -> None:
    """One line for each; times are those of ``zone``."""
    table = Table(box=None, pad_edge=False)
    for column in (f"Time ({zones.name_of(zone)})", "To", "By", "What", "State", "Attempts", "Error"):
        table.add_column(column)
    for each in sent:
        at = f"{datetime.fromtimestamp(each['made_at'], zone):%Y-%m-%d %H:%M:%S}"
        told = (each["to"], each["by"], each["type"], each["state"], str(each["attempts"]), each["error"])
        table.add_row(at, *map(escape, told))
    show(table)
