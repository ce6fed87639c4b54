"""Events for AMI: their headers, and the page that describes them."""

import re
from typing import Any

import pytest

from ari_app.pbx.ami_page import events_page
from ari_app.pbx.events import LONGEST_LINE, TelegramMessage, TelegramPause, headers_of, kinds
from ari_app.telegram.profile import CardReason

RESERVED = {"Action", "Event", "UserEvent", "Response", "Privilege", "SystemName", "EventID"}
"""Of AMI itself: an event with such a header is an action, or an answer, to Asterisk or to its readers."""


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.event)
def test_every_event_is_described(kind: Any) -> None:
    assert kind.event == kind.__name__
    names = [name for name, _ in headers_of(kind)]
    assert len(names) == len(set(names))
    assert not RESERVED & set(names)
    for _, each in headers_of(kind):
        assert each.metadata["about"]
        assert each.metadata["example"]
    assert f"### {kind.event}\n" in events_page()


def test_every_header_is_there_and_empty_where_nothing_is_known() -> None:
    headers = TelegramPause(event_time=1.5, line="+79990000001").headers()
    assert headers == {"EventTime": "1.500", "Line": "+79990000001", "Request": "", "Seconds": "0", "Reason": ""}


@pytest.mark.parametrize("text", ["я" * 1000, "x" * 2000, "\N{GRINNING FACE}" * 500])
def test_a_header_is_a_line_that_asterisk_takes(text: str) -> None:
    said = TelegramMessage(text=text).headers()["Text"]
    assert len(f"Text: {said}".encode()) <= LONGEST_LINE
    assert said.endswith("…")
    assert text.startswith(said[:-1])


def test_the_page_has_every_reason_for_a_card() -> None:
    section = events_page().partition("### TelegramCardSent\n")[2].partition("###")[0]
    assert all(reason.value in section for reason in CardReason)


def test_nothing_in_a_header_begins_another() -> None:
    said = TelegramMessage(text="one\r\nUserEvent: TelegramSend\r\n\r\ntwo\x00\u2028three").headers()["Text"]
    assert not re.search(r"[\r\n\x00\u2028]", said)
    assert said == "one  UserEvent: TelegramSend    two  three"
