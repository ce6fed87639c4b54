"""The business card: when a line sends it to a person whom a call did not bring together with somebody."""

import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from ari_app.calls.call import Call
from ari_app.calls.known_cards import KnownCards
from ari_app.calls.outcome import Cause, Direction, Status
from ari_app.logs import line_log
from ari_app.store.card_files import CardFileRepository, CardFileRow
from ari_app.store.cards import CardRow
from ari_app.store.errors import StoreUnavailable
from ari_app.store.store import Store
from ari_app.telegram.buttons import BotUnavailable, ButtonBot, ButtonMessage, MaybeSent
from ari_app.telegram.card_message import Contact, Picture, keyboard, new_secret, signer
from ari_app.telegram.errors import Limited, Restricted, TelegramError
from ari_app.telegram.line import Line
from ari_app.telegram.peers import Person
from ari_app.telegram.profile import CardReason, CardRules

log = logging.getLogger(__name__)


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
    """Sends those of all lines; ``known`` are those that were sent.

    While the bot can't be used, cards have no buttons. ``own`` tells the accounts that are lines: no line sends another
    one its card. ``sent`` is told of each card. ``lacks``: whether this machine has yet to fetch a file from another.
    ``clock`` gives Unix time.
    """

    def __init__(
        self,
        known: KnownCards,
        store: Store,
        bot: ButtonBot,
        count: Callable[[str], None],
        own: Callable[[Person], bool] = lambda _: False,
        sent: Callable[[str, Person, CardReason], None] = lambda line, person, reason: None,
        clock: Callable[[], float] = time.time,
        lacks: Callable[[str, str], bool] = lambda line, kind: False,
    ) -> None:
        self.known = known
        self._lacks = lacks
        self._files = CardFileRepository(store)
        self._bot = bot
        self._count = count
        self._own = own
        self._sent = sent
        self._clock = clock

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
        left_s = self.known.last_sent_at(person.id) + rules.every_s - now
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
            self.known.drop_old()
            self.known.save(card)
            await self._deliver(line, card, rules)
        except MaybeSent as error:
            self._count("card.sent")
            line_log(log, line.number).warning("perhaps no card, none is sent in its place: %s", error)
            raise
        except TelegramError as error:
            self._count("card.failed")
            line_log(log, line.number).warning("no card for %s: %s", person.handle, error)
            self.known.drop(card)
            raise
        except Exception:
            self._count("card.failed")
            self.known.drop(card)
            raise
        else:
            self._count("card.sent")
            line_log(log, line.number).info("card for %s (%s)", person.handle, reason.value)
            self._sent(line.number, person, reason)

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
            self.known.retire(card)
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
