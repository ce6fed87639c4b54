"""A line's session file, and that of a sign-in."""

import asyncio
import sqlite3
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from telethon import TelegramClient
from telethon.crypto import AuthKey

from ari_app.telegram.account import Account, Server, disconnect
from ari_app.telegram.errors import Unreachable
from ari_app.telegram.limits import Limits, LimitSettings
from ari_app.telegram.line_session import LineSession
from ari_app.telegram.session import connected

KEY = b"k" * 256
NOBODY: Any = None


@pytest.fixture
def session(tmp_path: Path) -> LineSession:
    """Signed in."""
    made = LineSession(str(tmp_path / "line.session"))
    made.set_dc(2, "127.0.0.1", 443)
    made.auth_key = AuthKey(KEY)
    made.save()
    return made


def test_another_server_or_key_is_kept_as_ever(session: LineSession) -> None:
    session.set_dc(2, "127.0.0.1", 80)
    session.auth_key = AuthKey(b"n" * 256)
    session.close()
    again = LineSession(session.filename)
    assert (again.port, again.auth_key.key) == (80, b"n" * 256)


def test_a_sign_in_must_be_able_to_write(tmp_path: Path) -> None:
    account = Account("+79990000001", 1, "hash", tmp_path / "line.session", Server(host="127.0.0.1", port=1))
    limits = Limits(account.number, LimitSettings(), NOBODY)
    for given, kind in ((None, False), (limits, True)):
        client = account.client(given)
        assert isinstance(client.session, LineSession) is kind
        client.session.close()


@pytest.mark.parametrize("at_work", [False, True], ids=["sign-in", "line"])
async def test_a_file_that_can_not_be_written_at_last_is_let_go_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_work: bool
) -> None:
    path = tmp_path / "line.session"
    account = Account("+79990000001", 1, "hash", path, Server(host="127.0.0.1", port=1))
    client = account.client(Limits(account.number, LimitSettings(), NOBODY) if at_work else None)

    async def full() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(client, "_save_states_and_entities", full)
    assert _opened(path)
    await disconnect(client, path.name)
    assert not _opened(path)
    client.session.set_update_state(0, None)
    assert not _opened(path)


def _opened(path: Path) -> bool:
    """Whether this process has a file open."""
    files = Path("/proc/self/fd")
    return any(each.readlink() == path for each in files.iterdir() if each.is_symlink())


@pytest.mark.parametrize("closed", [1, 2])
async def test_telegram_may_close_the_connection_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: int
) -> None:
    """Telethon does not always find the factors of ``pq`` (core.telegram.org/mtproto/auth_key)."""
    tries = 0

    async def connect(client: TelegramClient) -> None:
        nonlocal tries
        tries += 1
        if tries <= closed:
            raise asyncio.IncompleteReadError(b"", 8)

    monkeypatch.setattr(TelegramClient, "connect", connect)
    account = Account("+79990000001", 1, "hash", tmp_path / "line.session", Server(host="127.0.0.1", port=1))
    with nullcontext() if closed == 1 else pytest.raises(Unreachable):
        async with connected(account):
            pass
    assert tries == 2
