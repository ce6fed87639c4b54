"""A call as the samples place it, by a Dial(): hold, its result for the dialplan, and what it must not allow."""

import asyncio
from pathlib import Path

import pytest

import dialplan
from ari_app.sandbox.asterisk import MUSIC_HZ
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.sandbox.tones import measure
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import PERSON_HZ, PHONE_HZ, TALK_S, Play, PlayMaker
from tests.e2e.test_texts import Correspondence
from tests.integration.ari_helpers import global_variable

HZ_TOLERANCE = 15.0  # after a change, the jitter buffer leaves out or repeats a little
TAIL_S = 1.5
TRUNK = "102"  # a phone stands in for it
EXAMPLE = (Path(dialplan.__file__).parent / "example-failover.conf").read_text()


def _failover(dial_s: int = 30) -> str:
    """dialplan/example-failover.conf, for a phone that dials 8 and a number; global variables tell what it saw."""
    assert all(part in EXAMPLE for part in ("/n,30,T)", "after,1)\n", "PJSIP/${FILTER(+0-9,${EXTEN})}@trunk"))
    example = (
        EXAMPLE.replace("/n,30,T)", f"/n,{dial_s},T)")
        .replace("after,1)\n", "after,1)\n same => n,Set(GLOBAL(SEEN)=${TELEGRAM_STATUS}/${TELEGRAM_CAUSE})\n")
        .replace("PJSIP/${FILTER(+0-9,${EXTEN})}@trunk", f"PJSIP/{TRUNK}")
    )
    h = "exten => h,1,Set(GLOBAL(H)=${TELEGRAM_STATUS}/${DIALSTATUS})\n"
    return f"{example}{h}[phones](+)\nexten => _8X.,1,Goto(telegram-or-trunk,+${{EXTEN:1}},1)\n"


def _sounds(stage: Play, name: str, hz: float) -> None:
    path = stage.recording(name)
    found = measure(path, start_s=max(0.0, measure(path).seconds - TAIL_S))
    assert abs(found.hz - hz) < HZ_TOLERANCE, f"{name}: {found}"


@pytest.mark.asterisk_16
async def test_who_is_held_hears_music_and_then_the_phone_again(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        for part, hz in (("held", MUSIC_HZ), ("resumed", PHONE_HZ)):
            await phone.dial(ANNA)
            call = await anna.incoming()
            await call.ring()
            await call.accept(stage.tone("anna", PERSON_HZ), stage.recording(part))
            await phone.established()
            await stage.talking()
            await asyncio.sleep(TALK_S)
            await phone.hold()
            await asyncio.sleep(TALK_S)
            if part == "resumed":
                await phone.hold(held=False)
                await asyncio.sleep(TALK_S)
            await call.hang_up()
            await phone.closed()
            await call.close_audio()
            await stage.call_over()
            _sounds(stage, part, hz)
        heard = phone.recordings[-1]
        found = measure(heard, start_s=measure(heard).seconds - TAIL_S)
        assert abs(found.hz - PERSON_HZ) < HZ_TOLERANCE, found


async def test_the_keys_of_the_person_transfer_nothing(play: PlayMaker) -> None:
    """What they write reaches the phone, and no feature of this Asterisk: they could dial through it."""
    async with (
        play() as stage,
        stage.phone() as phone,
        SipPhone(stage.asterisk, TRUNK) as other,
        stage.person(ANNA) as anna,
    ):
        chat = await Correspondence.of(anna)
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.accept(None, None)
        await phone.established()
        await stage.talking()
        await chat.write(f"##{TRUNK}")
        for key in f"##{TRUNK}":
            assert (await phone.wait_for("CALL_DTMF_START")).parameter == key
        await phone.hangup()
        await call.ended()
        await stage.call_over()
        assert not any(event.type == "CALL_INCOMING" for event in other.events)


@pytest.mark.asterisk_16
async def test_the_dialplan_goes_on_by_the_status_of_telegram(play: PlayMaker) -> None:
    nobody = "79991234567"
    async with (
        play(dialplan=_failover()) as stage,
        stage.phone() as phone,
        SipPhone(stage.asterisk, TRUNK) as trunk,
        stage.person(ANNA) as anna,
    ):
        await phone.dial(f"8{nobody}")
        await trunk.incoming()
        assert await global_variable(stage.asterisk, "SEEN") == "NOTFOUND/1"
        await trunk.answer()
        await phone.established()
        await phone.hangup()
        await trunk.closed()

        await phone.dial(f"8{ANNA[1:]}")
        call = await anna.incoming()
        await call.ring()
        await call.hang_up(DiscardReason.BUSY)
        assert (await phone.closed()).startswith("486")
        assert await global_variable(stage.asterisk, "SEEN") == "BUSY/17"
        assert sum(event.type == "CALL_INCOMING" for event in trunk.events) == 1


async def test_the_time_of_the_dial_itself(play: PlayMaker) -> None:
    async with play(dialplan=_failover(1)) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(f"8{ANNA[1:]}")
        call = await anna.incoming()
        await call.ring()
        assert (await phone.closed()).startswith("480")
        assert (await call.ended()).reason
        assert await global_variable(stage.asterisk, "SEEN") == "NOANSWER/19"


async def test_without_astergram_the_trunk_is_next(play: PlayMaker) -> None:
    async with play(dialplan=_failover()) as stage, stage.phone() as phone, SipPhone(stage.asterisk, TRUNK) as trunk:
        await stage.stop_astergram()
        await phone.dial(f"8{ANNA[1:]}")
        await trunk.incoming()
        assert await global_variable(stage.asterisk, "SEEN") == "UNAVAILABLE/38"
        await phone.hangup()
        await trunk.closed()
        await phone.dial(ANNA)  # by the sample
        assert (await phone.closed()).startswith("500")


@pytest.mark.asterisk_16
@pytest.mark.parametrize("answered", [False, True])
async def test_an_h_extension_has_the_status_of_the_dial(play: PlayMaker, answered: bool) -> None:
    async with play(dialplan=_failover()) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(f"8{ANNA[1:]}")
        call = await anna.incoming()
        await call.ring()
        if answered:
            await call.accept(None, None)
            await phone.established()
            await stage.talking()
        else:
            await phone.wait_for("CALL_RINGING")
        await phone.hangup()
        await call.ended()
        await stage.call_over()
        assert await global_variable(stage.asterisk, "H") == ("/ANSWER" if answered else "/CANCEL")


async def test_options_of_the_dialplan_reach_astergram(play: PlayMaker) -> None:
    second = "+79990000009"
    dialplan = (
        f"[phones](+)\nexten => 700,1,Set(_TELEGRAM_OPTIONS=line={second[1:]},card=no)\n same => n,Goto({ANNA},1)\n"
    )
    async with (
        play(people={second: "Second"}, lines=[{"number": LINE}, {"number": second}], dialplan=dialplan) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        for dialled, person, line in (("700", anna, second), (BORIS, boris, LINE)):
            await phone.dial(dialled)
            await (await person.incoming()).hang_up(DiscardReason.BUSY)
            assert (await phone.closed()).startswith("486")
            assert stage.telegram.calls[-1].caller == line[1:]
