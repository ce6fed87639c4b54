"""Runs a command that was understood, and says in one sentence why it could not be done."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import uvloop

from ari_app.cli.terminal import NotConfirmed, NothingTyped, Unanswerable
from ari_app.config import ConfigError, Settings, load
from ari_app.os_words import in_words

DONE, FAILED, UNUSABLE = 0, 1, 2
LOCAL = ("doctor", "dialplan", "backup", "restore")
"""Commands that need no running program."""

WHOSE = "run this as the user that Astergram runs as"

Command = Callable[[Settings, argparse.Namespace], Awaitable[int | None]]


def run(options: argparse.Namespace) -> int:
    """Do what was asked for; returns the exit status."""
    commands, its_failures = _commands(options.command)
    failures: tuple[type[Exception], ...] = (*its_failures, NothingTyped, NotConfirmed, OSError)
    try:
        settings = load(options.config)
        return int(uvloop.run(_awaited(commands[options.command](settings, options))) or DONE)
    except (ConfigError, Unanswerable) as error:
        return said(error, UNUSABLE)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be flushed
        return FAILED
    except failures as error:
        return said(error, FAILED)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return FAILED


async def _awaited(command: Awaitable[Any]) -> Any:
    return await command


def _commands(name: str) -> tuple[Mapping[str, Command], tuple[type[Exception], ...]]:
    if name == "run":
        from ari_app.cli import serve as cli_serve

        return cli_serve.COMMANDS, cli_serve.FAILURES
    if name in LOCAL:
        from ari_app.cli import local as cli_local

        return cli_local.COMMANDS, cli_local.FAILURES
    if name == "join":
        from ari_app.cli import join as cli_join

        return cli_join.COMMANDS, cli_join.FAILURES
    from ari_app.cli import api as cli_api

    return cli_api.COMMANDS, cli_api.FAILURES


def said(error: Exception, status: int) -> int:
    """Tell of an error on standard error; the exit status."""
    print(f"astergram: {sentence(error)}", file=sys.stderr)
    return status


def sentence(error: Exception) -> str:
    """What to tell of an error."""
    return f"{in_words(error)}; {WHOSE}" if isinstance(error, PermissionError) else in_words(error)
