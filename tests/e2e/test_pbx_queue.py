"""Queue(): a person waits for an agent, and a person is an agent."""

import asyncio

from ari_app.sandbox.asterisk import MUSIC_HZ
from ari_app.sandbox.stage import ANNA, BORIS
from ari_app.sandbox.tones import write_tone
from tests.e2e.conftest import Play, PlayMaker
from tests.e2e.pbx import (
    DIALPLAN,
    LINES,
    PATIENCE_S,
    PEOPLE_HZ,
    PHONES_HZ,
    accepted,
    answered,
    coming_in,
    heard_last,
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


async def announced(stage: Play) -> None:
    """Wait until the announcement is played; the agents are not rung meanwhile."""
    async with asyncio.timeout(PATIENCE_S):
        while "periodic announcement" not in stage.asterisk.log.read_text():  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.1)


async def test_a_person_waits_with_music_and_announcements(play: PlayMaker) -> None:
    async with (
        play(dialplan=DIALPLAN + QUEUES, lines=LINES) as stage,
        phone(stage) as agent,
        stage.person(ANNA) as anna,
    ):
        write_tone(stage.asterisk.run_dir / "announcement.wav", ANNOUNCEMENT_HZ, 2.0, rate=8000)
        talk = await answered(stage, anna, await coming_in(stage, anna, "waits"))
        await agent.incoming()
        waits = await talk.listens()
        await agent.closed()
        await announced(stage)
        is_told = await talk.listens()
        await agent.incoming()
        await agent.answer()
        await agent.established()
        is_served = await talk.listens()
        await talk.ends()
        await agent.closed()
        talk.heard(waits, MUSIC_HZ)
        talk.heard(is_told, ANNOUNCEMENT_HZ)
        talk.heard(is_served, PHONES_HZ["101"])
        heard_last(agent, PEOPLE_HZ[ANNA])


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
        when = await talk.listens()
        await caller.hangup()
        await caller.closed()
        await talk.ends(hang_up=False)
        talk.heard(when, PHONES_HZ["101"])
        heard_last(caller, PEOPLE_HZ[BORIS])
