"""Channels that a real Asterisk moves between the applications of two machines."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from ari_app.app.dead_machines import DeadMachines
from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import reconcile
from ari_app.asterisk.errors import AriError
from ari_app.asterisk.events import STASIS_START, StasisStart
from ari_app.asterisk.legs import incoming_leg
from ari_app.calls.moving import application
from ari_app.sandbox.asterisk import PrivateAsterisk

from .ari_helpers import (
    APP,
    DIALPLAN,
    WAIT_S,
    Proxy,
    calls_telegram,
    connected,
    eventually,
    global_variable,
    nothing_is_left,
)

OTHER = application(APP, "pbx-2")


@pytest.fixture
def extra_dialplan() -> str:
    return DIALPLAN


async def arrived(subscription: Any) -> StasisStart:
    """The next channel that an application gets."""
    start = await subscription.next(STASIS_START)
    assert isinstance(start, StasisStart)
    return start


async def is_seen(asterisk: PrivateAsterisk, status: str) -> None:
    """Wait until the dialplan has gone on with it."""
    while await global_variable(asterisk, "SEEN") != status:  # noqa: ASYNC110 - what Asterisk does has no event
        await asyncio.sleep(0.01)


@pytest.mark.asterisk_16
async def test_a_channel_is_moved_with_its_arguments_and_goes_back_to_its_dialplan(asterisk: PrivateAsterisk) -> None:
    async with (
        asyncio.timeout(WAIT_S),
        connected(asterisk) as own,
        Proxy(asterisk.http_port) as proxy,
        connected(asterisk, proxy.ari_url, OTHER, moved_from=APP) as other,
        own.subscribe() as arrivals,
        other.subscribe() as moved,
    ):
        await calls_telegram(own)
        async with incoming_leg(own, await arrived(arrivals)) as leg:
            await leg.move(OTHER)
            start = await arrived(moved)
        assert start.args == ["+79990000001", "second argument"]
        async with incoming_leg(other, start) as leg:
            # After a reconnect it is looked for; Asterisk's snapshots have it where its dialplan has sent it.
            connects = other.connects
            proxy.cut()
            await eventually(lambda: other.connects > connects)
            await eventually(lambda: not other._to_look.is_set())
            await leg.answer()
            assert leg.hangup is None
            assert not await reconcile(other)
            await leg.continue_in_dialplan({"TELEGRAM_STATUS": "ANSWER", "TELEGRAM_CAUSE": "16"})
        await is_seen(asterisk, "ANSWER")
        await nothing_is_left(own)


@pytest.mark.asterisk_16
async def test_no_channel_is_moved_to_a_machine_that_is_not_there(asterisk: PrivateAsterisk) -> None:
    async with asyncio.timeout(WAIT_S), connected(asterisk) as own, own.subscribe() as arrivals:
        await calls_telegram(own)
        async with incoming_leg(own, await arrived(arrivals)) as leg:
            with pytest.raises(AriError):
                await leg.move(OTHER)
            assert leg.hangup is None
        await nothing_is_left(own)


@pytest.mark.asterisk_16
async def test_a_channel_of_a_machine_that_has_died_goes_back_to_its_dialplan(asterisk: PrivateAsterisk) -> None:
    async with asyncio.timeout(WAIT_S), connected(asterisk) as own, own.subscribe() as arrivals:

        def as_application(app: str) -> AriClient:
            return AriClient(asterisk.ari_url, asterisk.ari_user, asterisk.ari_password, app, moved_from=APP)

        dead = DeadMachines(own, as_application, cast(Any, None), "pbx-1", lambda: 0.0)
        assert not await dead.give_back("pbx-2")
        await calls_telegram(own)
        async with (
            incoming_leg(own, await arrived(arrivals)) as leg,
            connected(asterisk, app=OTHER, moved_from=APP) as other,
            other.subscribe() as moved,
        ):
            await leg.move(OTHER)
            await arrived(moved)
        removed = await dead.give_back("pbx-2")
        assert [each.id for each in removed.channels] == [leg.id]
        await is_seen(asterisk, "ERROR")
        assert not await dead.give_back("pbx-2")
        await nothing_is_left(own)
