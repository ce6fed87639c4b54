"""Media through a TURN relay, where Telegram does not allow the two to connect directly."""

import asyncio
import re

import pytest
from telethon.tl.types import PhoneConnectionWebrtc

from ari_app.doctor import Grade
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


@pytest.mark.parametrize("secret", ["", "shared-secret"], ids=["password", "secret"])
async def test_only_ones_own_relay(play: PlayMaker, secret: str) -> None:
    async with PrivateTurn(secret=secret) as turn, PrivateTurn() as theirs:
        media = {"turn_server": f"localhost:{turn.port}", "turn_user": turn.user, "turn_use": "only"}
        login = {"turn_secret": secret} if secret else {"turn_password": turn.password}
        async with (
            play(media=media | login) as stage,
            stage.phone(auto_answer=True) as phone,
            stage.person(ANNA) as anna,
        ):
            only_through(stage, theirs)
            found = await stage.app.services.doctor.examine()
            assert [each.grade for each in found if str(turn.port) in str(each.sentence)] == [Grade.OK]
            call = await anna.call(LINE)
            recording = stage.recording("anna")
            await call.confirm(stage.tone("anna", PERSON_HZ), recording)
            await phone.established()
            await asyncio.sleep(TALK_S)
            await call.hang_up()
            await phone.closed()
            await call.close_audio()
            heard(recording, PHONE_HZ)
            heard(phone.recordings[-1], PERSON_HZ)
        log = turn.log.read_text()
        assert log.count("ALLOCATE processed, success") >= 2  # the doctor's, and the call's
        assert re.search(r"usage: .*rp=[1-9]\d\d", log)  # hundreds of packets: the whole call went through it


async def test_the_doctor_says_what_is_wrong_with_it(play: PlayMaker) -> None:
    async with PrivateTurn() as turn, play(media={"turn_server": f"127.0.0.1:{turn.port}"}) as stage:

        async def finding(**changes: str | None) -> str:
            await stage.app.services.installation.change(changes)
            found = await stage.app.services.doctor.examine()
            (only,) = [each for each in found if "TURN server" in str(each.sentence)]
            assert only.grade is Grade.PROBLEM
            return str(only.sentence)

        assert "refuses the login" in await finding(turn_user=turn.user, turn_password="wrong")
        assert "refuses the login" in await finding(turn_secret="of another server")
        login = {"turn_password": "wrong", "turn_secret": "of another server"}
        assert "gives no relay" in await finding(turn_server="127.0.0.1:9", **login)


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
