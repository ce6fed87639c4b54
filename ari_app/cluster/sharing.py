"""Keeps this machine's history the same as the others', for as long as the program runs."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ari_app.backoff import Backoff
from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.erasures import Erasures, Obey
from ari_app.cluster.shared_history import SharedHistory
from ari_app.store.store import StoreUnavailable
from ari_app.tasks import GuardedTasks, finish

LOOK_EVERY_S = 1.0
LAST_S = 1.0  # at the end of the program; what is not sent then is sent by the next run
AGAIN = Backoff(first_s=1.0, last_s=15.0, jitter=0.5)
"""Where the engine or the database does not answer."""

AWAY = EngineAway, StoreUnavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sharing:
    """With the other machines of a cluster."""

    history: SharedHistory
    erasures: Erasures

    def begin(self, tasks: GuardedTasks, erase: Obey) -> None:
        """Go on with it in the background; ``erase`` obeys orders."""
        tasks.supervise(partial(self.run, erase), "history of the cluster")

    async def run(self, erase: Obey) -> None:
        """Until cancelled. Orders come first: they are about calls from before those that are read then."""
        failures = 0
        try:
            while True:
                try:
                    await self.erasures.obey(erase)
                    await self.history.exchange()
                    failures = 0
                except AWAY as error:
                    log.debug("history of the cluster: %s", error)
                    failures += 1
                await asyncio.sleep(AGAIN.pause_s(failures) if failures else LOOK_EVERY_S)
        finally:
            if not failures:  # the calls that have ended with the program
                await finish(self._last(), "last calls for the history of the cluster", LAST_S)

    async def _last(self) -> None:
        with suppress(*AWAY):
            await self.history.exchange()
