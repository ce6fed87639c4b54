"""A leg whose channel is transferred goes on with the channel in its place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ari_app.asterisk.errors import LegEnded
from ari_app.asterisk.events import STASIS_START, Arrival
from ari_app.calls.desk import Desk
from ari_app.calls.exchange import Exchange
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
        names: list[str] = []
        leg.on_transfer = names.append
        await transferred(fake, leg.id, "1700.5")
        await eventually(lambda: leg.id == "1700.5")
        assert names == ["Local/102@phones-1700.5;1"]
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
        await eventually(lambda: not fake.channels)
        assert not client.events.known


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
        arrival = await its.next(STASIS_START)
        assert isinstance(arrival, Arrival)
        assert arrival.replaces == "1700.1"


async def test_a_transfer_to_a_call_that_is_over_is_hung_up() -> None:
    """In the dialplan it would call whom it was transferred to, for nobody."""
    unused: Any = None
    desk = Desk()
    async with fake_ari() as fake, connected(fake) as client, guarded_tasks() as tasks, asyncio.timeout(WAIT_S):
        exchange = Exchange(lambda: [], desk, client, unused, unused, unused, 90.0, tasks)
        async with client.subscribe() as its:
            await transferred(fake, "1700.1", "1700.5")
            arrival = await its.next(STASIS_START)
            assert isinstance(arrival, Arrival)
            exchange.arrived(arrival)
            await eventually(lambda: not fake.channels)
        assert fake.asked("POST /channels/1700.5/continue") == 0
        assert not desk.counted
