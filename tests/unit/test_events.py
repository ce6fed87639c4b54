"""What happens to calls and why they end, as data: written and read again, also what was kept before it had types."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from ari_app.calls import events, reasons
from ari_app.calls.events import CallEvent, Note, Side, TimedEvent, Way
from ari_app.calls.facts import Fact
from ari_app.calls.outcome import Direction
from ari_app.calls.reasons import EndReason, Failed, Shortage
from ari_app.reports import legacy_events

RECORDED = Path(__file__).parent.parent / "integration" / "recorded" / "astergram.sql"
EXAMPLES: dict[str, Any] = {
    "str": "x", "int": 2, "float": 2.5, "int | None": None, "EndReason": reasons.EndedByPbx(16),
}  # fmt: skip


def subclasses(base: type[Fact]) -> Iterator[type[Fact]]:
    for each in base.__subclasses__():
        if not each.__name__.startswith("_") and each not in (CallEvent, EndReason, Shortage):
            yield each
        yield from subclasses(each)


def example(kind: type[Fact]) -> Fact:
    special = {"status": "ANSWER", "where": "telegram"}
    kinds = {each.name: getattr(each.type, "__name__", each.type) for each in fields(kind)}
    return kind(**{name: special.get(name, EXAMPLES[str(field)]) for name, field in kinds.items()})


FACTS = [example(kind) for kind in subclasses(Fact)]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_what_is_written_is_read_again(fact: Fact) -> None:
    written = json.loads(json.dumps(fact.as_data()))
    assert Fact.of_data(written) == fact
    assert str(fact)
    with pytest.raises(ValueError, match="knows"):
        (CallEvent if isinstance(fact, EndReason) else EndReason).of_data(written)


def test_an_event_of_a_later_version_is_shown_by_its_type() -> None:
    timed = TimedEvent.of_data({"at_s": 1.5, "type": "HologramShown", "colour": "blue"})
    assert (timed.at_s, str(timed.event)) == (1.5, "HologramShown")


def test_a_field_of_a_later_version_is_left_out() -> None:
    data = {"type": "Bridged", "transport": "rtp", "bridge": "b1"}
    assert Fact.of_data(data) == events.Bridged("rtp")
    with pytest.raises(ValueError, match="lacks a field"):
        Fact.of_data({"type": "Bridged"})


def test_who_is_called_rings_and_answers() -> None:
    ringing = events.TelegramRinging.way
    assert [ringing.of(direction) for direction in Direction] == [Way.TO, Way.FROM, Way.FROM]
    assert events.CallRequested.way.of(Direction.OUT) is Way.TO
    assert events.MediaConnected.way.of(Direction.IN) is Way.NONE


def test_every_event_that_was_kept_as_text_has_its_type() -> None:
    database = sqlite3.connect(":memory:")
    database.executescript(RECORDED.read_text())
    kept = [each for (ladder,) in database.execute("SELECT ladder FROM call_details") for each in json.loads(ladder)]
    read = [legacy_events.event(side, text) for _, side, text in kept]
    assert len({type(each) for each in read}) >= len(legacy_events.EVENTS) - 3, "some texts are of the same type"
    assert {str(each) for each in read if isinstance(each, Note)} == OTHERS
    ends = [legacy_events.end_reason(detail) for (detail,) in database.execute("SELECT detail FROM calls")]
    assert {type(each) for each in ends} == set(subclasses(EndReason)) - NEWER


NEWER: set[type[Fact]] = {
    reasons.NoCodec,
    reasons.NotTranslated,
    reasons.NotResumed,
    reasons.EndedByPbxMeanwhile,
    reasons.LeftToMachine,
    *subclasses(Shortage),
}
"""Reasons that were never kept as text."""
OTHERS = {"line +79990000001 may not call: +79990000003 is in the line's deny list"}
"""Of what was kept: sentences of errors."""


@pytest.mark.parametrize("text", ["", "{x}", "Telegram refused it: {boom", "<script>alert(1)</script>", "a\nb"])
def test_what_is_not_known_is_shown_as_it_is(text: str) -> None:
    assert legacy_events.event("media", text) == Note("astergram", text)
    assert legacy_events.event("keypad", text).side is Side.TELEGRAM
    assert legacy_events.end_reason(text) == Failed(text)
    assert str(Note("telegram", text)) == str(Failed(text)) == text


def test_values_are_kept() -> None:
    assert legacy_events.event("asterisk", "rings at 101@from-telegram") == events.PbxRinging("101", "from-telegram")
    assert legacy_events.event("asterisk", "somebody dials @anna") == events.Dialled("", "@anna")
    ended = legacy_events.event("call", "ANSWER, cause 16: ended on Telegram (hangup, 7 s by Telegram's count)")
    assert ended == events.CallEnded("ANSWER", 16, reasons.EndedOnTelegram("hangup", 7))
    assert str(ended) == "ANSWER, cause 16: Ended on Telegram: hung up. By Telegram's count they talked for 7 s."
    assert str(ended.sentence).startswith("Answered, cause 16: ")
    assert legacy_events.event("asterisk", "rings at nowhere") == Note("asterisk", "rings at nowhere")
