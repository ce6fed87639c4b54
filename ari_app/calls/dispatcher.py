"""Starts what handles each call: an offer of Telegram's, a channel of the dialplan's, an administrator's test."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.errors import LegEnded, best_effort
from ari_app.asterisk.events import StasisStart
from ari_app.asterisk.legs import IncomingLeg, incoming_leg
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.calls import outcome
from ari_app.calls.call import Call
from ari_app.calls.callback import callback
from ari_app.calls.card import Cards
from ari_app.calls.cdr import OutgoingRow
from ari_app.calls.conversation import tell_channel
from ari_app.calls.dtmf import DigitsRefused, digits_of
from ari_app.calls.events import ClickToCall
from ari_app.calls.inbound import inbound
from ari_app.calls.keypad import Keypads
from ari_app.calls.moving import NoOtherPlacer, OtherPlacers, is_moved
from ari_app.calls.outbound import outbound, return_to_dialplan
from ari_app.calls.outcome import Direction, Ending, Status, failed
from ari_app.calls.registry import CallRefused, CallRegistry
from ari_app.calls.request import Request, Route
from ari_app.calls.resources import CallResources
from ari_app.calls.scope import CallScope
from ari_app.cluster.claims import Claims
from ari_app.logs import call_log
from ari_app.tasks import GuardedTasks
from ari_app.telegram.errors import Limited, NotReady
from ari_app.telegram.line import Line
from ari_app.telegram.peers import Destination, MalformedDestination, Person
from ari_app.telegram.phone import Offer
from ari_app.telegram.profile import CardReason, Target

log = logging.getLogger(__name__)


class CallDispatcher:
    """``lines`` gives those that there are now; each call is handled in a task of ``tasks``."""

    def __init__(
        self,
        lines: Mapping[str, Line],
        registry: CallRegistry,
        resources: CallResources,
        keypads: Keypads,
        cards: Cards,
        tasks: GuardedTasks,
        claims: Claims,
        placers: OtherPlacers | None = None,
    ) -> None:
        self._lines = lines
        self._registry = registry
        self._resources = resources
        self._keypads = keypads
        self._cards = cards
        self._tasks = tasks
        self._claims = claims
        self._placers = placers or NoOtherPlacer()

    def spawn(self, handler: Coroutine[Any, Any, None], what: str) -> None:
        """Have a call handled; an unexpected error ends no other."""
        self._tasks.spawn(handler, what)

    def on_offer(self, line: Line, offer: Offer) -> None:
        """A person calls a line."""
        self.spawn(self._inbound(line, offer), f"call from {offer.peer_id} to {line.number}")

    def on_channel(
        self, start: StasisStart, resources: CallResources | None = None, tasks: GuardedTasks | None = None
    ) -> None:
        """The dialplan wants a person called.

        Where another machine's does, ``resources`` have its Asterisk, and ``tasks`` the call.
        """
        resources, tasks = resources or self._resources, tasks or self._tasks
        if start.replaces:  # by a transfer, a channel of which nobody is told
            if self._registry.has_leg(start.replaces):  # its call is about to be adopted, and finds it in its bridge
                return resources.ari.events.claim(start, lambda _: None)
            tasks.spawn(_hang_up_transferred(start, resources.ari), f"channel {start.channel_id}")
        else:
            tasks.spawn(self._outbound(start, resources), f"call from channel {start.channel_id}")
        return None

    async def on_signed_out(self, line: Line) -> None:
        """End the calls of a line whose session Telegram has ended."""
        await self._registry.end_calls(line.number, outcome.session_ended)

    def on_text(self, line: Line, person_id: int, text: str, sent_at: float) -> bool:
        """Dial a text of keys where its writer is in a call with the line; False where it is no such text.

        One that was written in an earlier call (``sent_at``, by Telegram's clock) is neither dialled nor answered.
        """
        keys, call = digits_of(text), self._registry.dtmf_call(line.number, person_id)
        if keys is None or call is None:
            return False
        if call.dtmf.is_before_call(sent_at):
            call_log(log, call.id).info("a text of keys from before the call was not dialled")
            return True
        try:
            call.dtmf.press(keys)
        except DigitsRefused as refusal:
            call_log(log, call.id).warning("a text of keys was not dialled: %s", refusal)
            return False
        return True

    async def test_call(self, line: Line, destination: str) -> str:
        """Ring the line's own extension, then call somebody on Telegram; as `click_to_call`."""
        return await self.click_to_call(line, destination, Target(line.number.removeprefix("+"), line.context))

    def on_message(self, line: Line, person: Person, text: str) -> None:
        """Report a text that was not dialled."""
        self._registry.listeners.message_received(line.number, person, text)

    async def click_to_call(self, line: Line, destination: str, target: Target) -> str:
        """Ring somebody in the PBX, then call somebody on Telegram; the call's id.

        Raises MalformedDestination, NotReady, CallRefused.
        """
        dialled = line.destination(destination)
        line.require_online()
        begun: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.spawn(self._click_to_call(line, dialled, target, begun), f"call from {target} to {dialled}")
        return await begun

    async def _click_to_call(
        self, line: Line, dialled: Destination, target: Target, begun: asyncio.Future[str]
    ) -> None:
        try:
            async with self._registry.admit(Direction.BACK, line.number, str(dialled), line.max_calls) as call:
                begun.set_result(call.id)
                scope = CallScope(call)
                await scope.run(callback(scope, line, dialled, target, self._resources, ClickToCall(str(dialled))))
        except CallRefused as refused:
            begun.set_exception(refused)
        finally:
            if not begun.done():
                begun.set_exception(NotReady("the call was over before it had begun; see the log"))

    async def _inbound(self, line: Line, offer: Offer) -> None:
        its_claim = self._claims.claimed(line.number, offer, lambda: line.online is not None, self._room)
        async with offer, its_claim as claim:
            if claim is None:
                offer.leave_to_other_devices()
                return None
            person = Person.of(offer.peer_id, offer.caller)
            if ending := _refusal(line, offer, person):
                level = logging.INFO if ending.status is Status.RESTRICTED else logging.WARNING
                log.log(level, "call from %s to line %s refused: %s", person.handle, line.number, ending.detail)
                self._registry.counted[f"in.{ending.status.value}"] += 1
                self._registry.refuse(self._registry.new(Direction.IN, line.number, str(offer.peer_id), person), ending)
                return await offer.discard(ending.discard)
            try:
                async with self._registry.admit(
                    Direction.IN, line.number, str(offer.peer_id), line.max_calls, person, offered=offer.id
                ) as call:
                    call.leave = claim.leave
                    scope = CallScope(call)
                    scope.on_end(lambda _: claim.told())
                    await scope.run(inbound(scope, line, offer, self._resources, self._keypads))
                    claim.ended()
                if call.talking:
                    return None
                card = partial(self._cards.send_after, call, line)
            except CallRefused as refused:
                log.info("call from %s refused: %s", offer.peer_id, refused)
                if self._registry.drain.active and self._registry.drain.leaves_offers:
                    offer.leave_to_other_devices()
                    return None
                await offer.discard(refused.ending.discard)
                card = partial(self._cards.send, line, person, CardReason.MISSED)
            return self.spawn(self._card(line, offer, card), f"card of {line.number} for {offer.peer_id}")

    async def _card(self, line: Line, offer: Offer, send: Callable[[], Awaitable[None]]) -> None:
        """Send it, unless the call was another machine's after all: that one sends its own."""
        if await self._claims.follows_up(line.number, offer.id):
            await send()

    def _room(self) -> bool:
        """Whether this machine can take one more call, whichever line it is of."""
        return self._registry.shortage is None and self._resources.ari.state is ConnectionState.CONNECTED

    def _can_place(self, request: Request) -> bool:
        """Whether this machine could place such a call now, as far as it is about the machine."""
        lines = [line for number, line in self._lines.items() if request.line in (None, number)]
        return self._room() and any(line.online is not None for line in lines)

    async def _is_moved(self, leg: IncomingLeg, request: Request) -> bool:
        """Whether another machine places it; one that was moved here stays."""
        if leg.machine or self._can_place(request):
            return False
        return await is_moved(leg, self._placers.applications(request.line))

    async def _outbound(self, start: StasisStart, resources: CallResources) -> None:
        async with incoming_leg(resources.ari, start) as leg:
            with suppress(LegEnded), best_effort(f"Linkedid of channel {leg.id}"):
                await leg.learn_linkedid()
            number = ""
            try:
                request = Request.parse(leg.args)
                if await self._is_moved(leg, request):
                    return
                route = Route(request, leg.caller_number, list(self._lines.values()), self._registry.calls_per_line)
                line = route.line
                number = line.number
                async with self._registry.admit(
                    Direction.OUT,
                    number,
                    request.destination,
                    line.max_calls,
                    pbx_party=leg.caller_number,
                    channel=leg.pbx_channel,
                ) as call:
                    call.opened(card_asked=request.card)
                    scope, ring_s = CallScope(call), request.timeout_s or self._resources.ring_s
                    await scope.run(outbound(scope, route, request.destination, leg, resources, ring_s))
                card = self._cards.send_after(call, route.line, request.card)
                self.spawn(card, f"card of {call.line} for {request.destination}")
            except (CallRefused, Limited, MalformedDestination, NotReady) as refusal:
                if isinstance(refusal, Limited):
                    self._registry.counted["out.LIMITED"] += 1
                log.warning("call of %s to %s refused: %s", leg.caller_number, ",".join(leg.args), refusal)
                ending = refusal.ending if isinstance(refusal, CallRefused) else failed(refusal)
                refused: Call | None = None
                if not number:  # else the registry itself has refused it, and knows
                    refused = self._registry.new(
                        Direction.OUT, "", ",".join(leg.args), None, leg.caller_number, leg.pbx_channel
                    )
                    with suppress(LegEnded):
                        await tell_channel(refused, leg)
                    self._registry.refuse(refused, ending)
                await return_to_dialplan(leg, OutgoingRow(leg, refused), ending)


async def _hang_up_transferred(start: StasisStart, ari: AriClient) -> None:
    log.warning("channel %s was transferred to a call that is over: hung up", start.channel.get("name"))
    async with incoming_leg(ari, start):
        pass


def _refusal(line: Line, offer: Offer, person: Person) -> Ending | None:
    """Why a call is refused before it rings."""
    if refusal := line.lists.refuses(person):
        return outcome.denied(refusal)
    return failed(offer.incompatible) if offer.incompatible else None
