"""`astergram activity`: what has happened lately, through the API of the running program."""

import argparse
from datetime import datetime

from rich.markup import escape
from rich.table import Table

from ari_app import zones
from ari_app.api_client import Api
from ari_app.cli.terminal import show, show_json


async def run(options: argparse.Namespace, api: Api) -> None:
    """Show it; raises RequestRefused."""
    found = await api.ask("GET", f"/activity?limit={options.last}")
    if options.json:
        return show_json(found)
    zone = zones.named((await api.ask("GET", "/installation"))["timezone"])
    table = Table(box=None, pad_edge=False)
    for column in (f"Time ({zones.name_of(zone)})", "What", "Who"):
        table.add_column(column)
    for each in found:
        at = f"{datetime.fromtimestamp(each['at'], zone):%Y-%m-%d %H:%M:%S}"
        table.add_row(at, escape(each["sentence"]), escape(each["who"]))
    return show(table)
