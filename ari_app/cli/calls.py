"""`astergram calls ...`: the calls now and the history, through the API of the running program."""

import argparse
import re
import sys
from datetime import datetime, tzinfo
from typing import Any
from urllib.parse import urlencode

from rich.markup import escape
from rich.table import Table

from ari_app import zones
from ari_app.api_client import Api, RequestRefused
from ari_app.cli.terminal import show, show_json
from ari_app.private_file import private_file

ID = re.compile(r"[0-9a-f]{12}")
STANDARD_OUTPUT = "-"


async def run(options: argparse.Namespace, api: Api) -> None:
    """Do what was asked for; raises RequestRefused."""
    if options.action in ("show", "hangup") and not ID.fullmatch(options.id):
        raise RequestRefused(f"{options.id!r} is no call's id: `astergram calls list` shows them")
    match options.action:
        case "list":
            live = [each["call"] | {"state": each["state"]} for each in await api.ask("GET", "/calls/live")]
            query = urlencode({"text": options.find, "limit": options.last})
            ended = (await api.ask("GET", f"/calls?{query}"))["calls"]
            shown = {each["id"] for each in live}
            calls = [*live, *(each | {"state": "ended"} for each in ended if each["id"] not in shown)]
            if options.json:
                return show_json(calls)
            show_calls(calls, zones.named((await api.ask("GET", "/installation"))["timezone"]))
        case "show":
            call = await api.ask("GET", f"/calls/{options.id}")
            show_json(call) if options.json else show_call(call)
        case "hangup":
            await api.ask("POST", f"/calls/{options.id}/hangup")
            print(f"call {options.id} is ended")
        case "export":
            path = f"/calls.csv?{urlencode({'text': options.find})}"
            if str(options.file) == STANDARD_OUTPUT:
                await api.download(path, sys.stdout.buffer)
                return
            with private_file(options.file) as file:
                await api.download(path, file)
            print(f"{options.file} is written")


async def place(options: argparse.Namespace, api: Api) -> None:
    """`astergram call`; raises RequestRefused."""
    line = f"+{options.line.removeprefix('+')}" if options.line else None
    wanted = {"to": options.to, "from": options.source, "line": line}
    call = await api.ask("POST", "/calls", wanted, key=options.key or "")
    show_json(call) if options.json else print(f"call {call['id']} has begun")


def show_calls(calls: list[dict[str, Any]], zone: tzinfo) -> None:
    """One line for each; times are those of ``zone``."""
    table = Table(box=None, pad_edge=False)
    columns = ["Id", f"Began ({zones.name_of(zone)})", "", "Line", "Who", "PBX party", "Status", "Talked, s"]
    several = any(call["machine"] for call in calls)
    for column in [*columns, *(["Machine"] if several else [])]:
        table.add_column(column)
    for call in calls:
        began = datetime.fromtimestamp(call["began_at"], zone)
        table.add_row(
            call["id"],
            f"{began:%Y-%m-%d %H:%M:%S}",
            call["direction"],
            call["line"],
            escape(" ".join(filter(None, (call["name"], call["phone"] or call["username"] or call["peer"])))),
            escape(call["pbx_party"]),
            (call["status"] or "") if call["state"] == "ended" else call["state"],
            f"{call['talked_s']:.0f}",
            *([call["machine"]] if several else []),
        )
    show(table)


def show_call(call: dict[str, Any]) -> None:
    """How it went, step by step, and how it ended."""
    if call["missing"]:
        print(call["missing"])
    for step in call["events"]:
        print(f"{step['at_s']:8.3f} s  {step['side']:<9} {step['text']}")
    if call["ending"]:
        print(call["ending"])
