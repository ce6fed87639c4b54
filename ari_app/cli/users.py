"""`astergram user ...`: who may use the admin page, through the API of the running program."""

import argparse
from datetime import datetime, tzinfo
from typing import Any
from urllib.parse import quote

from rich.table import Table

from ari_app import zones
from ari_app.api_client import Api, RequestRefused
from ari_app.cli.settings import ASK
from ari_app.cli.terminal import Unanswerable, at_terminal, confirm, show, show_json, typed


async def run(options: argparse.Namespace, api: Api) -> None:
    """Do what was asked for; raises RequestRefused."""
    place = f"/users/{quote(getattr(options, 'name', ''), safe='')}"
    match options.action:
        case "list":
            users = await api.ask("GET", "/users")
            if options.json:
                return show_json(users)
            _show(users, zones.named((await api.ask("GET", "/installation"))["timezone"]))
        case "add":
            body = {"name": options.name, "role": options.role}
            password = None if options.link else await _password(options)
            made = await api.ask("POST", "/users", body | ({"password": password} if password else {}))
            if options.link:
                made |= await api.ask("POST", f"{place}/link")
            if options.json:
                return show_json(made)
            print(made["link"] if options.link else f"user {made['name']} is added, as {made['role']}")
        case "role":
            made = await api.ask("PATCH", place, {"role": options.role})
            if options.json:
                return show_json(made)
            print(f"user {made['name']} is {made['role']} now")
        case "password":
            await api.ask("PUT", f"{place}/password", {"password": await _password(options)})
            print(f"the password of user {options.name} is set; their browsers are signed out")
        case "two-factor-off":
            await confirm(f"two-factor authentication of user {options.name} is turned off", yes=options.yes)
            await api.ask("DELETE", f"{place}/two-factor")
            print(f"two-factor authentication of user {options.name} is off")
        case "remove":
            await confirm(f"user {options.name} is removed, and signed out", yes=options.yes)
            await api.ask("DELETE", place)
            print(f"user {options.name} is removed")


async def _password(options: argparse.Namespace) -> str:
    """Asked for twice at a terminal; with `-`, one line of standard input."""
    if options.password == ASK:
        return await typed("Password: ", hidden=True)
    if not at_terminal():
        raise Unanswerable(
            f"there is no terminal to ask for the password at; add --password {ASK} to read it from standard input"
        )
    password = await typed("Password: ", hidden=True)
    if await typed("The same password again: ", hidden=True) != password:
        raise RequestRefused("The two passwords are not the same.")
    return password


def _show(users: list[dict[str, Any]], zone: tzinfo) -> None:
    """One line for each; times are those of ``zone``."""
    table = Table(box=None, pad_edge=False)
    for column in ("User name", "Role", "Password", "Two-factor", f"Last sign-in ({zones.name_of(zone)})"):
        table.add_column(column)
    for user in users:
        at = user["signed_in_at"]
        table.add_row(
            user["name"],
            user["role"],
            "set" if user["has_password"] else "not set",
            "on" if user["two_factor"] else "off",
            f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M:%S}" if at else "",
        )
    show(table)
