"""Draining: no new call is taken on, those that there are go on, until an administrator cancels it."""

import logging
import time
from collections.abc import Callable
from enum import Enum

from ari_app.bus import EventBus
from ari_app.calls.listeners import Listeners

log = logging.getLogger(__name__)


class DrainState(Enum):
    """What becomes of it."""

    BEGUN = "begun"
    EMPTY = "empty"
    CANCELLED = "cancelled"


class Drain:
    """Publishes "drain" (data: ``draining``, ``calls``) whenever it or the number of calls left changes.

    The listeners are told of the states. ``clock`` gives Unix time.

    ``leaves_offers``: people who call ring the account's other devices on, in place of hearing "busy".
    """

    def __init__(
        self,
        bus: EventBus | None = None,
        listeners: Listeners | None = None,
        *,
        leaves_offers: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.since: float | None = None
        """When it began; None while calls are taken on."""
        self.leaves_offers = leaves_offers
        self._bus = bus or EventBus()
        self._listeners = listeners or Listeners()
        self._clock = clock

    @property
    def active(self) -> bool:
        """Whether no new call is taken on."""
        return self.since is not None

    def begin(self, calls: int) -> None:
        """Take no new calls; there are so many."""
        if not self.active:
            self.since = self._clock()
            self._tell(DrainState.BEGUN, calls)
            if not calls:
                self._tell(DrainState.EMPTY, calls)
            self._publish(calls)

    def left(self, calls: int) -> None:
        """A call is over, and so many are left."""
        if self.active:
            if not calls:
                self._tell(DrainState.EMPTY, calls)
            self._publish(calls)

    def cancel(self, calls: int) -> None:
        """Take calls again."""
        if self.active:
            self.since = None
            self._tell(DrainState.CANCELLED, calls)
            self._publish(calls)

    def _tell(self, state: DrainState, calls: int) -> None:
        log.info("draining: %s, with %d calls", state.value, calls)
        self._listeners.drained(state, calls)

    def _publish(self, calls: int) -> None:
        self._bus.publish("drain", draining=self.active, calls=calls)
