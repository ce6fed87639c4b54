"""The `astergram` command."""

import argparse
import asyncio
import io
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop
from rich.console import Console

from ari_app import __version__, api_client, backup, cli_calls, cli_lines
from ari_app.app import bot_token, installation_defaults, running, surroundings
from ari_app.asterisk.errors import AriError
from ari_app.config import ConfigError, Settings, load
from ari_app.doctor import Doctor, print_report
from ari_app.lines.installation import Installation
from ari_app.lines.kept import kept_lines
from ari_app.lines.settings import LineError
from ari_app.store.store import StoreError, open_store
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.line import LineState
from ari_app.web.server import WebError
from media.types import MediaError

log = logging.getLogger("astergram")

FAILED, UNUSABLE = 1, 2
DEFAULT_CONFIG = Path("/etc/astergram/astergram.toml")
FAILURES = (
    AriError,
    LineError,
    MediaError,
    StoreError,
    TelegramError,
    WebError,
    OSError,
    api_client.NotRunning,
    api_client.Refused,
    backup.BackupError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 2 for a configuration that can't be used."""
    options = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # also for a program that reads what is printed, and answers
    try:
        settings = load(options.config)
        return int(uvloop.run(COMMANDS[options.command](settings, options)) or 0)
    except ConfigError as error:
        print(f"astergram: {error}", file=sys.stderr)
        return UNUSABLE
    except FAILURES as error:
        print(f"astergram: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="astergram", description="Telegram voice calls for Asterisk")
    made.add_argument("--version", action="version", version=f"astergram {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE")
    commands = made.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="take and place calls until stopped", parents=[common])
    cli_lines.add_parser(commands, common)
    cli_calls.add_parser(commands, common)
    whole = commands.add_parser(
        "settings", help="show or change company, api_id, api_hash and bot_token", parents=[common]
    )
    whole.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="null goes back to the configuration file")
    commands.add_parser("doctor", help="look for what keeps calls from working, and say what to do", parents=[common])
    web = commands.add_parser("web", help="the admin page")
    actions = web.add_subparsers(dest="action", required=True)
    actions.add_parser("link", help="print a link to set a (forgotten) password", parents=[common])
    put = commands.add_parser("backup", help="copy database and sessions into one file", parents=[common])
    get = commands.add_parser("restore", help="put a backup in place; stop the program first", parents=[common])
    for each in (put, get):
        each.add_argument("file", type=Path, metavar="FILE")
    get.add_argument("--replace", action="store_true", help="also if there is an installation already")
    return made


async def serve(settings: Settings, options: argparse.Namespace) -> None:
    """Work until SIGTERM or SIGINT."""
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("telethon").setLevel(logging.WARNING)
    logging.getLogger("telethon.network").setLevel(logging.ERROR)  # each try to connect; the line tells once
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as app:
        if settings.web.enabled:
            log.info("admin page: %s", app.web.url)
        if app.web.first_link:
            print(f"To set the admin page's password, open this link (once): {app.web.first_link}", flush=True)
        await app.settled()
        ready = sum(line.state is LineState.READY for line in app.lines)
        asterisk = app.ari.state.name.lower()
        log.info("ready: %d of %d lines, Asterisk at %s %s", ready, len(app.lines), settings.asterisk.url, asterisk)
        await stop.wait()
        log.info("stopping, with %d calls", len(app.desk.calls))


async def line(settings: Settings, options: argparse.Namespace) -> None:
    """`astergram line ...`."""
    async with api_client.program(settings) as api:
        await cli_lines.run(options, api)


async def calls(settings: Settings, options: argparse.Namespace) -> None:
    """`astergram calls ...`."""
    async with api_client.program(settings) as api:
        await cli_calls.run(options, api)


async def web(settings: Settings, options: argparse.Namespace) -> None:
    """`astergram web link`."""
    async with api_client.program(settings) as api:
        print((await api.ask("POST", "/access/link"))["link"])


async def installation(settings: Settings, options: argparse.Namespace) -> None:
    """`astergram settings ...`."""
    async with api_client.program(settings) as api:
        if changes := cli_lines.pairs(options.settings, {}):
            version = str(changes.pop(cli_lines.VERSION, ""))
            await api.ask("PATCH", "/installation", changes, version)
        print(cli_lines.as_toml(*await api.read("/installation")), end="")


async def doctor(settings: Settings, options: argparse.Namespace) -> int:
    """`astergram doctor`; needs no running program. Returns 1 where there is a problem."""
    lines, has_bot = [], settings.bot.token is not None
    if settings.database.exists():
        async with open_store(settings.database) as store:
            kept = Installation(store, installation_defaults(settings))
            await kept.load()
            lines, has_bot = await kept_lines(store), bool(bot_token(kept))
    here = surroundings(settings, lines, has_bot=has_bot, holds_app=await api_client.answers(settings))
    return print_report(await Doctor(lambda: here).examine(), Console())


async def back_up(settings: Settings, options: argparse.Namespace) -> None:
    """`astergram backup FILE`."""
    sessions = await asyncio.to_thread(backup.back_up, settings, options.file)
    print(f"{options.file}: the database and {sessions} sessions; keep it as safe as a password")


async def restore(settings: Settings, options: argparse.Namespace) -> None:
    """`astergram restore FILE`."""
    if await api_client.answers(settings):
        raise backup.BackupError("Astergram runs here: stop it first")
    sessions = await asyncio.to_thread(backup.restore, settings, options.file, replace=options.replace)
    print(
        f"restored, with {sessions} sessions. Never start it while another installation uses the same sessions: "
        "Telegram would revoke them"
    )


COMMANDS = {
    "run": serve,
    "line": line,
    "calls": calls,
    "settings": installation,
    "doctor": doctor,
    "web": web,
    "backup": back_up,
    "restore": restore,
}


if __name__ == "__main__":
    sys.exit(main())
