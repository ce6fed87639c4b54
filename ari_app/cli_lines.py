"""`astergram line ...`: what an administrator does with lines, through the API of the running program."""

import argparse
import asyncio
import getpass
import json
import sys
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import segno
import tomli_w
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ari_app import cli_card_files
from ari_app.api_client import Api, Refused
from ari_app.lines.settings import line_number, no_number

DOTS = {"green": "[green]●[/]", "orange": "[yellow]●[/]", "red": "[red]●[/]"}
PIPE_WIDTH = 200
LIGHTS = ("calls", "client", "bot")
VERSION = "version"  # no setting: which version of them was read, or is to be changed
TOLD_SECRETS = (("api_hash", "set"),)  # what `show` tells of them, and no value of theirs


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """The commands' own command line."""
    line = commands.add_parser("line", help="add, change, sign in and remove lines")
    actions = line.add_subparsers(dest="action", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text, parents=[common])
        made.add_argument("number", help="the line's number, such as +79990000001")
        return made

    actions.add_parser("list", help="every line with its lights", parents=[common])
    action("show", "show what is set for a line, as TOML")
    add = action("add", "add a line, and sign it in")
    change = action("set", "change a line's settings; it takes effect at once")
    for made in (add, change):
        made.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="such as name=Sales or card.missed=true")
        made.add_argument("--file", type=Path, help="a TOML file of settings, see docs/line.sample.toml")
    add.add_argument("--no-signin", action="store_true", help="do not sign it in now")
    signin = action("signin", "sign a line in, or in again, whatever state it is in")
    for made in (add, signin):
        made.add_argument("--qr", action="store_true", help="with a QR code drawn here, not with a code sent to you")
        made.add_argument("--setup", action="store_true", help="then set the account up without asking")
    setup = action("setup", "show what a line's account needs, and do it")
    setup.add_argument("--do", action="store_true", help="do what is open")
    test = action("test", "ring the line's extension, then call somebody on Telegram")
    test.add_argument("destination", help="+79990000002, @name or a Telegram id")
    action("reset", "remove a line's session and caches; its settings stay")
    action("logout", "log a line out of Telegram for good; its settings stay")
    action("remove", "remove a line with all that it has")


async def run(options: argparse.Namespace, api: Api) -> None:
    """Do what was asked for; raises Refused."""
    if options.action == "list":
        return show_lines(await api.ask("GET", "/lines"))
    number = line_number(options.number)
    if number is None:
        raise Refused(str(no_number(options.number)))
    path = f"/lines/{number}"
    match options.action:
        case "show":
            print(cli_card_files.described(await api.ask("GET", f"{path}/card")), end="")
            print(as_toml(*await api.read(f"{path}/settings")), end="")
        case "add":
            settings, _ = settings_of(options)
            files = await cli_card_files.taken_from(settings)
            await api.ask("POST", "/lines", settings | {"number": number})
            await cli_card_files.send(api, path, files)
            print(f"{number} is added")
            if not options.no_signin:
                await sign_in(api, path, options)
        case "set":
            settings, version = settings_of(options)
            files = await cli_card_files.taken_from(settings)
            await api.ask("PATCH", f"{path}/settings", settings, version)
            await cli_card_files.send(api, path, files)
            print(f"{number} is changed")
        case "signin":
            await sign_in(api, path, options)
        case "setup":
            await set_up(api, path, yes=options.do, ask=False)
        case "test":
            call = await api.ask("POST", f"{path}/test-call", {"destination": options.destination})
            print(f"call {call['id']} has begun")
        case "remove":
            await api.ask("DELETE", path)
            print(f"{number} is removed")
        case action:
            await api.ask("POST", f"{path}/{action}")
            print(f"{number} is {'logged out' if action == 'logout' else 'reset'}")
    return None


def output() -> Console:
    """Where tables go; a pipe gets each row on one line."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def show_lines(lines: list[dict[str, Any]]) -> None:
    """Each line, its lights, and what they say where they are not green."""
    if not lines:
        print("There is no line yet: astergram line add +79990000001")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("Line", "Name", "Calls", *(name.capitalize() for name in LIGHTS), ""):
        table.add_column(column)
    for line in lines:
        lights = [line["lights"][name] for name in LIGHTS]
        said = [each["sentence"] for each in lights if each["colour"] != "green"]
        dots = [f"{DOTS[each['colour']]} {each['colour']}" for each in lights]
        table.add_row(
            line["number"], escape(line["name"]), f"{line['calls']}/{line['max_calls']}", *dots, "\n".join(said)
        )
    output().print(table)


def settings_of(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """What was given, in a file and as KEY=VALUE, and the version that is to be changed, if any; raises Refused."""
    settings: dict[str, Any] = {}
    if options.file:
        try:
            known = tomllib.loads(options.file.read_text())
            settings = {key: value for key, value in known.items() if (key, value) not in TOLD_SECRETS}
            cli_card_files.beside(settings, options.file.parent)
        except tomllib.TOMLDecodeError as error:
            raise Refused(f"{options.file}: {error}") from None
    settings = pairs(options.settings, settings)
    return settings, str(settings.pop(VERSION, ""))


def pairs(given_settings: Sequence[str], settings: dict[str, Any]) -> dict[str, Any]:
    """KEY=VALUE each, into the settings; a key with dots goes into a section. Raises Refused."""
    for given in given_settings:
        key, equals, value = given.partition("=")
        if not (key and equals):
            raise Refused(f"{given!r} is no setting: write KEY=VALUE, such as name=Sales")
        *path, last = key.split(".")
        section = settings
        for name in path:
            section = section.setdefault(name, {})
        section[last] = _value(value)
    return settings


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def as_toml(settings: dict[str, Any], version: str = "") -> str:
    """What is set, without what is not; with its version, it can be edited and given to `line set --file`."""
    return tomli_w.dumps(_without_nothing(({VERSION: version} if version else {}) | settings))


def _without_nothing(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nothing(value) if isinstance(value, dict) else value
        for key, value in settings.items()
        if value is not None
    }


async def sign_in(api: Api, path: str, options: argparse.Namespace) -> None:
    """Sign a line in, asking for what Telegram asks for; raises Refused when it has ended without that."""
    async with aclosing(api.events("signin")) as changes:
        await anext(changes)
        view = await api.ask("POST", f"{path}/sign-in", {"way": "qr" if options.qr else "code"})
        try:
            view = await _converse(api, path, view, changes)
        finally:
            if view["state"] != "signed in":
                await api.ask("DELETE", f"{path}/sign-in")
    print("Signed in.")
    await _until_ready(api, path)
    await set_up(api, path, yes=options.setup, ask=sys.stdin.isatty())


async def _converse(api: Api, path: str, view: dict[str, Any], changes: AsyncIterator[Any]) -> dict[str, Any]:
    shown = ""
    while True:
        if view["error"]:
            print(view["error"])
        match view["state"]:
            case "code sent":
                view = await _ask_code(api, path, view)
            case "password needed":
                hint = f" (hint: {view['password_hint']})" if view["password_hint"] else ""
                password = await _typed(getpass.getpass, f"The account's two-step password{hint}: ")
                view = await api.ask("POST", f"{path}/sign-in/password", {"password": password})
            case "qr shown":
                if view["qr_url"] != shown:
                    shown = view["qr_url"]
                    segno.make(shown).terminal(compact=True)
                    print("Scan it: Telegram on the line's phone, Settings, Devices, Link Desktop Device.")
                await anext(changes)
                view = await api.ask("GET", f"{path}/sign-in")
            case "signed in":
                return view
            case _:
                raise Refused(view["error"] or "The sign-in has ended: begin again.")


async def _ask_code(api: Api, path: str, view: dict[str, Any]) -> dict[str, Any]:
    again = f", or nothing to get another one by {view['resend_by']}" if view["resend_by"] else ""
    code = await _typed(input, f"The code that Telegram sent by {view['sent_by']}{again}: ")
    if code.strip():
        answer: dict[str, Any] = await api.ask("POST", f"{path}/sign-in/code", {"code": code})
        return answer
    answer = await api.ask("POST", f"{path}/sign-in/resend")
    return answer


async def _typed(read: Any, prompt: str) -> str:
    try:
        text: str = await asyncio.to_thread(read, prompt)
    except EOFError:
        raise Refused("Nothing more was typed; the line stays as it was.") from None
    return text


async def _until_ready(api: Api, path: str) -> None:
    """Wait until the line works with its new session: its account can be set up only then."""
    async with aclosing(api.events("line")) as changes:
        async for _ in changes:
            if (await api.ask("GET", path))["state"] != "connecting":
                return


async def set_up(api: Api, path: str, *, yes: bool, ask: bool) -> None:
    """Show what the account needs, and do what is open if told to."""
    steps = await api.ask("GET", f"{path}/setup")
    _show_steps(steps)
    wanted = [each["step"] for each in steps if each["state"] == "open"]
    if not wanted:
        return
    if ask and not yes:
        yes = (await _typed(input, "Shall Astergram do what is open? [Y/n] ")).strip().lower() in ("", "y", "yes")
    if yes:
        _show_steps(await api.ask("POST", f"{path}/setup", {"steps": wanted}))
    else:
        number = path.rpartition("/")[2]
        print(f"`astergram line setup {number} --do` does what is open.")


def _show_steps(steps: list[dict[str, Any]]) -> None:
    marks = {"done": "✓", "open": "✗", "impossible": "!"}
    for each in steps:
        print(f"  {marks[each['state']]} {each['sentence']}")
