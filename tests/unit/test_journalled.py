"""The record of a call: it costs what is new, and fits."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ari_app.calls.call import MAX_EVENTS, Call
from ari_app.calls.events import CallOffered, DigitsDialled, EventsOmitted, Note, TimedEvent
from ari_app.calls.journal import MOST_BYTES, open_journal
from ari_app.calls.journalled import FIRST_EVENTS, CallJournal, read, record_of
from ari_app.calls.outcome import Direction


def call() -> Call:
    return Call("3f2a9c71d0b4", Direction.IN, "+79990000001", "5000000002")


def events(its: Call) -> list[TimedEvent]:
    """What the next run finds."""
    return [TimedEvent.of_data(each) for each in read(record_of(its)).events]


def test_a_record_encodes_each_event_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: Counter[float] = Counter()
    as_data = TimedEvent.as_data

    def counting(event: TimedEvent) -> dict[str, Any]:
        encoded[id(event)] += 1
        return as_data(event)

    monkeypatch.setattr(TimedEvent, "as_data", counting)
    with open_journal(tmp_path / "calls.journal") as journal:
        its, keeps = call(), CallJournal(journal)
        for count in range(MAX_EVENTS):
            its.add_event(DigitsDialled(count))
            keeps.save(its)
    assert list(encoded.values()) == [1] * MAX_EVENTS


def test_a_record_has_the_events(tmp_path: Path) -> None:
    its = call()
    assert events(its) == []
    for event in (CallOffered('Анна, "А"'), Note("telegram", "\ud800 is no character"), DigitsDialled(1)):
        its.add_event(event)
    assert [each.event for each in events(its)] == [
        CallOffered('Анна, "А"'),
        Note("telegram", "? is no character"),
        DigitsDialled(1),
    ]


@pytest.mark.parametrize("length", [20, 300, 3000])
def test_a_record_that_is_full_has_the_first_events_and_the_last(length: int) -> None:
    its = call()
    for number in range(MAX_EVENTS):
        its.add_event(Note("telegram", f"{number:03}" + "x" * length))
    record = record_of(its)
    assert MOST_BYTES - length - 200 < len(record) <= MOST_BYTES
    had, kept = [each.event for each in its.events], [each.event for each in events(its)]
    first = kept.index(EventsOmitted())
    assert kept[:first] == had[:first]
    assert 1 < first <= FIRST_EVENTS
    last = kept[first + 1 :]
    assert last
    assert last == had[-len(last) :]


def test_a_record_is_json_of_its_own_format() -> None:
    its = call()
    its.add_event(DigitsDialled(2))
    assert json.loads(record_of(its))["events"] == [its.events[0].as_data()]
