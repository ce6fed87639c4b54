"""How long to wait before what has failed is tried again."""

import random
from collections.abc import Callable
from dataclasses import dataclass

DOUBLINGS = 32  # more would make a number that no clock has


@dataclass(frozen=True)
class Backoff:
    """Pauses between tries, in seconds: doubling from ``first_s`` up to ``last_s``.

    Each is shortened at random by up to ``jitter`` of it, so that many who fail together don't try again together.
    """

    first_s: float
    last_s: float
    jitter: float = 0.0
    random: Callable[[], float] = random.random

    def pause_s(self, failures: int) -> float:
        """The pause after this many failures in a row (1 or more)."""
        longest = min(self.last_s, self.first_s * 2.0 ** min(failures - 1, DOUBLINGS))
        return longest * (1 - self.jitter * self.random())
