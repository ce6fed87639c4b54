"""The lines: what is set for each, and the accounts at work. Every change takes effect at once."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

from ari_app.bus import EventBus
from ari_app.calls.registry import CallRegistry
from ari_app.cluster.duty import Duty
from ari_app.cluster.shared_settings import OwnSettings, SharedSettings
from ari_app.i18n import message
from ari_app.lines.factory import LineFactory
from ari_app.lines.lines import Lines
from ari_app.lines.loader import load_lines
from ari_app.lines.settings import LineExists, LineSettings, NoSuchLine, SettingRefused, check_together
from ari_app.lines.sign_ins import SignIns, no_machine
from ari_app.lines.versions import check_version
from ari_app.logs import line_log
from ari_app.store.lines import LineRepository
from ari_app.store.store import Store
from ari_app.tasks import FAILURES, GuardedTasks, guarded_tasks, was_cancelled
from ari_app.telegram import setup
from ari_app.telegram.account import Account
from ari_app.telegram.errors import NotReady
from ari_app.telegram.line import Line
from ari_app.telegram.session_file import adopt, remove_session, replaced_session, retire, signin_session
from ari_app.telegram.signin import AcceptLogin
from ari_app.wrong import Wrong
from media.logs import about

log = logging.getLogger(__name__)

T = TypeVar("T")

END_S = 10.0  # for the calls of a line that is to stop
TIDY_S = 10.0  # for what a line's chats have to lose before it can't reach them any more
STOP_S = 20.0  # for a line to let go of its session; disconnecting takes 5 s at most
STOPS = 2  # times a line is told to; a library may have swallowed the first


class Chats(Protocol):
    """What calls leave in a line's chats."""

    async def run(self, line: Line) -> None:
        """Put it right whenever the line is ready again; runs beside the line, until it stops."""

    async def at_last(self, line: Line) -> None:
        """Its calls are over: remove what must not stay there when it can't be removed later."""


class LineManager:
    """Every line by its number, in the order in which they were added.

    ``tasks`` holds those at work. What an administrator asks for
    is done to its end, also where whoever asked goes away meanwhile. Whatever goes wrong, a line that has been stopped
    is started again, unless it has been removed: it is at work, or its state says what to do.
    """

    def __init__(
        self,
        store: Store,
        lines: Lines,
        factory: LineFactory,
        chats: Chats,
        registry: CallRegistry,
        bus: EventBus,
        tasks: GuardedTasks,
        duty: Duty,
        clock: Callable[[], float] = time.time,
        accept: AcceptLogin = no_machine,
        shared: SharedSettings | None = None,
    ) -> None:
        self.lines = lines
        self._store = store
        self._repository = LineRepository(store)
        self._factory = factory
        self._chats = chats
        self._registry = registry
        self._bus = bus
        self._tasks = tasks
        self._duty = duty
        self._shared = shared or OwnSettings()
        self.sign_ins = SignIns(self._account_to_sign_in, self._adopt, bus, tasks, clock, accept)
        self._settings: dict[str, LineSettings] = {}
        self._running: dict[str, set[asyncio.Task[None]]] = {}
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
            raise NoSuchLine(message("There is no line {number}.", number=number)) from None

    async def accept_login(self, number: str, token: bytes) -> None:
        """Sign another device of a line's account in (auth.acceptLoginToken). Raises TelegramError."""
        if number not in self.lines:
            raise NotReady(f"there is no line {number}")
        await self.lines[number].require_online().devices.let_in(token)

    def all_settings(self) -> list[LineSettings]:
        """What is set for every line."""
        return list(self._settings.values())

    @property
    def telegram_offset_s(self) -> float | None:
        """How much Telegram's clock is ahead of this machine's; None if no line is connected."""
        known = (line.telegram_offset_s for line in self)
        return next((offset_s for offset_s in known if offset_s is not None), None)

    # --- what an administrator does

    async def load(self) -> None:
        """Put every line to work that is kept in the store."""
        for settings in await load_lines(self._store):
            try:
                self._add_running(settings, self._factory.line(settings))
            except Exception as error:  # noqa: BLE001 - recorded; the other lines work
                FAILURES.add(f"line {settings.number}", error)
                continue
            account = self.lines[settings.number].account
            if replaced_session(account).exists():  # the program was killed before it could sign it out
                self._tasks.spawn(retire(account, replaced_session(account)), f"old session of {account.number}")

    async def add(self, settings: LineSettings) -> None:
        """Add a line; it has to be signed in then. Raises LineExists, SettingRefused, NotShared."""
        await self._uninterrupted(self._add(settings), f"adding of line {settings.number}")

    async def _add(self, settings: LineSettings) -> None:
        async with self._changing:
            if settings.number in self._settings:
                raise LineExists(message("There is a line {number} already.", number=settings.number))
            self._check(settings)
            line = self._factory.line(settings)
            await self._shared.keep(settings.number, settings.stored())
            await self._add_here(settings, line)
        line_log(log, settings.number).info("added")

    async def _add_here(self, settings: LineSettings, line: Line) -> None:
        await self._repository.save(settings.number, settings.stored())
        self._add_running(settings, line)
        self._bus.publish("lines", settings.number)

    async def change(
        self, number: str, changes: Mapping[str, Any], read: Collection[str] | None = None
    ) -> LineSettings:
        """Change some settings (JSON Merge Patch, RFC 7396). Its live calls go on, unless its account is another one.

        ``read``: only if the settings are still one of these versions. Raises NoSuchLine, SettingsChanged,
        SettingRefused, NotShared.
        """
        return await self._uninterrupted(self._change(number, changes, read), f"change of line {number}")

    async def _change(self, number: str, changes: Mapping[str, Any], read: Collection[str] | None) -> LineSettings:
        async with self._changing:
            check_version(self.settings(number), changes, read)
            settings = self.settings(number).changed(changes)
            if settings.number != number:
                said = message("The number can't be changed: add a line with the other number.")
                raise SettingRefused(Wrong("number", said))
            self._check(settings)
            await self._shared.keep(number, settings.stored())
            await self._change_here(settings)
        line_log(log, number).info("%s changed", ", ".join(sorted(changes)) or "nothing")
        return settings

    async def _change_here(self, settings: LineSettings) -> None:
        await self._repository.save(settings.number, settings.stored())
        self._settings[settings.number] = settings
        await self._apply(settings.number)

    async def remove(self, number: str) -> None:
        """Remove a line with all that it has; its session on Telegram stays, unless it was logged out before.

        Raises NoSuchLine, NotShared.
        """
        await self._uninterrupted(self._remove(number), f"removal of line {number}")

    async def _remove(self, number: str) -> None:
        async with self._changing:
            self.settings(number)
            await self._shared.keep(number, None)
            await self._remove_here(number)
        line_log(log, number).info("removed")

    async def _remove_here(self, number: str) -> None:
        account = self.lines[number].account
        await self.sign_ins.drop(number)
        await self._prepare_stop(number)
        async with self._stopped(number):
            await self._repository.remove(number)
            self._settings.pop(number, None)
            self.lines.remove(number)
            self._factory.forget(number)
        for session in (account.session, signin_session(account), replaced_session(account)):
            try:
                await asyncio.to_thread(remove_session, session)
            except OSError as error:
                line_log(log, number).error("removed, but delete %s by hand: %s", session, error)
        self._bus.publish("lines", number)

    async def follow(self, number: str, stored: str | None) -> None:
        """Take over what another machine has set for a line, as JSON; None: it has removed the line.

        Raises SettingRefused, and ValueError where this version does not understand it.
        """
        await self._uninterrupted(self._follow(number, stored), f"line {number}, as another machine has set it")

    async def _follow(self, number: str, stored: str | None) -> None:
        settings = None if stored is None else LineSettings.model_validate_json(stored)
        async with self._changing:
            if settings == self._settings.get(number):
                return
            line_log(log, number).info("%s by another machine", "set" if settings else "removed")
            if settings is None:
                return await self._remove_here(number)
            self._check(settings)
            if number in self._settings:
                await self._change_here(settings)
            else:
                await self._add_here(settings, self._factory.line(settings))

    async def reset(self, number: str) -> None:
        """Remove a line's session and what it has learnt from Telegram; its settings stay.

        Raises NoSuchLine, OSError.
        """
        await self._uninterrupted(self._reset(number), f"reset of line {number}")

    async def _reset(self, number: str) -> None:
        async with self._changing:
            account = self.line(number).account
            await self._prepare_stop(number)
            async with self._stopped(number):
                await self._repository.forget_caches(number)
                await asyncio.to_thread(remove_session, account.session)
        line_log(log, number).info("reset")

    async def log_out(self, number: str) -> None:
        """Sign a line's session out for good, and remove it; its settings stay. Raises NoSuchLine, TelegramError."""
        await self._uninterrupted(self._log_out(number), f"logging out of line {number}")

    async def _log_out(self, number: str) -> None:
        async with self._changing:
            line = self.line(number)
            account, session = line.account, line.require_online().session
            await self._prepare_stop(number)
            await setup.log_out(session)
            async with self._stopped(number):
                await asyncio.to_thread(remove_session, account.session)
        line_log(log, number).info("logged out")

    async def installation_changed(self) -> None:
        """Let every line follow what is set for the whole installation."""
        await self._uninterrupted(self._installation_changed(), "change of the installation")

    async def _installation_changed(self) -> None:
        async with self._changing:
            for number in list(self._settings):
                try:
                    await self._apply(number)
                except Exception as error:  # noqa: BLE001 - recorded; the other lines follow
                    FAILURES.add(f"line {number}", error)
        self._bus.publish("settings")

    # --- what follows from it

    def _check(self, settings: LineSettings) -> None:
        check_together((self._settings | {settings.number: settings}).values())

    def _add_running(self, settings: LineSettings, line: Line) -> None:
        number = settings.number
        self._settings[number] = settings
        self.lines.add(line)
        self._start(number)

    async def _apply(self, number: str) -> None:
        settings, line = self._settings[number], self.lines[number]
        line.use(self._factory.profile(settings))
        account = self._factory.account(settings)
        if account == replace(line.account, proxy=account.proxy) != line.account:
            line.reconnect(account)
        elif account != line.account:
            line.account = account  # for the next time it connects
            await self._end_calls(number)
            async with self._stopped(number):
                pass
        self._bus.publish("line", number)

    async def _uninterrupted(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Do something to its end, although whoever waits for it is cancelled."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def do() -> None:
            try:
                result = await work
            except asyncio.CancelledError:
                if done.cancelled() or was_cancelled():
                    raise
                done.set_exception(NotReady(f"{name} was broken off: try again"))
            except Exception as error:
                if done.cancelled():
                    raise
                done.set_exception(error)
            else:
                if not done.cancelled():
                    done.set_result(result)
            finally:
                if not done.done():
                    done.cancel()

        try:
            task = self._tasks.spawn(do(), name)
        except RuntimeError:  # Astergram stops
            work.close()
            raise
        task.add_done_callback(lambda _: work.close())  # of one that was cancelled before it began
        return await done

    @asynccontextmanager
    async def _stopped(self, number: str) -> AsyncIterator[None]:
        """Inside, a line does not run, and its session is free; afterwards it runs, unless it is no more a line."""
        try:
            await self._stop(number)
            yield
        finally:
            if number in self._settings:
                self._start(number)

    def _start(self, number: str) -> None:
        line = self.lines[number]
        line.about_to_run()
        working = self._running.setdefault(number, set())
        try:
            work = partial(self._work, line, frozenset(working))
            task = self._tasks.supervise(work, f"line {number}", line.fail)
        except RuntimeError:
            return line_log(log, number).info("not started, Astergram stops")
        working.add(task)
        task.add_done_callback(working.discard)

    async def _work(self, line: Line, before: Collection[asyncio.Task[None]]) -> None:
        """Hold a line, once those have ended that held it before."""
        if before:
            await asyncio.wait(before)
        with about(lambda: {"line": line.number}):
            async with guarded_tasks() as tasks:
                tasks.supervise(lambda: self._chats.run(line), f"line {line.number}: clean-up")
                tasks.supervise(
                    lambda: self._duty.keep(line.number, lambda: line.online is not None), f"line {line.number}: lease"
                )
                await line.run()

    async def _stop(self, number: str) -> None:
        for _ in range(STOPS):
            working = set(self._running.get(number, ()))
            for task in working:
                task.cancel()
            if not working or not (await asyncio.wait(working, timeout=STOP_S))[1]:
                return
            line_log(log, number).error("has not let go of its session within %g s", STOP_S)

    async def _prepare_stop(self, number: str) -> None:
        """End a line's calls, and tidy its chats."""
        await self._end_calls(number)
        line = self.lines[number]
        try:
            async with asyncio.timeout(TIDY_S):
                await self._chats.at_last(line)
        except Exception as error:  # noqa: BLE001 - it is no reason to keep a line
            line_log(log, number).warning("its chats are not tidied: %r", error)

    async def _end_calls(self, number: str) -> None:
        """End a line's calls."""
        try:
            async with asyncio.timeout(END_S):
                await self._registry.end_calls(number)
        except TimeoutError:
            line_log(log, number).warning("stopped with calls that did not end within %g s", END_S)

    def _account_to_sign_in(self, number: str) -> Account:
        account = self._factory.account(self.settings(number))
        if not (account.api_id and account.api_hash):
            said = message("Set the application's id and hash of my.telegram.org first.")
            raise SettingRefused(Wrong("api_id", said))
        return account

    async def _adopt(self, account: Account) -> None:
        """Go on with a session that has just been signed in. Raises NoSuchLine, TelegramError, OSError."""
        await self._uninterrupted(self._go_on_with(account), f"new session of line {account.number}")

    async def _go_on_with(self, account: Account) -> None:
        number = account.number
        async with self._changing:
            line = self.line(number)
            proxy = self._factory.account(self.settings(number)).proxy  # which may be another one by now
            before = replace(line.account, proxy=proxy)
            await self._end_calls(number)
            async with self._stopped(number):
                await adopt(account)
                line.account = replace(account, proxy=proxy)
        # Not before the new one is in its place.
        await retire(before, replaced_session(account))
