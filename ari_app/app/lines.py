"""Makes the manager of the lines, their lights, and their devices; no line is at work yet."""

from __future__ import annotations

from dataclasses import dataclass

from ari_app.app.asterisk import StasisApplication
from ari_app.app.calls import Calls
from ari_app.app.cluster import Cluster
from ari_app.app.configured import server
from ari_app.app.media import Media
from ari_app.app.storage import Storage
from ari_app.bus import EventBus
from ari_app.calls.clean_up import ChatCleanUp
from ari_app.config import Settings
from ari_app.lines.card_files import CardFiles
from ari_app.lines.factory import Accounts, LineFactory
from ari_app.lines.health import StatusMonitor
from ari_app.lines.installation import Installation
from ari_app.lines.line_devices import LineDevices
from ari_app.lines.manager import LineManager
from ari_app.lines.shared_lines import LinesWithFiles
from ari_app.store.lines import LineRepository
from ari_app.tasks import GuardedTasks
from ari_app.telegram.bot import Bot


@dataclass(frozen=True)
class LineParts:
    """Who has them at work, how they are, and on which machines they are signed in."""

    manager: LineManager
    statuses: StatusMonitor
    card_files: CardFiles
    devices: LineDevices

    async def follow(self, installation: Installation, bot: Bot) -> None:
        """What is set for the whole installation has changed."""
        bot.use(installation.settings.token, installation.settings.way)
        await self.manager.installation_changed()


def make_lines(
    settings: Settings,
    bus: EventBus,
    storage: Storage,
    media: Media,
    asterisk: StasisApplication,
    calls: Calls,
    cluster: Cluster,
    tasks: GuardedTasks,
) -> LineParts:
    """``tasks`` will be those of lines at work: they outlive the calls."""
    factory = LineFactory(
        Accounts(server(settings), settings.session, settings.cluster.machine if settings.cluster else ""),
        storage.installation,
        media.engine,
        calls.dispatcher,
        calls.lines,
        calls.bot,
        storage.languages,
        storage.store,
        bus,
        cluster.texts,
        cluster.limits,
        calls.cards.known,
    )
    clean_up = ChatCleanUp(calls.keypads, calls.callbacks)

    async def accept(line: str, token: bytes) -> None:
        await manager.accept_login(line, token)

    manager = LineManager(
        storage.store,
        calls.lines,
        factory,
        clean_up,
        calls.registry,
        bus,
        tasks,
        cluster.duty,
        accept=cluster.link_devices(accept),
        shared=LinesWithFiles(cluster.settings, cluster.files, calls.lines.__contains__),
    )
    devices = LineDevices(
        calls.lines,
        manager.sign_ins,
        LineRepository(storage.store),
        bus,
        cluster.is_next if cluster.secret else None,
    )
    statuses = StatusMonitor(calls.lines, asterisk.ari, calls.bot, bus, calls.registry.drain, signed_out=devices.said)
    return LineParts(manager, statuses, CardFiles(storage.store, shared=cluster.files), devices)
