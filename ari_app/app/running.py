"""The order in which the parts of Astergram are opened; backwards, it is the one in which they are closed.

Each group of parts is made by a module beside this one, of the configuration file and of the groups before it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ari_app.app.asterisk import StasisApplication, open_asterisk
from ari_app.app.calls import Calls, begin_left, open_calls, resources_at
from ari_app.app.cluster import open_cluster
from ari_app.app.dead_machines import dead_machines
from ari_app.app.earlier_run import EarlierRun, take_over
from ari_app.app.figures import open_metrics
from ari_app.app.lines import make_lines
from ari_app.app.media import open_media
from ari_app.app.other_asterisks import open_other_asterisks
from ari_app.app.outboxes import open_outboxes
from ari_app.app.page import open_page
from ari_app.app.pbx import Pbx, open_pbx, serve_agi
from ari_app.app.sharing import make_sharing, share_languages
from ari_app.app.storage import open_storage
from ari_app.app.upkeep import Upkeep, open_upkeep
from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.bridging import reconciling
from ari_app.asterisk.errors import AriError, AriRefused
from ari_app.bus import EventBus
from ari_app.calls.card import Cards
from ari_app.calls.keypad import Keypads
from ari_app.calls.left_calls import LeftCalls
from ari_app.calls.outbound import return_lost
from ari_app.calls.registry import CallRegistry
from ari_app.config import Settings
from ari_app.lines.health import StatusMonitor
from ari_app.lines.manager import LineManager
from ari_app.pbx.ami import AmiReports
from ari_app.people import orders
from ari_app.reload import Reload
from ari_app.state_folder import held
from ari_app.store.store import Store
from ari_app.tasks import GuardedTasks, guarded_tasks
from ari_app.telegram.bot import Bot
from ari_app.web.http.listening import listening
from ari_app.web.http.services import Services

if TYPE_CHECKING:
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
    keypads: Keypads
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
        cluster = await opened(open_cluster(settings.cluster, asterisk, media, settings.leases_dir))
        outboxes = await opened(open_outboxes(settings, storage.store, bus, earlier.left.all()))

        # The lines outlive the keypads, and those outlive the calls.
        line_tasks = await opened(guarded_tasks())
        calls = await opened(open_calls(settings, bus, earlier, storage, media, asterisk, cluster))
        lines = make_lines(settings, bus, storage, media, asterisk, calls, cluster, line_tasks)

        # Who counts what happens, and who tells of it; before anything can happen.
        metrics = await opened(
            open_metrics(settings, storage, asterisk, outboxes, calls, lines.statuses, cluster.control)
        )
        pbx = await opened(open_pbx(bus, storage, outboxes, calls, lines.statuses))
        sharing = make_sharing(cluster, storage)
        share_languages(cluster, storage, line_tasks)
        upkeep = await open_upkeep(settings, bus, storage, outboxes, calls, lines, pbx, cluster.control, sharing)

        # From here on it works: first what has to go on, then the lines, then calls that were left, then new ones.
        storage.installation.on_change(upkeep.retention.follow)
        storage.installation.on_change(partial(lines.follow, storage.installation, calls.bot))
        reconciled = _begin(line_tasks, earlier, asterisk, calls, lines.statuses, pbx, upkeep)
        on_channel, at = calls.dispatcher.on_channel, partial(resources_at, settings, storage, media)
        others = open_other_asterisks(settings, cluster.asterisks, bus, on_channel, at, earlier.left.kept)
        other_asterisks = await opened(others)
        if cluster.control:
            dead = dead_machines(cluster.control, asterisk.ari, settings.asterisk, media.pool)
            line_tasks.supervise(dead.run, "calls of machines that have died")
        cluster.begin(line_tasks, bus, calls.registry, calls.lines, other_asterisks.reached, lines.devices)
        await lines.manager.load()
        cluster.begin_devices(line_tasks, lines.devices)
        cluster.begin_settings(line_tasks, lines.manager, storage.installation, lines.card_files)
        earlier.media_held.let_go()
        # Before a call is taken up: a run that fails then may leave its calls to the next one.
        await opened(guard(HandedOver(calls.registry, calls.keypads, outboxes.ami, storage.store)))
        begin_left(earlier, storage, calls, cluster, other_asterisks, reconciled)
        # What has come meanwhile may be about a call that was left.
        line_tasks.supervise(partial(asterisk.take_events, calls.dispatcher.on_channel, bus), "events of Asterisk")
        upkeep.begin(line_tasks)
        if sharing:
            sharing.begin(line_tasks, partial(orders.obey, upkeep.people, storage.audit))
        if settings.agi:
            serve_agi(settings.agi, pbx, calls, storage)

        # The page and the API, and the bot: what they need takes long to load, so people who talk come first.
        with suppress(TimeoutError):
            async with asyncio.timeout(LEFT_S):
                await earlier.left.go_on()
        page = await opened(
            open_page(
                settings,
                sockets,
                bus,
                storage,
                asterisk,
                outboxes,
                calls,
                lines,
                metrics,
                pbx,
                upkeep,
                cluster,
                other_asterisks,
            )
        )
        cluster.begin_bot(line_tasks, calls.bot)
        yield Astergram(
            ari=asterisk.ari,
            left=earlier.left,
            bot=calls.bot,
            lines=lines.manager,
            registry=calls.registry,
            keypads=calls.keypads,
            cards=calls.cards,
            services=page.services,
            web=page.web,
            reload=Reload(settings, calls.registry, calls.resources, media.pool, storage.installation),
        )


def _begin(
    tasks: GuardedTasks,
    earlier: EarlierRun,
    asterisk: StasisApplication,
    calls: Calls,
    statuses: StatusMonitor,
    pbx: Pbx,
    upkeep: Upkeep,
) -> asyncio.Event:
    """Begin what goes on for as long as the program does; set once nothing is in Asterisk of calls nobody knows."""
    reconciled = asyncio.Event()
    looking = partial(reconciling, asterisk.ari, earlier.left.kept, return_lost, reconciled.set)
    tasks.supervise(looking, "what is left behind in Asterisk")
    tasks.supervise(earlier.journal.run, "journal of calls")
    tasks.supervise(upkeep.retention.run, "retention")
    tasks.supervise(asterisk.codecs.run, "codecs of Asterisk")
    tasks.supervise(statuses.run, "status")
    tasks.supervise(pbx.activity.run, "activity")
    tasks.supervise(partial(calls.registry.admission.run, calls.registry.live), "load of the machine")
    if calls.ports:
        tasks.supervise(calls.ports.run, "RTP ports of Asterisk")
    return reconciled
