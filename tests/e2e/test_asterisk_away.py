"""Asterisk goes away during calls: they end with their reason on Telegram, unless only ARI is away."""

import asyncio

import pytest

from ari_app.calls.call import Call
from ari_app.calls.events import AsteriskAwayWithAudio, CallEnded, CallEvent
from ari_app.calls.reasons import AsteriskAway, AudioLost
from ari_app.sandbox.processes import frozen
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import GONE_S, PERSON_HZ, PHONE_HZ, TALK_S, WEBSOCKET, Play, PlayMaker, heard, nothing_left_in
from tests.e2e.test_endings import reason
from tests.integration.ari_helpers import Proxy

AWAY_S = 1.5


async def happened(call: Call, event: CallEvent) -> None:
    """Wait for an event of a call."""
    async with asyncio.timeout(GONE_S):
        while event not in [each.event for each in call.events]:  # noqa: ASYNC110 - it has no event of its own
            await asyncio.sleep(0.05)


async def over(stage: Play) -> CallEvent:
    """How the last call ended."""
    await stage.call_over()
    return stage.calls[-1].events[-1].event


@pytest.mark.parametrize("transport", ["rtp", WEBSOCKET])
async def test_asterisk_is_killed_and_started_again(play: PlayMaker, transport: str) -> None:
    """Over RTP nothing else tells of it. Without the time to wait the next Asterisk tells that the call is gone.

    Over WebSocket the end of its socket tells of it at once.
    """
    async with (
        play(asterisk={"away_s": AWAY_S, "transport": transport}) as stage,
        stage.phone(auto_answer=True),
        stage.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await stage.talking()
        await stage.asterisk.kill()
        assert reason(await call.ended()) is DiscardReason.DISCONNECT
        ended = await over(stage)
        assert isinstance(ended, CallEnded)
        assert (ended.status, ended.cause) == ("ANSWER", 38)
        assert isinstance(ended.reason, AudioLost if transport == "websocket" else AsteriskAway)
        await stage.asterisk.start()
        await stage.app.ari.wait_connected()
        assert await nothing_left_in(stage.asterisk) == []


@pytest.mark.parametrize("transport", ["rtp", WEBSOCKET])
async def test_asterisk_hangs(play: PlayMaker, transport: str) -> None:
    """The person does not wait for it; the phone is hung up when it goes on."""
    async with (
        play(asterisk={"away_s": AWAY_S, "transport": transport}) as stage,
        stage.phone(auto_answer=True) as phone,
        stage.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await stage.talking()
        with frozen(stage.asterisk.pid):
            assert reason(await call.ended()) is DiscardReason.DISCONNECT
            assert await over(stage) == CallEnded("ANSWER", 38, AsteriskAway(AWAY_S))
        await phone.closed()
        assert await nothing_left_in(stage.asterisk) == []


async def test_only_ari_is_away(play: PlayMaker) -> None:
    """Who talks goes on talking; what rings ends, for nobody could tell of its answer."""
    async with (
        Proxy(0) as proxy,
        play(proxy=proxy, asterisk={"away_s": AWAY_S}) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        talking = await anna.call(LINE)
        await phone.incoming()
        await phone.answer()
        recording = stage.recording("anna")
        await talking.confirm(stage.tone("anna", PERSON_HZ), recording)
        await stage.talking()
        ringing = await boris.call(LINE)
        await phone.incoming()
        proxy.refusing = True
        proxy.cut()
        live = stage.calls[0]
        assert reason(await ringing.ended()) is DiscardReason.DISCONNECT
        await happened(live, AsteriskAwayWithAudio())
        await asyncio.sleep(TALK_S)
        assert live.ending is None
        proxy.refusing = False
        await stage.app.ari.wait_connected()
        await phone.closed()  # the one that rang
        await talking.hang_up()
        await phone.closed()
        await talking.close_audio()
        await stage.call_over()
        assert set(stage.outcomes()) == {"ANSWER", "ERROR"}
        heard(recording, PHONE_HZ)
        heard(phone.recordings[0], PERSON_HZ)


async def test_a_call_to_telegram_rings_without_asterisk(play: PlayMaker) -> None:
    async with (
        Proxy(0) as proxy,
        play(proxy=proxy, asterisk={"away_s": AWAY_S}) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
    ):
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await phone.wait_for("CALL_RINGING")
        proxy.refusing = True
        proxy.cut()
        assert reason(await call.ended()) is DiscardReason.DISCONNECT
        assert await over(stage) == CallEnded("ERROR", 38, AsteriskAway(AWAY_S))
        proxy.refusing = False
        assert (await phone.closed()).startswith("5")
