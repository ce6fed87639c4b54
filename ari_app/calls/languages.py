"""Which language somebody speaks: learnt when he presses a button, for his next texts and calls."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ari_app.store.languages import KeptLanguages
from ari_app.store.store import Store
from ari_app.tasks import GuardedTasks, guarded_tasks

log = logging.getLogger(__name__)


class Languages:
    """What has been learnt, by Telegram id; made by `open_languages`."""

    def __init__(self, kept: KeptLanguages, known: dict[int, str], tasks: GuardedTasks) -> None:
        self._kept = kept
        self._known = known
        self._tasks = tasks
        self._keeping: set[asyncio.Task[None]] = set()

    def of(self, person_id: int) -> str:
        """An IETF tag, as Telegram has it; empty where it is not known."""
        return self._known.get(person_id, "")

    def learn(self, person_id: int, language: str) -> None:
        """Telegram has told somebody's language; it is known at once, and kept a moment later."""
        if self._known.get(person_id) != language:
            self._known[person_id] = language
            keeping = self._tasks.spawn(self._keep(person_id, language), f"language of {person_id}")
            self._keeping.add(keeping)
            keeping.add_done_callback(self._keeping.discard)

    async def all_kept(self) -> None:
        """Wait until nothing is left to be kept."""
        while self._keeping:
            await asyncio.wait(self._keeping)

    async def _keep(self, person_id: int, language: str) -> None:
        try:
            await self._kept.put(person_id, language)
        except sqlite3.Error as error:
            log.warning("the language of %s was not kept: %s", person_id, error)


@asynccontextmanager
async def open_languages(store: Store) -> AsyncIterator[Languages]:
    """What earlier runs have learnt, and what this one learns."""
    kept = KeptLanguages(store)
    known = await kept.all()
    async with guarded_tasks() as tasks:
        languages = Languages(kept, known, tasks)
        try:
            yield languages
        finally:
            await languages.all_kept()
