"""What the sandbox's commands share."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from ari_app.config import ConfigError
from ari_app.os_words import in_words
from ari_app.sandbox.debian import DebianError
from ari_app.sandbox.processes import SandboxError
from ari_app.telegram.errors import TelegramError
from media.types import MediaError

UNUSABLE, INTERRUPTED = 2, 130


def run(opened: AbstractContextManager[Path], work: Callable[[Path], Coroutine[Any, Any, int]]) -> int:
    """Do the work of a command in its folder; its exit status is the work's, UNUSABLE (it says why) or INTERRUPTED."""
    try:
        with opened as folder, errors_into(folder / "sandbox.log"):
            return asyncio.run(work(folder))
    except (SandboxError, DebianError, ConfigError, MediaError, TelegramError) as error:
        print(f"astergram: {error}", file=sys.stderr)
    except OSError as error:
        print(f"astergram: {in_words(error)}", file=sys.stderr)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("astergram: stopped", file=sys.stderr)
        return INTERRUPTED
    return UNUSABLE


@contextmanager
def errors_into(log: Path) -> Iterator[None]:
    """Send what this process and its media processes complain of to a file, so that the output stays readable."""
    sys.stderr.flush()
    usual = os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(usual, 2)
        os.close(usual)


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: everything is stopped in its turn."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def told(error: BaseException) -> str:
    """What went wrong, without the groups around it."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(told, error.exceptions))
    return f"{type(error).__name__}: {error}"
