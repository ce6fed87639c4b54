"""A call that is asked for rings a phone by its endpoint, past the dialplan, or by its extension alone."""

import asyncio

import pytest

from ari_app.sandbox.stage import ANNA, LINE
from ari_app.sandbox.tones import measure
from ari_app.telegram.phone import DiscardReason
from ari_app.telegram.profile import Target
from tests.e2e.conftest import HZ_TOLERANCE, PERSON_HZ, PHONE_HZ, TALK_S, Play, PlayMaker, heard
from tests.e2e.test_cdr import SETTINGS, cdr, has, is_billed

WITH_CARD = {**SETTINGS, "card": {"callback": "605@phones"}}


async def placed(stage: Play, phone: str) -> str:
    """The call's id."""
    return await stage.app.services.placer.place(None, ANNA, Target(phone))


@pytest.mark.parametrize("codec", ["opus", "alaw"])
async def test_an_endpoint_rings_and_both_hear_each_other(play: PlayMaker, codec: str) -> None:
    """Whatever codec it speaks; its own row in the CDR tells of the call."""
    async with (
        play(lines=[SETTINGS]) as stage,
        stage.phone("101", codec=codec) as phone,
        stage.person(ANNA) as anna,
    ):
        anna_id = str(stage.telegram.user(ANNA).id)
        id = await placed(stage, "PJSIP/101")
        assert anna_id in (await phone.incoming()).peer
        await phone.answer()
        call = await anna.incoming()
        await call.ring()
        await call.accept(stage.tone("anna", PERSON_HZ), stage.recording("anna"))
        await stage.talking()
        await asyncio.sleep(TALK_S)
        await phone.hangup()
        await phone.closed()
        await call.ended()
        await call.close_audio()
        assert await stage.outcome() == "ANSWER"
        heard(stage.recording("anna"), PHONE_HZ)
        assert abs(measure(phone.recordings[-1]).hz - PERSON_HZ) < HZ_TOLERANCE
        assert [str(each.event) for each in stage.calls[-1].events if "PJSIP/101" in str(each.event)] == [
            "Ringing PJSIP/101",
            "PJSIP/101 answered",
        ]
        [row] = await cdr(stage)
        is_billed(stage, row)
        has(row, telegram_direction="back", telegram_line=LINE, telegram_id=anna_id, telegram_call=id)
        assert row["channel"].startswith("PJSIP/101-")


async def test_a_phone_alone_rings_in_the_context_of_call_backs(play: PlayMaker) -> None:
    async with (
        play(lines=[WITH_CARD]) as stage,
        stage.phone("101", auto_answer=True) as phone,
        stage.person(ANNA) as anna,
    ):
        await placed(stage, "101")
        call = await anna.incoming()
        await call.ring()
        await call.hang_up(DiscardReason.BUSY)
        await phone.closed()
        assert await stage.outcome() == "BUSY"
        assert "Ringing 101@phones" in [str(each.event) for each in stage.calls[-1].events]


async def test_a_phone_that_declines_and_one_that_is_not_there(play: PlayMaker) -> None:
    """Nobody's Telegram rings."""
    async with play(lines=[SETTINGS]) as stage, stage.phone("101") as phone, stage.person(ANNA) as anna:
        await placed(stage, "PJSIP/101")
        await phone.incoming()
        await phone.hangup()
        assert await stage.outcome() == "BUSY"
        for nobody in ("PJSIP/102", "PJSIP/nobody"):  # not registered, and no endpoint at all
            await placed(stage, nobody)
            assert await stage.outcome() in ("UNAVAILABLE", "ERROR"), stage.calls[-1].events
        assert not anna.calls
