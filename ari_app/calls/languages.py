"""Which language somebody speaks: learnt when they press a button, for their next texts and calls."""

import logging
import time
from collections.abc import Callable, Mapping

from ari_app.cluster.shared_languages import OwnLanguages, SharedLanguages
from ari_app.store.languages import LanguageRepository, LanguageRow
from ari_app.store.store import Store, StoreUnavailable

AGAIN_S = 86400.0
"""What is told again is written once in this time."""

log = logging.getLogger(__name__)


class Languages:
    """What has been learnt, by Telegram id; made by `open_languages`. ``clock`` gives Unix time."""

    def __init__(
        self, kept: LanguageRepository, known: dict[int, LanguageRow], clock: Callable[[], float] = time.time
    ) -> None:
        self._kept = kept
        self._known = known
        self._clock = clock
        self._shared: SharedLanguages = OwnLanguages()

    def share(self, shared: SharedLanguages) -> None:
        """Tell the other machines of a cluster from now on."""
        self._shared = shared

    def all(self) -> Mapping[int, LanguageRow]:
        """Everybody's, as it is now."""
        return self._known

    def of(self, person_id: int) -> str:
        """An IETF tag, as Telegram has it; empty where it is not known."""
        known = self._known.get(person_id)
        return known.language if known else ""

    def learn(self, person_id: int, language: str) -> None:
        """Telegram has told somebody's language; it is known at once, and kept a moment later."""
        known, now = self._known.get(person_id), self._clock()
        if known is None or known.language != language or known.learnt_at + AGAIN_S < now:
            self._known[person_id] = learnt = LanguageRow(language, now)
            self._kept.save(person_id, learnt)
            self._shared.learnt(person_id, learnt)

    async def follow(self, person_id: int, language: LanguageRow) -> None:
        """Take over what another machine has learnt, if it is newer. Waits for the database, as they may be many."""
        known = self._known.get(person_id)
        if known and known.learnt_at >= language.learnt_at:
            return
        self._known[person_id] = language
        try:
            await self._kept.keep(person_id, language, lambda: self._known.get(person_id) is language)
        except StoreUnavailable as error:
            log.debug("a language is not kept, and will be told again to the next run: %s", error)

    def forget(self, person_id: int) -> None:
        """Know somebody's no more, here and in the cluster, until it is told again; what is kept is not touched."""
        self._known.pop(person_id, None)
        self._shared.forgotten(person_id)

    async def prune(self, before: float) -> int:
        """Forget some that were told before that Unix time; 0 when none is left. Raises StoreUnavailable."""
        for person_id in [each for each, known in self._known.items() if known.learnt_at < before]:
            del self._known[person_id]
        return await self._kept.prune(before)


async def open_languages(store: Store, clock: Callable[[], float] = time.time) -> Languages:
    """What earlier runs have learnt, and what this one learns."""
    kept = LanguageRepository(store)
    return Languages(kept, await kept.all(), clock)
