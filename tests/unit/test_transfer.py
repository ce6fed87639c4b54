"""A leg whose channel is transferred goes on with the channel in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ari_app.asterisk.errors import LegEnded
from ari_app.asterisk.events import STASIS_START, StasisStart
from ari_app.asterisk.legs import IncomingLeg
from ari_app.calls.dispatcher import CallDispatcher
from ari_app.calls.registry import CallRegistry
from ari_app.calls.resources import CallResources
from ari_app.cluster.claims import OnlyMachine
from ari_app.tasks import guarded_tasks

from .fake_ari import PHONE, WAIT_S, FakeAri, answered, connected, eventually, fake_ari, incoming, transferred


async def ended(fake: FakeAri, channel_id: str, cause: int) -> None:
    channel = fake.channels.pop(channel_id)
    fake.subscribed.discard(channel_id)
    await fake.event("StasisEnd", channel=channel)
    await fake.event("ChannelDestroyed", channel=channel, cause=cause)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ari_app.asterisk.ari.TRANSFERRER_LEAVES_S", 0.05)


async def test_keys_and_the_end_are_those_of_the_new_channel() -> None:
    async with fake_ari() as fake, connected(fake) as client, incoming(fake, client) as leg:
        await transferred(fake, leg.id, "1700.5")
        assert (await leg.transferred()).name == "Local/102@phones-1700.5;1"
        assert leg.id == "1700.5"
        await ended(fake, str(PHONE["id"]), 16)
        await leg.press("5")
        assert fake.asked("POST /channels/1700.5/dtmf") == 1
        assert leg.hangup is None
        await ended(fake, "1700.5", 19)
        assert (await leg.hung_up()).cause == 19
        with pytest.raises(LegEnded):
            await leg.press("6")


async def test_a_dialplan_leg_is_transferred_and_its_cause_is_the_new_ones() -> None:
    async with fake_ari() as fake, connected(fake) as client, answered(fake, client) as leg:
        old = leg.id
        await transferred(fake, old, "1700.5")
        await ended(fake, old, 16)
        await eventually(lambda: leg.id == "1700.5")
        await ended(fake, "1700.5", 19)
        async with asyncio.timeout(WAIT_S):
            assert (await leg.hung_up()).cause == 19


async def test_it_may_be_transferred_again() -> None:
    async with fake_ari() as fake, connected(fake) as client, answered(fake, client) as leg:
        await transferred(fake, leg.id, "1700.5")
        await transferred(fake, "1700.5", "1700.7")
        await eventually(lambda: leg.id == "1700.7")
        await eventually(lambda: set(fake.channels) == {"1700.7"})  # who was transferred away is hung up
        assert leg.hangup is None


async def test_leaving_hangs_up_the_new_channel_and_both_are_gone() -> None:
    async with fake_ari() as fake, connected(fake) as client:
        async with answered(fake, client) as leg:
            await transferred(fake, leg.id, "1700.5")
            await eventually(lambda: leg.id == "1700.5")
        await eventually(lambda: not fake.channels and not client.events.known)


async def test_a_phone_that_leaves_by_itself_is_not_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a SIP REFER the phone is told how it went, and hangs up."""
    monkeypatch.setattr("ari_app.asterisk.ari.TRANSFERRER_LEAVES_S", WAIT_S)
    async with fake_ari() as fake, connected(fake) as client:
        async with answered(fake, client) as leg:
            old = leg.id
            await transferred(fake, old, "1700.5")
            await eventually(lambda: old in client.events.known)
            await ended(fake, old, 16)
            await eventually(lambda: old not in client.events.known)
        assert fake.asked(f"DELETE /channels/{old}") == 0


async def test_a_transfer_while_the_leg_is_closed_leaves_nothing() -> None:
    async with fake_ari() as fake, connected(fake) as client:
        async with answered(fake, client) as leg:
            old = leg.id

            async def transfer(request: str) -> None:
                if request == f"DELETE /channels/{old}" and leg.id == old:
                    await transferred(fake, old, "1700.5")
                    await eventually(lambda: leg.id == "1700.5")

            fake.before = transfer
        await eventually(lambda: not fake.channels)


REQUESTS: dict[str, Callable[[IncomingLeg], Awaitable[None]]] = {
    "POST /channels/{}/dtmf": lambda leg: leg.press("1"),
    "POST /channels/{}/variable": lambda leg: leg.set_variable("TELEGRAM_STATUS", "ANSWER"),
    "POST /channels/{}/continue": lambda leg: leg.continue_in_dialplan(),
}


@pytest.mark.parametrize("late", [False, True], ids=["told before the answer", "told after it"])
@pytest.mark.parametrize("status", [404, 409], ids=["gone", "not in Stasis any more"])
@pytest.mark.parametrize("request_text", REQUESTS)
async def test_a_request_that_comes_too_late_for_the_old_channel_goes_to_the_new_one(
    request_text: str, status: int, late: bool
) -> None:
    """The call would be taken for one that the phone has ended, and the new channel forgotten."""
    async with fake_ari() as fake, connected(fake) as client, incoming(fake, client) as leg, guarded_tasks() as tasks:
        old = leg.id

        async def transfer() -> None:
            await transferred(fake, old, "1700.5")
            await ended(fake, old, 16)

        async def before(request: str) -> None:
            if request != request_text.format(old):
                return
            if late:
                tasks.spawn(transfer_later(), "transfer")
            else:
                await transfer()
                await eventually(lambda: leg.id == "1700.5")

        async def transfer_later() -> None:
            await asyncio.sleep(0.05)
            await transfer()

        def refuse(request: str) -> int | None:
            return status if request == request_text.format(old) else None

        fake.before, fake.refuse, fake.refusal = before, refuse, "Channel not found"
        async with asyncio.timeout(WAIT_S):
            await REQUESTS[request_text](leg)
        assert leg.id == "1700.5"
        assert leg.hangup is None
        assert fake.asked(request_text.format("1700.5")) == 1


async def test_a_request_for_a_channel_that_is_gone_has_the_reason_that_is_told_after_it() -> None:
    async with fake_ari() as fake, connected(fake) as client, answered(fake, client) as leg, guarded_tasks() as tasks:

        async def tell() -> None:
            await asyncio.sleep(0.05)
            await ended(fake, leg.id, 17)

        fake.refuse, fake.refusal = lambda request: 404 if request.endswith("/dtmf") else None, "Channel not found"
        tasks.spawn(tell(), "the end")
        with pytest.raises(LegEnded) as caught:
            await leg.press("1")
        assert caught.value.hangup.cause == 17


async def test_it_goes_back_to_the_dialplan_where_the_first_channel_came_from() -> None:
    """Left to itself it would be at the extension that it was transferred to, and call it once more."""
    async with fake_ari() as fake, connected(fake) as client, incoming(fake, client) as leg:
        await transferred(fake, leg.id, "1700.5")
        await eventually(lambda: leg.id == "1700.5")
        await leg.continue_in_dialplan({"TELEGRAM_STATUS": "ANSWER"})
        assert fake.asked("POST /channels/1700.5/variable") == 1
        assert fake.queries["POST /channels/1700.5/continue"] == {
            "context": "phones",
            "extension": "+79990000002",
            "priority": "3",
        }


async def test_it_goes_back_after_its_stasis_line_where_it_was_not_transferred() -> None:
    async with fake_ari() as fake, connected(fake) as client, incoming(fake, client) as leg:
        await leg.continue_in_dialplan({})
        assert fake.queries[f"POST /channels/{leg.id}/continue"] == {}


async def test_a_transfer_to_a_call_that_is_over_is_told_as_one() -> None:
    async with fake_ari() as fake, connected(fake) as client, client.subscribe() as its, asyncio.timeout(WAIT_S):
        await transferred(fake, "1700.1", "1700.5")
        start = await its.next(STASIS_START)
        assert isinstance(start, StasisStart)
        assert start.replaces == "1700.1"


async def test_a_transfer_to_a_call_that_is_over_is_hung_up() -> None:
    """In the dialplan it would call whom it was transferred to, for nobody."""
    unused: Any = None
    registry = CallRegistry()
    async with fake_ari() as fake, connected(fake) as client, guarded_tasks() as tasks, asyncio.timeout(WAIT_S):
        dispatcher = CallDispatcher(
            {}, registry, CallResources(client, unused, 90.0), unused, unused, tasks, OnlyMachine()
        )
        async with client.subscribe() as its:
            await transferred(fake, "1700.1", "1700.5")
            start = await its.next(STASIS_START)
            assert isinstance(start, StasisStart)
            dispatcher.on_channel(start)
            await eventually(lambda: not fake.channels)
        assert fake.asked("POST /channels/1700.5/continue") == 0
        assert not registry.counted
