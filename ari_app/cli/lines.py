"""`astergram line ...`: what an administrator does with lines, through the API of the running program."""

import argparse
import re
import tomllib
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import segno
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ari_app.api_client import Api, NotRunning, RequestRefused
from ari_app.cli import card_files as cli_card_files
from ari_app.cli.complete import FILES
from ari_app.cli.settings import VERSION, as_toml, ask_secrets, pairs, refuse_unknown, versioned
from ari_app.cli.terminal import Unanswerable, at_terminal, can_answer, confirm, show, show_json, typed
from ari_app.suggest import did_you_mean, dotted_keys

DOTS = {"green": "[green]●[/]", "orange": "[yellow]●[/]", "red": "[red]●[/]"}
NO_DOT = "[dim]○[/]"
WAITING = ("orange", "red")
LIGHTS = ("calls", "client", "bot")
TOLD_SECRETS = (("api_hash", "set"),)  # what `show` tells of them, and no value of theirs
CODE_EXPIRED, NOT_ACCEPTED = "PHONE_CODE_EXPIRED", "NOT_ACCEPTED"
NOBODY = (
    "signing in asks for the code that Telegram sends, and there is nobody here to type it: run this in a terminal, "
    "sign in on the admin page, or add --qr or --by-machine{or_later}"
)
UNDO = {
    "reset": "Remove the session and the caches of {line}, which has to be signed in again then",
    "logout": "Log {line} out of Telegram for good",
    "remove": "Remove {line} with its settings, its texts and its session",
}
UNDONE = {"reset": "reset", "logout": "logged out", "remove": "removed"}


async def run(options: argparse.Namespace, api: Api) -> None:
    """Do what was asked for; raises RequestRefused."""
    if options.action == "list":
        lines = await api.ask("GET", "/lines")
        return show_json(lines) if options.json else show_lines(lines)
    if options.action == "add":
        return await add(options, api)
    line = await known_line(options.number, api)
    path = f"/lines/{line['number']}"
    match options.action:
        case "show":
            await show_line(path, options, api)
        case "set":
            given = await given_for(options, await api.ask("GET", f"{path}/settings"))
            await api.ask("PATCH", f"{path}/settings", given.settings, given.version)
            await cli_card_files.send(api, path, given.files)
            print(f"{line['number']} is changed")
        case "signin":
            may_sign_in(options)
            await sign_in(api, path, options)
        case "setup":
            await set_up(api, path, yes=options.do, ask=False, json=options.json)
        case "test":
            call = await api.ask("POST", f"{path}/test-call", {"destination": options.destination})
            show_json(call) if options.json else print(f"call {call['id']} has begun")
        case action:
            named = f"{line['name']} ({line['number']})" if line["name"] != line["number"] else line["number"]
            await confirm(UNDO[action].format(line=named), yes=options.yes)
            await (api.ask("DELETE", path) if action == "remove" else api.ask("POST", f"{path}/{action}"))
            print(f"{line['number']} is {UNDONE[action]}")
    return None


async def show_line(path: str, options: argparse.Namespace, api: Api) -> None:
    """What is set for a line, and which files its card has."""
    settings = versioned(*await api.read(f"{path}/settings"))
    if options.json:
        return show_json(settings)
    print(cli_card_files.described(await api.ask("GET", f"{path}/card")), end="")
    return print(as_toml(settings), end="")


async def known_line(number: str, api: Api) -> dict[str, Any]:
    """The line with a number, however it is written; raises RequestRefused."""
    lines = await api.ask("GET", "/lines")
    wanted = re.sub(r"[^\d]", "", number)
    for line in lines:
        if line["number"].removeprefix("+") == wanted:
            return dict(line)
    meant = did_you_mean(f"+{wanted}", [line["number"] for line in lines])
    raise RequestRefused(f"there is no line {number}{meant or ': `astergram line list` shows those there are'}")


async def add(options: argparse.Namespace, api: Api) -> None:
    """Add a line, and sign it in."""
    if not options.no_signin:
        may_sign_in(options, ", or --no-signin to sign it in later")
    given = await given_for(options, line_keys())
    made = await api.ask("POST", "/lines", given.settings | {"number": options.number})
    print(f"{made['number']} is added")
    await cli_card_files.send(api, f"/lines/{made['number']}", given.files)
    if not options.no_signin:
        await sign_in(api, f"/lines/{made['number']}", options)


def line_keys() -> list[str]:
    """What can be set for a line."""
    from ari_app.lines.settings import LineSettings  # heavy

    return list(dotted_keys(LineSettings))


def show_lines(lines: list[dict[str, Any]]) -> None:
    """Each line, its lights, and what they say where they wait for something."""
    if not lines:
        print("There is no line yet: astergram line add +79990000001")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("Line", "Name", "Calls", *(name.capitalize() for name in LIGHTS), ""):
        table.add_column(column)
    between = "\n" if Console().is_terminal else " "
    for line in lines:
        lights = [line["lights"][name] for name in LIGHTS]
        said = between.join(escape(each["sentence"]) for each in lights if each["colour"] in WAITING)
        dots = [f"{DOTS.get(each['colour'], NO_DOT)} {each['colour']}" for each in lights]
        table.add_row(line["number"], escape(line["name"]), f"{line['calls']}/{line['max_calls']}", *dots, said)
    show(table)


@dataclass(frozen=True)
class Given:
    """What was given for a line; ``version``: only if its settings are still this one, where it is not empty."""

    settings: dict[str, Any]
    version: str
    files: list[cli_card_files.File]


async def given_for(options: argparse.Namespace, known: Any) -> Given:
    """What was given, in a file and as KEY=VALUE, of the keys that there are; raises RequestRefused, NothingTyped."""
    settings: dict[str, Any] = {}
    if options.file:
        try:
            told = tomllib.loads(options.file.read_text())
        except ValueError as error:  # TOML's, UTF-8's, and Python's own for numbers of thousands of digits
            raise RequestRefused(f"{options.file}: {error}") from None
        settings = {key: value for key, value in told.items() if (key, value) not in TOLD_SECRETS}
        cli_card_files.beside(settings, options.file.parent)
    for given in (settings, pairs(options.settings, {})):
        refuse_unknown(given, known, "a line", (VERSION, *FILES))
    settings = pairs(await ask_secrets(options.settings), settings)
    version = str(settings.pop(VERSION, ""))
    return Given(settings, version, await cli_card_files.taken_from(settings))


def may_sign_in(options: argparse.Namespace, or_later: str = "") -> None:
    """Raises Unanswerable where a sign-in could not be finished."""
    if not options.qr and not options.by_machine and not can_answer():
        raise Unanswerable(NOBODY.format(or_later=or_later))


async def sign_in(api: Api, path: str, options: argparse.Namespace) -> None:
    """Sign a line in, asking for what Telegram asks for; raises RequestRefused when it has ended without that."""
    async with aclosing(api.events("signin")) as changes:
        await anext(changes)
        signed_in = False
        try:
            way = "machine" if options.by_machine else "qr" if options.qr else "code"
            view = await api.ask("POST", f"{path}/sign-in", {"way": way})
            if view["refusal"] == NOT_ACCEPTED:
                raise RequestRefused(view["error"])
            await _converse(api, path, view, changes, shown=view["qr_url"] if options.by_machine else None)
            signed_in = True
        finally:
            if not signed_in:
                with suppress(NotRunning, RequestRefused):  # what it has failed with is told
                    await api.ask("DELETE", f"{path}/sign-in")
    print("Signed in.")
    await _until_ready(api, path)
    await set_up(api, path, yes=options.setup, ask=at_terminal())


async def _converse(api: Api, path: str, view: dict[str, Any], changes: AsyncIterator[Any], shown: str | None) -> None:
    """``shown``: the QR code that nobody has to scan."""
    while True:
        if view["error"]:
            print(view["error"])
        match view["state"]:
            case "code sent":
                view = await _ask_code(api, path, view)
            case "password needed":
                hint = f" (hint: {view['password_hint']})" if view["password_hint"] else ""
                password = await typed(f"The account's two-step password{hint}: ", hidden=True)
                view = await api.ask("POST", f"{path}/sign-in/password", {"password": password})
            case "qr shown":
                if view["qr_url"] != shown:
                    shown = view["qr_url"]
                    segno.make(shown).terminal(compact=True)
                    print("Scan it: Telegram on the line's phone, Settings, Devices, Link Desktop Device.")
                await anext(changes)
                view = await api.ask("GET", f"{path}/sign-in")
            case "signed in":
                return
            case _:
                raise RequestRefused(view["error"] or "The sign-in has ended: begin again.")


async def _ask_code(api: Api, path: str, view: dict[str, Any]) -> dict[str, Any]:
    again, next_one = "", ("POST", f"{path}/sign-in/code", {"code": ""})  # which says that it is needed
    if view["refusal"] == CODE_EXPIRED:  # sending it again is refused, too
        again, next_one = ", or nothing to get a new one", ("POST", f"{path}/sign-in", {"way": "code"})
    elif view["resend_by"]:
        again, next_one = (
            f", or nothing to get another one by {view['resend_by']}",
            ("POST", f"{path}/sign-in/resend", {}),
        )
    code = await typed(f"The code that Telegram sent by {view['sent_by']}{again}: ")
    if code.strip():
        next_one = ("POST", f"{path}/sign-in/code", {"code": code})
    answer: dict[str, Any] = await api.ask(*next_one)
    return answer


async def _until_ready(api: Api, path: str) -> None:
    """Wait until the line works with its new session: its account can be set up only then."""
    async with aclosing(api.events("line")) as changes:
        async for _ in changes:
            if (await api.ask("GET", path))["state"] != "connecting":
                return


async def set_up(api: Api, path: str, *, yes: bool, ask: bool, json: bool = False) -> None:
    """Show what the account needs, and do what is open if told to."""
    steps = await api.ask("GET", f"{path}/setup")
    wanted = [each["step"] for each in steps if each["state"] == "open"]
    if json:
        return show_json(await api.ask("POST", f"{path}/setup", {"steps": wanted}) if wanted and yes else steps)
    _show_steps(steps)
    if not wanted:
        return None
    if ask and not yes:
        yes = (await typed("Shall Astergram do what is open? [Y/n] ")).strip().lower() in ("", "y", "yes")
    if yes:
        return _show_steps(await api.ask("POST", f"{path}/setup", {"steps": wanted}))
    print(f"`astergram line setup {path.rpartition('/')[2]} --do` does what is open.")
    return None


def _show_steps(steps: list[dict[str, Any]]) -> None:
    marks = {"done": "✓", "open": "✗", "impossible": "!"}
    for each in steps:
        print(f"  {marks[each['state']]} {each['sentence']}")
