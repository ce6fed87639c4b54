"""The business card: when a line sends it to a person whom a call did not bring together with somebody."""

import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ari_app.calls.call import Call
from ari_app.calls.outcome import Cause, Direction, Status
from ari_app.logs import line_log
from ari_app.store.card_files import CardFileRepository, CardFileRow
from ari_app.store.cards import CardRepository, CardRow
from ari_app.store.errors import StoreUnavailable
from ari_app.store.store import Store
from ari_app.telegram.buttons import BotUnavailable, ButtonBot, ButtonMessage, MaybeSent
from ari_app.telegram.card_message import Contact, Picture, keyboard, new_secret, signer
from ari_app.telegram.errors import Limited, Restricted, TelegramError
from ari_app.telegram.line import Line
from ari_app.telegram.peers import Person
from ari_app.telegram.profile import CardReason, CardRules

log = logging.getLogger(__name__)

LIFE_S = 30 * 86400.0
"""How long a button can be pressed, if nothing else is set."""


def reason_for(call: Call, cancelled_after_s: float) -> CardReason | None:
    """What a call that is over would be a reason for; None where there is nothing that a card could say.

    Telegram calls a decline and a person who is in another call both Busy. An app in another call says so without
    ringing, so what rang before was declined.
    """
    if call.ending is None or call.talking:
        return None
    status = call.ending.status
    if call.direction is Direction.IN:
        gave_up = status is Status.CANCEL and call.ending.cause != Cause.ANSWERED_ELSEWHERE
        return CardReason.MISSED if gave_up or status in (Status.BUSY, Status.NOANSWER) else None
    if call.direction is Direction.BACK:
        return None  # it has its card
    match status:
        case Status.NOANSWER:
            return CardReason.NO_ANSWER
        case Status.BUSY:
            hung_up = call.ending.cause == Cause.NORMAL_CLEARING
            return CardReason.DECLINED if hung_up or call.rang_s is not None else CardReason.BUSY
        case Status.CANCEL if call.rang_s is not None and call.rang_s >= cancelled_after_s:
            return CardReason.CANCELLED
    return None


class Cards:
    """The cards of all lines, and who may press their buttons.

    While the bot can't be used, cards have no buttons. ``own`` tells the accounts that are lines: no line sends another
    one its card. ``sent`` is told of each card. ``life_s``: how long one is remembered. ``lacks``: whether this machine
    has yet to fetch a file from the others. ``clock`` gives Unix time.
    """

    def __init__(
        self,
        store: Store,
        bot: ButtonBot,
        count: Callable[[str], None],
        own: Callable[[Person], bool] = lambda _: False,
        sent: Callable[[str, Person, CardReason], None] = lambda line, person, reason: None,
        clock: Callable[[], float] = time.time,
        life_s: Callable[[], float] = lambda: LIFE_S,
        lacks: Callable[[str, str], bool] = lambda line, kind: False,
    ) -> None:
        self._lacks = lacks
        self._life_s = life_s
        self._table = CardRepository(store)
        self._files = CardFileRepository(store)
        self._bot = bot
        self._count = count
        self._own = own
        self._sent = sent
        self._clock = clock
        self._cards: dict[str, CardRow] = {}

    async def load(self) -> None:
        """Remember the cards of earlier runs; before anything else."""
        self._cards = {card.id: card for card in await self._table.since(self._clock() - self._life_s())}

    async def send_after(self, call: Call, line: Line, asked: bool | None = None) -> None:
        """Send the card after a call, if that is what the rules say; a failure is logged, there is nobody to tell.

        ``asked``: what the dialplan said for this very call; None leaves it to the line's switches.
        """
        reason = reason_for(call, line.card.cancelled_after_s)
        if reason and call.person:
            await self.send(line, call.person, reason, asked)

    async def send(self, line: Line, person: Person, reason: CardReason, asked: bool | None = None) -> None:
        """Send the card for a reason; as `send_after`."""
        wanted = reason in line.card.reasons if asked is None else asked
        if wanted and not self._own(person):
            with suppress(TelegramError):
                await self.send_now(line, person, reason)

    async def send_now(self, line: Line, person: Person, reason: CardReason = CardReason.ASKED) -> None:
        """Send the card whatever the switches are. What it fails with is logged, too.

        Raises TelegramError: Restricted where they are a line, too, Limited where they got a card a short time ago,
        MaybeSent where Telegram did not say whether it has sent it.
        """
        rules = line.card
        if self._own(person):
            raise Restricted(f"{person.handle} is a line, too, and gets no card")
        now = self._clock()
        left_s = self._last_sent_at(person.id) + rules.every_s - now
        if left_s > 0:
            line_log(log, line.number).info("no card for %s, who got one a short time ago", person.handle)
            said = f"{person.handle} got a card a short time ago: the next one may come in {left_s:.0f} s"
            raise Limited(said, round(left_s))
        button = rules.callback is not None
        card = CardRow(
            id=secrets.token_urlsafe(9),
            line=line.number,
            person_id=person.id,
            person=person.as_json(),
            text=line.templates.text("card", person),
            button=line.templates.text("card_button", person),
            secret=new_secret() if button else "",
            sent_at=now,
        )
        try:
            self._forget_old(now)
            self._save(card)
            await self._deliver(line, card, rules)
        except MaybeSent as error:
            self._count("card.sent")
            line_log(log, line.number).warning("perhaps no card, none is sent in its place: %s", error)
            raise
        except TelegramError as error:
            self._count("card.failed")
            line_log(log, line.number).warning("no card for %s: %s", person.handle, error)
            self._forget(card)
            raise
        except Exception:
            self._count("card.failed")
            self._forget(card)
            raise
        else:
            self._count("card.sent")
            line_log(log, line.number).info("card for %s (%s)", person.handle, reason.value)
            self._sent(line.number, person, reason)

    def find(self, card_id: str) -> CardRow | None:
        """A card whose button can be pressed."""
        card = self._cards.get(card_id)
        return card if card and card.secret and card.sent_at > self._clock() - self._life_s() else None

    def forget(self, person_id: int) -> None:
        """Know nothing more of somebody's cards; what is kept of them is not touched."""
        self._cards = {id: card for id, card in self._cards.items() if card.person_id != person_id}

    async def prune(self, before: float) -> int:
        """Forget some cards that were sent before that Unix time; 0 when none is left. Raises StoreUnavailable."""
        self._cards = {id: card for id, card in self._cards.items() if card.sent_at >= before}
        return await self._table.prune(before)

    def retire(self, card: CardRow) -> None:
        """Its button has done its work."""
        self._change(card, secret="")

    def reached(self, card_id: str) -> None:
        """Who was called back for a card talks, in a call that an earlier run has left."""
        if card := self._cards.get(card_id):
            self.retire(card)

    def set_progress_message(self, card: CardRow, message_id: str) -> None:
        """A message of the card's (its inline id) tells of a request from now on; an empty one: of none any more."""
        self._change(card, tells_in=message_id)

    def with_progress_message(self, line: str) -> list[CardRow]:
        """A line's cards that tell of a request."""
        return [card for card in self._cards.values() if card.line == line and card.tells_in]

    def _last_sent_at(self, person_id: int) -> float:
        """When they got their last card, or began to; whichever line it was: to them they are all the same company."""
        return max((card.sent_at for card in self._cards.values() if card.person_id == person_id), default=0.0)

    def _change(self, card: CardRow, **changes: Any) -> None:
        if known := self._cards.get(card.id):  # else it is forgotten by now
            self._save(replace(known, **changes))

    def _save(self, card: CardRow) -> None:
        # Known before it is sent, so that the end of another call does not send a second one.
        self._cards[card.id] = card
        self._table.save(card)

    def _forget(self, card: CardRow) -> None:
        self._cards.pop(card.id, None)
        self._table.delete(card)

    def _forget_old(self, now: float) -> None:
        for card in [each for each in self._cards.values() if each.sent_at <= now - self._life_s()]:
            self._forget(card)

    async def _deliver(self, line: Line, card: CardRow, rules: CardRules) -> None:
        peer = await line.peer(card.person_id)
        for part in await self._parts(line.number, rules):
            try:
                await line.send_card_part(peer, part)
            except TelegramError as error:
                line_log(log, line.number).warning("a card goes without its %s: %s", type(part).__name__, error)
        if card.secret:
            buttons = keyboard(signer(card.id, card.person_id, card.secret), card.button)
            try:
                await line.send_buttons(self._bot, peer, ButtonMessage(card.text, buttons))
            except MaybeSent:
                raise
            except (BotUnavailable, TelegramError) as error:
                line_log(log, line.number).warning("a card goes without its button: %s", error)
            else:
                return None
            self.retire(card)
        return await line.send(peer, card.text)

    async def _parts(self, number: str, rules: CardRules) -> list[Contact | Picture]:
        """What comes before the text; a file that can't be read is left out."""
        parts: list[Contact | Picture] = []
        if contact := rules.contact:
            vcard = await self._file(number, "contact_vcard")
            parts.append(replace(contact, vcard=vcard.content.decode()) if vcard else contact)
        if picture := await self._file(number, "picture"):
            parts.append(Picture(f"picture.{picture.type.rpartition('/')[2]}", picture.content))
        return parts

    async def _file(self, number: str, kind: str) -> CardFileRow | None:
        if self._lacks(number, kind):
            line_log(log, number).warning(
                "a card goes without its %s: another machine has set it, and it is not here yet", kind
            )
            return None
        try:
            return await self._files.get(number, kind)
        except StoreUnavailable as error:
            line_log(log, number).warning("a card goes without its %s: %s", kind, error)
            return None
