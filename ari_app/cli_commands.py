"""Runs a command that was understood, and says in one sentence why it could not be done."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import uvloop

from ari_app.cli_terminal import NotConfirmed, NothingTyped, Unanswerable
from ari_app.config import ConfigError, Settings, load

DONE, FAILED, UNUSABLE = 0, 1, 2
LOCAL = ("run", "doctor", "backup", "restore")
"""Commands that need no running program; these load all of it."""

Command = Callable[[Settings, argparse.Namespace], Awaitable[int | None]]


def run(options: argparse.Namespace) -> int:
    """Do what was asked for; returns the exit status."""
    commands, its_failures = _commands(options.command)
    failures: tuple[type[Exception], ...] = (*its_failures, NothingTyped, NotConfirmed, OSError)
    try:
        settings = load(options.config)
        return int(uvloop.run(_awaited(commands[options.command](settings, options))) or DONE)
    except (ConfigError, Unanswerable) as error:
        return _said(error, UNUSABLE)
    except failures as error:
        return _said(error, FAILED)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return FAILED


async def _awaited(command: Awaitable[Any]) -> Any:
    return await command


def _commands(name: str) -> tuple[Mapping[str, Command], tuple[type[Exception], ...]]:
    if name in LOCAL:
        from ari_app import cli_local

        return cli_local.COMMANDS, cli_local.FAILURES
    from ari_app import cli_api

    return cli_api.COMMANDS, cli_api.FAILURES


def _said(error: Exception, status: int) -> int:
    print(f"astergram: {sentence(error)}", file=sys.stderr)
    return status


def sentence(error: Exception) -> str:
    """What to tell of an error; of the operating system's, its file and its words, not its number."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error) or type(error).__name__
    what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, PermissionError):
        what += "; run this as the user that Astergram runs as"
    return what
