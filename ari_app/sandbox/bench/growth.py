"""How many calls at once are tried next, and when there have been enough."""

from __future__ import annotations

from collections.abc import Sequence

LOOKS = 2
"""At each number; one that has gaps at the first is looked at again, so that one moment of the machine ends nothing."""


class Growth:
    """``best``: the most calls that had no gap so far; ``ended``: why there will be no more, once that is known.

    ``measured`` are numbers that are tried in any case, others ``step`` apart, up to ``most``.
    """

    def __init__(self, measured: Sequence[int], step: int, most: int) -> None:
        self.best = 0
        self.ended = ""
        self._measured = sorted(size for size in measured if size <= most)
        self._step = step
        self._most = most
        self._tried = 0

    def next(self) -> int | None:
        """How many there are to be now; None when it has ended."""
        if not self.ended and self._tried >= self._most:
            self.ended = f"no more than {self._most} were tried"
        if self.ended:
            return None
        ahead = (size for size in self._measured if size > self._tried)
        self._tried = min(self._tried + self._step, self._most, *ahead)
        return self._tried

    def looked(self, size: int, with_gaps: Sequence[int]) -> None:
        """So many calls were there, and at each look so many of them had gaps."""
        if with_gaps and not with_gaps[-1]:
            self.best = max(self.best, size)
        else:
            self.stop(f"of {size} calls {with_gaps[-1] if with_gaps else size} had gaps, at {len(with_gaps)} looks")

    def stop(self, why: str) -> None:
        """There will be no more; the first reason counts."""
        self.ended = self.ended or why
