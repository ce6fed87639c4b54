"""Several people of Telegram in one call of the PBX."""

from ari_app.sandbox.stage import ANNA, BORIS
from tests.e2e.conftest import PlayMaker
from tests.e2e.pbx import (
    DIALPLAN,
    LINES,
    PEOPLE_HZ,
    PHONES_HZ,
    accepted,
    answered,
    coming_in,
    hears,
    phone,
)

CONFERENCE = """
[confers]
exten => _X.,1,Answer()
 same => n,ConfBridge(room,default_bridge,quiet)

[phones]
exten => 610,1,Goto(confers,${EXTEN},1)
"""
PASSED_ON = """
[passes]
exten => _X.,1,Dial(Local/+79990000003@to-telegram/n,30)
 same => n,Hangup(${HANGUPCAUSE})
"""


async def test_two_people_and_a_phone_in_a_conference(play: PlayMaker) -> None:
    async with (
        play(dialplan=DIALPLAN + CONFERENCE, lines=LINES) as stage,
        phone(stage) as agent,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        await agent.dial("610")
        await agent.established()
        annas = await answered(stage, anna, await coming_in(stage, anna, "confers"))
        boriss = await answered(stage, boris, await coming_in(stage, boris, "confers"))
        await stage.talking()
        await hears(annas, PEOPLE_HZ[BORIS], PHONES_HZ["101"])
        await hears(boriss, PEOPLE_HZ[ANNA], PHONES_HZ["101"])
        await hears(agent, PEOPLE_HZ[ANNA], PEOPLE_HZ[BORIS])
        await agent.hangup()
        await agent.closed()
        await annas.ends()
        await boriss.ends()


async def test_a_person_is_passed_on_to_another_one(play: PlayMaker) -> None:
    """Telegram, the PBX, and Telegram again; the caller's Telegram is answered when the second person answers."""
    async with (
        play(dialplan=DIALPLAN + PASSED_ON, lines=LINES) as stage,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        call = await coming_in(stage, anna, "passes")
        boriss = await accepted(stage, boris)
        annas = await answered(stage, anna, call)
        await stage.talking()
        await hears(annas, PEOPLE_HZ[BORIS])
        await hears(boriss, PEOPLE_HZ[ANNA])
        await annas.ends()
        await boriss.ends(hang_up=False)
        await stage.call_over()
        assert stage.outcomes() == ["ANSWER"] * 2
