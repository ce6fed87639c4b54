"""When a line leaves requests out, for how long, and what a restart makes of it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from telethon import errors
from telethon.tl import functions, types

from ari_app.store.limits import LimitRepository
from ari_app.store.store import Store, open_store
from ari_app.telegram.errors import Frozen, Limited
from ari_app.telegram.limits import CALL, FROZEN_S, Limits, LimitSettings, tl_name

LINE = "+79990000001"
RESOLVE = "contacts.resolvePhone"


class Clock:
    """A time that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "astergram.db") as opened:
        yield opened


def limits(store: Store, clock: Clock, line: str = LINE, **settings: Any) -> Limits:
    return Limits(line, LimitSettings(**settings), LimitRepository(store, line), clock)


def flood(seconds: int) -> errors.FloodWaitError:
    return errors.FloodWaitError(request=None, capture=seconds)


async def test_a_flood_wait_pauses_one_kind_of_request_on_one_line(store: Store, clock: Clock) -> None:
    async with limits(store, clock) as line, limits(store, clock, "+79990000009") as other:
        await line.learn(CALL, flood(60))
        with pytest.raises(Limited, match=r"phone\.requestCall for 90 s more: Telegram said FLOOD_WAIT_60") as limited:
            line.check()
        assert limited.value.seconds == 90
        assert line.pauses == {CALL: (90.0, "FLOOD_WAIT_60")}
        line.check(RESOLVE)
        other.check()
        clock.now += 89
        with pytest.raises(Limited):
            await line.admit(CALL)
        clock.now += 1
        line.check()
        assert line.pauses == {}


async def test_peer_flood_has_its_own_time(store: Store, clock: Clock) -> None:
    async with limits(store, clock, peer_flood_s=500.0) as line:
        await line.learn(CALL, errors.PeerFloodError(request=None))
        assert line.pauses == {CALL: (500.0, "PEER_FLOOD")}


async def test_other_errors_pause_nothing(store: Store, clock: Clock) -> None:
    async with limits(store, clock) as line:
        await line.learn(CALL, errors.UserPrivacyRestrictedError(request=None))
        await line.learn("messages.sendMessage", errors.SlowModeWaitError(request=None, capture=60))
        assert line.pauses == {}


async def test_a_frozen_account_is_not_asked_to_call_for_an_hour(store: Store, clock: Clock) -> None:
    async with limits(store, clock) as line:
        assert line.frozen == ""
        await line.learn("messages.sendMessage", errors.FrozenMethodInvalidError(request=None))
        assert line.frozen == "FROZEN_METHOD_INVALID"
        for request in (CALL, "messages.sendMessage"):
            with pytest.raises(Frozen, match="FROZEN_METHOD_INVALID"):
                await line.admit(request)
        line.check(RESOLVE)
        clock.now += FROZEN_S
        line.check()
        assert line.frozen == ""
    async with limits(store, clock) as line:
        await line.learn("phone.acceptCall", errors.RPCError(None, "FROZEN_SOMETHING_NEW", 420))
        assert list(line.pauses) == [CALL]  # the calls that are live go on


async def test_a_shorter_wait_does_not_cut_a_longer_one(store: Store, clock: Clock) -> None:
    async with limits(store, clock) as line:
        await line.learn(CALL, flood(600))
        await line.learn(CALL, flood(5))
        assert line.pauses == {CALL: (630.0, "FLOOD_WAIT_600")}
    async with limits(store, clock) as line:
        assert line.pauses == {CALL: (630.0, "FLOOD_WAIT_600")}


@pytest.mark.parametrize("request_name", ["phone.discardCall", "phone.sendSignalingData", "updates.getDifference"])
async def test_what_carries_on_a_call_is_never_held_back(store: Store, clock: Clock, request_name: str) -> None:
    async with limits(store, clock) as line:
        await line.learn(request_name, flood(60))
        await line.admit(request_name)
        assert line.pauses == {}


async def test_a_restart_keeps_what_is_not_over(store: Store, clock: Clock) -> None:
    async with limits(store, clock) as line:
        await line.learn(CALL, flood(60))
        await line.learn(RESOLVE, flood(10))
    clock.now += 50
    async with limits(store, clock) as line:
        assert line.pauses == {CALL: (40.0, "FLOOD_WAIT_60")}


async def test_the_log_tells_the_beginning_and_the_end(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ari_app.telegram.limits")
    async with limits(store, clock, flood_margin_s=0.01) as line:
        await line.learn(CALL, flood(0))
        async with asyncio.timeout(10):
            while len(caplog.messages) < 2:  # noqa: ASYNC110 - the log has no event
                await asyncio.sleep(0.01)
    assert caplog.messages == [
        f"line {LINE}: no phone.requestCall for 0 s: Telegram said FLOOD_WAIT_0",
        f"line {LINE}: phone.requestCall is no longer paused",
    ]


@pytest.mark.parametrize(
    ("setting", "window_s"), [("calls_per_minute", 60.0), ("calls_per_day", 86400.0)], ids=["minute", "day"]
)
async def test_so_many_calls_in_any_such_time(store: Store, clock: Clock, setting: str, window_s: float) -> None:
    async with limits(store, clock, LINE, **{setting: 2}) as line:
        await line.admit(CALL)
        clock.now += 10
        await line.admit(CALL)
        with pytest.raises(Limited, match=f"2 calls, as many as {setting} lets it") as limited:
            await line.admit(CALL)
        assert limited.value.seconds == window_s - 10
    async with limits(store, clock, LINE, **{setting: 2}) as line:
        with pytest.raises(Limited):
            line.check()
        clock.now += window_s - 10
        await line.admit(CALL)
        with pytest.raises(Limited):
            line.check()
        await line.admit(RESOLVE)


async def test_so_many_people_looked_up_in_any_minute(store: Store, clock: Clock) -> None:
    async with limits(store, clock, lookups_per_minute=2, calls_per_minute=1) as line:
        line.admit_lookup()
        clock.now += 10
        line.admit_lookup()
        with pytest.raises(Limited, match="looked 2 people up, as many as lookups_per_minute lets it") as limited:
            line.admit_lookup()
        assert limited.value.seconds == 50
        await line.admit(CALL)
        clock.now += 50
        line.admit_lookup()
        with pytest.raises(Limited):
            line.admit_lookup()
        line.settings = LimitSettings()
        line.admit_lookup()


async def test_two_calls_at_once_are_two(store: Store, clock: Clock) -> None:
    async with limits(store, clock, calls_per_minute=1) as line:
        results = await asyncio.gather(line.admit(CALL), line.admit(CALL), return_exceptions=True)
    assert [type(each) for each in results] == [type(None), Limited]


def test_names_are_telegrams_own() -> None:
    assert tl_name(functions.phone.RequestCallRequest(types.InputUserSelf(), b"", None)) == CALL
    assert tl_name(functions.contacts.ResolvePhoneRequest("1")) == RESOLVE
