"""A line that is told to stop does, whatever fails while it lets go."""

import asyncio
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from unittest.mock import MagicMock

import pytest

from ari_app.telegram.account import Account, Server
from ari_app.telegram.errors import Limited, TelegramError, Unreachable
from ari_app.telegram.line import Line, LineState
from ari_app.telegram.profile import Profile
from ari_app.telegram.texts import MessageTemplates

NUMBER = "+79990000001"
ERRORS = [
    sqlite3.OperationalError("database or disk is full"),
    OSError(28, "No space left on device"),
    TelegramError("Telegram refused it"),
    Unreachable("no answer"),
    Limited("wait", 60),
]


def made(folder: Path) -> Line:
    anything = cast(Any, MagicMock())
    account = Account(NUMBER, 1, "hash", folder / "line.session", Server())
    profile = Profile("Sales", "from-telegram", MessageTemplates("Company", NUMBER, NUMBER))
    return Line(account, anything, anything, profile=profile, limits=anything, directory=anything)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_an_error_of_letting_go_does_not_keep_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    held = 0

    async def hold(line: Line) -> None:
        nonlocal held
        held += 1
        try:
            await asyncio.Event().wait()
        finally:
            raise error

    monkeypatch.setattr(Line, "_hold", hold)
    keeping = asyncio.create_task(made(tmp_path)._keep_connected())
    await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.wait({keeping}, timeout=0.5)
    ended = keeping.done()
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    assert ended
    assert held == 1


def test_an_unexpected_error_is_said_until_it_is_connected_again(tmp_path: Path) -> None:
    line = made(tmp_path)
    line.fail(ValueError("an odd answer"))
    assert line.state is LineState.CONNECTING
    assert str(line.condition) == "Unexpected error: connecting again; see the log. (ValueError('an odd answer'))"
