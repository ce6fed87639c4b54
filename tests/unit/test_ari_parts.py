"""The parts of the ARI client that need no Asterisk."""

from __future__ import annotations

import pytest
from yarl import URL

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.caller_id import CallerId
from ari_app.asterisk.errors import AriConflict, AriFailed, AriNotFound, AriRefused, error_from_answer
from ari_app.asterisk.events import Event, parse_event
from ari_app.asterisk.external_media import media_url
from ari_app.asterisk.hangup import Hangup
from ari_app.backoff import Backoff


@pytest.mark.parametrize(
    ("name", "number", "text"),
    [
        ("Иван", "+7999", '"Иван" <+7999>'),
        ('"Иван" <x>', "+7999", '"\\"Иван\\" <x>" <+7999>'),
        ("a\\", "1", '"a\\\\" <1>'),
        ("a\r\nX-Header: b", "1", '"a  X-Header: b" <1>'),
        ("a", '1> "b" <2', '"a" <1b2>'),
        ("", "", '"" <>'),
    ],
)
def test_caller_id(name: str, number: str, text: str) -> None:
    assert str(CallerId(name, number)) == text


@pytest.mark.parametrize(
    ("status", "detail", "kind"),
    [
        (404, "Channel not found", AriNotFound),
        (400, "Channel not found", AriNotFound),
        (400, "Invalid parameter", AriFailed),
        (409, "Channel not in Stasis application", AriConflict),
        (412, "Channel in invalid state", AriConflict),
        (422, "Channel not in Stasis application", AriConflict),
        (401, "Authentication required", AriRefused),
        (403, "Write access denied", AriRefused),
        (500, "Allocation failed", AriFailed),
        (500, None, AriFailed),
    ],
)
def test_errors_by_status(status: int, detail: str | None, kind: type[Exception]) -> None:
    error = error_from_answer("POST /channels/x/answer", status, detail, "tg")
    assert type(error) is kind
    assert str(error).startswith(f"POST /channels/x/answer: Asterisk answered {status}: {detail or 'no message'}")


def test_refusals_tell_which_setting_to_mend() -> None:
    assert "password" in str(error_from_answer("GET /channels", 401, "", "tg"))
    assert "read_only = no for [tg] in ari.conf" in str(error_from_answer("POST /channels", 403, "", "tg"))


def test_backoff_doubles_up_to_a_cap_and_is_spread() -> None:
    latest = Backoff(first_s=0.5, last_s=4.0, jitter=0.5, random=lambda: 0.0)
    earliest = Backoff(first_s=0.5, last_s=4.0, jitter=0.5, random=lambda: 1.0)
    assert [latest.pause_s(failures) for failures in (1, 2, 3, 4, 5, 5000)] == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert [earliest.pause_s(failures) for failures in (1, 2, 5)] == [0.25, 0.5, 2.0]


@pytest.mark.parametrize("text", ["", "[]", "{}", '"x"', '{"type"'])
def test_what_is_no_event_is_told(text: str) -> None:
    with pytest.raises(ValueError):
        parse_event(text)


def test_an_event_without_channel_or_bridge() -> None:
    event = parse_event('{"type": "ApplicationReplaced"}')
    assert event == Event("ApplicationReplaced", {"type": "ApplicationReplaced"})
    assert (event.channel_id, event.bridge_id) == ("", "")


def test_ids_belong_to_one_application_only() -> None:
    mine = AriClient("http://127.0.0.1:8088/ari", "user", "password", "telegram")
    longer = AriClient("http://127.0.0.1:8088/ari", "user", "password", "telegram-2")
    assert mine.owns(mine.new_id())
    assert mine.owns(f"{mine.new_id()}-far")
    assert not mine.owns(longer.new_id())
    assert not mine.owns("1700000000.1")


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://127.0.0.1:8088", "http://127.0.0.1:8088/ari"),
        ("http://127.0.0.1:8088/ari/", "http://127.0.0.1:8088/ari"),
        ("https://pbx.example/asterisk/ari", "https://pbx.example/asterisk/ari"),
    ],
)
def test_base_url(given: str, base: str) -> None:
    assert str(AriClient(given, "user", "password", "telegram").base) == base


def test_media_url_shares_aris_server() -> None:
    assert media_url(URL("http://127.0.0.1:8088/ari"), "a-b") == "ws://127.0.0.1:8088/media/a-b"
    assert media_url(URL("https://pbx.example/asterisk/ari"), "a-b") == "wss://pbx.example/asterisk/media/a-b"


def test_hangup_texts() -> None:
    assert str(Hangup.with_cause(17)) == "17 User busy"
    assert str(Hangup.with_cause(99)) == "99 Cause 99"
    assert Hangup.with_cause(17, "Besetzt").cause_text == "Besetzt"
