"""Where Astergram is wired together: lines, Asterisk, media processes and the desk."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import reconcile
from ari_app.asterisk.errors import AriError, AriRefused
from ari_app.asterisk.events import CONNECTED, Arrival, Event
from ari_app.asterisk.legs import incoming_leg
from ari_app.calls.audio import AudioSettings
from ari_app.calls.callback import CallBacks, CallBackSettings
from ari_app.calls.card import CardRules, Cards, Reason, Target
from ari_app.calls.desk import Desk, LineFull
from ari_app.calls.dialling import KeysRefused, keys_of
from ari_app.calls.inbound import inbound
from ari_app.calls.keypad import Keypads
from ari_app.calls.outbound import give_back, outbound
from ari_app.calls.outcome import Direction, failed
from ari_app.calls.request import Request, Route
from ari_app.config import LineSettings, Settings
from ari_app.store.limits import LineLimits
from ari_app.store.peers import LinePeers
from ari_app.store.store import Store, open_store
from ari_app.tasks import background_tasks
from ari_app.telegram.buttons import ButtonBot
from ari_app.telegram.card import PREFIX as CARD_PREFIX
from ari_app.telegram.card import Contact
from ari_app.telegram.errors import Limited, NotReady
from ari_app.telegram.limits import Limits, LimitSettings
from ari_app.telegram.line import Account, Callers, Line, Server
from ari_app.telegram.lists import Lists
from ari_app.telegram.peers import Directory, MalformedDestination, Person
from ari_app.telegram.phone import DiscardReason, Offer
from ari_app.telegram.texts import Wording
from media.supervisor import MediaPool
from media.types import EngineProtocol, MediaSettings

if TYPE_CHECKING:
    from ari_app.telegram.bot import Bot

log = logging.getLogger(__name__)


class Astergram:
    """The running program; made by `running(settings)`."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        ari: AriClient,
        pool: MediaPool,
        engine: EngineProtocol,
        bot: ButtonBot | None,
        desk: Desk,
        keypads: Keypads,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.desk = desk
        self.keypads = keypads
        self.ari = ari
        self._tasks = tasks
        self._ring_s = settings.calls.ring_s
        self._audio = AudioSettings(
            pool=pool,
            transport=settings.asterisk.transport,
            media_host=settings.asterisk.media_host,
            connect_s=settings.calls.connect_s,
        )
        self.lines = [
            Line(
                account(settings, each.number),
                engine,
                self._offered,
                limits=limits(each, store),
                directory=directory(each, store),
                lists=Lists.of(each.allow, each.deny, each.only_contacts),
                callers=Callers(frozenset(each.callers), each.default),
                bare_number_prefix=each.bare_number_prefix,
                name=each.name,
                context=each.context,
                max_calls=each.max_calls,
                wording=wording(settings, each),
                on_text=self._texted,
                own=self._is_line,
            )
            for each in settings.lines
        ]
        rules = {each.number: card_rules(settings, each) for each in settings.lines}
        self.cards = Cards(rules, store, bot, self.desk.count, self._is_line)
        if bot:
            back = CallBackSettings(ari, self._audio, self._ring_s)
            by_number = {line.number: line for line in self.lines}
            bot.on_press(CARD_PREFIX, CallBacks(self.cards, by_number, bot, self.desk, back, self._start).press)

    async def settled(self) -> None:
        """Wait until Asterisk and each line have been tried once.

        What is away is tried again without an end; raises AriRefused where only the administrator can mend it.
        """
        try:
            await self.ari.wait_connected()
        except AriRefused:
            raise
        except AriError as error:
            log.warning("Asterisk is not there yet: %s", error)
        for line in self.lines:
            await line.settled()

    async def take_events(self, events: asyncio.Queue[Event]) -> None:
        """Take the events of the ARI application, for as long as it runs."""
        while True:
            event = await events.get()
            if isinstance(event, Arrival):
                self._start(self._outgoing(event), f"call from channel {event.channel_id}")
            elif event.type == CONNECTED:
                self._start(self._reconcile(), "reconcile")

    def _offered(self, line: Line, offer: Offer) -> None:
        self._start(self._incoming(line, offer), f"call from {offer.peer_id} to {line.number}")

    def _texted(self, line: Line, person_id: int, text: str) -> bool:
        """Dial a text of keys where its writer is in a call with the line; False where it is no such text."""
        keys, call = keys_of(text), self.desk.dialling(line.number, person_id)
        if keys is None or call is None:
            return False
        try:
            call.keys.press(keys)
        except KeysRefused as refusal:
            log.warning("call %s: a text of keys was not dialled: %s", call.id, refusal)
            return False
        return True

    def _is_line(self, person: Person) -> bool:
        return any(person.id == line.user_id or person.phone == line.number for line in self.lines)

    def _start(self, story: Coroutine[Any, Any, None], what: str) -> None:
        async def told() -> None:
            try:
                await story
            except Exception:
                # One story must not end the TaskGroup of the others.
                log.exception("%s: an error nobody expected", what)

        self._tasks.create_task(told(), name=what)

    async def sweep(self, line: Line) -> None:
        """Once a line is ready, remove what a killed program left in its chats."""
        await line.until_ready()
        await self.keypads.sweep(line)

    async def _reconcile(self) -> None:
        """Remove what a former run of this program left in Asterisk."""
        try:
            await reconcile(self.ari)
        except AriError as error:
            log.warning("could not look for channels and bridges left behind: %s", error)

    async def _incoming(self, line: Line, offer: Offer) -> None:
        async with line.phone.offer(offer):
            if refusal := line.lists.refuses(Person.of(offer.peer_id, offer.caller)):
                log.info("call from %s to line %s refused: %s", offer.peer_id, line.number, refusal)
                self.desk.counted["in.RESTRICTED"] += 1
                return await offer.discard(DiscardReason.BUSY)
            try:
                async with self.desk.admit(Direction.IN, line.number, str(offer.peer_id), line.max_calls) as call:
                    await call.run(inbound(call, line, offer, self.ari, self._audio, self.keypads))
                card = self.cards.after(call, line)
            except LineFull as full:
                log.info("call from %s refused: %s", offer.peer_id, full)
                await offer.discard(full.ending.discard)
                card = self.cards.send(line, Person.of(offer.peer_id, offer.caller), Reason.MISSED)
            return self._start(card, f"card of {line.number} for {offer.peer_id}")

    async def _outgoing(self, arrival: Arrival) -> None:
        async with incoming_leg(self.ari, arrival) as leg:
            try:
                request = Request.parse(leg.args)
                route = Route(request, leg.caller_number, self.lines, self.desk.busy)
                line = route.line
                async with self.desk.admit(Direction.OUT, line.number, request.destination, line.max_calls) as call:
                    ring_s = request.timeout_s or self._ring_s
                    await call.run(outbound(call, route, request.destination, leg, self.ari, self._audio, ring_s))
                card = self.cards.after(call, route.line, request.card)
                self._start(card, f"card of {call.line} for {request.destination}")
            except (LineFull, Limited, MalformedDestination, NotReady) as refusal:
                if isinstance(refusal, Limited):
                    self.desk.counted["out.LIMITED"] += 1
                log.warning("call of %s to %s refused: %s", leg.caller_number, ",".join(leg.args), refusal)
                await give_back(leg, refusal.ending if isinstance(refusal, LineFull) else failed(refusal))


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Astergram]:
    """Astergram at work; leaving ends every call with its reason, then lets go of all else."""
    bot = the_bot(settings)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings.database))
        media = MediaSettings(orphan_grace_s=settings.media.orphan_s)
        pool = await stack.enter_async_context(
            MediaPool(settings.state_dir / "media", warm=settings.media.warm, settings=media)
        )
        engine = await pool.protocol()
        asterisk = settings.asterisk
        ari = AriClient(asterisk.url, asterisk.user, asterisk.password.get_secret_value(), asterisk.app)
        # Before the client connects, which is an event too.
        arrivals = asyncio.Queue[Event]()
        stack.enter_context(ari.events.attached("", arrivals.put_nowait))
        await stack.enter_async_context(ari)
        holding = await stack.enter_async_context(background_tasks())
        desk = Desk()
        keypad_tasks = await stack.enter_async_context(background_tasks())
        keypads = Keypads(bot, store, keypad_tasks, partial(desk.count, "keypad.refused"))
        stack.push_async_callback(keypads.hidden)  # once the calls are over, while the lines are still held
        calls = await stack.enter_async_context(background_tasks())
        app = Astergram(settings, store, ari, pool, engine, bot, desk, keypads, calls)
        await app.cards.load()
        if bot:
            holding.create_task(bot.run(), name="bot")
        holding.create_task(app.take_events(arrivals), name="events of Asterisk")
        for line in app.lines:
            holding.create_task(line.run(), name=f"line {line.number}")
            keypad_tasks.create_task(app.sweep(line), name=f"keypads of {line.number}")
        yield app


def the_bot(settings: Settings) -> "Bot | None":
    """The installation's bot, if it has one."""
    if settings.bot is None:
        return None
    from ari_app.telegram.bot import Bot  # aiogram takes seconds to import

    return Bot(settings.bot.token.get_secret_value(), settings.bot.api_url)


def limits(line: LineSettings, store: Store) -> Limits:
    """What limits one line."""
    settings = LimitSettings(
        flood_margin_s=line.flood_margin_s,
        peer_flood_s=line.peer_flood_s,
        calls_per_minute=line.calls_per_minute,
        calls_per_day=line.calls_per_day,
    )
    return Limits(line.number, settings, LineLimits(store, line.number))


def directory(line: LineSettings, store: Store) -> Directory:
    """Who one line's destinations are."""
    return Directory(LinePeers(store, line.number), line.resolve_cache_s, line.not_found_cache_s)


def wording(settings: Settings, line: LineSettings) -> Wording:
    """What the settings say of one line's texts."""
    name = line.name or line.number
    return Wording(
        company=line.company or settings.company or name,
        line=name,
        number=line.number,
        texts=line.texts,
        language=line.language,
    )


def card_rules(settings: Settings, line: LineSettings) -> CardRules:
    """What the settings say of one line's business card."""
    card = line.card
    first_name = card.contact_first_name or wording(settings, line).company
    return CardRules(
        reasons=frozenset(reason for reason in Reason if getattr(card, reason.value)),
        cancelled_after_s=card.cancelled_after_s,
        every_s=card.card_every_s,
        callback=Target.parse(card.callback),
        contact=Contact(card.contact_phone, first_name, card.contact_last_name, card.contact_vcard)
        if card.contact_phone
        else None,
        picture=card.picture,
    )


def account(settings: Settings, number: str) -> Account:
    """What the settings say of one line's account."""
    telegram = settings.telegram
    key = telegram.public_key_file
    return Account(
        number=number,
        api_id=telegram.api_id,
        api_hash=telegram.api_hash.get_secret_value(),
        session=settings.session(number),
        server=Server(
            dc_id=telegram.dc_id,
            host=telegram.host,
            port=telegram.port,
            public_key=key.read_text() if key else "",
            test_mode=telegram.test_mode,
        ),
    )
