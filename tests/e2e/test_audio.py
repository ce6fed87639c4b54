"""Each side says its own tone and hears the other's."""

import asyncio
import time

import pytest

from ari_app.calls import outcome
from ari_app.calls.events import Bridged
from ari_app.calls.reasons import NoCodec
from ari_app.sandbox.person import Person
from ari_app.sandbox.sip_phone import Codec, SipPhone
from ari_app.sandbox.stage import ANNA, LINE
from tests.e2e.conftest import PERSON_HZ, PHONE_HZ, TALK_S, WEBSOCKET, Play, PlayMaker, heard
from tests.e2e.pbx import Talk, hears

TRANSPORTS = pytest.mark.parametrize("transport", ["rtp", WEBSOCKET])
CODECS = pytest.mark.parametrize("codec", ["opus", "alaw"])
NO_OPUS = ("codec_opus", "format_ogg_opus")
NO_G722 = (*NO_OPUS, "codec_g722")
NOTHING = (*NO_G722, "codec_alaw")


async def _they_talk(talk: Talk, phone: SipPhone) -> None:
    """For a while from when each hears the other: on a busy machine that comes later than the answer."""
    await hears(talk, PHONE_HZ)
    await hears(phone, PERSON_HZ)
    await asyncio.sleep(TALK_S)


async def _a_person_calls(stage: Play, phone: SipPhone, anna: Person) -> None:
    call = await anna.call(LINE)
    await call.rings()
    await phone.incoming()
    await phone.answer()
    recording = stage.recording("anna-calls")
    await call.confirm(stage.tone("anna", PERSON_HZ), recording)
    await _they_talk(Talk(call, recording), phone)
    await call.hang_up(duration_s=int(TALK_S))
    await phone.closed()
    await call.close_audio()
    heard(recording, PHONE_HZ)
    heard(phone.recordings[-1], PERSON_HZ)


async def _a_phone_calls(stage: Play, phone: SipPhone, anna: Person) -> None:
    await phone.dial(ANNA)
    call = await anna.incoming()
    await call.ring()
    await phone.wait_for("CALL_RINGING")
    recording = stage.recording("anna-called")
    accepted_at = time.monotonic()
    await call.accept(stage.tone("anna", PERSON_HZ), recording)
    await phone.established()
    await _they_talk(Talk(call, recording), phone)
    await phone.hangup()
    ended = await call.ended()
    await call.close_audio()
    assert type(ended.reason).__name__ == "PhoneCallDiscardReasonHangup"
    assert int(TALK_S) <= ended.duration <= time.monotonic() - accepted_at
    heard(recording, PHONE_HZ)
    heard(phone.recordings[-1], PERSON_HZ)


@pytest.mark.asterisk_16
@TRANSPORTS
@CODECS
async def test_a_person_calls_and_the_phone_answers(play: PlayMaker, transport: str, codec: Codec) -> None:
    async with (
        play(asterisk={"transport": transport}) as stage,
        stage.phone(codec=codec) as phone,
        stage.person(ANNA) as anna,
    ):
        await _a_person_calls(stage, phone, anna)


@pytest.mark.asterisk_16
@TRANSPORTS
@CODECS
async def test_a_phone_calls_and_the_person_answers(play: PlayMaker, transport: str, codec: Codec) -> None:
    async with (
        play(asterisk={"transport": transport}) as stage,
        stage.phone(codec=codec) as phone,
        stage.person(ANNA) as anna,
    ):
        await _a_phone_calls(stage, phone, anna)


@pytest.mark.asterisk_16
@TRANSPORTS
@pytest.mark.parametrize(
    ("without", "codec", "carried"),
    [(NO_OPUS, "alaw", "g722"), (NO_G722, "alaw", "alaw")],
    ids=["g722", "alaw"],
)
async def test_an_asterisk_without_an_opus_codec(
    play: PlayMaker, transport: str, without: tuple[str, ...], codec: Codec, carried: str
) -> None:
    async with (
        play(asterisk={"transport": transport}, without=without) as stage,
        stage.phone(codec=codec) as phone,
        stage.person(ANNA) as anna,
    ):
        await _a_person_calls(stage, phone, anna)
        await _a_phone_calls(stage, phone, anna)
        bridged = [each.event for call in stage.calls for each in call.events if isinstance(each.event, Bridged)]
        assert bridged == [Bridged(transport, carried, carried)] * 2


@TRANSPORTS
async def test_a_phone_whose_codec_asterisk_cannot_translate(
    play: PlayMaker, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It speaks Opus only: the person is told, and it is not answered into silence."""
    async with (
        play(asterisk={"transport": transport}, without=NO_OPUS) as stage,
        stage.phone(codec="opus") as phone,
        stage.person(ANNA) as anna,
    ):
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await phone.wait_for("CALL_RINGING")
        await call.accept_without_media()
        assert type((await call.ended()).reason).__name__ == "PhoneCallDiscardReasonDisconnect"
        assert (await phone.closed()).startswith("488")
        assert await stage.outcome() == "ERROR"
        assert stage.calls[-1].ending == outcome.not_translated("g722", talking=False)
    assert any(record.levelname == "ERROR" and "can't translate" in record.getMessage() for record in caplog.records)


async def test_an_asterisk_with_no_codec_at_all(play: PlayMaker, caplog: pytest.LogCaptureFixture) -> None:
    """Both sides are refused before anybody rings."""
    async with (
        play(without=NOTHING) as stage,
        stage.phone(codec="ulaw") as phone,
        stage.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        assert type((await call.ended()).reason).__name__ == "PhoneCallDiscardReasonDisconnect"
        await phone.dial(ANNA)
        assert (await phone.closed()).startswith("488")
        await stage.call_over()
        assert [call.ending and call.ending.reason for call in stage.calls] == [NoCodec()] * 2
        assert stage.outcomes() == ["ERROR"] * 2
        assert not any(event.type == "CALL_INCOMING" for event in phone.events)
    refused = [record for record in caplog.records if record.levelname == "ERROR" and "refused" in record.getMessage()]
    assert len(refused) == 3  # one tells of Asterisk, and one of each call
