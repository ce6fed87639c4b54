"""What every call has in common, however its two parties got to talk."""

from functools import partial

from ari_app.asterisk.errors import best_effort
from ari_app.asterisk.legs import IncomingLeg, Leg
from ari_app.calls import outcome
from ari_app.calls.call import Call
from ari_app.calls.outcome import Ending
from ari_app.calls.parts import LegPart, OwedDiscard, TelegramPart
from ari_app.calls.samples import sampled
from ari_app.calls.scope import Scope
from ari_app.telegram.phone import PhoneCall
from media.process import MediaProcess


async def converse(scope: Scope, leg: Leg, audio: MediaProcess) -> None:
    """Both sides hear each other: what is dialled is passed on and the audio is measured, until the call is over."""
    call = scope.call
    scope.spawn(call.dtmf.send_with(leg.press))
    scope.spawn(sampled(audio, call.measured))
    await call.ended()


def attach_phone_call(scope: Scope, phone_call: PhoneCall) -> None:
    """Telegram's end of the call ends it, and Telegram is told of any other end."""
    scope.call.opened(telegram=TelegramPart.of(phone_call))
    discard_with_the_call(scope, phone_call)
    scope.end_when(ended_on_telegram(scope.call, phone_call))


def discard_with_the_call(scope: Scope, phone_call: PhoneCall) -> None:
    """Telegram is told of the call's end; what it does not take at once stays in the journal until it does."""
    call = scope.call

    async def discard(ending: Ending) -> None:
        owed = OwedDiscard(TelegramPart.of(phone_call), ending.discard.name, call.duration_s)
        try:
            await phone_call.discard(ending.discard, owed.duration_s)
        finally:
            discard_is_told(call, owed)
            if phone_call.owes_discard:
                call.opened(undiscarded=(*call.parts.undiscarded, owed))
                phone_call.on_discard_told(partial(discard_is_told, call, owed))

    scope.on_end(discard)


def discard_is_told(call: Call, owed: OwedDiscard) -> None:
    """Telegram knows now that the call, or an attempt of it, is over, or is not told any more."""
    left = tuple(each for each in call.parts.undiscarded if each.telegram != owed.telegram)
    if left != call.parts.undiscarded:
        call.opened(undiscarded=left)


def attach_leg(scope: Scope, leg: Leg) -> None:
    """The leg is the call's channel, and is closed with the cause that the call ends with."""
    scope.call.channel = leg.pbx_channel
    scope.call.opened(leg=LegPart.of(leg))

    async def set_cause(ending: Ending) -> None:
        leg.cause = int(ending.cause)

    scope.on_end(set_cause)


async def ended_on_telegram(call: Call, phone_call: PhoneCall) -> Ending:
    """The person, or Telegram, ends the call."""
    return outcome.telegram_ended(await phone_call.discarded(), call.direction, call.talking)


async def ended_in_asterisk(call: Call, leg: Leg) -> Ending:
    """The PBX's side ends the call."""
    return outcome.asterisk_ended((await leg.hung_up()).cause, call.direction, call.talking)


async def tell_channel(call: Call, leg: IncomingLeg) -> None:
    """Set on the channel that dialled, or is in its place, what is known of the call, before anybody reports it."""
    with best_effort(f"call {call.id}: setting TELEGRAM_* of channel {leg.id}"):
        await leg.tell({name: value for name, value in call.variables().items() if name.startswith("TELEGRAM_")})
