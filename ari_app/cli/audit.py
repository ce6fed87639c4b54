"""`astergram audit ...`: who did what, through the API of the running program."""

import argparse
import json
import sys
from datetime import datetime, tzinfo
from typing import Any
from urllib.parse import urlencode

from rich.markup import escape
from rich.table import Table

from ari_app import zones
from ari_app.api_client import Api
from ari_app.cli.calls import STANDARD_OUTPUT
from ari_app.cli.terminal import show, show_json
from ari_app.private_file import private_file


async def run(options: argparse.Namespace, api: Api) -> None:
    """Do what was asked for; raises RequestRefused."""
    if options.action == "export":
        path = f"/audit.csv?{urlencode({'text': options.find})}"
        if str(options.file) == STANDARD_OUTPUT:
            return await api.download(path, sys.stdout.buffer)
        with private_file(options.file) as file:
            await api.download(path, file)
        print(f"{options.file} is written")
        return None
    query = urlencode({"text": options.find, "limit": options.last})
    entries = (await api.ask("GET", f"/audit?{query}"))["entries"]
    if options.json:
        return show_json(entries)
    _show(entries, zones.named((await api.ask("GET", "/installation"))["timezone"]))
    return None


def _show(entries: list[dict[str, Any]], zone: tzinfo) -> None:
    """One line for each; times are those of ``zone``."""
    table = Table(box=None, pad_edge=False)
    for column in (f"Time ({zones.name_of(zone)})", "By", "Address", "Action", "Subject", "Changes"):
        table.add_column(column)
    for each in entries:
        changes = "; ".join(f"{name}: {_text(was)} → {_text(now)}" for name, (was, now) in each["changes"].items())
        table.add_row(
            f"{datetime.fromtimestamp(each['at'], zone):%Y-%m-%d %H:%M:%S}",
            escape(f"{each['who']} ({each['kind']})" if each["who"] else each["kind"]),
            each["address"],
            escape(each["action"]),
            escape(each["subject"]),
            escape(changes),
        )
    show(table)


def _text(value: Any) -> str:
    return "-" if value in (None, "") else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
