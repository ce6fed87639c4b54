"""Scenes in which a person is called, by the dialplan or back; which events no scene can bring about."""

import os
import re
import signal
from functools import partial

from ari_app.calls.events import (
    AsteriskAwayWithAudio,
    Bridged,
    CallBackRequested,
    CalleeFound,
    CalleeOutdated,
    CallEnded,
    CallEvent,
    CallRequested,
    ClickToCall,
    Connected,
    Dialled,
    DigitsLost,
    EventsOmitted,
    LineRefused,
    MediaConnected,
    Note,
    PbxAnswered,
    PbxRinging,
    SignallingFailed,
    SignallingRestored,
    TelegramAnswered,
    TelegramRinging,
    Transferred,
)
from ari_app.calls.journal import JOURNAL
from ari_app.sandbox.person import PersonCall
from ari_app.sandbox.proxy import Proxy
from ari_app.sandbox.stage import ANNA, LINE
from ari_app.telegram.phone import DiscardReason
from tests.survival.performance import Cast, Performance, Scene
from tests.survival.scenes import ANY_LINE, BY_LINE, SECOND, SHORTLY


async def dials(its: Performance, extension: str = BY_LINE) -> PersonCall:
    """The phone has dialled, and Anna's app rings."""
    await its.phone.dial(extension)
    call = await its.anna.incoming()
    await call.ring()
    return call


async def accepted(its: Performance, extension: str = BY_LINE) -> PersonCall:
    """Both talk."""
    call = await dials(its, extension)
    await its.connects(call)
    await its.phone.established()
    return call


async def out_talks(its: Performance) -> None:
    """The phone transfers the call, and Anna hangs up."""
    call = await accepted(its)
    await its.phone.transfer("103")
    await its.other.incoming()
    await its.other.answer()
    await its.told(Transferred)
    await its.hangs_up(call)
    await its.other.closed()


async def out_phone_hangs_up(its: Performance) -> None:
    call = await accepted(its)
    await its.phone.hangup()
    await call.ended()


async def out_declined(its: Performance) -> None:
    call = await dials(its)
    await its.told(TelegramRinging)
    await its.hangs_up(call, DiscardReason.BUSY)
    await its.phone.closed()


async def out_not_answered(its: Performance) -> None:
    """Anna gets a card."""
    known = {each.id for each in await its.anna.chat_with(LINE)}
    call = await dials(its, SHORTLY)
    await call.ended()
    await its.phone.closed()
    (card,) = await its.anna.sees(LINE, lambda messages: [each for each in messages if each.id not in known])
    assert card.buttons


async def out_given_up(its: Performance) -> None:
    call = await dials(its)
    await its.told(TelegramRinging)
    await its.phone.hangup()
    await call.ended()


async def out_audio_lost(its: Performance) -> None:
    """The call's media process is killed."""
    call = await accepted(its)
    journal = (its.its.settings.state_dir / JOURNAL).read_bytes()
    process = re.search(rb'"id":"%s".*?"process":{[^{}]*"pid":(\d+)' % its.call_id.encode(), journal)
    assert process, "its process is in the journal"
    os.kill(int(process[1]), signal.SIGKILL)
    await call.ended()
    await its.phone.closed()


async def out_line_refused(its: Performance) -> None:
    """Telegram asks the first line to wait."""
    its.its.stage.telegram.refuse("phone.requestCall", "FLOOD_WAIT_1", phone=SECOND)
    call = await dials(its, ANY_LINE)
    await its.told(TelegramRinging)
    await its.hangs_up(call, DiscardReason.BUSY)
    await its.phone.closed()


async def out_callee_outdated(its: Performance) -> None:
    """Telegram does not know any more whom the line has found."""
    its.its.stage.telegram.refuse("phone.requestCall", "USER_ID_INVALID", phone=LINE)
    await out_declined(its)


async def out_signalling_fails(its: Performance) -> None:
    """For a moment, while the audio is being connected."""
    # Of this call: the bystanders' signalling goes on, too.
    its.its.stage.telegram.refuse("phone.sendSignalingData", "RPC_CALL_FAIL", phone=LINE, peer=ANNA, code=500)
    call = await accepted(its)
    await its.told(SignallingRestored)
    await its.hangs_up(call)
    await its.phone.closed()


OUT = (
    Scene(
        "talks",
        out_talks,
        "ANSWER",
        16,
        (
            Dialled,
            CalleeFound,
            CallRequested,
            TelegramRinging,
            TelegramAnswered,
            Bridged,
            MediaConnected,
            Connected,
            Transferred,
            CallEnded,
        ),
    ),
    Scene("hung up by the phone", out_phone_hangs_up, "ANSWER", 16, by="the phone"),
    Scene("declined", out_declined, "BUSY", 17),
    Scene("not answered", out_not_answered, "NOANSWER", 19),
    Scene("given up", out_given_up, "CANCEL", 127),
    Scene("audio lost", out_audio_lost, "ANSWER", 38),
    Scene("line refused", out_line_refused, "BUSY", 17, (LineRefused,), last=LineRefused),
    Scene("callee outdated", out_callee_outdated, "BUSY", 17, (CalleeOutdated,), last=CalleeOutdated),
    Scene(
        "signalling fails",
        out_signalling_fails,
        "ANSWER",
        16,
        (SignallingFailed, SignallingRestored),
        last=SignallingRestored,
    ),
)
"""The dialplan calls a person."""


def without_ari(ari: Proxy) -> tuple[Scene, ...]:
    """ARI goes away while both talk."""

    async def away(its: Performance, event: type[CallEvent]) -> None:
        call = await accepted(its)
        ari.refusing = True
        ari.cut()
        try:
            await its.types("7")
            await its.told_or_killed(event)
        finally:
            ari.refusing = False
        await its.at_work()
        await its.hangs_up(call)
        await its.phone.closed()

    return tuple(
        Scene(f"{event.__name__}", partial(away, event=event), "ANSWER", 16, (event,), last=event)
        for event in (AsteriskAwayWithAudio, DigitsLost)
    )


async def back_talks(its: Performance) -> None:
    """An administrator has Anna called."""
    its.begin("POST", f"/lines/{LINE}/test-call", {"destination": ANNA})
    await back(its)


async def has_a_card(cast: Cast) -> None:
    """Anna has declined a call."""
    await cast.phone.dial(BY_LINE)
    call = await cast.anna.incoming()
    await call.ring()
    await cast.phone.wait_for("CALL_RINGING")
    await call.hang_up(DiscardReason.BUSY)
    await cast.phone.closed()
    await cast.anna.keypad(LINE)
    cast.calls += 1


async def back_by_card(its: Performance) -> None:
    """Anna presses the button of her card."""
    await its.bot_is_ready()
    card = await its.anna.sees(LINE, lambda messages: next((each for each in messages if each.buttons), None))
    await card.click()
    await back(its)
    await its.anna.sees(LINE, lambda messages: not any(each.buttons for each in messages))


async def back(its: Performance) -> None:
    """The phone answers, then Anna; she hangs up."""
    await its.phone.incoming()
    await its.phone.answer()
    call = await its.anna.incoming()
    await call.ring()
    await its.connects(call)
    await its.hangs_up(call)
    await its.phone.closed()


BACK = (
    Scene("talks", back_talks, "ANSWER", 16, (ClickToCall, PbxRinging, PbxAnswered, Connected, CallEnded)),
    Scene("by card", back_by_card, "ANSWER", 16, (CallBackRequested,), before=has_a_card),
)
"""The PBX is called first, and then the person."""

NOT_BROUGHT_ABOUT: dict[type[CallEvent], str] = {
    EventsOmitted: "the call has three hundred events by then: tests/unit/test_scope.py",
    Note: "it stands for an event of an earlier or a later version, in a call that is over or was left",
}
"""Events that no scene can bring about, and why."""
