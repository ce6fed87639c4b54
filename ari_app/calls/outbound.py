"""The dialplan calls a person on Telegram: `Stasis(telegram,DESTINATION[,option=value...])`.

The channel comes back to the dialplan with TELEGRAM_STATUS and TELEGRAM_CAUSE, unless its caller has hung up.
"""

import logging
from functools import partial

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.errors import AriError
from ari_app.asterisk.legs import IncomingLeg
from ari_app.calls import outcome
from ari_app.calls.audio import AudioSettings, connect_telegram, join_asterisk, open_audio
from ari_app.calls.call import Call
from ari_app.calls.inbound import ended_in_asterisk, ended_on_telegram
from ari_app.calls.outcome import Ending, Status
from ari_app.telegram.line import Line
from ari_app.telegram.peers import Destination
from ari_app.telegram.phone import RECEIVE_S, OutgoingCall

log = logging.getLogger(__name__)

REDIALS = 1  # a call that was accepted but got no audio path is tried this often again


async def outbound(
    call: Call, line: Line, destination: str, leg: IncomingLeg, ari: AriClient, settings: AudioSettings, ring_s: float
) -> None:
    """Tell the story of one outgoing call."""
    call.step("asterisk", f"{leg.caller_number or 'somebody'} dials {destination}")
    call.at_end(partial(give_back, leg))
    call.ends_with(ended_in_asterisk(call, leg))
    # What an `h` extension reads if the caller hangs up before anything else is known.
    await _set_status(leg, Status.CANCEL)
    callee = await line.find(Destination.parse(destination))
    call.step("telegram", f"found {callee.person.number}")
    for _ in range(1 + REDIALS):
        async with call.attempt():
            audio = await open_audio(call, settings)
            phone_call = await call.open(line.phone.call(callee.peer, audio))
            call.at_end(partial(_discard, call, phone_call))
            call.ends_with(ended_on_telegram(call, phone_call))
            call.step("telegram", "asked to call")
            call.alongside(_ring(call, phone_call, leg))
            try:
                await phone_call.accepted(ring_s)
            except TimeoutError:
                return call.end(outcome.not_answered(ring_s))
            connections = await phone_call.confirm(audio)
            call.step("telegram", "accepted, key agreed")
            await join_asterisk(call, ari, settings, audio, leg)
            if await connect_telegram(call, settings, audio, phone_call, connections):
                call.begins_to_talk()
                await leg.answer()
                await _set_status(leg, Status.ANSWER)
                await call.over()
                return None
        call.redials += 1
    return call.end(outcome.no_media(settings.connect_s))


async def give_back(leg: IncomingLeg, ending: Ending) -> None:
    """Let the dialplan go on after its Stasis() line, unless the caller has hung up."""
    if leg.hangup:
        return
    try:
        await leg.continue_in_dialplan(
            {"TELEGRAM_STATUS": ending.status.value, "TELEGRAM_CAUSE": str(int(ending.cause))}
        )
    except AriError as error:
        log.info("channel %s could not go on in the dialplan: %s", leg.id, error)


async def _ring(call: Call, phone_call: OutgoingCall, leg: IncomingLeg) -> None:
    try:
        await phone_call.ringing()
    except TimeoutError:
        return call.end(outcome.not_answered(RECEIVE_S))
    call.step("telegram", "rings")
    await leg.ring()


async def _discard(call: Call, phone_call: OutgoingCall, ending: Ending) -> None:
    await phone_call.discard(ending.discard, call.duration_s)


async def _set_status(leg: IncomingLeg, status: Status) -> None:
    await leg.noticing_the_end(leg.channel.setChannelVar(variable="TELEGRAM_STATUS", value=status.value))
