"""Every ending in every state ends the other side at once, with the right reason."""

import asyncio
import signal

import psutil
import pytest
from telethon.tl import types

from ari_app.calls.events import CallEnded
from ari_app.calls.reasons import AnsweredElsewhere, AudioLost, EndedByPbx
from ari_app.sandbox.stage import ANNA, BORIS, LINE
from ari_app.sandbox.telegram.server import Timers
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import PERSON_HZ, PHONE_HZ, TALK_S, PlayMaker, heard, in_context
from tests.integration.ari_helpers import global_variable


def reason(ended: types.PhoneCallDiscarded) -> DiscardReason | None:
    return None if ended.reason is None else DiscardReason(type(ended.reason))


# --- a person calls


async def test_the_caller_gives_up_while_the_phone_rings(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        await phone.incoming()
        await call.hang_up(DiscardReason.MISSED)
        await phone.closed()
        assert await stage.outcome() == "CANCEL"


async def test_the_caller_gives_up_before_it_rings(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        await call.hang_up(DiscardReason.MISSED)
        assert await stage.outcome() == "CANCEL"
        assert not any(event.type == "CALL_ESTABLISHED" for event in phone.events)


async def test_the_phone_declines(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        await phone.incoming()
        await phone.hangup()
        assert reason(await call.ended()) is DiscardReason.BUSY


@pytest.mark.asterisk_16
async def test_nobody_answers_the_phone(play: PlayMaker) -> None:
    async with (
        play(
            dialplan="[short]\nexten => _X.,1,Dial(PJSIP/101,1)\n same => n,Hangup(19)\n", **in_context("short")
        ) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        await phone.incoming()
        assert reason(await call.ended()) is DiscardReason.MISSED
        await phone.closed()


async def test_a_phone_that_rings_for_ever(play: PlayMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ari_app.calls.inbound.RING_IN_S", 1.0)
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        await phone.incoming()
        assert reason(await call.ended()) is DiscardReason.MISSED
        await phone.closed()
        assert await stage.outcome() == "NOANSWER"


@pytest.mark.asterisk_16
@pytest.mark.parametrize(
    ("cause", "seen"),
    [(17, DiscardReason.BUSY), (21, DiscardReason.BUSY), (19, DiscardReason.MISSED), (38, DiscardReason.DISCONNECT)],
)
async def test_the_dialplan_hangs_up(play: PlayMaker, cause: int, seen: DiscardReason) -> None:
    dialplan = f"[refusing]\nexten => _X.,1,Hangup({cause})\n"
    async with play(dialplan=dialplan, **in_context("refusing")) as stage, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        assert reason(await call.ended()) is seen


async def test_the_dialplan_has_no_such_extension(play: PlayMaker) -> None:
    async with play(**in_context("nowhere")) as stage, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        assert reason(await call.ended()) is DiscardReason.BUSY


@pytest.mark.asterisk_16
async def test_the_phone_hangs_up_after_talking(play: PlayMaker) -> None:
    async with play() as stage, stage.phone(auto_answer=True) as phone, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await phone.established()
        await asyncio.sleep(1.2)
        await phone.hangup()
        ended = await call.ended()
        assert reason(ended) is DiscardReason.HANGUP
        assert ended.duration in (1, 2)


@pytest.mark.asterisk_16
async def test_the_account_is_answered_on_another_device(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna, stage.person(LINE) as elsewhere:
        call = await anna.call(LINE)
        await phone.incoming()
        other = await elsewhere.incoming()
        answering = asyncio.gather(other.accept(None, None), call.confirm(None, None))
        await phone.closed()
        assert await stage.outcome() == "CANCEL"
        assert stage.calls[-1].events[-1].event == CallEnded("CANCEL", 26, AnsweredElsewhere())
        await answering
        await call.hang_up()


async def test_one_call_more_than_the_line_may_have(play: PlayMaker) -> None:
    async with (
        play(lines=[{"number": LINE, "max_calls": 1}]) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        first = await anna.call(LINE)
        await phone.incoming()
        second = await boris.call(LINE)
        assert reason(await second.ended()) is DiscardReason.BUSY
        await phone.answer()
        await first.confirm(None, None)
        await first.hang_up()
        await phone.closed()


async def test_two_people_talk_on_one_line(play: PlayMaker) -> None:
    async with (
        play() as stage,
        stage.phone("101") as phone,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        calls = []
        for person in (anna, boris):  # one rings after the other: the phone answers the call that came last
            calls.append(await person.call(LINE))
            await phone.incoming()
            await phone.answer()
        await asyncio.gather(*(each.confirm(None, None) for each in calls))
        await stage.talking()
        for each in calls:
            await each.hang_up()
            await phone.closed()
        await stage.call_over()
        assert stage.outcomes() == ["ANSWER", "ANSWER"]


async def test_a_caller_whose_media_never_connects(play: PlayMaker) -> None:
    async with (
        play(calls={"connect_s": 1.0}) as stage,
        stage.phone(auto_answer=True) as phone,
        stage.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        await call.confirm(None, None, connect=False)
        assert reason(await call.ended()) is DiscardReason.DISCONNECT
        await phone.closed()
        assert await stage.outcome() == "ERROR"


async def test_a_callers_media_is_lost(play: PlayMaker) -> None:
    async with play() as stage, stage.phone(auto_answer=True) as phone, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await phone.established()
        await call.close_audio()
        assert reason(await call.ended(timeout_s=60)) is DiscardReason.DISCONNECT
        await phone.closed()


# --- a phone calls


@pytest.mark.asterisk_16
@pytest.mark.parametrize(
    ("said", "sip", "status"),
    [
        (DiscardReason.BUSY, "486", "BUSY"),  # pressing Decline
        (DiscardReason.HANGUP, "603", "BUSY"),
        (DiscardReason.MISSED, "480", "NOANSWER"),
        (DiscardReason.DISCONNECT, "480", "UNAVAILABLE"),
    ],
)
async def test_the_callee_declines(play: PlayMaker, said: DiscardReason, sip: str, status: str) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await phone.wait_for("CALL_RINGING")
        await call.hang_up(said)
        assert (await phone.closed()).startswith(sip)
        assert await stage.outcome() == status


async def test_the_callee_hangs_up_before_it_rings(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.hang_up(DiscardReason.BUSY)
        assert (await phone.closed()).startswith("486")
        await stage.call_over()


@pytest.mark.parametrize("rings", [True, False], ids=["rings", "never received"])
async def test_the_callee_never_answers(play: PlayMaker, rings: bool) -> None:
    async with (
        play(timers=Timers(receive_s=1.5, ring_s=1.5)) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
    ):
        await phone.dial(ANNA)
        call = await anna.incoming()
        if rings:
            await call.ring()
        assert (await phone.closed()).startswith("480")
        assert await stage.outcome() == "NOANSWER"
        assert reason(await call.ended()) is DiscardReason.MISSED


async def test_our_own_limit_of_ringing(play: PlayMaker) -> None:
    async with play(calls={"ring_s": 1.0}) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        assert (await phone.closed()).startswith("480")
        assert reason(await call.ended()) is DiscardReason.MISSED
        await stage.call_over()


@pytest.mark.parametrize("rings", [True, False], ids=["while ringing", "before ringing"])
async def test_the_phone_gives_up(play: PlayMaker, rings: bool) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        call = await anna.incoming()
        if rings:
            await call.ring()
            await phone.wait_for("CALL_RINGING")
        await phone.hangup()
        assert reason(await call.ended()) is DiscardReason.MISSED
        assert await stage.outcome() == "CANCEL"


@pytest.mark.asterisk_16
async def test_the_phone_that_dialled_hangs_up_after_talking(play: PlayMaker) -> None:
    """Asterisk tells no cause of a phone's BYE: that is normal clearing, in the log and for an `h` extension."""
    h = (
        f"[phones](+)\nexten => 700,1,Stasis(telegram,{ANNA})\n"
        "exten => h,1,Set(GLOBAL(SEEN)=${TELEGRAM_STATUS}/${TELEGRAM_CAUSE})\n"
    )
    async with play(dialplan=h) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial("700")
        call = await anna.incoming()
        await call.ring()
        await call.accept(None, None)
        await phone.established()
        await stage.talking()
        await phone.hangup()
        await call.ended()
        await stage.call_over()
        assert stage.calls[-1].events[-1].event == CallEnded("ANSWER", 16, EndedByPbx(16))
        assert await global_variable(stage.asterisk, "SEEN") == "ANSWER/16"


@pytest.mark.asterisk_16
async def test_the_callee_hangs_up_after_talking(play: PlayMaker) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await call.accept(None, None)
        await phone.established()
        await call.hang_up()
        await phone.closed()
        assert await stage.outcome() == "ANSWER"


async def test_an_accepted_call_without_media_is_redialled_once(play: PlayMaker) -> None:
    async with play(calls={"connect_s": 1.0}) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        first = await anna.incoming()
        await first.ring()
        await first.accept_without_media()
        assert reason(await first.ended()) is DiscardReason.DISCONNECT
        second = await anna.incoming()
        await second.ring()
        await second.accept(stage.tone("anna", PERSON_HZ), None)
        await phone.established()
        await phone.hangup()
        await second.ended()
        await stage.call_over()
        assert stage.app.registry.counted["redials"] == 1


async def test_an_accepted_call_never_gets_media(play: PlayMaker) -> None:
    async with play(calls={"connect_s": 1.0}) as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        for _ in range(2):
            call = await anna.incoming()
            await call.ring()
            await call.accept_without_media()
            assert reason(await call.ended()) is DiscardReason.DISCONNECT
        assert (await phone.closed()).startswith("500")
        assert await stage.outcome() == "ERROR"


@pytest.mark.parametrize(
    ("error", "sip", "status"),
    [
        ("USER_PRIVACY_RESTRICTED", "403", "RESTRICTED"),
        ("PEER_FLOOD", "503", "LIMITED"),
        ("FLOOD_WAIT_30", "503", "LIMITED"),
        ("CALL_OCCUPY_FAILED", "486", "BUSY"),
        ("PARTICIPANT_VERSION_OUTDATED", "480", "UNAVAILABLE"),
    ],
)
async def test_telegram_refuses(play: PlayMaker, error: str, sip: str, status: str) -> None:
    async with play() as stage, stage.phone() as phone:
        stage.telegram.refuse("phone.requestCall", error)
        await phone.dial(ANNA)
        assert (await phone.closed()).startswith(sip)
        assert await stage.outcome() == status


@pytest.mark.parametrize(
    ("dialled", "sip"),
    [
        ("+79991234567", "404"),
        ("@nobody_here", "404"),
        ("tg#nobody_here", "404"),
        ("123", "404"),
        ("+12", "484"),
        ("+7abc", "484"),
        ("@x", "484"),
        ("", "484"),
    ],
)
async def test_a_destination_that_is_not_there(play: PlayMaker, dialled: str, sip: str) -> None:
    dialplan = (
        f"[phones](+)\nexten => 700,1,Stasis(telegram,{dialled})\n"
        ' same => n,Hangup(${IF($["${TELEGRAM_STATUS}" = "NOTFOUND"]?${TELEGRAM_CAUSE}:38)})\n'
    )
    async with play(dialplan=dialplan) as stage, stage.phone() as phone:
        await phone.dial("700")
        assert (await phone.closed()).startswith(sip)


@pytest.mark.asterisk_16
async def test_the_dialplan_goes_on_with_the_result(play: PlayMaker) -> None:
    failover = (
        "[phones](+)\nexten => _*X.,1,Stasis(telegram,+${EXTEN:1})\n"
        ' same => n,GotoIf($["${TELEGRAM_STATUS}/${TELEGRAM_CAUSE}" = "BUSY/17"]?other)\n'
        " same => n,Hangup(38)\n same => n(other),Dial(PJSIP/102,10)\n"
    )
    async with (
        play(dialplan=failover) as stage,
        stage.phone("101") as phone,
        stage.phone("102") as other,
        stage.person(ANNA) as anna,
    ):
        await phone.dial("*" + ANNA.removeprefix("+"))
        call = await anna.incoming()
        await call.ring()
        await call.hang_up(DiscardReason.BUSY)
        await other.incoming()
        await other.answer()
        await phone.established()
        await phone.hangup()
        await other.closed()


# --- both at once, and Astergram itself


async def test_glare(play: PlayMaker) -> None:
    """A person calls the line at the moment when the line calls them: two calls, each with its own id."""
    async with play() as stage, stage.phone("101") as phone, stage.phone("102") as other, stage.person(ANNA) as anna:
        await other.dial(ANNA)
        ours = await anna.incoming()
        theirs = await anna.call(LINE)
        await ours.hang_up(DiscardReason.BUSY)
        assert (await other.closed()).startswith("486")
        await phone.incoming()
        await phone.answer()
        await theirs.confirm(None, None)
        await stage.talking()
        await theirs.hang_up()
        await phone.closed()
        await stage.call_over()
        assert set(stage.outcomes()) == {"BUSY", "ANSWER"}


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
async def test_the_media_process_crashes(play: PlayMaker, number: signal.Signals) -> None:
    """A native crash ends one call, on both sides, and the history says why."""
    async with play() as stage, stage.phone(auto_answer=True) as phone, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await stage.talking()
        stage.crash_media(number)
        assert reason(await call.ended()) is DiscardReason.DISCONNECT
        await phone.closed()
        await stage.call_over()
        ended = stage.calls[-1].events[-1].event
        assert isinstance(ended, CallEnded)
        assert (ended.status, ended.cause) == ("ANSWER", 38)
        assert isinstance(ended.reason, AudioLost)
        assert f"ended: by {number.name}" in ended.reason.detail


@pytest.mark.parametrize("talking", [False, True])
async def test_the_media_process_of_an_outgoing_call_crashes(play: PlayMaker, talking: bool) -> None:
    async with play() as stage, stage.phone() as phone, stage.person(ANNA) as anna:
        await phone.dial(ANNA)
        call = await anna.incoming()
        await call.ring()
        await phone.wait_for("CALL_RINGING")
        if talking:
            await call.accept(None, None)
            await stage.talking()
        stage.crash_media(signal.SIGKILL)
        assert reason(await call.ended()) is DiscardReason.DISCONNECT
        await phone.closed()
        await stage.call_over()
        ended = stage.calls[-1].events[-1].event
        assert isinstance(ended, CallEnded)
        assert (ended.status, ended.cause) == ("ANSWER" if talking else "ERROR", 38)
        assert isinstance(ended.reason, AudioLost)


async def test_the_zygote_is_killed(play: PlayMaker) -> None:
    """Who talks goes on, the next call has a media process of another one, and both end as ever."""
    async with (
        play(lines=[{"number": LINE, "max_calls": 2}]) as stage,
        stage.phone(auto_answer=True) as phone,
        stage.person(ANNA) as anna,
        stage.person(BORIS) as boris,
    ):
        recording = stage.recording("anna")
        call = await anna.call(LINE)
        await call.confirm(stage.tone("anna", PERSON_HZ), recording)
        await stage.talking()
        zygote = psutil.Process(stage.media_pid()).parent()
        assert zygote
        zygote.kill()
        for _ in range(3):  # more than are kept ready
            other = await boris.call(LINE)
            await other.confirm(None, None)
            await stage.talking()
            await other.hang_up()
            await other.close_audio()
        await asyncio.sleep(TALK_S)
        await call.hang_up()
        await phone.closed()
        await call.close_audio()
        await stage.call_over()
        assert stage.outcomes() == ["ANSWER"] * 4
        heard(recording, PHONE_HZ)


async def test_astergram_stops_during_a_call(play: PlayMaker) -> None:
    async with play() as stage, stage.phone(auto_answer=True) as phone, stage.person(ANNA) as anna:
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await stage.talking()
        await stage.stop_astergram()
        assert reason(await call.ended()) is DiscardReason.HANGUP
        await phone.closed()
