"""Makes what tells this machine which lines and calls are its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ari_app import __version__
from ari_app.app.asterisk import StasisApplication
from ari_app.app.earlier_run import HOLD_S
from ari_app.app.media import Media
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.bus import RELOAD, EventBus
from ari_app.calls.dtmf import digits_of
from ari_app.calls.line_calls import telegram_ids
from ari_app.calls.moving import NoOtherPlacer, OtherPlacers, application
from ari_app.calls.registry import CallRegistry
from ari_app.cluster.claims import KEPT_S, Claims, EngineClaims, OnlyMachine
from ari_app.cluster.control import ClusterControl
from ari_app.cluster.device_links import DeviceLinks
from ari_app.cluster.devices import DEVICES, is_next
from ari_app.cluster.duty import Alone, ByLease, Duty
from ari_app.cluster.engine_cards import KEPT_S as CARDS_KEPT_S
from ari_app.cluster.engine_cards import PURPOSE as CARDS
from ari_app.cluster.engine_cards import EngineCards
from ari_app.cluster.engine_files import PURPOSE as FILES
from ari_app.cluster.engine_files import EngineFiles
from ari_app.cluster.engine_leases import EngineLeases, Owner
from ari_app.cluster.file_leases import FileLeases
from ari_app.cluster.members import Member, Members
from ari_app.cluster.shared_bot import BotDuty, SharedBot
from ari_app.cluster.shared_cards import OwnCards, SharedCards
from ari_app.cluster.shared_files import OwnFiles, SharedFiles
from ari_app.cluster.shared_keypads import KEPT_S as KEYPADS_KEPT_S
from ari_app.cluster.shared_keypads import EngineKeypads, OwnKeypads, SharedKeypads
from ari_app.cluster.shared_limits import PAUSES_KEPT_S, EngineLimits, OwnLimits, SharedLimits
from ari_app.cluster.shared_settings import (
    PAGE,
    SESSIONS_KEPT_S,
    Cipher,
    EngineSettings,
    OwnSettings,
    SharedPage,
    SharedSettings,
)
from ari_app.cluster.text_claims import KEPT_S as TEXTS_KEPT_S
from ari_app.cluster.text_claims import EngineTextClaims, EveryText, TextClaims
from ari_app.config import ClusterSettings, ConfigError
from ari_app.lines.card_files import CardFiles
from ari_app.lines.followed import FollowedSettings
from ari_app.lines.installation import Installation
from ari_app.lines.line_devices import LineDevices
from ari_app.lines.lines import Lines
from ari_app.lines.manager import LineManager
from ari_app.lines.sign_ins import no_machine
from ari_app.tasks import GuardedTasks, guarded_tasks
from ari_app.telegram.bot import Bot
from ari_app.telegram.limits import DAY_S
from ari_app.telegram.signin import AcceptLogin

if TYPE_CHECKING:
    from ari_app.cluster.engine import NatsEngine

TEXTS_WAIT = 2
"""Of the lease's time: by then another machine holds a line whose holder has died, or nobody answers but this one."""


@dataclass(frozen=True)
class Cluster:
    """``duty``: which lines this machine acts for; ``claims`` and ``texts``: which calls and texts it answers;
    ``limits``: what the others are told of Telegram's; ``keypads`` and ``cards``: and of those in chats; ``settings``
    and ``files``: what is set, and the files of the lines' cards, for all of them; ``asterisks``: how each machine's is
    reached; ``bot``: whom else the bot works for; ``page``: who uses the page. The last two and ``control`` are None
    where it is the only machine, and ``page`` without a secret.
    """

    duty: Duty
    claims: Claims
    texts: TextClaims
    limits: SharedLimits
    keypads: SharedKeypads
    cards: SharedCards
    settings: SharedSettings
    files: SharedFiles
    asterisks: SharedSettings
    control: ClusterControl | None = None
    bot: SharedBot | None = None
    page: SharedPage | None = None
    secret: str = field(default="", repr=False)
    devices: int = DEVICES

    def link_devices(self, accept: AcceptLogin) -> AcceptLogin:
        """Have this machine's devices accept those of others; gives how theirs accept this machine's."""
        if self.control is None:
            return no_machine
        links = DeviceLinks(self.secret, self.control.engine, self.control.others, accept)
        links.serve()
        return links.accepted

    def placers(self, app: str) -> OtherPlacers:
        """Those that place calls for phones of this machine; ``app`` is its Stasis application."""
        return MachinePlacers(self.control, app) if self.control else NoOtherPlacer()

    def is_next(self, line: str) -> bool:
        """Whether this machine is to be signed in now, as it has no device of a line yet; see `devices.is_next`."""
        its = self.control
        return its is not None and is_next(line, its.machine, its.members.all(), self.devices)

    def others_take(self, line: str) -> bool:
        """Whether another machine could take a call to a line now, and knows of this one's cards."""
        its = self.control
        return its is not None and self.secret != "" and its.members.others_take(its.machine, line)

    def calls_elsewhere(self) -> dict[str, list[int]]:
        """The calls that other machines have on each line, by Telegram's ids of them; 0 for one that is not known."""
        return self.control.members.calls_elsewhere(self.control.machine) if self.control else {}

    def begin_bot(self, tasks: GuardedTasks, bot: Bot) -> None:
        """Have the bot work, and fetch what is meant for it in one place."""
        tasks.supervise(bot.run, "bot")
        if self.bot:
            tasks.supervise(partial(self.bot.keep, bot), "lease of the bot")

    def begin_settings(
        self, tasks: GuardedTasks, lines: LineManager, installation: Installation, files: CardFiles
    ) -> None:
        """Have them be the same on all machines from now on, and the cards' files; the lines are loaded."""
        installation.share(self.settings)
        tasks.supervise(partial(self.settings.run, FollowedSettings(lines, installation)), "settings of the cluster")
        for share in (self.files.run, self.files.fetch):
            tasks.supervise(partial(share, files), "files of the cluster")

    def begin_devices(self, tasks: GuardedTasks, devices: LineDevices) -> None:
        """Have lines be signed in on as many machines as is set; they are loaded."""
        if self.control:
            tasks.supervise(devices.follow, "devices of the lines")
        if self.control and self.secret:
            tasks.supervise(devices.run, "sign-ins by itself")

    def begin(
        self,
        tasks: GuardedTasks,
        bus: EventBus,
        registry: CallRegistry,
        lines: Lines,
        reached: Callable[[], tuple[str, ...]],
        devices: LineDevices,
    ) -> None:
        """Tell the others from now on how this machine is, and leave its lines to them while it is drained.

        ``reached``: the machines whose Asterisk is connected.
        """
        if control := self.control:

            def own() -> Member:
                calls, draining = len(registry.calls), registry.drain.active
                fetches = self.bot is not None and self.bot.fetches()
                has_room = control.duty.is_able and registry.shortage is None
                takes = tuple(number for number, line in lines.items() if has_room and line.online)
                on_lines = telegram_ids(registry.live())
                held = control.duty.lines
                said = (held, calls, draining, fetches, takes, on_lines, reached(), devices.words())
                return Member(control.machine, __version__, *said)

            changed = asyncio.Event()
            tasks.supervise(partial(control.members.announce, own, changed), "word of this machine to the cluster")
            tasks.supervise(partial(_follow_calls, bus, changed), "calls of this machine")
            follow = partial(_follow_drain, bus, registry, control.duty, self.bot)
            tasks.supervise(follow, "leases of a drained machine")
            tasks.supervise(partial(control.tell, bus), "word of the cluster to the pages")


@dataclass(frozen=True)
class MachinePlacers:
    """The machines that are there."""

    control: ClusterControl
    app: str

    def applications(self, line: str | None) -> list[str]:
        """Of those that could place a call now; the one with the fewest calls first."""
        its = self.control
        return [application(self.app, machine) for machine in its.members.that_place(its.machine, line)]


async def _follow_calls(bus: EventBus, changed: asyncio.Event) -> None:
    with bus.subscribe() as changes:
        while True:
            if (await changes.get()).kind in ("call", RELOAD):
                changed.set()


async def _follow_drain(bus: EventBus, registry: CallRegistry, duty: ByLease, bot: SharedBot | None) -> None:
    with bus.subscribe() as changes:
        while True:
            if registry.drain.active:
                duty.rest()
                if bot:  # the keys of calls that go on are pressed yet, so only where another machine has it
                    bot.leave()
            else:
                duty.resume()
            while (await changes.get()).kind not in ("drain", RELOAD):
                pass


@asynccontextmanager
async def open_cluster(
    settings: ClusterSettings | None, asterisk: StasisApplication, media: Media, leases_dir: Path
) -> AsyncIterator[Cluster]:
    """Without settings this is the only machine; leases are files. Raises ConfigError where a package is missing."""
    if settings is None:
        alone = OwnKeypads(), OwnCards(), OwnSettings(), OwnFiles(), OwnSettings()
        yield Cluster(Alone(FileLeases(leases_dir)), OnlyMachine(), EveryText(), OwnLimits(), *alone)
        return
    try:
        from ari_app.cluster.engine import connected
        from ari_app.cluster.engine_objects import NatsObjects
    except ImportError as error:
        raise ConfigError("[cluster] is set, and nats-py is missing: pip install 'astergram[cluster]'") from error
    owner = Owner(settings.machine, secrets.token_hex(8))
    password = settings.password.get_secret_value() if settings.password else ""
    async with (
        connected(settings.servers, settings.machine, settings.user, password) as engine,
        guarded_tasks() as tasks,
    ):
        leases = EngineLeases(engine.bucket("astergram-leases"), owner, settings.lease_s)
        tasks.supervise(leases.watch, "leases of the cluster")
        duty = ByLease(leases, lambda: asterisk.ari.state is ConnectionState.CONNECTED)
        members = Members(engine.bucket("astergram-machines"), duty.hand_over)
        tasks.supervise(members.watch, "machines of the cluster")
        claims = EngineClaims(
            engine.bucket("astergram-claims", KEPT_S),
            settings.machine,
            duty.answers_calls,
            leases.may_be_held_s,
            partial(members.others_take, settings.machine),
        )
        bucket = engine.bucket("astergram-texts", TEXTS_KEPT_S)

        def may_be_dialled(line: str, text: str) -> bool:
            return digits_of(text) is not None and line in members.calls_elsewhere(settings.machine)

        patience_s = TEXTS_WAIT * settings.lease_s
        texts = EngineTextClaims(bucket, settings.machine, duty.holds, leases.owner, may_be_dialled, patience_s)
        bot = SharedBot(settings.machine, engine, BotDuty(leases), members)
        limits = EngineLimits(
            settings.machine,
            engine.bucket("astergram-pauses", PAUSES_KEPT_S),
            engine.bucket("astergram-placed-calls", DAY_S),
        )
        for share in (limits.send, limits.watch_pauses, limits.watch_calls):
            tasks.supervise(share, "limits of the cluster")
        bucket = engine.bucket("astergram-keypads", KEYPADS_KEPT_S)

        def carried_s() -> float:
            return HOLD_S + media.pool.orphan_grace_s  # a next run holds them before it is at work

        keypads = EngineKeypads(bucket, settings.machine, carried_s, duty.holds, members.silent_s)
        for share in (keypads.send, keypads.watch):
            tasks.supervise(share, "keypads of the cluster")
        secret = settings.secret.get_secret_value() if settings.secret else ""
        shared: SharedSettings = OwnSettings()
        asterisks: SharedSettings = OwnSettings()
        files: SharedFiles = OwnFiles()
        cards: SharedCards = OwnCards()
        page = shared_page(engine, secret) if secret else None
        if secret:
            shared = EngineSettings(engine.bucket("astergram-settings"), Cipher(secret))
            asterisks = EngineSettings(engine.bucket("astergram-asterisks"), Cipher(secret))
            bucket, cipher = engine.bucket("astergram-cards", CARDS_KEPT_S), Cipher(secret, CARDS)
            of_others = members.silent_s, carried_s, members.has_calls
            cards = EngineCards(bucket, cipher, settings.machine, duty.holds, *of_others)
            tasks.supervise(cards.send, "cards of the cluster")
            bucket = engine.bucket("astergram-card-files")
            files = EngineFiles(bucket, NatsObjects(engine, "astergram-card-files"), Cipher(secret, FILES))
        control = ClusterControl(settings.machine, engine, members, leases, duty, asterisks)
        its = cards, shared, files, asterisks, control, bot, page, secret, settings.devices
        yield Cluster(duty, claims, texts, limits, keypads, *its)


def shared_page(engine: NatsEngine, secret: str) -> SharedPage:
    """Who uses the page, by an engine."""
    cipher = Cipher(secret, PAGE)
    users, sessions = engine.bucket("astergram-access"), engine.bucket("astergram-sessions", SESSIONS_KEPT_S)
    return SharedPage(
        EngineSettings(users, cipher, cipher.hidden, "users of the cluster"),
        EngineSettings(sessions, cipher, cipher.hidden, "sessions of the cluster"),
    )
