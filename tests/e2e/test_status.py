"""The lights of a line tell the truth, a few seconds after it has changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ari_app.lines.health import Colour, StatusLight
from ari_app.sandbox.processes import frozen
from ari_app.sandbox.stage import ANNA, LINE
from ari_app.sandbox.telegram import Timers
from tests.e2e.conftest import Play, PlayMaker

SEEN_S = 30.0  # a hung Asterisk misses a ping after 15
"""The aim is 5 s, which `scripts/bench` measures; a busy machine may take longer."""


async def until(stage: Play, name: str, colour: Colour) -> StatusLight:
    """Wait for a light of the line."""
    with stage.app.services.bus.subscribe() as events:
        async with asyncio.timeout(SEEN_S):
            while (
                light := getattr(stage.app.services.statuses.status(stage.app.lines.line(LINE)), name)
            ).colour is not colour:
                await events.get()
    assert isinstance(light, StatusLight)
    return light


@asynccontextmanager
async def silent(stage: Play) -> AsyncIterator[None]:
    with stage.telegram.silent():
        yield


async def test_all_is_well(play: PlayMaker) -> None:
    async with play() as stage:
        lights = stage.app.services.statuses.status(stage.app.lines.line(LINE))
        assert (lights.asterisk.colour, lights.account.colour) == (Colour.GREEN, Colour.GREEN)
        assert str(lights.account.sentence) == "Connected to Telegram."


async def test_asterisk_hangs_and_comes_back(play: PlayMaker) -> None:
    async with play() as stage:
        with frozen(stage.asterisk.pid):
            light = await until(stage, "asterisk", Colour.ORANGE)
            assert "Asterisk" in str(light.sentence)
            assert light.since > 0
        await until(stage, "asterisk", Colour.GREEN)


@pytest.mark.parametrize("fault", ["away", "silent"])
async def test_telegram_is_gone_and_comes_back_without_ending_a_call(play: PlayMaker, fault: str) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await call.accept(None, None)
        await stage.talking()
        async with stage.telegram.away() if fault == "away" else silent(stage):
            light = await until(stage, "account", Colour.ORANGE)
            assert "Telegram does not answer" in str(light.sentence)
        await until(stage, "account", Colour.GREEN)
        assert stage.calls[-1].ending is None
        await call.hang_up()
        assert await stage.outcome() == "ANSWER"


async def test_the_session_is_revoked(play: PlayMaker) -> None:
    async with play() as stage:
        stage.telegram.revoke_sessions(LINE)
        light = await until(stage, "account", Colour.RED)
        assert "sign this line in" in str(light.sentence)


async def test_the_session_ends_during_a_call(play: PlayMaker) -> None:
    """Telegram says so in answer to the next request only, and leaves the connection open."""
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await call.accept(None, None)
        await stage.talking()
        stage.telegram.revoke_sessions(LINE, "AUTH_KEY_DUPLICATED", told=False)
        light = await until(stage, "account", Colour.RED)
        assert "from two places at once" in str(light.sentence)
        assert await stage.outcome() == "ANSWER"
        await phone.closed()
        await call.hang_up()  # as the person's app does once it hears nothing: nobody could tell it


async def test_the_account_is_frozen(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone:
        stage.telegram.refuse("phone.requestCall", "FROZEN_METHOD_INVALID", phone=LINE)
        await phone.dial(ANNA)
        assert (await phone.closed()).startswith("403")
        assert await stage.outcome() == "RESTRICTED"
        light = await until(stage, "account", Colour.RED)
        assert "frozen this account (FROZEN_METHOD_INVALID)" in str(light.sentence)


async def test_the_account_is_limited(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone:
        stage.telegram.refuse("phone.requestCall", "PEER_FLOOD", phone=LINE)
        await phone.dial(ANNA)
        await phone.closed()
        light = await until(stage, "account", Colour.ORANGE)
        assert "1440 min" in str(light.sentence)
        assert "PEER_FLOOD" in str(light.sentence)


async def test_what_became_of_a_call_meanwhile_is_learnt_when_telegram_is_back(play: PlayMaker) -> None:
    async with play(timers=Timers(ring_s=4.0)) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        async with stage.telegram.away():
            await until(stage, "account", Colour.ORANGE)
            async with asyncio.timeout(SEEN_S):
                while stage.telegram.calls[-1].reason is None:  # noqa: ASYNC110 - the server's timer has no event for us
                    await asyncio.sleep(0.1)
            assert stage.calls[-1].ending is None
        assert (await phone.closed()).startswith("480")
        assert await stage.outcome() == "NOANSWER"
