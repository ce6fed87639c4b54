"""Removes what has been kept for as long as it may be: at the start, each day, and when a period is changed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ari_app.lines.installation import InstallationSettings
from ari_app.lines.retention import DAY_S, PERIODS
from ari_app.people.errors import PlaceUnavailable
from ari_app.store.store import StoreUnavailable
from ari_app.tasks import FAILURES

EVERY_S = DAY_S
AGAIN_S = 3600.0
"""Where something could not be removed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RetentionRule:
    """What of a kind of data (`kinds.KINDS`) is too old.

    ``prune`` removes all that is from before a Unix time, piece by piece, and tells how much each was. ``period``: the
    setting that has its days; without one, the time is now, and what is kept says itself how long it is good. 0 days:
    nothing is removed.
    """

    kind: str
    prune: Callable[[float], AsyncIterator[int]]
    period: str = ""


class Retention:
    """Has rules obeyed for as long as `run` goes on. ``clock`` gives Unix time."""

    def __init__(
        self,
        rules: Sequence[RetentionRule],
        settings: Callable[[], InstallationSettings],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rules = rules
        self._settings = settings
        self._clock = clock
        self._periods: tuple[int, ...] = ()
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        """The installation's settings have changed."""
        if self._now() != self._periods:
            self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            done = await self.apply()
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S if done else AGAIN_S):
                    await self._changed.wait()

    async def apply(self) -> bool:
        """Obey all rules once; False where something could not be removed, which the log says."""
        self._periods = self._now()
        return all([await self._obey(rule) for rule in self._rules])

    def _now(self) -> tuple[int, ...]:
        settings = self._settings()
        return tuple(getattr(settings, name) for name in PERIODS)

    async def _obey(self, rule: RetentionRule) -> bool:
        days = getattr(self._settings(), rule.period) if rule.period else None
        if days == 0:
            return True
        removed = 0
        try:
            async for some in rule.prune(self._clock() - (days or 0) * DAY_S):
                removed += some
        except (StoreUnavailable, PlaceUnavailable) as error:
            log.warning("retention: %s could not be removed, it is tried again in an hour: %s", rule.kind, error)
            return False
        except Exception as error:  # noqa: BLE001 - recorded; the other rules hold
            FAILURES.add(f"retention of {rule.kind}", error)
            return False
        finally:
            if removed:
                log.info("retention: %s removed, %d in all: older than they are kept", rule.kind, removed)
        return True


async def all_of(some: Callable[[], Awaitable[int]]) -> AsyncIterator[int]:
    """Ask for one piece after the other, until one is empty."""
    while removed := await some():
        yield removed
