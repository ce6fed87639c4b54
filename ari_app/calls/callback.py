"""A person asks to be called back: the PBX rings somebody first, and then the line calls the person.

They ask by pressing the button of their business card, whose message tells them how far it has come.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ari_app.asterisk.caller_id import CallerId
from ari_app.asterisk.errors import LegEnded, best_effort
from ari_app.asterisk.legs import Leg, dialplan_leg
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.asterisk.resources import Channel
from ari_app.calls import outcome
from ari_app.calls.audio import codecs_for, open_audio
from ari_app.calls.away import asterisk_away
from ari_app.calls.cdr import dialplan_variables, endpoint_variables
from ari_app.calls.conversation import attach_leg, ended_in_asterisk
from ari_app.calls.events import CallBackRequested, CallEvent, PbxRinging
from ari_app.calls.known_cards import KnownCards
from ari_app.calls.outbound import place_call
from ari_app.calls.outcome import Direction
from ari_app.calls.parts import LegPart
from ari_app.calls.rate_limiter import RateLimiter
from ari_app.calls.registry import CallRefused, CallRegistry
from ari_app.calls.resources import CallResources
from ari_app.calls.scope import CallScope
from ari_app.cluster.shared_cards import IsLeft
from ari_app.logs import line_log
from ari_app.store.cards import CardRow
from ari_app.telegram.buttons import NOT_NOW, REFUSAL, ButtonBot, Keyboard, Press
from ari_app.telegram.card_message import keyboard, pressed, signer
from ari_app.telegram.edited_message import EditedMessage, EditOutcome
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.line import Line
from ari_app.telegram.peers import Destination, Kind, Person
from ari_app.telegram.profile import Target
from ari_app.telegram.signed_buttons import ForgedButton
from ari_app.telegram.texts import MESSAGE_LENGTH, TextName

log = logging.getLogger(__name__)

AGENT_S = 300.0  # for somebody in the PBX to answer; its dialplan will give up long before
ENDPOINT_S = 60.0  # for a phone that no dialplan gives up
EDIT_AGAIN_S = 30.0  # where a card could not be edited, as the bot was away


async def callback(
    scope: CallScope,
    line: Line,
    dialled: Destination,
    target: Target,
    resources: CallResources,
    requested: CallEvent,
    calling: Callable[[], None] = lambda: None,
) -> None:
    """Handle one call back, which was ``requested``; ``calling`` is called when the PBX has answered."""
    call = scope.call
    call.add_event(requested)
    line.limits.check()
    callee = await line.find(dialled)
    call.person = person = line.templates.with_language(callee.person)
    channel_id = resources.ari.new_id()
    answer_s = AGENT_S if target.context else ENDPOINT_S
    row = dialplan_variables(line) if target.context else endpoint_variables(call)
    async with scope.attempt() as ringing:
        # Should this program be killed, and no other one come, the process hangs up: the phone would ring on.
        audio = await open_audio(ringing, resources.audio)
        await audio.in_asterisk(channel_id)
        call.opened(leg=LegPart("dialplan", channel_id))
        leg = await scope.enter(
            dialplan_leg(
                resources.ari,
                extension=target.extension,
                context=target.context,
                caller_id=CallerId(name=person.name, number=person.number),
                variables={**call.variables(), **row, "TELEGRAM_CALLBACK": "1"},
                formats=codecs_for(call, resources.audio).from_asterisk,
                channel_id=channel_id,
                ring_s=answer_s,
            )
        )
        call.pbx_party = target.extension
        attach_leg(scope, leg)
        scope.end_when(asterisk_away(call, resources.ari, resources.audio.away_s))
        call.add_event(PbxRinging(target.extension, target.context))
        try:
            async with asyncio.timeout(answer_s):
                await leg.answered()
        except LegEnded as ended:
            return call.end(outcome.asterisk_ended(ended.hangup.cause, Direction.IN, talking=False))
        except TimeoutError:
            return call.end(outcome.not_answered(answer_s))
    scope.end_when(ended_in_asterisk(call, leg))
    call.mark_pbx_answered(target.extension, target.context)
    calling()
    await place_call(scope, line, dialled, callee, Agent(leg), resources, resources.ring_s)
    return None


class Agent:
    """Who has answered in the PBX; they hear it ring while the person is called."""

    def __init__(self, leg: Leg) -> None:
        self.leg = leg

    def call_requested(self) -> None:
        """The person has been asked to take a call."""

    async def ringing(self) -> None:
        """The person's Telegram rings."""
        with best_effort(f"ringing of channel {self.leg.id}"):
            await self.leg.noticing_the_end(Channel.ring)

    async def connected(self) -> None:
        """The person hears them."""
        with best_effort(f"end of ringing of channel {self.leg.id}"):
            await self.leg.noticing_the_end(Channel.ringStop)


class CallBackHandler:
    """Takes the presses of cards, one request of a person at a time; ``start`` gets the work a task of its own.

    ``others_take``: whether another machine could take a call to a line now, and so call somebody back by it.
    """

    def __init__(
        self,
        cards: KnownCards,
        lines: Mapping[str, Line],
        bot: ButtonBot,
        registry: CallRegistry,
        resources: CallResources,
        start: Callable[[Coroutine[Any, Any, None], str], None],
        clock: Callable[[], float] = time.monotonic,
        others_take: Callable[[str], bool] = lambda line: False,
    ) -> None:
        self._others_take = others_take
        self._cards = cards
        self._lines = lines
        self._bot = bot
        self._registry = registry
        self._resources = resources
        self._start = start
        self._rate_limiter = RateLimiter(clock)
        cards.on_request = self._rate_limiter.began_elsewhere
        self._edits: dict[str, EditedMessage] = {}

    def press(self, press: Press) -> str | None:
        """A press counts only from the person whom the card was sent to; gives what the presser is told. After REFUSAL
        and NOT_NOW another machine may know of the card, or be able to call them."""
        card, line = None, None
        try:
            data = pressed(press.data)
            card = self._cards.find(data.subject)
            line = self._lines.get(card.line) if card else None
            target = line.card.callback if line else None
            if card is None or line is None or target is None:
                raise ForgedButton("its card is done with, too old, or never was")
            signer(card.id, card.person_id, card.secret).check(data, press.person_id)
        except ValueError as error:
            self._registry.count("callback.refused")
            log.warning("card: a press of %s was refused: %s", press.person_id, error)
            return line.templates.text("callback_not_yours", Person(press.person_id)) if line else REFUSAL
        person = Person.of_json(card.person)
        if self._others_take(line.number) and not self._could_call(line):
            return NOT_NOW
        if self._cards.is_asked_elsewhere(person.id) or not self._rate_limiter.admit(person.id):
            self._registry.count("callback.too_soon")
            log.info("card: %s asks again too soon", person.handle)
            return line.templates.text("callback_too_soon", person)
        request = _Request(card, line, person, target, press.message_id)
        self._start(self._serve(request), f"call back of {person.handle} by {line.number}")
        return line.templates.text("callback_waiting", person)

    def _could_call(self, line: Line) -> bool:
        has_asterisk = self._resources.ari.state is ConnectionState.CONNECTED
        return line.online is not None and self._registry.shortage is None and has_asterisk

    async def repair_cards(self, line: Line, is_left: IsLeft | None = None) -> None:
        """Put right a line's cards that a former run of the program left telling of a request, or another machine."""
        await self._bot.first_attempt_done()
        for card in self._cards.telling(line.number, is_left):
            if card.tells_in not in self._edits:
                told: TextName = "callback_later" if card.secret else "callback_reached"
                person = Person.of_json(card.person)
                progress = self._progress(card, card.tells_in, lambda: None)
                progress.show(*_telling(card, line, person, told), last=True)

    async def repair_left_cards(self, line: Line) -> None:
        """The same for those of machines that are gone, until cancelled."""
        await self._cards.repair_left(line.number, partial(self.repair_cards, line))

    async def _serve(self, request: "_Request") -> None:
        card, reached = request.card, False
        try:
            if not await self._cards.claim(card, request.message_id):
                return log.info("card: another machine calls %s back", request.person.handle)
            # Not in a TaskGroup of this request's: what goes wrong with the message must not end the call.
            progress = self._progress(card, request.message_id, lambda: None if reached else self._write(request))
            progress.show(*request.telling("callback_waiting"))
            try:
                reached = await self._call(request, progress)
            finally:
                progress.show(*request.telling("callback_reached" if reached else "callback_later"), last=True)
        finally:
            self._rate_limiter.done(request.person.id)
        if reached:
            self._cards.retire(card)

    def _progress(
        self, card: CardRow, message_id: str, gone: Callable[[], Coroutine[Any, Any, None] | None]
    ) -> EditedMessage:
        """What edits a message; there is one at a time, so that nothing late is shown.

        ``gone`` gives what is to be done where the last can't be shown, because the person has deleted the message.
        """
        progress = self._edits.get(message_id)
        if progress is None:
            progress = self._edits[message_id] = EditedMessage(self._bot, message_id)
            self._start(self._tell(card, message_id, progress, gone), f"card of {card.person_id}")
        return progress

    async def _tell(
        self,
        card: CardRow,
        message_id: str,
        progress: EditedMessage,
        gone: Callable[[], Coroutine[Any, Any, None] | None],
    ) -> None:
        try:
            # Else it would tell of a request, to other machines, too, until this program is started again.
            while (shown := await progress.run()) is EditOutcome.NOT_NOW and self._cards.is_telling(card):  # noqa: ASYNC110
                await asyncio.sleep(EDIT_AGAIN_S)
        finally:
            del self._edits[message_id]
        self._cards.told(card)
        if shown is EditOutcome.GONE:
            log.info("card: %s has deleted it: its button is void", card.person_id)
            self._cards.retire(card)
            if writing := gone():
                await writing

    async def _write(self, request: "_Request") -> None:
        """Who has deleted the card and was not reached learns of it all the same."""
        line, person = request.line, request.person
        try:
            await line.send(await line.peer(person.id), line.templates.text("callback_later", person))
        except TelegramError as error:
            line_log(log, line.number).warning("no text for %s instead of the card: %s", person.handle, error)

    async def _call(self, request: "_Request", progress: EditedMessage) -> bool:
        """Whether they talked."""
        line, person = request.line, request.person
        try:
            asked = CallBackRequested(person.handle)
            async with self._registry.admit(
                Direction.BACK, line.number, str(person.id), line.max_calls, person, asked=asked
            ) as call:
                call.opened(card_id=request.card.id)
                scope = CallScope(call)
                handler = callback(
                    scope,
                    line,
                    Destination(Kind.ID, str(person.id)),
                    request.target,
                    self._resources,
                    asked,
                    lambda: progress.show(*request.telling("callback_calling")),
                )
                await scope.run(handler)
        except CallRefused as refused:
            log.info("call back of %s refused: %s", person.handle, refused)
            return False
        return call.talking


@dataclass(frozen=True)
class _Request:
    """One press that counts."""

    card: CardRow
    line: Line
    person: Person
    target: Target
    message_id: str

    def telling(self, name: TextName) -> tuple[str, Keyboard]:
        """What the card says of how far it has come."""
        return _telling(self.card, self.line, self.person, name)


def _telling(card: CardRow, line: Line, person: Person, name: TextName) -> tuple[str, Keyboard]:
    """A card's text and button with something said below; when they have talked, the button goes."""
    said = line.templates.text(name, person)
    buttons: Keyboard = ()
    if name != "callback_reached":
        buttons = keyboard(signer(card.id, card.person_id, card.secret), card.button)
    return f"{card.text[: MESSAGE_LENGTH - len(said) - 2]}\n\n{said}", buttons
