"""The dialplan calls a person on Telegram: `Stasis(telegram,DESTINATION[,option=value...])`.

The channel comes back to the dialplan with TELEGRAM_STATUS and TELEGRAM_CAUSE, unless its caller has hung up.
"""

import logging
from functools import partial
from typing import Protocol

from ari_app.asterisk.errors import AriError, AriNotFound, best_effort
from ari_app.asterisk.legs import IncomingLeg, Leg
from ari_app.asterisk.resources import Channel
from ari_app.calls import outcome
from ari_app.calls.audio import connect_telegram, join_asterisk, open_audio
from ari_app.calls.away import asterisk_away
from ari_app.calls.call import Call
from ari_app.calls.cdr import OutgoingRow
from ari_app.calls.conversation import attach_phone_call, converse, ended_in_asterisk, tell_channel
from ari_app.calls.events import CalleeFound, CalleeOutdated, CallRequested, Dialled, LineRefused
from ari_app.calls.outcome import Cause, Ending, Status
from ari_app.calls.parts import LegPart
from ari_app.calls.request import Route
from ari_app.calls.resources import CallResources
from ari_app.calls.scope import CallScope
from ari_app.telegram.errors import Limited, NotFound
from ari_app.telegram.line import Line
from ari_app.telegram.lists import Denied
from ari_app.telegram.peers import Callee, Destination
from ari_app.telegram.phone import RECEIVE_S, OutgoingCall

log = logging.getLogger(__name__)

RING_OUT_S = 115.0
"""For the person to accept, however long the dialplan asks for: Telegram gives 20 s to reach them and 90 s to ring."""
REDIALS = 1  # a call that was accepted but got no audio path is tried this often again


async def outbound(
    scope: CallScope, route: Route, destination: str, leg: IncomingLeg, resources: CallResources, ring_s: float
) -> None:
    """Handle one outgoing call; a line that Telegram limits hands it on to the next of the route."""
    call = scope.call
    row = OutgoingRow(leg, call)
    call.opened(leg=LegPart.of(leg))
    scope.on_end(partial(return_to_dialplan, leg, row))
    scope.end_when(ended_in_asterisk(call, leg))
    scope.end_when(asterisk_away(call, resources.ari, resources.audio.away_s))
    await tell_channel(call, leg)
    call.add_event(Dialled(leg.caller_number, destination))
    # What an `h` extension reads if the caller hangs up before anything else is known.
    with best_effort(f"call {call.id}: setting TELEGRAM_STATUS"):
        await leg.set_variable("TELEGRAM_STATUS", Status.CANCEL.value)
    with best_effort(f"call {call.id}: its CDR"):
        await row.begin()
    party = CallingChannel(route, leg, row)
    while True:
        line = route.line
        try:
            dialled = line.destination(destination)
            callee = await line.find(dialled)
            call.person = callee.person
            await tell_channel(call, leg)
            with best_effort(f"call {call.id}: its CDR"):
                await row.charge(line)
                await leg.tell(row.columns(Status.CANCEL))
            call.add_event(CalleeFound(callee.person.handle, line.number))
            return await place_call(scope, line, dialled, callee, party, resources, ring_s)
        except (Limited, Denied) as refusal:
            route.move_on(refusal)
            call.add_event(LineRefused(outcome.failed(refusal).reason))
        call.line = route.line.number


class PbxParty(Protocol):
    """Who in the PBX talks to the person; told how far the call has come.

    That they hear it ring is no condition of the call: what Asterisk does not do of that is logged.
    """

    leg: Leg

    def call_requested(self) -> None:
        """The person has been asked to take a call."""

    async def ringing(self) -> None:
        """The person's Telegram rings. Raises LegEnded."""

    async def connected(self) -> None:
        """The audio is connected. Raises LegEnded."""


class CallingChannel:
    """The phone that dialled; its channel is answered when the audio is connected."""

    def __init__(self, route: Route, leg: IncomingLeg, row: OutgoingRow) -> None:
        self.leg: Leg = leg
        self._incoming = leg
        self._row = row
        self._route = route

    def call_requested(self) -> None:
        """No other line may be tried any more."""
        self._route.call_requested = True

    async def ringing(self) -> None:
        """It hears ringing."""
        with best_effort(f"ringing of channel {self.leg.id}"):
            await self._incoming.ring()

    async def connected(self) -> None:
        """It is answered; what an `h` extension reads is there before its caller can hang up an answered call."""
        await answer(self._incoming, self._row)


async def answer(leg: IncomingLeg, row: OutgoingRow) -> None:
    """Answer the phone that dialled. Raises LegEnded."""
    with best_effort(f"setting TELEGRAM_CAUSE and TELEGRAM_STATUS of channel {leg.id}"):
        await leg.set_variables(result(Status.ANSWER, Cause.NORMAL_CLEARING, row))
    await leg.answer()


async def place_call(
    scope: CallScope,
    line: Line,
    dialled: Destination,
    callee: Callee,
    party: PbxParty,
    resources: CallResources,
    ring_s: float,
) -> None:
    """Call a person who was found, and let both sides talk until the call is over."""
    call, settings = scope.call, resources.audio
    ring_s = min(ring_s, RING_OUT_S)
    while call.redials <= REDIALS:
        call.person = callee.person
        async with scope.attempt() as attempt:
            audio = await open_audio(attempt, settings)
            await audio.in_asterisk(party.leg.id)
            call.opened(asked_for=callee.peer.user_id, telegram=None)
            try:
                phone_call = await attempt.enter(line.call(callee.peer, audio))
            except NotFound:
                if not callee.cached:
                    raise
                call.add_event(CalleeOutdated())
                callee = await line.find(dialled, fresh=True)
                continue
            party.call_requested()
            attach_phone_call(attempt, phone_call)
            call.add_event(CallRequested())
            attempt.spawn(_pass_ringing(call, phone_call, party))
            try:
                await phone_call.accepted(ring_s)
            except TimeoutError:
                return call.end(outcome.not_answered(ring_s))
            connections = await phone_call.confirm(audio)
            call.mark_accepted()
            await join_asterisk(attempt, resources.ari, settings, audio, party.leg)
            if await connect_telegram(attempt, settings, audio, phone_call, connections):
                call.dtmf.open(phone_call.date)  # before anybody can notice that they talk
                call.mark_media_up()
                await party.connected()
                return await converse(attempt, party.leg, audio)
        call.redials += 1
    return call.end(outcome.no_media(settings.connect_s))


def result(status: Status, cause: int, row: OutgoingRow) -> dict[str, str]:
    """What the dialplan, and Asterisk's CDR, are told."""
    return {"TELEGRAM_CAUSE": str(int(cause)), "TELEGRAM_STATUS": status.value, **row.columns(status)}


async def return_to_dialplan(leg: IncomingLeg, row: OutgoingRow, ending: Ending) -> None:
    """Let the dialplan go on after its Stasis() line, unless the caller has hung up."""
    if leg.hangup:
        return
    try:
        await leg.continue_in_dialplan(result(ending.status, ending.cause, row))
    except AriError as error:
        log.info("channel %s could not go on in the dialplan: %s", leg.id, error)
        leg.cause = int(ending.cause)  # it is hung up with


async def return_lost(channel: Channel) -> None:
    """As `return_to_dialplan`, for a channel whose call nobody knows. Raises AriError."""
    try:
        was = await channel.getChannelVar(variable="TELEGRAM_STATUS")
    except AriNotFound:  # the variable, or the channel, which is seen next
        was = ""
    status = Status.ANSWER if was == Status.ANSWER.value else Status.ERROR
    await channel.setChannelVar(variable="TELEGRAM_CAUSE", value=str(int(Cause.TEMPORARY_FAILURE)))
    await channel.setChannelVar(variable="TELEGRAM_STATUS", value=status.value)
    await channel.continueInDialplan()
    log.warning("the call of channel %s is lost: its dialplan goes on, with %s", channel.name, status.value)


async def _pass_ringing(call: Call, phone_call: OutgoingCall, party: PbxParty) -> None:
    try:
        await phone_call.ringing()
    except TimeoutError:
        return call.end(outcome.not_answered(RECEIVE_S))
    call.mark_ringing()
    await party.ringing()
