"""Which language somebody speaks: learnt when they press a button, for their next texts and calls."""

import time
from collections.abc import Callable

from ari_app.store.languages import LanguageRepository, LanguageRow
from ari_app.store.store import Store

AGAIN_S = 86400.0
"""What is told again is written once in this time."""


class Languages:
    """What has been learnt, by Telegram id; made by `open_languages`. ``clock`` gives Unix time."""

    def __init__(
        self, kept: LanguageRepository, known: dict[int, LanguageRow], clock: Callable[[], float] = time.time
    ) -> None:
        self._kept = kept
        self._known = known
        self._clock = clock

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

    def forget(self, person_id: int) -> None:
        """Know somebody's no more, until it is told again; what is kept of it is not touched."""
        self._known.pop(person_id, None)

    async def prune(self, before: float) -> int:
        """Forget some that were told before that Unix time; 0 when none is left. Raises StoreUnavailable."""
        for person_id in [each for each, known in self._known.items() if known.learnt_at < before]:
            del self._known[person_id]
        return await self._kept.prune(before)


async def open_languages(store: Store, clock: Callable[[], float] = time.time) -> Languages:
    """What earlier runs have learnt, and what this one learns."""
    kept = LanguageRepository(store)
    return Languages(kept, await kept.all(), clock)
