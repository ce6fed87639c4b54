"""A person on Telegram calls a line: it rings in the dialplan, and Telegram is answered when the dialplan answers."""

import asyncio

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.caller_id import CallerId
from ari_app.asterisk.errors import LegEnded
from ari_app.asterisk.legs import Leg, dialplan_leg
from ari_app.calls import outcome
from ari_app.calls.audio import AudioSettings, connect_telegram, join_asterisk, open_audio
from ari_app.calls.away import asterisk_away
from ari_app.calls.call import Call
from ari_app.calls.events import CallOffered, PbxRinging
from ari_app.calls.keypad import Keypads
from ari_app.calls.outcome import Direction, Ending
from ari_app.telegram.line import Line
from ari_app.telegram.peers import Person
from ari_app.telegram.phone import Offer, PhoneCall

RING_IN_S = 95.0  # for the dialplan to answer; a caller's app gives up after 90 s


async def inbound(
    call: Call, line: Line, offer: Offer, ari: AriClient, settings: AudioSettings, keypads: Keypads
) -> None:
    """Tell the story of one incoming call; the offer is discarded with the call's own ending, whatever that is."""
    call.person = caller = line.templates.with_language(Person.of(offer.peer_id, offer.caller))
    call.dtmf.open(offer.date)  # what they dial while it rings waits for the answer
    call.add_event(CallOffered(caller.number))
    call.on_end(lambda ending: offer.discard(ending.discard, call.duration_s))
    call.end_when(ended_on_telegram(call, offer))
    call.end_when(asterisk_away(call, ari, settings.away_s))
    audio = await open_audio(call, settings)
    await offer.ringing()
    call.mark_ringing()
    await call.enter(keypads.shown_to(call, line, caller, offer.peer))

    extension = line.number.removeprefix("+")
    leg = await call.enter(
        dialplan_leg(
            ari,
            extension=extension,
            context=line.context,
            caller_id=CallerId(name=caller.name, number=caller.number),
            variables={**caller.variables(), "TELEGRAM_LINE": line.number, "TELEGRAM_CALL": call.id},
        )
    )
    hang_up_with_the_call(call, leg)
    call.pbx_party = extension
    call.add_event(PbxRinging(extension, line.context))
    try:
        async with asyncio.timeout(RING_IN_S):
            await leg.answered()
    except LegEnded as ended:
        return call.end(outcome.asterisk_ended(ended.hangup.cause, Direction.IN, talking=False))
    except TimeoutError:
        return call.end(outcome.not_answered(RING_IN_S))
    call.end_when(ended_in_asterisk(call, leg))
    call.mark_pbx_answered(extension, line.context)

    await join_asterisk(call, ari, settings, audio, leg)
    connections = await offer.accept(audio)
    call.mark_accepted()
    if not await connect_telegram(call, settings, audio, offer, connections):
        return call.end(outcome.no_media(settings.connect_s))
    call.spawn(call.dtmf.send_with(leg.press))
    call.mark_media_up()
    await call.ended()
    return None


async def ended_on_telegram(call: Call, phone_call: PhoneCall) -> Ending:
    """The person, or Telegram, ends the call."""
    return outcome.telegram_ended(await phone_call.discarded(), call.direction, call.talking)


async def ended_in_asterisk(call: Call, leg: Leg) -> Ending:
    """The PBX's side ends the call."""
    return outcome.asterisk_ended((await leg.hung_up()).cause, call.direction, call.talking)


def hang_up_with_the_call(call: Call, leg: Leg) -> None:
    """Let the leg be closed with the cause that the call ended with."""

    async def set_cause(ending: Ending) -> None:
        leg.cause = int(ending.cause)

    call.on_end(set_cause)
