"""Queue(): a person waits for an agent, and a person is an agent."""

from ari_app.sandbox.asterisk import MUSIC_HZ
from ari_app.sandbox.stage import ANNA, BORIS
from ari_app.sandbox.tones import write_tone
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

ANNOUNCEMENT_HZ = 550.0
QUEUES = """
[waits]
exten => _X.,1,Answer()
 same => n,Queue(announced,t,,,60)

[phones]
exten => 620,1,Queue(people,T,,,60)
 same => n,Hangup()
"""


async def test_a_person_waits_with_music_and_announcements(play: PlayMaker) -> None:
    async with (
        play(dialplan=DIALPLAN + QUEUES, lines=LINES) as stage,
        phone(stage) as agent,
        stage.person(ANNA) as anna,
    ):
        write_tone(stage.asterisk.run_dir / "announcement.wav", ANNOUNCEMENT_HZ, 2.0, rate=8000)
        talk = await answered(stage, anna, await coming_in(stage, anna, "waits"))
        await agent.incoming()
        await hears(talk, MUSIC_HZ)
        await hears(talk, ANNOUNCEMENT_HZ)
        await agent.closed()  # nobody is rung while it is played
        await agent.incoming()
        await agent.answer()
        await agent.established()
        await hears(talk, PHONES_HZ["101"])
        await hears(agent, PEOPLE_HZ[ANNA])
        await talk.ends()
        await agent.closed()


async def test_a_person_is_a_member(play: PlayMaker) -> None:
    """They decline, are called again, and talk with the phone that waits in the queue."""
    async with (
        play(dialplan=DIALPLAN + QUEUES, lines=LINES) as stage,
        phone(stage) as caller,
        stage.person(BORIS) as boris,
    ):
        await caller.dial("620")
        call = await boris.incoming()
        await call.ring()
        await call.hang_up()
        talk = await accepted(stage, boris)
        await caller.established()
        await stage.talking()
        await hears(talk, PHONES_HZ["101"])
        await hears(caller, PEOPLE_HZ[BORIS])
        await caller.hangup()
        await caller.closed()
        await talk.ends(hang_up=False)
