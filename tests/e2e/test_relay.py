"""Media through a TURN relay, where Telegram does not allow the two to connect directly."""

import asyncio

import pytest
from telethon.tl.types import PhoneConnectionWebrtc

from ari_app.sandbox.stage import ANNA, LINE
from ari_app.sandbox.turn import PrivateTurn
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import PERSON_HZ, PHONE_HZ, TALK_S, WEBSOCKET, Play, PlayMaker, heard
from tests.e2e.pbx import Talk, hears


def only_through(play: Play, turn: PrivateTurn) -> None:
    """Let Telegram name this relay, and forbid peer-to-peer."""
    play.telegram.p2p_allowed = False
    play.telegram.connections = [
        PhoneConnectionWebrtc(
            id=1, ip=turn.host, ipv6="", port=turn.port, username=turn.user, password=turn.password, turn=True
        )
    ]


@pytest.mark.parametrize("transport", ["rtp", WEBSOCKET])
async def test_audio_crosses_the_relay(play: PlayMaker, transport: str) -> None:
    async with (
        PrivateTurn() as turn,
        play(asterisk={"transport": transport}) as stage,
        stage.phone(auto_answer=True) as phone,
        stage.person(ANNA) as anna,
    ):
        only_through(stage, turn)
        call = await anna.call(LINE)
        recording = stage.recording("anna")
        await call.confirm(stage.tone("anna", PERSON_HZ), recording)
        await phone.established()
        await hears(Talk(call, recording), PHONE_HZ)
        await hears(phone, PERSON_HZ)
        await asyncio.sleep(TALK_S)
        await call.hang_up()
        await phone.closed()
        await call.close_audio()
        heard(recording, PHONE_HZ)
        heard(phone.recordings[-1], PERSON_HZ)
        assert "ALLOCATE processed, success" in turn.log.read_text()  # and so it was not a direct connection


async def test_the_relay_is_away(play: PlayMaker) -> None:
    async with PrivateTurn() as turn:
        pass
    async with (
        play(calls={"connect_s": 1.5}) as stage,
        stage.phone(auto_answer=True) as phone,
        stage.person(ANNA) as anna,
    ):
        only_through(stage, turn)
        call = await anna.call(LINE)
        await call.confirm(None, None, connect=False)
        ended = await call.ended()
        assert DiscardReason(type(ended.reason)) is DiscardReason.DISCONNECT
        await phone.closed()
        assert await stage.outcome() == "ERROR"
