"""How many calls a line has."""

import asyncio

import pytest

from ari_app.calls import outcome
from ari_app.calls.admission import Admission
from ari_app.calls.call import MAX_EVENTS, Call
from ari_app.calls.capacity import AdmissionLimits
from ari_app.calls.drain import DrainState
from ari_app.calls.events import CallEvent, KeypadHidden, KeypadShown
from ari_app.calls.line_calls import telegram_ids
from ari_app.calls.outcome import Direction, Status
from ari_app.calls.parts import TelegramPart
from ari_app.calls.reasons import Draining, TooManyCalls
from ari_app.calls.registry import CallRegistry, LineFull, NoRoom
from ari_app.tasks import FAILURES
from ari_app.telegram.phone import DiscardReason

LINE, OTHER = "+79990000001", "+79990000009"


async def test_a_call_that_has_ended_takes_no_room_while_it_is_closed() -> None:
    """A dialplan that was told of its end may call the next person at once."""
    registry = CallRegistry()
    async with registry.admit(Direction.OUT, LINE, "@anna", 1) as first:
        with pytest.raises(LineFull):
            async with registry.admit(Direction.OUT, LINE, "@boris", 1):
                pass
        first.end(outcome.not_answered(1.0))
        async with registry.admit(Direction.OUT, LINE, "@boris", 1):
            assert registry.calls_per_line()[LINE] == 1


async def test_the_calls_of_a_line_on_other_machines_count() -> None:
    elsewhere: dict[str, tuple[int, ...]] = {LINE: (7, 7, 8, 0), OTHER: (9,)}
    registry = CallRegistry(elsewhere=lambda: elsewhere)
    assert registry.calls_per_line() == {LINE: 3, OTHER: 1}
    with pytest.raises(LineFull, match="3 calls already"):
        async with registry.admit(Direction.OUT, LINE, "@anna", 3):
            pass
    # What another machine had until now, and leaves to this one, or does not know that it has no more.
    async with registry.admit(Direction.IN, LINE, "anna", 3, offered=8) as call:
        call.opened(telegram=TelegramPart(8, 1, 1, 0.0))
        assert registry.calls_per_line() == {LINE: 3, OTHER: 1}
        assert telegram_ids(registry.live()) == {LINE: (8,)}
        async with registry.admit(Direction.OUT, LINE, "@boris", 4):
            assert telegram_ids(registry.live()) == {LINE: (8, 0)}
            assert registry.calls_per_line()[LINE] == 4
            elsewhere.clear()
            assert registry.calls_per_line() == {LINE: 2}
        call.end(outcome.not_answered(1.0))
        assert telegram_ids(registry.live()) == {}


async def test_a_line_is_clear_when_its_calls_are_closed() -> None:
    registry = CallRegistry()
    async with registry.admit(Direction.OUT, LINE, "@anna", 1) as call:
        clearing = asyncio.create_task(registry.end_calls(LINE))
        await asyncio.sleep(0)
        assert call.ending
        assert not clearing.done()
    async with asyncio.timeout(5):
        await clearing


async def test_an_event_that_comes_after_a_call_leaves_nothing_of_it() -> None:
    """Its keypad goes last."""
    registry = CallRegistry()
    async with registry.admit(Direction.IN, LINE, "anna", 1) as call:
        pass
    call.add_event(KeypadHidden())
    assert not registry.calls
    assert not len(registry.keeper)


async def test_what_is_published_of_a_call_names_its_last_event() -> None:
    registry = CallRegistry()
    with registry.bus.subscribe() as published:
        async with registry.admit(Direction.IN, LINE, "anna", 1) as call:
            call.mark_ringing()
            call.end(outcome.not_answered(1.0))
        call.add_event(KeypadHidden())
    told = [published.get_nowait() for _ in range(published.qsize())]
    assert [(each.kind, each.key) for each in told if each.kind == "call"] == [("call", call.id)] * 5
    assert [(each.data["state"], each.data["event"]) for each in told if each.kind == "call"] == [
        ("begun", ""),
        ("ringing", "TelegramRinging"),
        ("ending", "CallEnded"),
        ("ended", "CallEnded"),
        ("ended", "KeypadHidden"),
    ]


async def test_what_the_log_tells_is_in_the_journal(caplog: pytest.LogCaptureFixture) -> None:
    """The program may be killed right after it."""
    caplog.set_level("INFO", "ari_app.calls.call")

    class LastSaved:
        events = 0

        def save(self, call: Call) -> None:
            assert len(caplog.records) == self.events, "of what is saved by now"
            self.events = len(call.events)

        def forget(self, call: Call) -> None:
            pass

    registry = CallRegistry(journal=LastSaved())
    async with registry.admit(Direction.IN, LINE, "anna", 1) as call:
        call.mark_ringing()
        call.end(outcome.not_answered(1.0))
    assert len(caplog.records) == len(call.events)


async def test_a_call_that_no_line_has_room_for_is_kept_as_refused(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ari_app.calls.admission")
    registry, told = CallRegistry(admission=Admission(AdmissionLimits(max_calls=1))), Told()
    registry.listeners.add(told)
    async with registry.admit(Direction.OUT, LINE, "@anna", 9) as first:
        assert (registry.room, registry.shortage) == (0, TooManyCalls(1))
        for _ in range(2):
            with pytest.raises(NoRoom) as refused:
                async with registry.admit(Direction.IN, OTHER, "boris", 9):
                    pass
        ending = refused.value.ending
        assert (ending.status, ending.cause, ending.discard) == (Status.LIMITED, 42, DiscardReason.BUSY)
        assert ending.reason == TooManyCalls(1)
        assert first.ending is None
        first.end(outcome.not_answered(1.0))
        assert (registry.room, registry.shortage) == (1, None)
        async with registry.admit(Direction.IN, OTHER, "boris", 9):
            pass
    assert told.of[:2] == ["refused", "refused"]
    assert registry.counted["refused"] == 2
    assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"], "once, and once that it is over"
    assert "reached its limit of calls: 1. Raise max_calls in [calls]" in caplog.messages[0]


async def test_without_a_limit_there_is_always_room() -> None:
    registry = CallRegistry()
    async with registry.admit(Direction.OUT, LINE, "@anna", 9):
        assert (registry.room, registry.shortage) == (None, None)


class Told:
    """Keeps what it is told; ``fails``: it does, after that."""

    def __init__(self, fails: bool = False) -> None:
        self.of: list[str] = []
        self._fails = fails

    def happened(self, call: Call, event: CallEvent) -> None:
        self._keep(type(event).__name__)

    def ended(self, call: Call) -> None:
        self._keep("refused" if call.refused else "ended")

    def card_sent(self, line: str, person: object, reason: object) -> None: ...

    def message_received(self, line: str, person: object, text: str) -> None: ...

    def drained(self, state: DrainState, calls: int) -> None:
        self._keep(f"{state.value}, {calls}")

    def _keep(self, what: str) -> None:
        self.of.append(what)
        if self._fails:
            raise ValueError("no room")


async def test_listeners_are_told_of_each_event_and_of_the_end() -> None:
    registry, failing, told, failures = CallRegistry(), Told(fails=True), Told(), FAILURES.count
    registry.listeners.add(failing)
    registry.listeners.add(told)
    async with registry.admit(Direction.IN, LINE, "anna", 1) as call:
        call.add_event(KeypadShown())
        with pytest.raises(LineFull):
            async with registry.admit(Direction.IN, LINE, "boris", 1):
                pass
        call.end(outcome.not_answered(1.0))
    call.add_event(KeypadHidden())
    assert told.of == ["KeypadShown", "refused", "CallEnded", "ended", "KeypadHidden"]
    assert failing.of == told.of
    assert FAILURES.count == failures + len(told.of)


async def test_listeners_are_told_of_events_that_are_not_kept() -> None:
    registry, told = CallRegistry(), Told()
    registry.listeners.add(told)
    async with registry.admit(Direction.IN, LINE, "anna", 1) as call:
        for _ in range(MAX_EVENTS + 5):
            call.add_event(KeypadShown())
        call.end(outcome.not_answered(1.0))
    assert told.of.count("KeypadShown") == MAX_EVENTS + 5


async def test_no_new_calls_while_it_is_drained_and_those_that_there_are_go_on() -> None:
    registry, told = CallRegistry(), Told()
    registry.listeners.add(told)
    async with registry.admit(Direction.IN, LINE, "anna", 1) as call:
        with registry.bus.subscribe() as published:
            registry.begin_drain()
            registry.begin_drain()  # once is enough
            event = published.get_nowait()
            assert (event.kind, event.data) == ("drain", {"draining": True, "calls": 1})
            assert published.empty()
        assert (registry.room, registry.shortage) == (0, Draining())
        with pytest.raises(NoRoom) as refused:  # the line is full besides; a dialplan may fail over at once
            async with registry.admit(Direction.OUT, LINE, "boris", 1):
                pass
        ending = refused.value.ending
        assert (ending.status, ending.cause, ending.discard) == (Status.LIMITED, 42, DiscardReason.BUSY)
        assert call.ending is None
        call.end(outcome.not_answered(1.0))
    registry.cancel_drain()
    registry.cancel_drain()
    async with registry.admit(Direction.IN, LINE, "anna", 1) as call:
        call.end(outcome.not_answered(1.0))
    assert [each for each in told.of if ", " in each] == ["begun, 1", "empty, 0", "cancelled, 0"]


async def test_each_call_that_leaves_while_it_is_drained_is_published() -> None:
    registry = CallRegistry()
    with registry.bus.subscribe() as published:
        async with registry.admit(Direction.IN, LINE, "anna", 2), registry.admit(Direction.IN, LINE, "boris", 2):
            registry.begin_drain()
    told = [published.get_nowait() for _ in range(published.qsize())]
    assert [each.data["calls"] for each in told if each.kind == "drain"] == [2, 1, 0]


async def test_drained_with_no_call_it_is_empty_at_once() -> None:
    registry, told = CallRegistry(), Told()
    registry.listeners.add(told)
    registry.begin_drain()
    assert told.of == ["begun, 0", "empty, 0"]
    assert registry.drain.since is not None
