"""Each side says its own tone and hears the other's."""

import asyncio

import pytest

from ari_app.sandbox.stage import ANNA, LINE
from tests.e2e.conftest import PERSON_HZ, PHONE_HZ, TALK_S, WEBSOCKET, PlayMaker, heard

pytestmark = pytest.mark.asterisk_16

TRANSPORTS = pytest.mark.parametrize("transport", ["rtp", WEBSOCKET])
CODECS = pytest.mark.parametrize("codec", ["opus", "alaw"])


@TRANSPORTS
@CODECS
async def test_a_person_calls_and_the_phone_answers(play: PlayMaker, transport: str, codec: str) -> None:
    async with (
        play(asterisk={"transport": transport}) as stage,
        stage.phone(codec=codec) as phone,
        stage.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        await call.rings()
        await phone.incoming()
        await phone.answer()
        recording = stage.recording("anna")
        await call.confirm(stage.tone("anna", PERSON_HZ), recording)
        await asyncio.sleep(TALK_S)
        await call.hang_up(duration_s=int(TALK_S))
        await phone.closed()
        await call.close_audio()
        heard(recording, PHONE_HZ)
        heard(phone.recordings[-1], PERSON_HZ)


@TRANSPORTS
@CODECS
async def test_a_phone_calls_and_the_person_answers(play: PlayMaker, transport: str, codec: str) -> None:
    async with (
        play(asterisk={"transport": transport}) as stage,
        stage.phone(codec=codec) as phone,
        stage.person(ANNA) as anna,
    ):
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await phone.wait_for("CALL_RINGING")
        recording = stage.recording("anna")
        await call.accept(stage.tone("anna", PERSON_HZ), recording)
        await phone.established()
        await asyncio.sleep(TALK_S)
        await phone.hangup()
        ended = await call.ended()
        await call.close_audio()
        assert type(ended.reason).__name__ == "PhoneCallDiscardReasonHangup"
        assert ended.duration in range(int(TALK_S) - 1, int(TALK_S) + 2)
        heard(recording, PHONE_HZ)
        heard(phone.recordings[-1], PERSON_HZ)
