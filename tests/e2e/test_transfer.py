"""A transferred call goes on with the other phone, whichever way it is done: it and the person hear each other."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ari_app.asterisk.ami import Ami
from ari_app.asterisk.resources import Channel
from ari_app.sandbox.person import PersonCall
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE
from ari_app.sandbox.tones import measure
from tests.e2e.conftest import PERSON_HZ, TALK_S, Play, PlayMaker

pytestmark = pytest.mark.asterisk_16

OTHER_HZ = 660.0
HZ_TOLERANCE = 15.0  # what the jitter buffer leaves out after the change, a spectrum shows
TAIL_S = 1.5  # at the end of a recording: the new phone is there for longer


async def _channels(stage: Play, beginning: str) -> list[Channel]:
    """Asterisk's channels whose names begin so, in the order of their beginning."""
    found = [each for each in await stage.app.ari.channels.list() if each.name.startswith(beginning)]
    return sorted(found, key=lambda each: each.name)


async def _by_manager(stage: Play, phone: SipPhone) -> None:
    """AMI, as an operator's panel does it."""
    [channel] = await _channels(stage, f"PJSIP/{phone.user}-")
    asterisk = stage.asterisk
    async with Ami(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, asterisk.ami_password) as ami:
        await ami.action("BlindTransfer", Channel=channel.name, Exten="102", Context="phones")


async def _by_phone(stage: Play, phone: SipPhone) -> None:
    """The phone's transfer key: SIP REFER."""
    await phone.transfer("102")


async def _after_talking(stage: Play, phone: SipPhone) -> None:
    """The phone holds the call, talks to the other one, and then joins both: SIP REFER with Replaces."""
    await phone.hold()
    await phone.dial("102")
    await phone.established()
    asking = (await _channels(stage, f"PJSIP/{phone.user}-"))[-1]
    names = "call-id", "local_tag", "remote_tag"
    call_id, to_tag, from_tag = [await asking.getChannelVar(variable=f"CHANNEL(pjsip,{name})") for name in names]
    await phone.select(1)
    await phone.transfer("102", f"{call_id};to-tag={to_tag};from-tag={from_tag}")
    await phone.closed()


WAYS: dict[str, Callable[[Play, SipPhone], Awaitable[None]]] = {
    "manager": _by_manager,
    "phone": _by_phone,
    "attended": _after_talking,
}


def _other(stage: Play) -> SipPhone:
    return SipPhone(stage.asterisk, "102", play=stage.tone("phone102", OTHER_HZ), auto_answer=True)


def _ends_with(recording: Path, hz: float, way: str) -> None:
    found = measure(recording, start_s=measure(recording).seconds - TAIL_S)
    assert abs(found.hz - hz) < HZ_TOLERANCE, f"{way}, {recording.name}: {found}"
    assert found.gaps == 0, f"{way}, {recording.name}: {found}"


async def _goes_on(stage: Play, way: str, call: PersonCall, heard: Path, phone: SipPhone, other: SipPhone) -> None:
    """Transfer, let them talk, let the person hang up: both heard each other, and nobody was called again."""
    await stage.talking()
    await WAYS[way](stage, phone)
    await other.established()
    await phone.closed()
    await asyncio.sleep(TALK_S)
    await call.hang_up()
    await other.closed()
    await call.close_audio()
    await stage.call_over()
    _ends_with(heard, OTHER_HZ, way)
    _ends_with(other.recordings[-1], PERSON_HZ, way)


async def test_an_outgoing_call(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, _other(stage) as other, stage.person(ANNA) as anna:
        for way in WAYS:
            await phone.dial(ANNA)
            call = await anna.incoming()
            await call.ring()
            heard = stage.recording(way)
            await call.accept(stage.tone("anna", PERSON_HZ), heard)
            await phone.established()
            await _goes_on(stage, way, call, heard, phone, other)
            assert any("Transferred to Local/" in str(each) for each in stage.calls[-1].events)
        assert stage.outcomes() == ["ANSWER"] * len(WAYS)
        assert len([event for event in other.events if event.type == "CALL_ESTABLISHED"]) == len(WAYS)


async def test_an_incoming_call(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, _other(stage) as other, stage.person(ANNA) as anna:
        for way in WAYS:
            call = await anna.call(LINE)
            await phone.incoming()
            await phone.answer()
            heard = stage.recording(way)
            await call.confirm(stage.tone("anna", PERSON_HZ), heard)
            await _goes_on(stage, way, call, heard, phone, other)
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
