"""One's own TURN server: what is entered for it, its login, and what a call connects by."""

import base64
import hashlib
import hmac
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from ari_app.lines.installation import InstallationSettings
from ari_app.telegram.connections import Connections
from ari_app.telegram.relay import RelayUnknown, with_relay
from ari_app.telegram.turn_server import TurnServer
from media.types import RelayServer

THEIRS = RelayServer(7, "192.0.2.7", "", 599, None, None, True, False, False, b"tag")
TELEGRAMS = Connections((THEIRS,), ("9.0.0",), True, None)
NOW = 1_700_000_000.5


def of(**values: Any) -> TurnServer | None:
    return InstallationSettings.model_validate(values).relay


def test_what_is_entered() -> None:
    assert of() is None
    assert of(turn_user="u", turn_use="only") is None
    relay = of(turn_server="turn.example.com:3478", turn_user="u", turn_password=SecretStr("word"), turn_use="only")
    assert relay == TurnServer("turn.example.com", 3478, "u", "word", only=True)
    assert "word" not in f"{relay} {relay!r}"
    assert str(of(turn_server="[2001:db8::1]:3478")) == "[2001:db8::1]:3478"


@pytest.mark.parametrize("wrong", ["turn.example.com", "a:0", "a:65536", "turn:a:3478", "a b:1", "::1:1"])
def test_what_is_none(wrong: str) -> None:
    with pytest.raises(ValidationError, match="HOST:PORT"):
        of(turn_server=wrong)


def test_the_login_of_a_secret() -> None:
    for user, name in (("", "1700086400"), ("tg", "1700086400:tg")):
        made = hmac.new(b"secret", name.encode(), hashlib.sha1).digest()
        assert TurnServer("a", 1, user, secret="secret").login(NOW) == (name, base64.b64encode(made).decode())


async def test_beside_telegrams() -> None:
    found = await with_relay(TELEGRAMS, TurnServer("127.0.0.1", 3478, "u", "p"), NOW)
    assert found.p2p_allowed
    theirs, own = found.servers
    assert theirs is THEIRS
    assert (own.host, own.port, own.username, own.password, own.turn) == ("127.0.0.1", 3478, "u", "p", True)


async def test_nothing_else() -> None:
    found = await with_relay(TELEGRAMS, TurnServer("localhost", 3478, "u", "p", only=True), NOW)
    (own,) = found.servers
    assert not found.p2p_allowed
    assert not own.stun
    assert own.host == "127.0.0.1"  # the engine takes no names


async def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(RelayUnknown, match=r"turn\.invalid"):
        await with_relay(TELEGRAMS, TurnServer("turn.invalid", 3478), NOW)
