"""How often a person is called back."""

import time
from collections.abc import Callable

from ari_app.cooldown import Cooldown

AGAIN_S = 10.0  # between two requests of one person


class RateLimiter:
    """One request of a person at a time, and the next one not too soon."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._running: set[int] = set()
        self._began = Cooldown(AGAIN_S, clock)

    def admit(self, person_id: int) -> bool:
        """True, if it is this person's turn; it lasts until `done`."""
        if person_id in self._running or not self._began.admit(person_id):
            return False
        self._running.add(person_id)
        return True

    def began_elsewhere(self, person_id: int) -> None:
        """Another machine has just begun with a request of theirs."""
        self._began.admit(person_id)

    def done(self, person_id: int) -> None:
        """Their request is done with."""
        self._running.discard(person_id)
