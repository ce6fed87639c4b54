"""How many media processes are kept ready: some, and while calls come fast, as many as may come at once."""

import time
from collections import deque
from collections.abc import Callable

SECOND_S = 1.0
"""In it, on a machine that is busy with calls, a new process has got ready; sooner else."""
KEPT_S = 30.0
"""Seconds for which the busiest second counts: calls that come in bursts find the processes for the next one."""
MOST = 20
"""More than are wanted at first; a burst beyond that has to wait for its processes, and the machine for its memory."""


class Demand:
    """``least``: are always wanted; with 0, no more are, either."""

    def __init__(self, least: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.least = least
        self._clock = clock
        self._second: deque[float] = deque()
        self._peak = 0
        self._peak_at = -KEPT_S

    def taken(self) -> None:
        """A call has begun."""
        now = self._clock()
        self._second.append(now)
        if len(self._in_second(now)) >= self._peak:
            self._peak, self._peak_at = len(self._second), now

    def wanted(self) -> int:
        """How many are to be ready: those that were taken in the busiest second of late."""
        now = self._clock()
        if now - self._peak_at >= KEPT_S:
            self._peak, self._peak_at = len(self._in_second(now)), now
        return max(self.least, min(self._peak, MOST)) if self.least else 0

    def eases_in_s(self) -> float | None:
        """Until there may be too many; None where that is not to be expected."""
        if self.wanted() <= self.least:
            return None
        return max(self._peak_at + KEPT_S - self._clock(), 0.0)

    def _in_second(self, now: float) -> deque[float]:
        while self._second and now - self._second[0] >= SECOND_S:
            self._second.popleft()
        return self._second
