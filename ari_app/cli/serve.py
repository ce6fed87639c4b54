"""`astergram run`."""

import argparse
import asyncio
import logging
import os
import signal
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path

from ari_app.app import Astergram, HandedOver, running
from ari_app.app.configured import installation_defaults
from ari_app.asterisk.errors import AriError
from ari_app.cli import hand_over
from ari_app.cli.commands import FAILED, said
from ari_app.config import ConfigError, Settings, load
from ari_app.lines.settings import LineError
from ari_app.service_manager import ServiceManager
from ari_app.state_folder import StateHeld
from ari_app.store.store import StoreError
from ari_app.tasks import guarded_tasks
from ari_app.telegram.errors import TelegramError
from ari_app.web.errors import WebError
from media.logs import formatter
from media.types import MediaError

log = logging.getLogger("astergram")

FAILURES: tuple[type[Exception], ...] = (
    AriError,
    LineError,
    MediaError,
    StateHeld,
    StoreError,
    TelegramError,
    WebError,
)


async def serve(settings: Settings, options: argparse.Namespace) -> None:
    """Work until SIGTERM or SIGINT; SIGHUP reads the configuration again."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(settings.log.style, "%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    logging.getLogger("telethon").setLevel(logging.WARNING)
    logging.getLogger("telethon.network").setLevel(logging.ERROR)  # each try to connect; the line tells once
    manager = ServiceManager.of(os.environ)
    stop, reload = asyncio.Event(), asyncio.Event()
    told = False  # to stop by whoever runs it, and not at its terminal

    def terminate() -> None:
        nonlocal told
        told = True
        stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    # Of a terminal that is closed it is the end.
    loop.add_signal_handler(signal.SIGHUP, stop.set if os.isatty(0) else reload.set)
    hands_over = settings.calls.on_stop == "hand_over"
    async with running(settings, _guard if hands_over else nullcontext) as app, guarded_tasks() as tasks:
        if settings.web.enabled:
            log.info("admin page: %s", app.web.url)
        attempted, stopped = asyncio.ensure_future(app.first_attempt_done()), asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({attempted, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if attempted.done():
                attempted.result()  # raises what only the administrator can repair
                manager.ready(_ready(app, settings))
                tasks.supervise(manager.watch, "watchdog")
                tasks.supervise(partial(_reloading, app, options.config, reload, manager), "reload")
            await stopped
        finally:
            attempted.cancel()
            stopped.cancel()
            await asyncio.wait({attempted, stopped})
        manager.stopping(f"stopping, with {len(app.registry.calls)} calls")
        log.info("stopping, with %d calls", len(app.registry.calls))
        if told and await _hands_over(app, manager):
            its = HandedOver(app.registry, app.keypads, app.services.ami, app.services.store)
            log.info("stopped; calls that go on, for the next start: %d", await hand_over.prepare(its))
            hand_over.leave()


async def _hands_over(app: Astergram, manager: ServiceManager) -> bool:
    """Whether who talks is left to the next start; none comes soon enough where the machine stops."""
    if app.reload.settings.calls.on_stop != "hand_over":
        return False
    if await manager.machine_stops():
        log.info("the machine stops: calls end")
        return False
    return True


def _guard(its: HandedOver) -> AbstractAsyncContextManager[None]:
    """Calls that this run has taken up are left to the next one if it fails, as by a stop."""
    return hand_over.handing_over_on_failure(its, _told)


def _told(error: Exception) -> int:
    """Say what has failed; the exit status."""
    if isinstance(error, FAILURES):
        return said(error, FAILED)
    log.error("unexpected error", exc_info=error)
    return FAILED


def _ready(app: Astergram, settings: Settings) -> str:
    """Say so; what it says."""
    readiness = app.services.statuses.readiness()
    asterisk = app.ari.state.name.lower()
    said = f"ready: {readiness.ready_lines} of {readiness.lines} lines, Asterisk at {settings.asterisk.url} {asterisk}"
    log.info("%s", said)
    if app.web.first_link:  # last, where it is seen
        print(f"To set the admin page's password, open this link (once): {app.web.first_link}", flush=True)
    return said


async def _reloading(app: Astergram, config: Path, asked: asyncio.Event, manager: ServiceManager) -> None:
    """Read the configuration again whenever that is asked for, until cancelled."""
    while True:
        await asked.wait()
        asked.clear()
        manager.reloading()
        try:
            said = await _reloaded(app, config)
        except Exception:
            manager.ready("the configuration could not be read again; the log says why")
            raise
        manager.ready(said)


async def _reloaded(app: Astergram, config: Path) -> str:
    """Read it, and follow it; what came of it. What is wrong with it changes nothing."""
    try:
        new = await asyncio.to_thread(load, config)
        taken, restart = await app.reload.take(new, installation_defaults(new))
    except (ConfigError, LineError) as error:
        log.error("the configuration is not read again, and all goes on as before: %s", error)  # noqa: TRY400 - a sentence
        return "the configuration has a mistake, and all goes on as before; the log has it"
    said = f"configuration read again: {', '.join(taken) or 'nothing'} changed"
    if restart:
        said += f"; needs a restart: {', '.join(restart)}"
    log.info("%s", said)
    return said


COMMANDS = {"run": serve}
