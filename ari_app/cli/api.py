"""The commands that ask the running program, through its API."""

import argparse
import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from functools import partial
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from ari_app import zones
from ari_app.api_client import Api, NotRunning, RequestRefused, program
from ari_app.cli import activity as cli_activity
from ari_app.cli import alerts as cli_alerts
from ari_app.cli import audit as cli_audit
from ari_app.cli import backups as cli_backups
from ari_app.cli import calls as cli_calls
from ari_app.cli import cluster as cli_cluster
from ari_app.cli import drain as cli_drain
from ari_app.cli import lines as cli_lines
from ari_app.cli import people as cli_people
from ari_app.cli import tokens as cli_tokens
from ari_app.cli import users as cli_users
from ari_app.cli import webhooks as cli_webhooks
from ari_app.cli.settings import VERSION, as_toml, ask_secrets, pairs, refuse_unknown, versioned
from ari_app.cli.terminal import show_json
from ari_app.config import Settings
from ari_app.web.http.errors import METRICS, READY

FAILURES: tuple[type[Exception], ...] = (NotRunning, RequestRefused)
UNTRIED = "untried"  # no setting: a bot's token is set without asking Telegram about it
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400


async def ask(
    command: Callable[[argparse.Namespace, Api], Awaitable[int | None]], settings: Settings, options: argparse.Namespace
) -> int | None:
    """Run a command with the API; returns its exit status. Raises NotRunning, RequestRefused."""
    with ended_by_signals():
        async with program(settings) as api:
            return await command(options, api)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM, and a terminal that is closed, do what Ctrl-C does: what has been begun is cancelled in its turn."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    signals = (signal.SIGTERM, signal.SIGHUP)
    for each in signals:
        loop.add_signal_handler(each, task.cancel)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


async def status(options: argparse.Namespace, api: Api) -> None:
    """`astergram status`."""
    found, lines = await api.ask("GET", "/status"), await api.ask("GET", "/lines")
    if options.json:
        return show_json(found | {"lines": lines})
    calls = f"{found['calls']} call{'' if found['calls'] == 1 else 's'}"
    print(f"Astergram {found['version']} has been running for {duration(found['running_s'])}, with {calls} now.")
    if newer := found["newer_version"]:
        print(f"Astergram {newer} can be installed.")
    for each in troubles(found):
        print(each)
    return cli_lines.show_lines(lines)


def troubles(found: dict[str, Any]) -> list[str]:
    """What is wrong with the program itself, in sentences."""
    database, errors, shortage = found["database"], found["unexpected_errors"], found["admission"]["shortage"]
    webhooks = found["webhooks"]
    try:
        zone: tzinfo = ZoneInfo(found["timezone"])
    except (KeyError, ValueError):  # the machine's own has no name, only an offset
        zone = zones.MACHINE

    def at(seconds: float) -> str:
        return f"{datetime.fromtimestamp(seconds, zone):%Y-%m-%d %H:%M:%S}"

    said = []
    if database["trouble"]:
        said.append(f"{database['trouble']} (since {at(database['since'])})")
    if database["trouble"] or database["lost"]:
        said.append(
            f"Changes that wait to be written: {database['waiting']}, given up since the start: {database['lost']}."
        )
    if shortage:
        said.append(f"One more call is refused. {shortage}")
    if webhooks["trouble"]:
        said.append(
            f"{webhooks['trouble']} Events that wait: {webhooks['waiting']}, lost since the start: {webhooks['lost']}."
        )
    if errors["count"]:
        said.append(
            f"Unexpected errors since the start: {errors['count']}, the last one in {errors['last_in']} "
            f"at {at(errors['last_at'])}; the log says more."
        )
    return said


def duration(seconds: float) -> str:
    """In the two largest units."""
    days, rest = divmod(int(seconds), DAY_S)
    hours, rest = divmod(rest, HOUR_S)
    minutes, left = divmod(rest, MINUTE_S)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])


async def ready(options: argparse.Namespace, api: Api) -> None:
    """`astergram ready`."""
    found = json.loads(await api.watch(READY))
    if options.json:
        return show_json(found)
    return print(f"ready, with {found['lines_ready']} of {found['lines']} lines")


async def metrics(options: argparse.Namespace, api: Api) -> None:
    """`astergram metrics`."""
    print((await api.watch(METRICS)).decode(), end="")


async def installation(options: argparse.Namespace, api: Api) -> None:
    """`astergram settings ...`."""
    known, version = await api.read("/installation")
    if options.settings:
        refuse_unknown(pairs(options.settings, {}), known, "the installation", (VERSION, UNTRIED))
        changes = pairs(await ask_secrets(options.settings), {})
        read = str(changes.pop(VERSION, ""))
        await api.ask("PATCH", "/installation", changes, read)
        known, version = await api.read("/installation")
    answer = versioned(known, version)
    if options.json:
        show_json(answer)
    else:
        print(as_toml(answer), end="")


async def web(options: argparse.Namespace, api: Api) -> None:
    """`astergram web link` and `web oidc`."""
    if options.action == "oidc":
        return await _oidc(options, api)
    place = f"/users/{quote(options.user, safe='')}/link" if options.user else "/access/link"
    answer = await api.ask("POST", place)
    if options.json:
        show_json(answer)
    else:
        print(answer["link"])


async def _oidc(options: argparse.Namespace, api: Api) -> None:
    known = await api.ask("GET", "/access/oidc")
    if options.test:
        await api.ask("POST", "/access/oidc/test")
        return print("The sign-in provider answers as it should.")
    if options.json:
        return show_json(known)
    return print(as_toml({name: value for name, value in known.items() if value is not None}), end="")


COMMANDS = {
    "line": partial(ask, cli_lines.run),
    "calls": partial(ask, cli_calls.run),
    "call": partial(ask, cli_calls.place),
    "settings": partial(ask, installation),
    "activity": partial(ask, cli_activity.run),
    "alerts": partial(ask, cli_alerts.run),
    "backups": partial(ask, cli_backups.run),
    "audit": partial(ask, cli_audit.run),
    "token": partial(ask, cli_tokens.run),
    "user": partial(ask, cli_users.run),
    "people": partial(ask, cli_people.run),
    "web": partial(ask, web),
    "status": partial(ask, status),
    "drain": partial(ask, cli_drain.run),
    "cluster": partial(ask, cli_cluster.run),
    "webhook": partial(ask, cli_webhooks.run),
    "ready": partial(ask, ready),
    "metrics": partial(ask, metrics),
}
