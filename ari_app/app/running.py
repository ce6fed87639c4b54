"""Makes the parts of Astergram, and hands them to each other: lines, Asterisk, media, the bot, calls, the page."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ari_app.app.asterisk import open_asterisk
from ari_app.app.calls import open_calls
from ari_app.app.earlier_run import take_over
from ari_app.app.figures import open_metrics
from ari_app.app.lines import follow_installation, line_manager
from ari_app.app.media import open_media
from ari_app.app.outboxes import open_outboxes
from ari_app.app.pbx import open_pbx, serve_agi
from ari_app.app.storage import open_storage
from ari_app.app.upkeep import open_upkeep
from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import reconciling
from ari_app.asterisk.errors import AriError, AriRefused
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.bus import EventBus
from ari_app.calls.card import Cards
from ari_app.calls.keypad import Keypads
from ari_app.calls.left_calls import LeftCallHandler, LeftCalls
from ari_app.calls.outbound import return_lost
from ari_app.calls.registry import CallRegistry
from ari_app.config import Settings
from ari_app.lines.account_setup import AccountSetup
from ari_app.lines.card_files import CardFiles
from ari_app.lines.health import StatusMonitor
from ari_app.lines.manager import LineManager
from ari_app.pbx.ami import AmiReports
from ari_app.reload import Reload
from ari_app.state_folder import held
from ari_app.store.store import Store
from ari_app.tasks import guarded_tasks
from ari_app.telegram.bot import Bot
from ari_app.web.http.listening import listening
from ari_app.web.http.services import Services

if TYPE_CHECKING:
    from ari_app.doctor import Surroundings
    from ari_app.web.server import Served

LEFT_S = 5.0
"""For the calls that an earlier run has left to go on, before the page is loaded: adopting one takes milliseconds."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Astergram:
    """The running program; made by `running(settings)`."""

    ari: AriClient
    left: LeftCalls
    bot: Bot
    lines: LineManager
    registry: CallRegistry
    keypads: Keypads
    cards: Cards
    services: Services
    web: Served
    reload: Reload

    async def first_attempt_done(self) -> None:
        """Wait until Asterisk and each line have been tried once, and the calls that were left go on.

        What is away is tried again without an end; raises AriRefused where only the administrator can repair it. The
        bot, which takes seconds to load, is not waited for.
        """
        try:
            await self.ari.wait_connected()
        except AriRefused:
            raise
        except AriError as error:
            log.warning("Asterisk is not there yet: %s", error)
        for line in self.lines:
            await line.first_attempt_done()
        await self.left.go_on()


@dataclass(frozen=True)
class HandedOver:
    """What is brought to its end before a run leaves its calls to the next one."""

    registry: CallRegistry
    ami: AmiReports | None
    store: Store


Guard = Callable[[HandedOver], AbstractAsyncContextManager[Any]]
"""Sees an error of a run, also of its start, before anything of it is closed: closing ends every call."""


@asynccontextmanager
async def running(settings: Settings, guard: Guard = nullcontext) -> AsyncIterator[Astergram]:
    """Astergram at work; leaving ends every call with its reason, then lets go of all else.

    Raises StateHeld and WebError before anything else is done.
    """
    async with AsyncExitStack() as stack:
        opened = stack.enter_async_context

        # What the rest needs. It is left last.
        stack.enter_context(held(settings.state_dir, "run"))
        sockets = stack.enter_context(listening(settings.web, settings.socket))
        earlier = stack.enter_context(take_over(settings.state_dir))
        bus = EventBus()
        storage = await opened(open_storage(settings, bus, earlier))
        media = await opened(open_media(settings))
        asterisk = await opened(open_asterisk(settings))
        outboxes = await opened(open_outboxes(settings, storage.store, bus, earlier.left.all()))
        left, journal = earlier.left, earlier.journal
        store, installation = storage.store, storage.installation
        audit, history = storage.audit, storage.history
        ari, codecs, reports, webhooks = asterisk.ari, asterisk.codecs, outboxes.ami, outboxes.webhooks

        # What goes on in the background: the lines outlive the keypads, and those outlive the calls.
        line_tasks = await opened(guarded_tasks())
        calls = await opened(open_calls(settings, bus, earlier, storage, media, asterisk))
        manager = line_manager(settings, bus, storage, media, calls, line_tasks)
        statuses = StatusMonitor(calls.lines, ari, calls.bot, bus, calls.registry.drain)
        lines, bot, registry = calls.lines, calls.bot, calls.registry
        keypads, cards, resources, dispatcher = calls.keypads, calls.cards, calls.resources, calls.dispatcher
        call_tasks = calls.tasks

        def look_around() -> Surroundings:
            from ari_app.surroundings import surroundings

            return surroundings(
                settings,
                manager.all_settings(),
                has_bot=bool(installation.settings.token),
                proxy=installation.settings.way,
                turn=installation.settings.relay,
                holds_app=ari.state is ConnectionState.CONNECTED,
                telegram_offset_s=manager.telegram_offset_s,
            )

        # Before anything can happen: what counts it, and who is told of it.
        metrics = await opened(open_metrics(settings, storage, asterisk, outboxes, calls, statuses))
        pbx = await opened(open_pbx(bus, storage, outboxes, calls, statuses))
        upkeep = await open_upkeep(settings, bus, storage, outboxes, calls, manager, statuses, pbx)
        installation.on_change(upkeep.retention.follow)
        installation.on_change(partial(follow_installation, installation, bot, manager))

        reconciled = asyncio.Event()
        looking = partial(reconciling, ari, left.kept, return_lost, reconciled.set)
        line_tasks.supervise(looking, "what is left behind in Asterisk")
        line_tasks.supervise(journal.run, "journal of calls")
        line_tasks.supervise(upkeep.retention.run, "retention")
        line_tasks.supervise(codecs.run, "codecs of Asterisk")
        line_tasks.supervise(statuses.run, "status")
        line_tasks.supervise(pbx.activity.run, "activity")
        line_tasks.supervise(partial(registry.admission.run, registry.live), "load of the machine")
        if ports := calls.ports:
            line_tasks.supervise(ports.run, "RTP ports of Asterisk")
        await manager.load()
        earlier.media_held.let_go()
        await stack.enter_async_context(guard(HandedOver(registry, reports, store)))
        LeftCallHandler(
            left, journal, lines, registry, resources, keypads, cards, history, call_tasks, reconciled
        ).begin()
        # What has come meanwhile may be about a call that was left.
        line_tasks.supervise(partial(asterisk.take_events, dispatcher, bus), "events of Asterisk")

        upkeep.begin(line_tasks)
        if settings.agi:
            serve_agi(settings.agi, pbx, calls, storage)

        # The page and the API, and the bot: what they need takes long to load, so people who talk come first.
        with suppress(TimeoutError):
            async with asyncio.timeout(LEFT_S):
                await left.go_on()
        await asyncio.to_thread(importlib.import_module, "ari_app.web.server")
        from ari_app.doctor import Doctor
        from ari_app.web.server import serving

        services = Services(
            lines=manager,
            statuses=statuses,
            account_setup=AccountSetup(manager, bot, bus),
            dispatcher=dispatcher,
            placer=pbx.placer,
            card_files=CardFiles(store),
            registry=registry,
            history=history,
            doctor=Doctor(look_around),
            installation=installation,
            store=store,
            bus=bus,
            webhooks=webhooks,
            metrics=metrics,
            audit=audit,
            alerts=upkeep.alerts,
            people=upkeep.people,
            activity=pbx.activity,
            backups=upkeep.backups,
            updates=upkeep.updates,
            ami=reports,
        )
        web = await stack.enter_async_context(serving(services, settings.web, sockets, settings.oidc))
        line_tasks.supervise(bot.run, "bot")
        reload = Reload(settings, registry, resources, media.pool, installation)
        yield Astergram(ari, left, bot, manager, registry, keypads, cards, services, web, reload)
