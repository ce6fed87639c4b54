"""docs/recipes.md: a voice agent takes a call, and recording with consent. Who heard whom is measured."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import dialplan
from ari_app.asterisk.events import STASIS_START, StasisStart, Subscription
from ari_app.sandbox.person import Person
from ari_app.sandbox.ports import block
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA
from ari_app.sandbox.tones import tones, write_tone
from tests.e2e.conftest import Play, PlayMaker
from tests.e2e.pbx import (
    DIALPLAN,
    HZ_TOLERANCE,
    LINES,
    PEOPLE_HZ,
    PHONES_HZ,
    Talk,
    answered,
    coming_in,
    connected_line,
    hears,
    length_s,
    phone,
    talk_in,
)
from tests.e2e.test_pbx_recording import whole
from tests.e2e.test_transfer import WAYS
from tests.integration.ari_helpers import connected, eventually
from tests.integration.command import Program, done

RECIPES = Path(dialplan.__file__).parent
AGENT = Path(__file__).parents[2] / "docs/examples/voice_agent.py"
AGENTS_ADDRESS = "127.0.0.1:9092"
CONSENT_HZ = 550.0
PARTS_S = 0.5
"""Of a recording, which are looked at one after the other."""


def recipe(name: str, places: Mapping[str, str]) -> str:
    """An example of dialplan/, where ``places`` are an installation's own: by what stands there."""
    text = DIALPLAN + (RECIPES / name).read_text()
    for example, own in places.items():
        assert example in text
        text = text.replace(example, own)
    return text


@asynccontextmanager
async def voice_agent(stage: Play, port: int) -> AsyncIterator[Program]:
    """The example, with a token of its own."""
    made = await done(
        "token", "add", "agent", "--scope", "read", "--json", "--config", stage.stage.folder / "astergram.toml"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        AGENT,
        str(port),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "ASTERGRAM_URL": stage.app.web.url, "ASTERGRAM_TOKEN": json.loads(made)["token"]},
    )
    program = Program(process)
    try:
        await program.until(f"listens at 127.0.0.1:{port}")
        yield program
    finally:
        process.kill()
        await program.ends()


async def taken_over(stage: Play, talk: Talk, person: SipPhone) -> None:
    """A person's phone rings, shows who calls, and both hear each other; then the caller hangs up."""
    await person.incoming()
    await person.answer()
    await hears(talk, PHONES_HZ["101"])
    await hears(person, PEOPLE_HZ[ANNA])
    assert await connected_line(stage, "101") == ("Анна", str(stage.telegram.user(ANNA).id))
    await talk.ends()
    await person.closed()
    assert await stage.outcome() == "ANSWER"


async def test_an_agent_by_audiosocket(play: PlayMaker) -> None:
    """It knows who calls, hears them, is heard, and hands them to a person; without it the person's phone rings."""
    with block(1) as ports:
        own = recipe("example-voice-agent.conf", {AGENTS_ADDRESS: f"127.0.0.1:{ports[0]}"})
        async with (
            play(dialplan=own, lines=LINES) as stage,
            phone(stage) as person,
            stage.person(ANNA) as anna,
        ):
            async with voice_agent(stage, ports[0]) as agent:
                talk = await answered(stage, anna, await coming_in(stage, anna, "telegram-agent"))
                await hears(talk, PEOPLE_HZ[ANNA])  # which it repeats
                known = f"call {stage.calls[-1].id}: Анна ({stage.telegram.user(ANNA).id})"
                await agent.until(known)
                await talk.writes("0")
                await agent.until("goes to a person")
                await taken_over(stage, talk, person)
                talk = await answered(stage, anna, await coming_in(stage, anna, "telegram-agent"))
                await hears(talk, PEOPLE_HZ[ANNA])
                await talk.ends()
                await agent.until(f"call {stage.calls[-1].id}: is over")
            talk = await answered(stage, anna, await coming_in(stage, anna, "telegram-agent"))
            await taken_over(stage, talk, person)


async def test_an_agent_by_ari(play: PlayMaker) -> None:
    """Another application gets the channel, who calls, and their audio; it gives the channel back."""
    own = recipe("example-voice-agent.conf", {})
    async with (
        play(dialplan=own, lines=LINES) as stage,
        phone(stage) as person,
        phone(stage, "103", auto_answer=True) as speaker,
        stage.person(ANNA) as anna,
    ):
        async with connected(stage.asterisk, app="voice-agent") as agent, Subscription(agent.events, "") as arrivals:
            talk = await answered(stage, anna, await coming_in(stage, anna, "telegram-agent-ari"))
            start = await arrivals.next(STASIS_START)
            assert isinstance(start, StasisStart)
            assert start.args == [stage.calls[-1].id, str(stage.telegram.user(ANNA).id), ""]
            channel = agent.channel(start.channel_id)
            assert await channel.getChannelVar(variable="CALLERID(name)") == "Анна"
            bridge = await agent.bridges.create(type="mixing")
            await agent.channels.originate(endpoint="PJSIP/103", app=agent.app)
            spoken = await arrivals.next(STASIS_START)
            for each in (start.channel_id, spoken.channel_id):
                await bridge.addChannel(channel=each)
            await hears(talk, PHONES_HZ["103"])
            await hears(speaker, PEOPLE_HZ[ANNA])
            await bridge.removeChannel(channel=start.channel_id)
            await channel.continueInDialplan()
            await agent.channel(spoken.channel_id).hangup()
            await bridge.destroy()
            await taken_over(stage, talk, person)
        talk = await answered(stage, anna, await coming_in(stage, anna, "telegram-agent-ari"))
        await taken_over(stage, talk, person)  # the application is not there


async def test_an_agent_by_sip(play: PlayMaker) -> None:
    """Phone 103 is the agent: it is told whose call it is, and transfers to a person; without it their phone rings."""
    own = recipe("example-voice-agent.conf", {"PJSIP/voice-agent": "PJSIP/103"})
    async with play(dialplan=own, lines=LINES) as stage, phone(stage) as person, stage.person(ANNA) as anna:
        talk = await talk_in(stage, anna, person, "telegram-agent-sip")  # there is no agent
        await hears(talk, PHONES_HZ["101"])
        await talk.ends()
        await person.closed()
        await stage.asterisk.cli("pjsip set logger on")
        async with phone(stage, "103", auto_answer=True) as agent:
            talk = await answered(stage, anna, await coming_in(stage, anna, "telegram-agent-sip"))
            await hears(talk, PHONES_HZ["103"])
            await hears(agent, PEOPLE_HZ[ANNA])
            sent = stage.asterisk.log.read_text()
            assert f"X-Telegram-Call: {stage.calls[-1].id}" in sent
            assert f"X-Telegram-ID: {stage.telegram.user(ANNA).id}" in sent
            assert await connected_line(stage, "103") == ("Анна", str(stage.telegram.user(ANNA).id))
            await agent.transfer("101")
            await taken_over(stage, talk, person)
            await agent.closed()


def heard_in(recording: Path, hz: float) -> bool:
    """Whether a tone is anywhere in it."""
    begins = range(int(length_s(recording) / PARTS_S))
    parts = [tones(recording, each * PARTS_S, (each + 1) * PARTS_S) for each in begins]
    return any(abs(each - hz) < HZ_TOLERANCE for part in parts for each in part)


async def asked_and_connected(stage: Play, anna: Person, agent: SipPhone, digit: str) -> Talk:
    """The caller hears the prompt, answers it, and talks to the phone."""
    talk = await answered(stage, anna, await coming_in(stage, anna, "telegram-recorded"))
    await hears(talk, CONSENT_HZ)
    await talk.writes(digit)
    await agent.incoming()
    await agent.answer()
    await hears(talk, PHONES_HZ["101"])
    await hears(agent, PEOPLE_HZ[ANNA])
    return talk


async def test_recording_with_consent(play: PlayMaker) -> None:
    """What is said to the phone that answered is in the file; nothing of whoever the call is transferred to."""
    own = recipe("example-recording.conf", {"custom/telegram-consent": "${PROMPT}"})
    async with (
        play(dialplan=own, lines=LINES) as stage,
        phone(stage) as agent,
        phone(stage, "102", auto_answer=True) as other,
        stage.person(ANNA) as anna,
    ):
        prompt = stage.asterisk.run_dir / "prompt"
        write_tone(prompt.with_suffix(".wav"), CONSENT_HZ, 2.0, rate=8000)
        await stage.asterisk.cli(f"dialplan set global PROMPT {prompt}")
        monitor = stage.asterisk.run_dir / "spool/monitor"
        for way in "phone", "attended":
            talk = await asked_and_connected(stage, anna, agent, "1")
            await WAYS[way](stage, agent, other)
            await agent.closed()
            await hears(talk, PHONES_HZ["102"])
            await hears(other, PEOPLE_HZ[ANNA])
            file = await whole(monitor / f"telegram-{stage.calls[-1].id}.wav")
            await talk.ends()
            await other.closed()
            assert heard_in(file, PEOPLE_HZ[ANNA]), way
            assert heard_in(file, PHONES_HZ["101"]), way
            assert not heard_in(file, PHONES_HZ["102"]), way
            assert not heard_in(file, CONSENT_HZ), way
        await stage.call_over()
        recorded = sorted(monitor.iterdir())
        assert len(recorded) == 2
        talk = await asked_and_connected(stage, anna, agent, "2")
        await talk.ends()
        await agent.closed()
        await stage.call_over()
        assert sorted(monitor.iterdir()) == recorded
        records = stage.asterisk.run_dir / "log/cdr-custom/telegram.csv"
        await eventually(lambda: "consent=no" in records.read_text())
        assert "consent=yes" in records.read_text()


async def test_recording_in_a_queue(play: PlayMaker) -> None:
    """Whoever of the queue answers runs the same subroutine."""
    own = recipe(
        "example-recording.conf",
        {
            "custom/telegram-consent": "${PROMPT}",
            "Dial(PJSIP/101,30,U(telegram-record))": "Queue(agents,,,,30,,telegram-record)",
        },
    )
    async with play(dialplan=own, lines=LINES) as stage, phone(stage) as agent, stage.person(ANNA) as anna:
        prompt = stage.asterisk.run_dir / "prompt"
        write_tone(prompt.with_suffix(".wav"), CONSENT_HZ, 2.0, rate=8000)
        await stage.asterisk.cli(f"dialplan set global PROMPT {prompt}")
        talk = await asked_and_connected(stage, anna, agent, "1")
        await talk.ends()
        await agent.closed()
        await stage.call_over()
        file = await whole(stage.asterisk.run_dir / f"spool/monitor/telegram-{stage.calls[-1].id}.wav")
        assert heard_in(file, PEOPLE_HZ[ANNA])
        assert heard_in(file, PHONES_HZ["101"])
