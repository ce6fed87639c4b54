"""Makes what handles calls, and the bot whose buttons are about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from ari_app.app.asterisk import StasisApplication
from ari_app.app.cluster import Cluster
from ari_app.app.configured import ami_client
from ari_app.app.earlier_run import EarlierRun
from ari_app.app.media import Media
from ari_app.app.other_asterisks import OtherAsterisks
from ari_app.app.storage import Storage
from ari_app.asterisk.rtp_ports import RtpPorts
from ari_app.bus import BOT, EventBus
from ari_app.calls.admission import Admission
from ari_app.calls.audio import AudioSettings
from ari_app.calls.callback import CallBackHandler
from ari_app.calls.capacity import AdmissionLimits
from ari_app.calls.card import Cards
from ari_app.calls.dispatcher import CallDispatcher
from ari_app.calls.drain import Drain
from ari_app.calls.journalled import CallJournal
from ari_app.calls.keypad import Keypads
from ari_app.calls.known_cards import KnownCards
from ari_app.calls.left_calls import LeftCallHandler
from ari_app.calls.listeners import Listeners
from ari_app.calls.registry import CallRegistry
from ari_app.calls.resources import CallResources
from ari_app.config import Settings
from ari_app.lines.lines import Lines
from ari_app.lines.retention import period_s
from ari_app.tasks import GuardedTasks, guarded_tasks
from ari_app.telegram.bot import Bot
from ari_app.telegram.card_message import PREFIX as CARD_PREFIX
from media.types import AriLogin


@dataclass(frozen=True)
class Calls:
    """Who handles calls, and with what. ``lines`` are none until the manager adds some; ``tasks`` are the calls'."""

    lines: Lines
    bot: Bot
    ports: RtpPorts | None
    registry: CallRegistry
    keypads: Keypads
    cards: Cards
    resources: CallResources
    dispatcher: CallDispatcher
    callbacks: CallBackHandler
    tasks: GuardedTasks


@asynccontextmanager
async def open_calls(
    settings: Settings,
    bus: EventBus,
    earlier: EarlierRun,
    storage: Storage,
    media: Media,
    asterisk: StasisApplication,
    cluster: Cluster,
) -> AsyncIterator[Calls]:
    """Leaving ends every call with its reason, and then waits for the keypads, which outlive the calls, to be hidden.

    Raises StoreUnavailable.
    """
    # Left from the right: calls end, keypads are hidden, and then what hides them ends.
    async with guarded_tasks() as keypad_tasks, AsyncExitStack() as calls_over, guarded_tasks() as call_tasks:
        lines = Lines()
        bot = _bot(settings, bus, earlier, storage, cluster)
        ami = settings.ami
        ports = RtpPorts(asterisk.ari, ami_client(ami), settings.asterisk.transport) if ami else None
        registry = _registry(settings, bus, earlier, storage, ports, cluster)
        keypads = Keypads(bot, storage.store, keypad_tasks, partial(registry.count, "keypad.refused"), cluster.keypads)
        calls_over.push_async_callback(keypads.wait_hidden)
        life_s = partial(period_s, storage.installation, "cards_days")
        known = KnownCards(storage.store, life_s=life_s, shared=cluster.cards)
        await known.load()
        call_tasks.supervise(partial(cluster.cards.run, known), "cards of the cluster")
        sent = registry.listeners.card_sent
        lacks = cluster.files.lacks
        cards = Cards(known, storage.store, bot, registry.count, lines.include, sent, lacks=lacks)
        resources = resources_at(settings, storage, media, asterisk)
        placers = cluster.placers(settings.asterisk.app)
        dispatcher = CallDispatcher(lines, registry, resources, keypads, cards, call_tasks, cluster.claims, placers)
        callbacks = CallBackHandler(
            known, lines, bot, registry, resources, dispatcher.spawn, others_take=cluster.others_take
        )
        bot.on_press(CARD_PREFIX, callbacks.press, shared=cluster.secret != "")
        yield Calls(lines, bot, ports, registry, keypads, cards, resources, dispatcher, callbacks, call_tasks)


def begin_left(
    earlier: EarlierRun,
    storage: Storage,
    calls: Calls,
    cluster: Cluster,
    asterisks: OtherAsterisks,
    reconciled: asyncio.Event,
) -> None:
    """Go on with the calls that were left. ``reconciled`` is set once nothing is in Asterisk of calls nobody knows."""
    LeftCallHandler(
        earlier.left,
        earlier.journal,
        calls.lines,
        calls.registry,
        calls.resources,
        calls.keypads,
        calls.cards,
        storage.history,
        calls.tasks,
        reconciled,
        cluster.claims,
        asterisks.resources,
    ).begin()


def _bot(settings: Settings, bus: EventBus, earlier: EarlierRun, storage: Storage, cluster: Cluster) -> Bot:
    its = storage.installation.settings
    return Bot(
        its.token,
        settings.bot.api_url,
        proxy=its.way,
        on_change=partial(bus.publish, BOT),
        on_language=storage.languages.learn,
        # Who talks has perhaps just pressed a key.
        polled_until=earlier.journal.written_until if earlier.left.ids else 0.0,
        machines=cluster.bot,
    )


def _registry(
    settings: Settings,
    bus: EventBus,
    earlier: EarlierRun,
    storage: Storage,
    ports: RtpPorts | None,
    cluster: Cluster,
) -> CallRegistry:
    its, listeners = settings.calls, Listeners()
    limits = AdmissionLimits(its.max_calls, its.cpu_percent)
    admission = Admission(limits, bus, lambda: ports.calls if ports else None)
    drain = Drain(bus, listeners, leaves_offers=its.drain_offers == "leave")
    journal = CallJournal(earlier.journal, settings.asterisk.app)
    return CallRegistry(
        bus, storage.history, listeners, admission, drain=drain, journal=journal, elsewhere=cluster.calls_elsewhere
    )


def resources_at(
    settings: Settings,
    storage: Storage,
    media: Media,
    asterisk: StasisApplication,
    login: AriLogin | None = None,
) -> CallResources:
    """For calls at this Asterisk; ``login``: to it, where it is another machine's."""
    audio = AudioSettings(
        pool=media.pool,
        codecs=asterisk.codecs,
        transport=asterisk.codecs.transport,
        media_host=(login and settings.cluster and settings.cluster.media_host) or settings.asterisk.media_host,
        connect_s=settings.calls.connect_s,
        away_s=settings.asterisk.away_s,
        relay=lambda: storage.installation.settings.relay,
        login=login,
    )
    return CallResources(asterisk.ari, audio, settings.calls.ring_s)
