"""Makes the manager of the lines, of which none is at work yet."""

from __future__ import annotations

from ari_app.app.calls import Calls
from ari_app.app.configured import server
from ari_app.app.media import Media
from ari_app.app.storage import Storage
from ari_app.bus import EventBus
from ari_app.calls.clean_up import ChatCleanUp
from ari_app.config import Settings
from ari_app.lines.factory import Accounts, LineFactory
from ari_app.lines.installation import Installation
from ari_app.lines.manager import LineManager
from ari_app.tasks import GuardedTasks
from ari_app.telegram.bot import Bot


def line_manager(
    settings: Settings, bus: EventBus, storage: Storage, media: Media, calls: Calls, tasks: GuardedTasks
) -> LineManager:
    """``tasks`` will be those of lines at work: they outlive the calls."""
    factory = LineFactory(
        Accounts(server(settings), settings.session),
        storage.installation,
        media.engine,
        calls.dispatcher,
        calls.lines,
        calls.bot,
        storage.languages,
        storage.store,
        bus,
    )
    clean_up = ChatCleanUp(calls.keypads, calls.callbacks)
    return LineManager(storage.store, calls.lines, factory, clean_up, calls.registry, bus, tasks)


async def follow_installation(installation: Installation, bot: Bot, manager: LineManager) -> None:
    """It has changed."""
    bot.use(installation.settings.token, installation.settings.way)
    await manager.installation_changed()
