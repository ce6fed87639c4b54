"""The `astergram` command."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from ari_app import __version__
from ari_app.app import account, running
from ari_app.asterisk.errors import AriError
from ari_app.config import ConfigError, Settings, load
from ari_app.store.store import StoreError
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.line import LineState
from ari_app.telegram.signin import sign_in_at_terminal
from media.types import MediaError

log = logging.getLogger("astergram")

FAILED, UNUSABLE = 1, 2
DEFAULT_CONFIG = Path("/etc/astergram/astergram.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 2 for a configuration that can't be used."""
    parser = argparse.ArgumentParser(prog="astergram", description="Telegram voice calls for Asterisk")
    parser.add_argument("--version", action="version", version=f"astergram {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="take and place calls until stopped")
    signin = commands.add_parser("signin", help="sign a line in to Telegram, by the code that Telegram sends")
    for command in (run, signin):
        command.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE")
    signin.add_argument("number", help="the line's number, such as +79990000001")
    options = parser.parse_args(arguments)
    try:
        settings = load(options.config)
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        logging.getLogger("telethon").setLevel(logging.WARNING)
        story = serve(settings) if options.command == "run" else sign_in(settings, options.number)
        uvloop.run(story)
    except ConfigError as error:
        print(f"astergram: {error}", file=sys.stderr)
        return UNUSABLE
    except (AriError, MediaError, StoreError, TelegramError, OSError) as error:
        print(f"astergram: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    return 0


async def sign_in(settings: Settings, number: str) -> None:
    """Sign a line in; raises ConfigError for a number that is no line."""
    if number not in {line.number for line in settings.lines}:
        raise ConfigError(f"{number} is no line of the configuration: add it under [[lines]] first")
    await sign_in_at_terminal(account(settings, number))


async def serve(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as app:
        await app.settled()
        ready = sum(line.state is LineState.READY for line in app.lines)
        asterisk = app.ari.state.name.lower()
        log.info("ready: %d of %d lines, Asterisk at %s %s", ready, len(app.lines), settings.asterisk.url, asterisk)
        await stop.wait()
        log.info("stopping, with %d calls", len(app.desk.calls))


if __name__ == "__main__":
    sys.exit(main())
