"""`astergram drain`: no new calls, and wait for the end of those that there are, through the running program's API."""

import argparse
import asyncio
from contextlib import aclosing
from typing import Any

from ari_app import zones
from ari_app.api_client import Api
from ari_app.bus import RELOAD
from ari_app.cli.calls import show_calls
from ari_app.cli.terminal import show_json

LEFT = 3
"""Exit status where calls are left at the limit; the other ones are `commands`'."""
PATH = "/drain"


async def run(options: argparse.Namespace, api: Api) -> int:
    """Begin it and follow it, or cancel it; returns the exit status. What has begun goes on if this is interrupted."""
    if options.cancel:
        found = await api.ask("DELETE", PATH)
        show_json(found) if options.json else print("Calls are taken again.")
        return 0
    found = await api.ask("PUT", PATH)
    if not options.json:
        print("No new calls are taken; `astergram drain --cancel` takes them again.")
    try:
        async with asyncio.timeout(options.limit):
            await _emptied(options, api)
    except TimeoutError:
        pass
    found = await api.ask("GET", PATH)
    live = await api.ask("GET", "/calls/live")
    if options.json:
        show_json(found | {"live": live})
    elif not found["draining"]:
        print("Somebody has cancelled it: calls are taken again.")
    elif not found["calls"]:
        print("No call is left: Astergram can be stopped.")
    else:
        print(f"{_left(found)} after {options.limit} s:")
        zone = zones.named((await api.ask("GET", "/installation"))["timezone"])
        show_calls([each["call"] | {"state": each["state"]} for each in live], zone)
    return LEFT if found["calls"] or not found["draining"] else 0


async def _emptied(options: argparse.Namespace, api: Api) -> None:
    """Return when no call is left, or it was cancelled; say how many are left, whenever that changes."""
    told = 0
    async with aclosing(api.events("drain", RELOAD)) as changes:
        async for _ in changes:
            found = await api.ask("GET", PATH)
            if not found["calls"] or not found["draining"]:
                return
            if found["calls"] != told and not options.json:
                print(f"{_left(found)}.")
            told = found["calls"]


def _left(found: dict[str, Any]) -> str:
    calls: int = found["calls"]
    return f"{calls} call{' is' if calls == 1 else 's are'} left"
