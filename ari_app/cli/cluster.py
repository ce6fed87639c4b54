"""`astergram cluster`: the machines with the same lines, through the API of the running program."""

import argparse
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from ari_app.api_client import Api
from ari_app.cli.terminal import show, show_json

PATH = "/cluster"


async def run(options: argparse.Namespace, api: Api) -> None:
    """Show them or their calls, move a line, hang a call up, or forget a machine; raises RequestRefused."""
    if options.action == "hangup":
        await api.ask("POST", f"{PATH}/hangup", {"machine": options.machine, "id": options.id})
        return print(f"call {options.id} is being ended")
    if options.action == "calls":
        calls = await api.ask("GET", f"{PATH}/calls")
        return show_json(calls) if options.json else show(_calls(calls))
    if options.action == "forget":
        await api.ask("POST", f"{PATH}/forget", {"machine": options.machine})
        return print(f"machine {options.machine} is forgotten")
    if options.action == "move":
        found = await api.ask("POST", f"{PATH}/move", {"line": options.number, "machine": options.machine})
        if not options.json:  # what each machine has last said is from before the move
            return print(f"machine {options.machine} holds line {options.number} now")
    else:
        found = await api.ask("GET", PATH)
    if options.json:
        return show_json(found)
    if found["trouble"]:
        print(f"The NATS servers do not answer: {found['trouble']}")
    return show(_machines(found))


def _calls(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("Machine", "Call", "Line", "Direction", "Who", "Phone", "State", "Began"):
        table.add_column(column)
    for each in found:
        if each["calls"] is None:
            table.add_row(each["machine"], "does not answer")
        for call in each["calls"] or ():
            began = f"{datetime.fromtimestamp(call['began_at']).astimezone():%H:%M:%S}"
            named = (call["id"], call["line"], call["direction"], escape(call["who"]), escape(call["pbx_party"]))
            table.add_row(each["machine"], *named, call["state"], began)
    return table


def _machines(found: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("Machine", "State", "Version", "Calls", "Holds", "Signed in", "Could take calls to"):
        table.add_column(column)
    for each in found["machines"]:
        name = f"{each['machine']} (this one)" if each["machine"] == found["machine"] else each["machine"]
        state = "draining" if each["draining"] else "there"
        if not each["there"]:
            state = f"silent for {each['silent_s']:.0f} s"
        holds = [*each["lines"], *(["bot"] if each["bot"] else [])]
        named = (escape(", ".join(its) or "-") for its in (holds, each["devices"], each["takes"]))
        table.add_row(name, state, each["version"], str(each["calls"]), *named)
    return table
