"""The terminal, or what stands in for it: what is asked there, and what is shown."""

import asyncio
import io
import json
import os
import select
import stat
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType

WIDEST = 10_000
"""Columns for a program that reads what is shown: nothing is wrapped."""
_typed_ahead = bytearray()


class NothingTyped(Exception):
    """There is nobody to answer; the text says what would do without."""


class NotConfirmed(Exception):
    """Something that can't be undone was not confirmed, and so not done."""


class Unanswerable(Exception):
    """A question can't even be asked; the text says what to do instead."""


@contextmanager
def console() -> Iterator[Console]:
    """Where to print to; a pipe gets each row on one line, without spaces at its end."""
    usual = Console(highlight=False)
    if usual.is_terminal:
        yield usual
        return
    text = io.StringIO()
    yield Console(file=text, highlight=False, width=WIDEST)
    for line in text.getvalue().splitlines():
        print(line.rstrip())


def show(shown: RenderableType) -> None:
    """Print a table or the like."""
    with console() as where:
        where.print(shown)


def show_json(value: Any) -> None:
    """Print for a program."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def at_terminal() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


def can_answer() -> bool:
    """Whether somebody, or a program, may still type something: not where the input is /dev/null, a file or at its end.

    A file could not hold a code that is yet to be sent.
    """
    try:
        descriptor = sys.stdin.fileno()
        kind = os.fstat(descriptor).st_mode
    except (AttributeError, ValueError, OSError):  # closed
        return False
    if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        return not any(state & select.POLLHUP and not state & select.POLLIN for _, state in waiting.poll(0))
    return os.isatty(descriptor)


async def typed(prompt: str, *, hidden: bool = False) -> str:
    """What is typed at a prompt, which goes to standard error; raises NothingTyped at the end of the input.

    Without a thread, which would keep Ctrl-C waiting for Enter.
    """
    descriptor = sys.stdin.fileno() if sys.stdin else -1
    with _unseen(descriptor, hidden):
        print(prompt, end="", flush=True, file=sys.stderr)
        try:
            while b"\n" not in _typed_ahead and (chunk := await _read(descriptor)):
                _typed_ahead.extend(chunk)
        finally:
            if hidden or b"\n" not in _typed_ahead:  # what comes next would stand behind the prompt
                print(file=sys.stderr)
    if not _typed_ahead:
        raise NothingTyped("Nothing more was typed, and so nothing more was done.")
    line, _, rest = bytes(_typed_ahead).partition(b"\n")
    _typed_ahead[:] = rest
    return line.decode(errors="replace").rstrip("\r")


async def _read(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    try:
        loop.add_reader(descriptor, readable.set)
    except (OSError, ValueError):  # a plain file, /dev/null, or closed: there is nothing to wait for
        try:
            return os.read(descriptor, select.PIPE_BUF)
        except OSError:
            return b""
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, select.PIPE_BUF)


@contextmanager
def _unseen(descriptor: int, hidden: bool) -> Iterator[None]:
    """Keep a terminal from showing what is typed; however it is left, it shows it again afterwards."""
    if not hidden or not os.isatty(descriptor):
        yield
        return
    usual = termios.tcgetattr(descriptor)
    silent = [*usual]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, usual)


async def confirm(what: str, *, yes: bool) -> None:
    """Have something confirmed that can't be undone. Raises NotConfirmed, or Unanswerable without a terminal."""
    await agree(f"{what}: this can't be undone", yes=yes)


async def agree(what: str, *, yes: bool) -> None:
    """Have something confirmed. Raises NotConfirmed, or Unanswerable without a terminal."""
    if yes:
        return
    if not at_terminal():
        raise Unanswerable(f"{what}, and there is no terminal to ask at; add --yes")
    answer = await typed(f"{what}. Go on? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise NotConfirmed("Nothing was changed.")
