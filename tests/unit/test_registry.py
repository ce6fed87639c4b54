"""How many calls a line has."""

import asyncio

import pytest

from ari_app.calls import outcome
from ari_app.calls.events import KeypadHidden
from ari_app.calls.outcome import Direction
from ari_app.calls.registry import CallRegistry, LineFull

LINE = "+79990000001"


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
