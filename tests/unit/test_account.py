"""A line's session file, and that of a sign-in."""

from pathlib import Path
from typing import Any

import pytest
from telethon.crypto import AuthKey

from ari_app.telegram.account import Account, Server
from ari_app.telegram.limits import Limits, LimitSettings
from ari_app.telegram.line_session import LineSession

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
