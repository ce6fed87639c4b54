"""`astergram calls ...`: the calls now and the history, through the API of the running program."""

import argparse
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from rich.markup import escape
from rich.table import Table

from ari_app import zones
from ari_app.api_client import Api
from ari_app.cli_lines import output

MOST = 100


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """The commands' own command line."""
    calls = commands.add_parser("calls", help="the calls now, and the history")
    actions = calls.add_subparsers(dest="action", required=True)
    found = actions.add_parser("list", help="the calls now, and the last ones", parents=[common])
    found.add_argument("--last", type=int, choices=range(1, MOST + 1), default=20, metavar="N", help="%(default)s")
    export = actions.add_parser("export", help="write the history as CSV", parents=[common])
    export.add_argument("file", type=Path, metavar="FILE")
    for made in (found, export):
        made.add_argument("--find", default="", metavar="TEXT", help="a name, phone, username, id, or what was dialled")
    for name, text in (("show", "a call's ladder"), ("hangup", "end a live call")):
        actions.add_parser(name, help=text, parents=[common]).add_argument("id")


async def run(options: argparse.Namespace, api: Api) -> None:
    """Do what was asked for; raises Refused."""
    match options.action:
        case "list":
            live = [each["call"] | {"status": each["state"]} for each in await api.ask("GET", "/calls/live")]
            query = urlencode({"text": options.find, "limit": options.last})
            ended = (await api.ask("GET", f"/calls?{query}"))["calls"]
            shown = {each["id"] for each in live}
            zone = zones.named((await api.ask("GET", "/installation"))["timezone"])
            show_calls([*live, *(each for each in ended if each["id"] not in shown)], zone)
        case "show":
            show_call(await api.ask("GET", f"/calls/{options.id}"))
        case "hangup":
            await api.ask("POST", f"/calls/{options.id}/hangup")
            print(f"call {options.id} is ended")
        case "export":
            await api.download(f"/calls.csv?{urlencode({'text': options.find})}", options.file)
            print(f"{options.file} is written")


def show_calls(calls: list[dict[str, Any]], zone: tzinfo) -> None:
    """One line for each; times are those of ``zone``."""
    table = Table(box=None, pad_edge=False)
    for column in ("Id", f"Began ({zones.name_of(zone)})", "", "Line", "Who", "In the PBX", "Status", "Talked, s"):
        table.add_column(column)
    for call in calls:
        began = datetime.fromtimestamp(call["began_at"], zone)
        table.add_row(
            call["id"],
            f"{began:%Y-%m-%d %H:%M:%S}",
            call["direction"],
            call["line"],
            escape(" ".join(filter(None, (call["name"], call["phone"] or call["username"] or call["peer"])))),
            escape(call["near"]),
            call["status"] or "",
            f"{call['talked_s']:.0f}",
        )
    output().print(table)


def show_call(call: dict[str, Any]) -> None:
    """Its ladder, and how it ended."""
    for step in call["ladder"]:
        print(f"{step['at_s']:8.3f} s  {step['side']:<9} {step['text']}")
    if call["ending"]:
        print(call["ending"])
