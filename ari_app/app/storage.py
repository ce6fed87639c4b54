"""Opens the database, and what is read of it before anything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from ari_app.app.configured import installation_defaults
from ari_app.app.earlier_run import EarlierRun
from ari_app.bus import EventBus
from ari_app.calls.languages import Languages, open_languages
from ari_app.config import Settings
from ari_app.lines.installation import Installation
from ari_app.reports.audit import PROGRAM, Actor, AuditLog
from ari_app.reports.history import History, open_history
from ari_app.store.store import Store, open_store
from ari_app.telegram.bot import introduced


@dataclass(frozen=True)
class Storage:
    """The database, and those who have read it."""

    store: Store
    installation: Installation
    languages: Languages
    audit: AuditLog
    history: History


@asynccontextmanager
async def open_storage(settings: Settings, bus: EventBus, earlier: EarlierRun) -> AsyncIterator[Storage]:
    """Raises StoreError. Of calls that were open the history closes all but those that go on."""
    async with open_store(settings.database, on_change=partial(bus.publish, "storage")) as store:
        introduce = partial(introduced, api_url=settings.bot.api_url)
        installation = Installation(store, installation_defaults(settings), introduce)
        await installation.load()
        languages = await open_languages(store)
        audit = AuditLog(store, on_change=partial(bus.publish, "audit"))
        if restored := earlier.restored:
            audit.record(Actor(**restored.by) if restored.by else PROGRAM, "backup restored", restored.name)
        history = await open_history(store, but=earlier.left.ids)
        yield Storage(store, installation, languages, audit, history)
