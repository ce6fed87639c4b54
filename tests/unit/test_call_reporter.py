"""Calls as AMI is told of them: each begins once and ends once, whatever becomes of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ari_app.calls import outcome
from ari_app.calls.events import CallBackRequested
from ari_app.calls.outcome import Direction
from ari_app.calls.registry import CallRegistry, LineFull
from ari_app.calls.scope import CallScope
from ari_app.pbx.call_reporter import CallReporter
from ari_app.pbx.events import ReportedEvent
from ari_app.telegram.errors import Limited
from tests.unit.call_rig import LINE, PASSES_S, CallRig, call_rig
from tests.unit.fake_ari import PHONE, eventually, transferred
from tests.unit.fake_telegram import ANNA
from tests.unit.test_dispatcher import CHANNEL, Dispatching, dispatching


class Told:
    """What a reporter has told."""

    def __init__(self, registry: CallRegistry) -> None:
        self.events: list[Any] = []
        self.on_event: Callable[[], None] = lambda: None
        registry.listeners.add(CallReporter(self._put))

    def _put(self, event: ReportedEvent) -> None:
        self.events.append(event)
        self.on_event()

    @property
    def names(self) -> list[str]:
        return [each.event.removeprefix("Telegram") for each in self.events]


@pytest.fixture
async def rig() -> AsyncIterator[CallRig]:
    async with call_rig() as made:
        yield made


@asynccontextmanager
async def told_of(rig: CallRig) -> AsyncIterator[tuple[Dispatching, Told]]:
    async with dispatching(rig) as it:
        yield it, Told(it.registry)


def hangs_up_before(rig: CallRig, asked: str) -> None:
    """Have the phone hang up just before Asterisk is asked for something."""

    async def hang_up(request: str) -> None:
        if request == asked and CHANNEL in rig.ari.channels:
            del rig.ari.channels[CHANNEL]
            await rig.ari.event("ChannelDestroyed", channel=PHONE, cause=127, cause_txt="Interworking, unspecified")

    rig.ari.before = hang_up


@pytest.mark.parametrize("request_start", [f"GET /channels/{CHANNEL}/variable", f"POST /channels/{CHANNEL}/variable"])
async def test_a_caller_who_hangs_up_at_once(rig: CallRig, request_start: str) -> None:
    """Before anything could be asked or set; the call ends as any that its caller gives up."""

    hangs_up_before(rig, request_start)
    async with told_of(rig) as (it, told):
        await it.dialled()
        call = await it.over()
    assert call.ending
    assert call.ending.status.value == "CANCEL"
    assert told.names == ["CallOffered", "CallEnded"]
    offered, ended = told.events
    assert (offered.destination, offered.channel, offered.uniqueid) == ("@anna", PHONE["name"], CHANNEL)
    assert (ended.status, ended.ended_by, ended.pbx_party) == ("CANCEL", "Asterisk", "101")


async def test_a_call_for_which_there_is_no_line(rig: CallRig) -> None:
    """Its channel is told, and knows the call."""
    rig.line.limits.refusal = Limited("Telegram asks to wait 30 s", 30)
    async with told_of(rig) as (it, told):
        await it.dialled("@anna", "timeout=5")
        assert await it.returned() == ("LIMITED", "42")
    assert told.names == ["CallOffered", "CallEnded"]
    offered, ended = told.events
    assert (offered.destination, ended.status) == ("@anna,timeout=5", "LIMITED")
    has = rig.ari.variables[CHANNEL]
    for event in told.events:
        assert (event.channel, event.uniqueid, event.linkedid) == (PHONE["name"], CHANNEL, CHANNEL)
        assert (has["TELEGRAM_CALL"], has["TELEGRAM_DIRECTION"]) == (event.call_id, "out")


async def test_a_channel_that_can_be_told_nothing_is_refused_all_the_same(rig: CallRig) -> None:
    rig.line.limits.refusal = Limited("Telegram asks to wait 30 s", 30)
    hangs_up_before(rig, f"POST /channels/{CHANNEL}/variable")
    async with told_of(rig) as (it, told):
        await it.dialled()
        await eventually(lambda: len(told.events) == 2)
    assert told.names == ["CallOffered", "CallEnded"]


async def test_a_call_that_is_over_before_it_is_handled() -> None:
    registry = CallRegistry()
    told = Told(registry)

    async def never() -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(PASSES_S), registry.admit(Direction.OUT, LINE, "@anna", 1) as call:
        call.end(outcome.by_administrator(call.direction, call.talking))
        await CallScope(call).run(never())
    assert told.names == ["CallOffered", "CallEnded"]
    assert told.events[0].destination == "@anna"


async def test_a_call_back_that_the_line_has_no_room_for() -> None:
    registry = CallRegistry()
    told = Told(registry)
    asked = CallBackRequested("+79990000002")
    with pytest.raises(LineFull):
        async with registry.admit(Direction.BACK, LINE, "20", 0, asked=asked):
            pass
    assert told.names == ["CallbackRequested", "CallOffered", "CallEnded", "CallbackEnded"]
    assert told.events[-1].status == "BUSY"


async def test_a_transferred_call_is_told_with_its_new_channel(rig: CallRig) -> None:
    """Which knows the call before anybody is told."""
    async with told_of(rig) as (it, told):
        await it.dialled()
        call = await it.talks()
        known: list[dict[str, str]] = []
        told.on_event = lambda: known.append(dict(rig.ari.variables["1700.5"]))
        await transferred(rig.ari, CHANNEL, "1700.5")
        await eventually(lambda: told.names[-1] == "CallTransferred")
        event = told.events[-1]
        assert (event.channel, event.uniqueid, event.linkedid) == ("Local/102@phones-1700.5;1", "1700.5", "1700.5")
        assert (known[0]["TELEGRAM_CALL"], known[0]["TELEGRAM_ID"]) == (call.id, str(ANNA))
        call.end(outcome.by_administrator(call.direction, call.talking))
        await it.over()
    assert told.names == ["CallOffered", "CallRinging", "CallAnswered", "CallTransferred", "CallEnded"]


async def test_draining() -> None:
    registry = CallRegistry()
    told = Told(registry)
    async with registry.admit(Direction.IN, LINE, "anna", 1) as call:
        registry.begin_drain()
        call.end(outcome.not_answered(1.0))
    registry.cancel_drain()
    drains = [each for each in told.events if each.event == "TelegramDrain"]
    assert [(each.state, each.calls) for each in drains] == [("begun", 1), ("empty", 0), ("cancelled", 0)]
    assert all(each.event_time for each in drains)
