"""Hold, park and pick up: what the person hears meanwhile, and that they talk afterwards."""

from ari_app.sandbox.asterisk import MUSIC_HZ
from ari_app.sandbox.stage import ANNA
from tests.e2e.conftest import PlayMaker
from tests.e2e.pbx import (
    DIALPLAN,
    LINES,
    PEOPLE_HZ,
    PHONES_HZ,
    answered,
    coming_in,
    hears,
    phone,
    talk_in,
    talk_out,
)

PICKUP = """
[phones]
exten => 800,1,Pickup(101@PICKUPMARK)
 same => n,Hangup(16)

[marked]
exten => _X.,1,Set(__PICKUPMARK=101)
 same => n,Dial(PJSIP/101,20)
 same => n,Hangup(19)
"""


async def test_a_person_on_hold_hears_music_and_then_the_phone_again(play: PlayMaker) -> None:
    async with play(dialplan=DIALPLAN, lines=LINES) as stage, phone(stage) as agent, stage.person(ANNA) as anna:
        talk = await talk_in(stage, anna, agent)
        await hears(talk, PHONES_HZ["101"])
        await agent.hold()
        await hears(talk, MUSIC_HZ)
        await agent.hold(False)
        await hears(talk, PHONES_HZ["101"])
        await hears(agent, PEOPLE_HZ[ANNA])
        await talk.ends()
        await agent.closed()


async def test_a_call_is_parked_and_taken_by_another_phone(play: PlayMaker) -> None:
    """By ## and the parking extension, in and out."""
    async with (
        play(dialplan=DIALPLAN, lines=LINES) as stage,
        phone(stage) as agent,
        phone(stage, "102") as other,
        stage.person(ANNA) as anna,
    ):
        for begin in talk_in, talk_out:
            talk = await begin(stage, anna, agent)
            await agent.transfer("700")
            await agent.closed()
            await hears(talk, MUSIC_HZ)
            await other.dial("701")
            await other.established()
            await hears(talk, PHONES_HZ["102"])
            await hears(other, PEOPLE_HZ[ANNA])
            await talk.ends()
            await other.closed()
            assert await stage.outcome() == "ANSWER"


async def test_a_ringing_call_is_picked_up(play: PlayMaker) -> None:
    async with (
        play(dialplan=DIALPLAN + PICKUP, lines=LINES) as stage,
        phone(stage) as agent,
        phone(stage, "102") as other,
        stage.person(ANNA) as anna,
    ):
        call = await coming_in(stage, anna, "marked")
        await agent.incoming()
        await other.dial("800")
        await other.established()
        await agent.closed()
        talk = await answered(stage, anna, call)
        await stage.talking()
        await hears(talk, PHONES_HZ["102"])
        await hears(other, PEOPLE_HZ[ANNA])
        await talk.ends()
        await other.closed()
