"""Whether something was done a short time ago, or too often."""

import time
from collections import deque
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


class Rate:
    """At most ``most`` times in ``seconds``; ``clock`` is one that nobody sets."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._at: deque[float] = deque(maxlen=most)

    def admit(self) -> bool:
        """True, and counted as done now, unless it was done so often within the time."""
        now = self._clock()
        if len(self._at) == self._most and now - self._at[0] < self._seconds:
            return False
        self._at.append(now)
        return True
