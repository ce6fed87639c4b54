"""`astergram people ...`: what is kept of a person, through the API of the running program."""

import argparse
import sys
from typing import Any
from urllib.parse import quote, urlencode

from rich.markup import escape
from rich.table import Table

from ari_app.api_client import Api
from ari_app.cli.calls import STANDARD_OUTPUT
from ari_app.cli.terminal import confirm, show, show_json
from ari_app.private_file import private_file


async def run(options: argparse.Namespace, api: Api) -> None:
    """Do what was asked for; raises RequestRefused."""
    place = f"/people/{quote(getattr(options, 'person', ''), safe='')}"
    match options.action:
        case "kinds":
            told = await api.ask("GET", "/personal-data")
            show_json(told) if options.json else _show_kinds(told["kinds"])
        case "find":
            found = await api.ask("GET", f"/people?{urlencode({'text': options.text})}")
            if options.json:
                return show_json(found)
            _show_people(found["people"])
            if found["more"]:
                print("There are more: write more of the name to find them.")
        case "show":
            summary = await api.ask("GET", place)
            if options.json:
                return show_json(summary)
            _show_people([summary["person"]])
            _show_counts(summary["kept"])
        case "export":
            if str(options.file) == STANDARD_OUTPUT:
                return await api.download(f"{place}/export", sys.stdout.buffer)
            with private_file(options.file) as file:
                await api.download(f"{place}/export", file)
            print(f"{options.file} is written")
        case "erase":
            summary = await api.ask("GET", place)
            who = ", ".join([summary["person"]["id"], *summary["person"]["names"]])
            many = sum(summary["kept"].values()) - summary["kept"].get("lists", 0)
            await confirm(f"what is kept of {who} is erased ({many} in all)", yes=options.yes)
            answer = await api.ask("POST", f"{place}/erase", {"reference": options.reference})
            if options.json:
                return show_json(answer)
            _show_counts(answer["erased"])
            if summary["kept"].get("lists"):
                print("They stand in lists of lines, which stay: see `astergram line show`.")
    return None


def _show_people(people: list[dict[str, Any]]) -> None:
    """One line for each."""
    table = Table(box=None, pad_edge=False)
    for column in ("Person", "Name", "Phone", "Username"):
        table.add_column(column)
    for each in people:
        usernames = ", ".join(f"@{name}" for name in each["usernames"])
        table.add_row(each["id"], escape(", ".join(each["names"])), ", ".join(each["phones"]), usernames)
    show(table)


def _show_counts(counts: dict[str, int]) -> None:
    """One line for each kind of which there is something."""
    for kind, count in counts.items():
        if count:
            print(f"{count:6} {kind}")
    if not any(counts.values()):
        print("nothing is kept")


def _show_kinds(kinds: list[dict[str, Any]]) -> None:
    """One line for each; what is kept, and for how long."""
    table = Table(box=None, pad_edge=False)
    for column in ("Kind", "Days", "Setting", "Storage period", "Personal data"):
        table.add_column(column)
    for each in kinds:
        table.add_row(each["name"], str(each["days"] or ""), each["setting"], each["period"], each["data"])
    show(table)
