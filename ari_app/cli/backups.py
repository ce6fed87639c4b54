"""`astergram backups ...`: what the program makes by itself, and puts in place at its next start; by its API."""

import argparse
from datetime import datetime, tzinfo
from typing import Any
from urllib.parse import quote

from rich.table import Table

from ari_app import zones
from ari_app.api_client import Api
from ari_app.cli.settings import VERSION, as_toml, ask_secrets, pairs, refuse_unknown, versioned
from ari_app.cli.terminal import agree, confirm, show, show_json, typed

PATH = "/backups"
MAKE_S = 1800.0
MEGABYTE = 1024 * 1024
RESTART = "start Astergram again to put it in place (systemctl restart astergram, say)"


async def run(options: argparse.Namespace, api: Api) -> None:
    """Do what was asked for; raises RequestRefused."""
    match options.action:
        case "list":
            found = await api.ask("GET", PATH)
            if options.json:
                return show_json(found)
            show_backups(found, zones.named((await api.ask("GET", "/installation"))["timezone"]))
        case "make":
            made = await api.ask("POST", PATH, within_s=MAKE_S)
            if options.json:
                return show_json(made)
            print(f"{made['name']} is made")
        case "restore":
            await agree(f"Restore {options.name} in place of what there is now, which is put aside", yes=options.yes)
            passphrase = await typed("its passphrase: ", hidden=True) if options.passphrase else ""
            path = f"{PATH}/files/{quote(options.name, safe='')}/restore"
            await api.ask("POST", path, {"passphrase": passphrase.strip()}, within_s=MAKE_S)
            print(f"{options.name} was examined, and is whole: {RESTART}")
        case "cancel":
            await api.ask("DELETE", f"{PATH}/restore")
            print("nothing is restored")
        case "remove":
            await confirm(f"Remove {options.name}", yes=options.yes)
            await api.ask("DELETE", f"{PATH}/files/{quote(options.name, safe='')}")
            print(f"{options.name} is removed")
        case _:
            await _settings(options, api)
    return None


async def _settings(options: argparse.Namespace, api: Api) -> None:
    known, version = await api.read(f"{PATH}/settings")
    if options.settings:
        refuse_unknown(pairs(options.settings, {}), known, "backups")
        changes = pairs(await ask_secrets(options.settings), {})
        read = str(changes.pop(VERSION, ""))
        await api.ask("PATCH", f"{PATH}/settings", changes, read)
        known, version = await api.read(f"{PATH}/settings")
    answer = versioned(known, version)
    if options.json:
        show_json(answer)
    else:
        print(as_toml(answer), end="")


def show_backups(found: dict[str, Any], zone: tzinfo) -> None:
    """One line for each, and what is wrong; times are those of ``zone``."""
    if not found["files"]:
        print(f"There is no backup yet in {found['folder']}.")
    table = Table(box=None, pad_edge=False)
    for column in (f"Made ({zones.name_of(zone)})", "Name", "MB", ""):
        table.add_column(column)
    for each in found["files"]:
        at = f"{datetime.fromtimestamp(each['made_at'], zone):%Y-%m-%d %H:%M:%S}"
        size = f"{each['size'] / MEGABYTE:.1f}"
        table.add_row(at, each["name"], size, "" if each["encrypted"] else "not encrypted")
    if table.row_count:
        show(table)
    if found["trouble"]:
        print(found["trouble"])
    if found["staged"]:
        print(f"{found['staged']['name']} waits: {RESTART}, or `astergram backups cancel`")
