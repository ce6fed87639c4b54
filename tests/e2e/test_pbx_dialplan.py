"""What a dialplan does with a call of Telegram's: prompts, digits, limits, and what Dial() does when it ends."""

import asyncio
from collections.abc import Mapping
from typing import Any

from ari_app.sandbox.stage import ANNA
from ari_app.sandbox.tones import write_tone
from tests.e2e.conftest import PlayMaker
from tests.e2e.pbx import (
    DIALPLAN,
    LINES,
    LISTENS_S,
    PATIENCE_S,
    PEOPLE_HZ,
    PHONES_HZ,
    accepted,
    ami,
    answered,
    coming_in,
    has_tones,
    hears,
    originated,
    phone,
    talk_in,
)

PROMPT_HZ = 550.0
PROMPTS = """
[early]
exten => _X.,1,Progress()
 same => n,Playback(${PROMPT},noanswer)
 same => n,Answer()
 same => n,Wait(10)

[menu]
exten => _X.,1,Answer()
 same => n,Read(CODE,,2,,1,10)
 same => n,Background(${PROMPT})
 same => n,WaitExten(10)
exten => 7,1,UserEvent(Chosen,Code: ${CODE},Extension: ${EXTEN})
 same => n,Hangup()

[continues]
exten => _X.,1,Dial(PJSIP/101,20,g)
 same => n,Playback(${PROMPT}&${PROMPT})

[limited]
exten => _X.,1,Dial(PJSIP/101,20,L(2000))

[bounded]
exten => _X.,1,Set(TIMEOUT(absolute)=2)
 same => n,Dial(PJSIP/101,20)

[phones]
exten => _7+X.,1,Dial(Local/${EXTEN:1}@to-telegram/n,20,L(2000))
exten => _9+X.,1,Set(TIMEOUT(absolute)=2)
 same => n,Dial(Local/${EXTEN:1}@to-telegram/n,20)

[detects]
exten => s,1,AMD()
 same => n,UserEvent(Detected,Status: ${AMDSTATUS})
 same => n,Hangup()
"""


class UserEvents:
    """The dialplan's own, in order."""

    def __init__(self) -> None:
        self._come: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()

    def take(self, event: Mapping[str, Any]) -> None:
        """For `Ami.on_event`."""
        if event["UserEvent"] in ("Chosen", "Detected"):
            self._come.put_nowait(event)

    async def next(self) -> Mapping[str, Any]:
        """Wait for one."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._come.get()


async def test_prompts_and_digits(play: PlayMaker) -> None:
    """Before the answer a person hears nothing of the PBX's: Telegram has no audio then, and their app rings."""
    async with (
        play(dialplan=DIALPLAN + PROMPTS, lines=LINES) as stage,
        stage.person(ANNA) as anna,
        ami(stage) as manager,
    ):
        prompt = stage.asterisk.run_dir / "prompt"
        write_tone(prompt.with_suffix(".wav"), PROMPT_HZ, 1.0, rate=8000)
        await stage.asterisk.cli(f"dialplan set global PROMPT {prompt}")
        events = UserEvents()
        manager.on_event("UserEvent", events.take)

        call = await coming_in(stage, anna, "early")
        await call.rings()
        talk = await answered(stage, anna, call)
        await asyncio.sleep(LISTENS_S)
        await talk.ends()
        has_tones(talk.recording)  # silence, from its beginning

        talk = await answered(stage, anna, await coming_in(stage, anna, "menu"))
        await stage.talking()
        await talk.writes("12")
        await hears(talk, PROMPT_HZ)
        await talk.writes("7")
        chosen = await events.next()
        assert (chosen["Code"], chosen["Extension"]) == ("12", "7")
        await talk.ends(hang_up=False)


async def test_what_ends_a_call(play: PlayMaker) -> None:
    async with (
        play(dialplan=DIALPLAN + PROMPTS, lines=LINES) as stage,
        phone(stage) as agent,
        stage.person(ANNA) as anna,
    ):
        prompt = stage.asterisk.run_dir / "prompt"
        write_tone(prompt.with_suffix(".wav"), PROMPT_HZ, 1.0, rate=8000)
        await stage.asterisk.cli(f"dialplan set global PROMPT {prompt}")

        talk = await talk_in(stage, anna, agent, "continues")
        await hears(talk, PHONES_HZ["101"])
        await hears(agent, PEOPLE_HZ[ANNA])
        await agent.hangup()
        await agent.closed()
        await hears(talk, PROMPT_HZ)
        await talk.ends(hang_up=False)

        for kind in "limited", "bounded":
            talk = await talk_in(stage, anna, agent, kind)
            await talk.ends(hang_up=False)
            await agent.closed()
        for prefix in "7", "9":
            await agent.dial(f"{prefix}{ANNA}")
            talk = await accepted(stage, anna)
            await talk.ends(hang_up=False)
            await agent.closed()
        await stage.call_over()
        assert stage.outcomes() == ["ANSWER"] * 5


async def test_a_person_is_told_from_a_machine(play: PlayMaker) -> None:
    async with (
        play(dialplan=DIALPLAN + PROMPTS, lines=LINES) as stage,
        stage.person(ANNA) as anna,
        ami(stage) as manager,
    ):
        events = UserEvents()
        manager.on_event("UserEvent", events.take)
        hello = stage.recording("hello")
        write_tone(hello, PEOPLE_HZ[ANNA], 0.7)
        for says, status in ((hello, "HUMAN"), (stage.tone("machine", PEOPLE_HZ[ANNA]), "MACHINE")):
            async with originated(
                stage, Channel=f"Local/{ANNA}@to-telegram/n", Context="detects", Exten="s", Priority="1"
            ):
                call = await anna.incoming()
                await call.ring()
                await call.accept(says, None)
            assert (await events.next())["Status"] == status
            await call.ended()
            await call.close_audio()
