"""What the PBX records and listens to: MixMonitor, ChanSpy and whisper, Record() and VoiceMail()."""

import asyncio
import wave
from pathlib import Path

from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA
from tests.e2e.conftest import Play, PlayMaker
from tests.e2e.pbx import (
    DIALPLAN,
    LINES,
    LISTENS_S,
    PATIENCE_S,
    PEOPLE_HZ,
    PHONES_HZ,
    answered,
    channel,
    coming_in,
    has_tones,
    hears,
    length_s,
    phone,
    talk_in,
    talk_out,
)

SPY = """
[phones]
exten => 555,1,Answer()
 same => n,ChanSpy(${SPIED},qEw)
"""
RECORDED_S = 2
MACHINE = """
[records]
exten => _X.,1,Answer()
 same => n,Record(${FILE},0,2,q)
 same => n,VoiceMail(100@default,s)
"""


async def whole(file: Path) -> Path:
    """A recording of Asterisk's, once it has closed it: the length is in its head then."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_whole(file):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.1)
    return file


def is_whole(file: Path) -> bool:
    """Whether its head is written, with its length."""
    try:
        return length_s(file) > 0
    except (FileNotFoundError, EOFError, wave.Error):
        return False


async def test_mixmonitor_records_both_sides(play: PlayMaker) -> None:
    """Started on the phone's channel, or on the half of the Local channel that the dialplan has."""
    async with (
        play(dialplan=DIALPLAN, lines=LINES) as stage,
        phone(stage) as agent,
        stage.person(ANNA) as anna,
    ):
        for begin, half in (talk_in, ";2"), (talk_out, ";1"):
            talk = await begin(stage, anna, agent)
            files = [stage.recording(f"{begin.__name__}-{of}") for of in ("phone", "local")]
            for each, file in zip(
                (await channel(stage, "PJSIP/101-"), await channel(stage, "Local/", half)), files, strict=True
            ):
                await stage.asterisk.cli(f"mixmonitor start {each.name} {file}")
            await hears(talk, PHONES_HZ["101"])
            await hears(agent, PEOPLE_HZ[ANNA])
            await asyncio.sleep(LISTENS_S)  # what the files have of it
            await talk.ends()
            await agent.closed()
            for file in files:
                has_tones(await whole(file), PEOPLE_HZ[ANNA], PHONES_HZ["101"], start_s=length_s(file) - LISTENS_S)


async def spied(stage: Play, spy: SipPhone, name: str) -> None:
    """Have a channel spied on, with whisper; the spy hears both sides."""
    await stage.asterisk.cli(f"dialplan set global SPIED {name}")
    await spy.dial("555")
    await spy.established()
    await hears(spy, PEOPLE_HZ[ANNA], PHONES_HZ["101"])


async def test_a_supervisor_listens_and_whispers(play: PlayMaker) -> None:
    """To whom they whisper is whose channel it is: the phone's, or the half of the Local channel the dialplan has."""
    async with (
        play(dialplan=DIALPLAN + SPY, lines=LINES) as stage,
        phone(stage, codec="alaw") as agent,
        phone(stage, "103") as spy,
        stage.person(ANNA) as anna,
    ):
        for begin, half in (talk_in, ";2"), (talk_out, ";1"):
            talk = await begin(stage, anna, agent)
            await spied(stage, spy, (await channel(stage, "Local/", half)).name)
            await hears(talk, PHONES_HZ["101"], PHONES_HZ["103"])
            await hears(agent, PEOPLE_HZ[ANNA])
            await spy.hangup()
            await spy.closed()
            await spied(stage, spy, (await channel(stage, "PJSIP/101-")).name)
            await hears(agent, PEOPLE_HZ[ANNA], PHONES_HZ["103"])
            await hears(talk, PHONES_HZ["101"])
            await talk.ends()
            await agent.closed()
            await spy.closed()


async def test_a_person_is_recorded_and_leaves_a_message(play: PlayMaker) -> None:
    async with play(dialplan=DIALPLAN + MACHINE, lines=LINES) as stage, stage.person(ANNA) as anna:
        file = stage.recording("asterisk")
        await stage.asterisk.cli(f"dialplan set global FILE {file}")
        talk = await answered(stage, anna, await coming_in(stage, anna, "records"))
        has_tones(await whole(file), PEOPLE_HZ[ANNA], start_s=length_s(file) - LISTENS_S)
        inbox = stage.asterisk.run_dir / "spool/voicemail/default/100/INBOX"
        await asyncio.sleep(RECORDED_S)
        await talk.ends()
        message = await whole(inbox / "msg0000.wav")
        has_tones(message, PEOPLE_HZ[ANNA], start_s=length_s(message) - LISTENS_S)
        assert f'"Анна" <{stage.telegram.user(ANNA).id}>' in (inbox / "msg0000.txt").read_text()
