"""A line's session file that can't be written, or is locked, comes out of no request."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from telethon.crypto import AuthKey
from telethon.sessions import SQLiteSession
from telethon.tl import types

from ari_app.telegram import line_session
from ari_app.telegram.line_session import LineSession

ANNA = types.User(7, access_hash=77, phone="79990000002", username="Anna_B", first_name="Anna")
KEY = AuthKey(b"k" * 256)
STATE = types.updates.State(pts=5, qts=0, date=datetime(2026, 1, 1, tzinfo=UTC), seq=1, unread_count=0)
BLOCKED_S = 1.0  # SQLite's own patience is 5 s, in which the event loop would stand still


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "line.session"


def answer(*users: types.User) -> types.contacts.ResolvedPeer:
    return types.contacts.ResolvedPeer(types.PeerUser(7), [], list(users))


def use(session: SQLiteSession) -> None:
    """What Telethon does in a minute of a line."""
    session.set_dc(2, "127.0.0.1", 443)
    session.auth_key = KEY
    session.save()
    session.process_entities(answer(ANNA))
    session.set_update_state(0, STATE)
    assert session.get_input_entity(7) == types.InputPeerUser(7, 77)
    assert session.get_input_entity("+79990000002") == types.InputPeerUser(7, 77)
    assert session.get_input_entity("anna_b") == types.InputPeerUser(7, 77)
    assert session.get_input_entity("Anna") == types.InputPeerUser(7, 77)
    assert session.get_update_state(0).pts == 5
    assert [(each, state.pts) for each, state in session.get_update_states()] == [(0, 5)]
    session.save()


def check(session: SQLiteSession) -> None:
    """It is all there."""
    assert (session.dc_id, session.server_address, session.port, session.auth_key) == (2, "127.0.0.1", 443, KEY)
    assert session.get_input_entity(7) == types.InputPeerUser(7, 77)
    assert session.get_update_state(0).pts == 5


@contextmanager
def locked(session: LineSession, path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def read_only(session: LineSession, path: Path) -> Iterator[None]:
    session._execute("PRAGMA query_only = 1")
    yield
    session._execute("PRAGMA query_only = 0")


def test_telethons_own_session_reads_what_it_writes(path: Path) -> None:
    session = LineSession(str(path))
    use(session)
    session.close()
    with closing(SQLiteSession(str(path))) as telethons:
        check(telethons)
    with closing(LineSession(str(path))) as again:
        check(again)
        assert again.get_input_entity("anna_b") == types.InputPeerUser(7, 77)


@pytest.mark.parametrize("trouble", [locked, read_only])
def test_what_cannot_be_written_waits(path: Path, trouble: object, caplog: pytest.LogCaptureFixture) -> None:
    LineSession(str(path)).close()
    session = LineSession(str(path))
    with trouble(session, path):  # type: ignore[operator]
        began = time.monotonic()
        session.auth_key = KEY
        session.process_entities(answer(ANNA))
        session.set_update_state(0, STATE)
        session.save()
        session.save()
        assert session.get_input_entity(7) == types.InputPeerUser(7, 77)
        assert time.monotonic() - began < BLOCKED_S
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    session.set_dc(2, "127.0.0.1", 443)
    session.auth_key = KEY
    session.save()
    session.close()
    with closing(SQLiteSession(str(path))) as telethons:
        check(telethons)


def test_a_full_disk(path: Path) -> None:
    session = LineSession(str(path))
    session._execute(f"PRAGMA max_page_count = {session._execute('PRAGMA page_count')[0]}")
    crowd = [types.User(number, access_hash=number, first_name="x" * 60) for number in range(1, 200)]
    session.process_entities(answer(*crowd))
    session.save()
    assert session.get_input_entity(199) == types.InputPeerUser(199, 199)
    with closing(SQLiteSession(str(path))) as telethons, pytest.raises(ValueError, match="Could not find"):
        telethons.get_input_entity(199)  # all or nothing
    session._execute("PRAGMA max_page_count = 1000000")
    session.close()
    with closing(SQLiteSession(str(path))) as telethons:
        assert telethons.get_input_entity(1) == types.InputPeerUser(1, 1)
        assert telethons.get_input_entity(199) == types.InputPeerUser(199, 199)


def test_closing_a_file_that_cannot_be_written(path: Path) -> None:
    session = LineSession(str(path))
    session.process_entities(answer(ANNA))
    with locked(session, path):
        session.close()
    assert session._conn is None


def test_somebody_in_a_file_that_cannot_be_read_is_not_known(path: Path) -> None:
    session = LineSession(str(path))
    use(session)
    with locked(session, path), pytest.raises(ValueError, match="Could not find"):
        session.get_input_entity(7)
    assert session.get_input_entity(7) == types.InputPeerUser(7, 77)
    session.close()


def test_a_name_has_moved_to_somebody_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = LineSession(str(path))
    for number, user in enumerate((ANNA, types.User(8, access_hash=88, username="anna_b"))):
        monkeypatch.setattr(time, "time", lambda now=number: float(now))
        session.process_entities(answer(user))
        session.save()
    assert session.get_input_entity("anna_b") == types.InputPeerUser(8, 88)
    session.close()


def test_who_waits_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_session, "WAITING_MOST", 2)
    session = LineSession(str(path))
    session.process_entities(answer(*(types.User(number, access_hash=number) for number in (1, 2, 3))))
    assert session.get_input_entity(3) == types.InputPeerUser(3, 3)
    with pytest.raises(ValueError, match="Could not find"):
        session.get_input_entity(1)
    session.close()
