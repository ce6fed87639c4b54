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
    heard_last,
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
        await talk.listens()  # what the phone hears from now on has a file of its own
        await agent.hold()
        held = await talk.listens()
        await agent.hold(False)
        back = await talk.listens()
        await talk.ends()
        await agent.closed()
        talk.heard(held, MUSIC_HZ)
        talk.heard(back, PHONES_HZ["101"])
        heard_last(agent, PEOPLE_HZ[ANNA])


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
            parked = await talk.listens()
            await other.dial("701")
            await other.established()
            taken = await talk.listens()
            await talk.ends()
            await other.closed()
            talk.heard(parked, MUSIC_HZ)
            talk.heard(taken, PHONES_HZ["102"])
            heard_last(other, PEOPLE_HZ[ANNA])
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
        taken = await talk.listens()
        await talk.ends()
        await other.closed()
        talk.heard(taken, PHONES_HZ["102"])
        heard_last(other, PEOPLE_HZ[ANNA])
