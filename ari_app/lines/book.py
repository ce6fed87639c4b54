"""The lines: what is set for each, and the accounts at work. Every change takes effect at once."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Protocol

from ari_app.asterisk.ari import AriClient
from ari_app.calls.card import CardRules
from ari_app.calls.desk import Desk
from ari_app.lines.installation import Installation
from ari_app.lines.kept import kept_lines
from ari_app.lines.lights import Lights, bot_light, calls_light, client_light
from ari_app.lines.making import Accounts, card_rules
from ari_app.lines.settings import LineExists, LineSettings, NoSuchLine, SettingRefused, check_together
from ari_app.lines.sign_ins import SignIns
from ari_app.lines.versions import check_version
from ari_app.news import News
from ari_app.sentence import say
from ari_app.store.lines import KeptLines
from ari_app.store.store import Store
from ari_app.tasks import GuardedTasks, guarded_tasks
from ari_app.telegram import setup
from ari_app.telegram.account import Account
from ari_app.telegram.bot import Bot, BotState
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.line import Line, LineState, Profile
from ari_app.telegram.session_file import adopt, remove_session
from ari_app.telegram.setup import BotFacts, Step, StepView
from ari_app.wrong import Wrong

log = logging.getLogger(__name__)

END_S = 10.0  # for the calls of a line that is to stop


class Works(Protocol):
    """What lines are made of, and what is done with one that is at work."""

    def make(self, settings: LineSettings) -> Line:
        """A line that is not yet at work."""

    def profile(self, settings: LineSettings) -> Profile:
        """What of its settings may be changed while it works."""

    async def beside(self, line: Line) -> None:
        """Runs beside a line, until it stops."""

    async def test(self, line: Line, destination: str) -> str:
        """Begin a test call; its id. Raises MalformedDestination, TelegramError, LineFull."""


class LineBook:
    """Every line by its number, in the order in which they were added.

    ``tasks`` holds those at work; ``rules`` is kept up to date with each line's card.
    """

    def __init__(
        self,
        store: Store,
        installation: Installation,
        accounts: Accounts,
        works: Works,
        rules: dict[str, CardRules],
        bot: Bot,
        desk: Desk,
        ari: AriClient,
        news: News,
        tasks: GuardedTasks,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.lines: dict[str, Line] = {}
        self._store = store
        self._kept = KeptLines(store)
        self._installation = installation
        self._accounts = accounts
        self._works = works
        self._rules = rules
        self._bot = bot
        self._desk = desk
        self._ari = ari
        self._news = news
        self._tasks = tasks
        self._clock = clock
        self.sign_ins = SignIns(self._account_to_sign_in, self._adopt, news, tasks, clock)
        self._settings: dict[str, LineSettings] = {}
        self._working: dict[str, asyncio.Task[None]] = {}
        self._lights: dict[str, Lights] = {}
        self._looked_at = asyncio.Event()
        self._changing = asyncio.Lock()

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines.values())

    def __len__(self) -> int:
        return len(self.lines)

    def line(self, number: str) -> Line:
        """Raises NoSuchLine."""
        self.settings(number)
        return self.lines[number]

    def settings(self, number: str) -> LineSettings:
        """What is set for a line; raises NoSuchLine."""
        try:
            return self._settings[number]
        except KeyError:
            raise NoSuchLine(say("There is no line {number}.", number=number)) from None

    def all_settings(self) -> list[LineSettings]:
        """What is set for every line."""
        return list(self._settings.values())

    def lights(self, number: str) -> Lights:
        """A line's lights now; raises NoSuchLine."""
        line = self.line(number)
        lights = Lights(calls_light(self._ari), client_light(line), bot_light(self._bot, line))
        self._lights[number] = lights = lights.after(self._lights.get(number), self._clock())
        return lights

    # --- what an administrator does

    async def load(self) -> None:
        """Put every line to work that is kept in the store."""
        for settings in await kept_lines(self._store):
            self._put_to_work(settings)

    async def add(self, settings: LineSettings) -> None:
        """Add a line; it has to be signed in then. Raises LineExists, SettingRefused."""
        async with self._changing:
            if settings.number in self._settings:
                raise LineExists(say("There is a line {number} already.", number=settings.number))
            self._check(settings)
            await self._kept.put(settings.number, settings.stored())
            self._put_to_work(settings)
        log.info("line %s: added", settings.number)
        self._news.tell("lines", settings.number)

    async def change(
        self, number: str, changes: Mapping[str, Any], read: Collection[str] | None = None
    ) -> LineSettings:
        """Change some settings (JSON Merge Patch, RFC 7396). Its live calls go on, unless its account is another one.

        ``read``: only if the settings are still one of these versions. Raises NoSuchLine, SettingsChanged,
        SettingRefused.
        """
        async with self._changing:
            check_version(self.settings(number), changes, read)
            settings = self.settings(number).changed(changes)
            if settings.number != number:
                said = say("The number can't be changed: add a line with the other number.")
                raise SettingRefused(Wrong("number", said))
            self._check(settings)
            await self._kept.put(number, settings.stored())
            self._settings[number] = settings
            await self._apply(number)
        log.info("line %s: %s changed", number, ", ".join(sorted(changes)) or "nothing")
        return settings

    async def remove(self, number: str) -> None:
        """Remove a line with all that it has; its session on Telegram stays, unless it was logged out before."""
        async with self._changing:
            self.settings(number)
            await self.sign_ins.drop(number)
            await self._stop(number)
            await self._kept.remove(number)
            await asyncio.to_thread(remove_session, self._accounts.session(number))
            for each in (self._settings, self.lines, self._rules, self._lights):
                each.pop(number, None)
        log.info("line %s: removed", number)
        self._news.tell("lines", number)

    async def reset(self, number: str) -> None:
        """Remove a line's session and what it has learnt from Telegram; its settings stay. Raises NoSuchLine."""
        async with self._changing:
            self.settings(number)
            await self._stop(number)
            await self._kept.forget_caches(number)
            await asyncio.to_thread(remove_session, self._accounts.session(number))
            self._start(number)
        log.info("line %s: reset", number)

    async def log_out(self, number: str) -> None:
        """Sign a line's session out for good, and remove it; its settings stay. Raises NoSuchLine, TelegramError."""
        async with self._changing:
            line = self.line(number)
            await self._clear(number)
            await setup.log_out(line.client)
            await self._stop(number)
            await asyncio.to_thread(remove_session, self._accounts.session(number))
            self._start(number)
        log.info("line %s: logged out", number)

    async def setup(self, number: str) -> list[StepView]:
        """How what a new account needs stands. Raises NoSuchLine, TelegramError."""
        return await setup.look(self.line(number).client, self._bot_facts())

    async def carry_out(self, number: str, steps: Collection[Step]) -> list[StepView]:
        """Do some of what a new account needs. Raises NoSuchLine, TelegramError."""
        views = await setup.carry_out(self.line(number).client, steps, self._bot_facts())
        log.info("line %s: account set up: %s", number, ", ".join(step.value for step in steps))
        self._news.tell("line", number)
        return views

    async def test_call(self, number: str, destination: str) -> str:
        """Let the line's own extension be rung, and then somebody on Telegram; the call's id.

        Raises NoSuchLine, MalformedDestination, TelegramError, LineFull.
        """
        return await self._works.test(self.line(number), destination)

    async def installation_changed(self) -> None:
        """Let every line follow what is set for the whole installation."""
        async with self._changing:
            for number in list(self._settings):
                await self._apply(number)
        self._news.tell("settings")

    # --- what follows from it

    def look(self) -> None:
        """Something that lights show may have changed."""
        self._looked_at.set()

    async def watch(self) -> None:
        """Tell when a light changes, until cancelled."""
        told: dict[str, Lights] = {}
        while True:
            await self._looked_at.wait()
            self._looked_at.clear()
            for number in list(self.lines):
                lights = self.lights(number)
                if told.get(number) != lights:
                    told[number] = lights
                    self._news.tell("line", number)

    def _check(self, settings: LineSettings) -> None:
        check_together((self._settings | {settings.number: settings}).values())

    def _put_to_work(self, settings: LineSettings) -> None:
        number = settings.number
        self._settings[number] = settings
        self.lines[number] = self._works.make(settings)
        self._rules[number] = card_rules(settings, self._installation.settings)
        self._start(number)

    async def _apply(self, number: str) -> None:
        settings, installation, line = self._settings[number], self._installation.settings, self.lines[number]
        line.use(self._works.profile(settings))
        self._rules[number] = card_rules(settings, installation)
        account = self._accounts.of(settings, installation)
        if account != line.account:
            await self._stop(number)
            line.account = account
            self._start(number)
        self._news.tell("line", number)

    def _start(self, number: str) -> None:
        self.lines[number].about_to_run()
        self._working[number] = self._tasks.spawn(self._work(self.lines[number]), f"line {number}")
        self.look()

    async def _work(self, line: Line) -> None:
        async with guarded_tasks() as tasks:
            tasks.supervise(lambda: self._works.beside(line), f"line {line.number}: clean-up")
            await tasks.supervise(line.run, f"line {line.number}", line.fail)

    async def _stop(self, number: str) -> None:
        """End a line's calls, and let go of its session."""
        await self._clear(number)
        working = self._working.pop(number)
        working.cancel()
        await asyncio.wait({working})

    async def _clear(self, number: str) -> None:
        try:
            async with asyncio.timeout(END_S):
                await self._desk.clear(number)
        except TimeoutError:
            log.warning("line %s: stopped with calls that did not end within %g s", number, END_S)

    def _bot_facts(self) -> BotFacts | None:
        ready = self._bot.state is BotState.READY
        return BotFacts(self._bot.username, ready) if ready or self._bot.state is BotState.NO_INLINE else None

    def _account_to_sign_in(self, number: str) -> Account:
        account = self._accounts.of(self.settings(number), self._installation.settings)
        if not (account.api_id and account.api_hash):
            said = say("Set the application's id and hash of my.telegram.org first.")
            raise SettingRefused(Wrong("api_id", said))
        return account

    async def _adopt(self, account: Account) -> None:
        """Go on with a session that has just been signed in. Raises TelegramError, OSError."""
        number = account.number
        async with self._changing:
            await self._forget_session(self.line(number))
            await self._stop(number)
            try:
                await adopt(account)
            finally:
                self.lines[number].account = account
                self._start(number)

    async def _forget_session(self, line: Line) -> None:
        """The session that a new one takes the place of would stay among the account's devices."""
        if line.state is LineState.READY:
            await self._clear(line.number)
            try:
                await setup.log_out(line.client)
            except TelegramError as error:
                log.warning("line %s: its old session stays among the account's devices: %s", line.number, error)
