"""A line's session file on a disk that is full."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from telethon.crypto import AuthKey
from telethon.tl import types

from ari_app.telegram.account import Account, LineSession, Server
from ari_app.telegram.limits import Limits, LimitSettings

KEY = b"k" * 256
ANNA = types.User(id=7, access_hash=70, username="anna_b", first_name="Анна")
NOBODY: Any = None


@pytest.fixture
def session(tmp_path: Path) -> LineSession:
    """Signed in."""
    made = LineSession(str(tmp_path / "line.session"))
    made.set_dc(2, "127.0.0.1", 443)
    made.auth_key = AuthKey(KEY)
    made.save()
    return made


class FullConnection:
    """Lets nothing be written any more."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("PRAGMA query_only = ON")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        raise sqlite3.OperationalError("database or disk is full")


def test_what_can_not_be_remembered_costs_no_request(session: LineSession, caplog: pytest.LogCaptureFixture) -> None:
    broken: Any = session
    broken._conn = FullConnection(broken._conn)
    session.process_entities(types.contacts.ResolvedPeer(types.PeerUser(7), [], [ANNA]))
    session.set_dc(2, "127.0.0.1", 443)  # as at each connection
    session.auth_key = AuthKey(KEY)
    session.save()
    session.close()
    assert "not remembered" in caplog.text
    assert LineSession(session.filename).auth_key.key == KEY


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
