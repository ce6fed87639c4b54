"""A transferred call goes on with the other phone, whichever way it is done: it and the person hear each other."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ari_app.asterisk.ami import Ami
from ari_app.asterisk.resources import Channel
from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE
from ari_app.sandbox.tones import measure
from tests.e2e.conftest import PERSON_HZ, PHONE_HZ, TALK_S, Play, PlayMaker, no_holes
from tests.e2e.pbx import hears

pytestmark = pytest.mark.asterisk_16

OTHER_HZ = 660.0
HZ_TOLERANCE = 15.0  # what the jitter buffer leaves out after the change, a spectrum shows
TAIL_S = 1.5  # at the end of a recording: the new phone is there for longer


Way = Callable[[Play, SipPhone, SipPhone], Awaitable[None]]
"""Transfers a phone's call to another phone, and returns when that one has answered."""


async def _channels(stage: Play, beginning: str) -> list[Channel]:
    """Asterisk's channels whose names begin so, in the order of their beginning."""
    found = [each for each in await stage.app.ari.channels.list() if each.name.startswith(beginning)]
    return sorted(found, key=lambda each: each.name)


async def _by_manager(stage: Play, phone: SipPhone, other: SipPhone) -> None:
    """AMI, as an operator's panel does it."""
    [channel] = await _channels(stage, f"PJSIP/{phone.user}-")
    asterisk = stage.asterisk
    async with Ami(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, asterisk.ami_password) as ami:
        await ami.action("BlindTransfer", Channel=channel.name, Exten="102", Context="phones")
    await other.established()


async def _by_phone(stage: Play, phone: SipPhone, other: SipPhone) -> None:
    """The phone's transfer key: SIP REFER."""
    await phone.transfer("102")
    await other.established()


async def _after_talking(stage: Play, phone: SipPhone, other: SipPhone) -> None:
    """The phone holds the call, talks to the other one, and then joins both: SIP REFER with Replaces."""
    await phone.hold()
    await phone.dial("102")
    await other.established()
    await phone.established()
    asking = (await _channels(stage, f"PJSIP/{phone.user}-"))[-1]
    names = "call-id", "local_tag", "remote_tag"
    call_id, to_tag, from_tag = [await asking.getChannelVar(variable=f"CHANNEL(pjsip,{name})") for name in names]
    await phone.select(1)
    await phone.transfer("102", f"{call_id};to-tag={to_tag};from-tag={from_tag}")
    await phone.closed()


WAYS: dict[str, Way] = {
    "manager": _by_manager,
    "phone": _by_phone,
    "attended": _after_talking,
}


def _other(stage: Play) -> SipPhone:
    return SipPhone(stage.asterisk, "102", play=stage.tone("phone102", OTHER_HZ), auto_answer=True)


def _ends_with(recording: Path, hz: float, way: str) -> None:
    found = measure(recording, start_s=measure(recording).seconds - TAIL_S)
    assert abs(found.hz - hz) < HZ_TOLERANCE, f"{way}, {recording.name}: {found}"
    no_holes(found, f"{way}, {recording.name}")


async def _goes_on(
    stage: Play,
    transfer: Way,
    call: PersonCall,
    heard: Path,
    phone: SipPhone,
    other: SipPhone,
) -> None:
    """Transfer, let them talk, let the person hang up: both heard each other, and nobody was called again."""
    way = transfer.__name__
    await stage.talking()
    await transfer(stage, phone, other)
    await phone.closed()
    await asyncio.sleep(TALK_S)
    await call.hang_up()
    await other.closed()
    await call.close_audio()
    await stage.call_over()
    _ends_with(heard, OTHER_HZ, way)
    _ends_with(other.recordings[-1], PERSON_HZ, way)


async def _answered(stage: Play, phone: SipPhone, anna: Person, dialled: str, heard: Path) -> PersonCall:
    """A phone's call to Anna, who says her tone."""
    await phone.dial(dialled)
    call = await anna.incoming()
    await call.ring()
    await call.accept(stage.tone("anna", PERSON_HZ), heard)
    await phone.established()
    return call


async def _keys(stage: Play, phone: SipPhone, other: SipPhone) -> None:
    """A phone without a transfer key: features.conf's blind transfer."""
    await phone.send_dtmf("##102")
    await other.established()


async def _keys_and_talking(stage: Play, phone: SipPhone, other: SipPhone) -> None:
    """features.conf's transfer after talking: the phone hears the other one, and hangs up."""
    await phone.send_dtmf("*2102")
    await other.established()
    await hears(other, PHONE_HZ)
    await phone.hangup()


KEYS: dict[str, Way] = {"##": _keys, "*2": _keys_and_talking}


async def test_an_outgoing_call_as_the_samples_have_it(play: PlayMaker) -> None:
    """It is a Dial(), so every way works that works for any other call."""
    ways = WAYS | KEYS
    async with play() as stage, stage.phone() as phone, _other(stage) as other, stage.person(ANNA) as anna:
        for way, transfer in ways.items():
            heard = stage.recording(way.replace("*", "star"))
            call = await _answered(stage, phone, anna, ANNA, heard)
            await _goes_on(stage, transfer, call, heard, phone, other)
        assert stage.outcomes() == ["ANSWER"] * len(ways)
        assert len([event for event in other.events if event.type == "CALL_ESTABLISHED"]) == len(ways)


async def test_an_outgoing_call_by_stasis_itself(play: PlayMaker) -> None:
    """A dialplan of one's own may call Stasis() for the phone's channel."""
    dialplan = f"[phones](+)\nexten => 700,1,Stasis(telegram,{ANNA})\n same => n,Hangup(${{TELEGRAM_CAUSE}})\n"
    async with (
        play(dialplan=dialplan) as stage,
        stage.phone() as phone,
        _other(stage) as other,
        stage.person(ANNA) as anna,
    ):
        for way, transfer in WAYS.items():
            heard = stage.recording(way)
            call = await _answered(stage, phone, anna, "700", heard)
            await _goes_on(stage, transfer, call, heard, phone, other)
            assert any("Transferred to Local/" in str(each) for each in stage.calls[-1].events)
        assert stage.outcomes() == ["ANSWER"] * len(WAYS)
        assert len([event for event in other.events if event.type == "CALL_ESTABLISHED"]) == len(WAYS)


async def test_an_incoming_call(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, _other(stage) as other, stage.person(ANNA) as anna:
        for way, transfer in WAYS.items():
            call = await anna.call(LINE)
            await phone.incoming()
            await phone.answer()
            heard = stage.recording(way)
            await call.confirm(stage.tone("anna", PERSON_HZ), heard)
            await _goes_on(stage, transfer, call, heard, phone, other)
        assert stage.outcomes() == ["ANSWER"] * len(WAYS)


async def test_the_channel_of_an_incoming_call_itself(play: PlayMaker) -> None:
    """An operator's panel may take the Local channel for the one that talks. The new phone hangs up, too."""
    async with play() as stage, stage.phone() as phone, _other(stage) as other, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        await phone.incoming()
        await phone.answer()
        heard = stage.recording("local")
        await call.confirm(stage.tone("anna", PERSON_HZ), heard)
        await stage.talking()
        [channel] = [each for each in await _channels(stage, "Local/") if each.name.endswith(";1")]
        asterisk = stage.asterisk
        async with Ami(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, asterisk.ami_password) as ami:
            await ami.action("BlindTransfer", Channel=channel.name, Exten="102", Context="phones")
        await other.established()
        await phone.closed()
        await asyncio.sleep(TALK_S)
        await other.hangup()
        await call.ended()
        await call.close_audio()
        _ends_with(heard, OTHER_HZ, "local")
        _ends_with(other.recordings[-1], PERSON_HZ, "local")
        assert await stage.outcome() == "ANSWER"
