"""How many calls a line has."""

import asyncio

import pytest

from ari_app.calls import outcome
from ari_app.calls.admission import Admission
from ari_app.calls.call import MAX_EVENTS, Call
from ari_app.calls.capacity import AdmissionLimits
from ari_app.calls.events import CallEvent, KeypadHidden, KeypadShown
from ari_app.calls.outcome import Direction, Status
from ari_app.calls.reasons import TooManyCalls
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
    assert not registry._saved_states


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
