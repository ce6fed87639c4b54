"""Where Astergram is wired together: lines, Asterisk, media processes, the bot, the calls and the admin page."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import reconciling
from ari_app.asterisk.errors import AriError, AriRefused
from ari_app.asterisk.events import Event, StasisStart
from ari_app.asterisk.websocket import ConnectionState
from ari_app.bus import EventBus
from ari_app.calls.audio import AudioSettings
from ari_app.calls.callback import CallBackHandler
from ari_app.calls.card import Cards
from ari_app.calls.dispatcher import CallDispatcher
from ari_app.calls.keypad import Keypads
from ari_app.calls.languages import Languages, open_languages
from ari_app.calls.registry import CallRegistry
from ari_app.calls.resources import CallResources
from ari_app.config import Settings
from ari_app.doctor import AmiLogin, Doctor, LineNeeds, Surroundings
from ari_app.doctor.surroundings import BOT_API, TELEGRAM_SERVERS
from ari_app.lines.card_files import CardFiles
from ari_app.lines.factory import Accounts, profile
from ari_app.lines.installation import Installation, InstallationSettings
from ari_app.lines.manager import LineManager
from ari_app.lines.settings import LineSettings
from ari_app.reports.history import History, HistorySettings, open_history
from ari_app.state_folder import held
from ari_app.store.limits import LimitRepository
from ari_app.store.peers import PeerRepository
from ari_app.store.store import Store, open_store
from ari_app.tasks import GuardedTasks, guarded_tasks
from ari_app.telegram.account import Server
from ari_app.telegram.bot import Bot, BotState, introduced
from ari_app.telegram.card import PREFIX as CARD_PREFIX
from ari_app.telegram.limits import Limits, LimitSettings
from ari_app.telegram.line import Line
from ari_app.telegram.peers import Directory, Person
from ari_app.web.http.services import Services
from ari_app.telegram.profile import Profile
from ari_app.web.server import Served, serving
from media.pool import MediaPool
from media.types import EngineProtocol, MediaSettings

log = logging.getLogger(__name__)


class Astergram:
    """The running program; made by `running(settings)`."""

    web: Served

    def __init__(
        self,
        settings: Settings,
        store: Store,
        installation: Installation,
        ari: AriClient,
        pool: MediaPool,
        engine: EngineProtocol,
        languages: Languages,
        history: History,
        bus: EventBus,
        tasks: "Tasks",
    ) -> None:
        self.installation = installation
        self.ari = ari
        self.bot = bot = Bot(
            bot_token(installation),
            settings.bot.api_url,
            on_change=lambda: self.lines.bot_changed(),
            on_language=languages.learn,
        )
        self.history = history
        self.bus = bus
        store.queue.on_change = lambda: bus.publish("storage")
        self.registry = CallRegistry(bus, history)
        self.keypads = Keypads(bot, store, tasks.keypads, partial(self.registry.count, "keypad.refused"))
        self._settings = settings
        self._store = store
        self._engine = engine
        self._languages = languages
        self._accounts = Accounts(server(settings), settings.session)
        audio = AudioSettings(
            pool=pool,
            transport=settings.asterisk.transport,
            media_host=settings.asterisk.media_host,
            connect_s=settings.calls.connect_s,
            away_s=settings.asterisk.away_s,
        )
        self.cards = Cards(store, bot, self.registry.count, self._is_line)
        resources = CallResources(ari, audio, settings.calls.ring_s)
        self.dispatcher = CallDispatcher(
            lambda: self.lines, self.registry, resources, self.keypads, self.cards, tasks.calls
        )
        self.lines = LineManager(
            store,
            installation,
            self._accounts,
            self,
            bot,
            self.registry,
            ari,
            bus,
            tasks.lines,
        )
        self._callbacks = CallBackHandler(
            self.cards,
            self.lines.lines,
            bot,
            self.registry,
            resources,
            self.dispatcher.spawn,
        )
        bot.on_press(CARD_PREFIX, self._callbacks.press)
        self.doctor = Doctor(self._surroundings)
        self.card_files = CardFiles(store)
        self.services = Services(
            lines=self.lines,
            card_files=self.card_files,
            registry=self.registry,
            history=history,
            doctor=self.doctor,
            installation=installation,
            store=store,
            bus=bus,
        )

    async def first_attempt_done(self) -> None:
        """Wait until Asterisk, each line and the bot have been tried once.

        What is away is tried again without an end; raises AriRefused where only the administrator can mend it.
        """
        try:
            await self.ari.wait_connected()
        except AriRefused:
            raise
        except AriError as error:
            log.warning("Asterisk is not there yet: %s", error)
        for line in self.lines:
            await line.first_attempt_done()
        await self.bot.first_attempt_done()

    async def take_events(self, events: asyncio.Queue[Event]) -> None:
        """Take the events of the ARI application, for as long as it runs."""
        while True:
            event = await events.get()
            if isinstance(event, StasisStart):
                self.dispatcher.on_channel(event)
            else:
                self.lines.update_status()

    async def installation_changed(self) -> None:
        """Follow what has been set for the whole installation."""
        self.bot.use(bot_token(self.installation))
        await self.lines.installation_changed()

    def line(self, settings: LineSettings) -> Line:
        """A line that is not yet at work."""
        number = settings.number
        return Line(
            self._accounts.of(settings, self.installation.settings),
            self._engine,
            self.dispatcher.on_offer,
            profile=self.profile(settings),
            limits=Limits(number, LimitSettings(), LimitRepository(self._store, number)),
            directory=Directory(PeerRepository(self._store, number)),
            on_text=self.dispatcher.on_text,
            on_change=self.lines.update_status,
            on_signed_out=self.lines.end_calls_of_session,
            bot_name=lambda: self.bot.username if self.bot.state is BotState.READY else "",
            own=self._is_line,
        )

    def profile(self, settings: LineSettings) -> Profile:
        """What of its settings may be changed while it works."""
        return profile(settings, self.installation.settings, self._languages.of)

    async def test_call(self, line: Line, destination: str) -> str:
        """Begin a test call; its id."""
        return await self.dispatcher.test_call(line, destination)

    def _is_line(self, person: Person) -> bool:
        return any(person.id == line.user_id or person.phone == line.number for line in self.lines)

    async def after_ready(self, line: Line) -> None:
        """Put right what is left in a line's chats, by a killed program and whenever it is ready again."""
        async with guarded_tasks() as tasks:
            tasks.supervise(partial(self._repair_cards, line), f"line {line.number}: cards")
            await self.keypads.clean_up_when_ready(line)

    async def _repair_cards(self, line: Line) -> None:
        await line.until_ready()
        await self._callbacks.repair_cards(line)

    async def clean_up(self, line: Line) -> None:
        """Before a line is removed or signed out: keypads would stay in people's chats for good."""
        await self.keypads.clean_up_at_last(line)

    def _surroundings(self) -> Surroundings:
        return surroundings(
            self._settings,
            self.lines.all_settings(),
            has_bot=bool(bot_token(self.installation)),
            holds_app=self.ari.state is ConnectionState.CONNECTED,
            telegram_offset_s=self.lines.telegram_offset_s,
        )


@dataclass(frozen=True)
class Tasks:
    """What goes on in the background: the lines outlive the keypads, and those outlive the calls."""

    lines: GuardedTasks
    keypads: GuardedTasks
    calls: GuardedTasks


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Astergram]:
    """Astergram at work; leaving ends every call with its reason, then lets go of all else. Raises StateHeld first."""
    async with AsyncExitStack() as stack:
        stack.enter_context(held(settings.state_dir, "run"))
        store = await stack.enter_async_context(open_store(settings.database))
        introduce = partial(introduced, api_url=settings.bot.api_url)
        installation = Installation(store, installation_defaults(settings), introduce)
        await installation.load()
        languages = await open_languages(store)
        history = await stack.enter_async_context(open_history(store, HistorySettings(settings.calls.history_days)))
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
        holding = await stack.enter_async_context(guarded_tasks())
        hiding = await stack.enter_async_context(guarded_tasks())
        keypads_hidden = AsyncExitStack()
        await stack.enter_async_context(keypads_hidden)  # once the calls are over, while the lines are still held
        calls = await stack.enter_async_context(guarded_tasks())
        app = Astergram(
            settings,
            store,
            installation,
            ari,
            pool,
            engine,
            languages,
            history,
            EventBus(),
            Tasks(holding, hiding, calls),
        )
        keypads_hidden.push_async_callback(app.keypads.wait_hidden)
        await app.cards.load()
        holding.supervise(app.bot.run, "bot")
        holding.supervise(partial(app.take_events, arrivals), "events of Asterisk")
        holding.supervise(partial(reconciling, ari), "what is left behind in Asterisk")
        await app.lines.load()
        holding.supervise(app.lines.publish_status, "lights")
        installation.on_change = app.installation_changed
        app.web = await stack.enter_async_context(serving(app.services, settings.web, settings.socket))
        yield app


def surroundings(
    settings: Settings,
    lines: Iterable[LineSettings],
    *,
    has_bot: bool,
    holds_app: bool,
    telegram_offset_s: float | None = None,
) -> Surroundings:
    """What the doctor has to know; ``holds_app``: whether this installation is connected to Asterisk now.

    ``telegram_offset_s``: what its lines know of Telegram's clock.
    """
    asterisk, telegram, ami = settings.asterisk, settings.telegram, settings.ami
    return Surroundings(
        ari_url=asterisk.url,
        ari_user=asterisk.user,
        ari_password=asterisk.password,
        state_dir=settings.state_dir,
        app=asterisk.app,
        transport=asterisk.transport,
        media_host=asterisk.media_host,
        ami=AmiLogin(ami.host, ami.port, ami.user, ami.password) if ami else None,
        lines=tuple(LineNeeds(each.number, each.context, each.max_calls, each.card.callback) for each in lines),
        telegram_servers=((telegram.host, telegram.port),) if telegram.host else TELEGRAM_SERVERS,
        bot_api_url=(settings.bot.api_url or BOT_API) if has_bot else "",
        holds_app=holds_app,
        telegram_offset_s=telegram_offset_s,
    )


def bot_token(installation: Installation) -> str:
    """The bot's token; empty where there is no bot."""
    token = installation.settings.bot_token
    return token.get_secret_value() if token else ""


def installation_defaults(settings: Settings) -> InstallationSettings:
    """What the configuration file says of what can be set on the page, too."""
    return InstallationSettings(
        company=settings.company,
        api_id=settings.telegram.api_id,
        api_hash=settings.telegram.api_hash,
        bot_token=settings.bot.token,
        timezone=settings.timezone,
    )


def server(settings: Settings) -> Server:
    """Which Telegram."""
    telegram = settings.telegram
    key = telegram.public_key_file
    return Server(
        dc_id=telegram.dc_id,
        host=telegram.host,
        port=telegram.port,
        public_key=key.read_text() if key else "",
        test_mode=telegram.test_mode,
    )
