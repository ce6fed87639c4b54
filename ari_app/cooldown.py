"""Whether the same was done a short time ago."""

import time
from collections.abc import Callable, Hashable


class Cooldown:
    """What was done in the last ``seconds``; ``clock`` is one that nobody sets."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._done: dict[Hashable, float] = {}

    def admit(self, what: Hashable) -> bool:
        """True, and remembered as done now, unless it was done within the time."""
        now = self._clock()
        self._done = {done: at for done, at in self._done.items() if now - at < self._seconds}
        if what in self._done:
            return False
        self._done[what] = now
        return True
