"""A person on Telegram calls a line: it rings in the dialplan, and Telegram is answered when the dialplan answers."""

import asyncio

from ari_app.asterisk.caller_id import CallerId
from ari_app.asterisk.errors import LegEnded
from ari_app.asterisk.legs import dialplan_leg
from ari_app.calls import outcome
from ari_app.calls.audio import codecs_for, connect_telegram, join_asterisk, open_audio
from ari_app.calls.away import asterisk_away
from ari_app.calls.cdr import dialplan_variables
from ari_app.calls.conversation import attach_leg, attach_phone_call, converse, ended_in_asterisk
from ari_app.calls.events import CallOffered, PbxRinging
from ari_app.calls.keypad import Keypads
from ari_app.calls.outcome import Direction
from ari_app.calls.parts import LegPart
from ari_app.calls.resources import CallResources
from ari_app.calls.scope import Scope
from ari_app.telegram.line import Line
from ari_app.telegram.peers import Person
from ari_app.telegram.phone import Offer

RING_IN_S = 95.0  # for the dialplan to answer; a caller's app gives up after 90 s


async def inbound(scope: Scope, line: Line, offer: Offer, resources: CallResources, keypads: Keypads) -> None:
    """Handle one incoming call; the offer is discarded with the call's own ending, whatever that is."""
    call, ari, settings = scope.call, resources.ari, resources.audio
    call.person = caller = line.templates.with_language(Person.of(offer.peer_id, offer.caller))
    call.dtmf.open(offer.date)  # what they dial while it rings waits for the answer
    attach_phone_call(scope, offer)
    call.add_event(CallOffered(caller.handle))
    scope.end_when(asterisk_away(call, ari, settings.away_s))
    audio = await open_audio(scope, settings)
    await offer.ringing()
    call.mark_ringing()
    await scope.enter(keypads.shown_to(call, line, caller, offer.peer))

    extension, channel_id = line.number.removeprefix("+"), ari.new_id()
    # Whoever goes on, or ends it, after a kill has to know of it before it rings anywhere.
    await audio.in_asterisk(channel_id)
    call.opened(leg=LegPart("dialplan", channel_id))
    leg = await scope.enter(
        dialplan_leg(
            ari,
            extension=extension,
            context=line.context,
            caller_id=CallerId(name=caller.name, number=caller.number),
            variables={**call.variables(), **dialplan_variables(line)},
            formats=codecs_for(call, settings).from_asterisk,
            channel_id=channel_id,
            ring_s=RING_IN_S,
        )
    )
    call.pbx_party = extension
    attach_leg(scope, leg)
    call.add_event(PbxRinging(extension, line.context))
    try:
        async with asyncio.timeout(RING_IN_S):
            await leg.answered()
    except LegEnded as ended:
        return call.end(outcome.asterisk_ended(ended.hangup.cause, Direction.IN, talking=False))
    except TimeoutError:
        return call.end(outcome.not_answered(RING_IN_S))
    scope.end_when(ended_in_asterisk(call, leg))
    call.mark_pbx_answered(extension, line.context)

    await join_asterisk(scope, ari, settings, audio, leg)
    connections = await offer.accept(audio)
    call.mark_accepted()
    if not await connect_telegram(scope, settings, audio, offer, connections):
        return call.end(outcome.no_media(settings.connect_s))
    call.mark_media_up()
    await converse(scope, leg, audio)
    return None
