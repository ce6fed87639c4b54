"""What a soak has found: a table for people, report.json for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from ari_app.sandbox.soak.audit import Made
from ari_app.sandbox.soak.census import Census
from ari_app.sandbox.soak.plan import Fault

RSS_GROWTH, RSS_SLACK_MB = 1.15, 10.0  # caches fill up; a leak goes on
FDS_SLACK = 3
THREADS_SLACK = 3


@dataclass
class Report:
    """``left``: what was there too many at the last quiet moment. ``samples``: one of each quiet moment."""

    seed: int
    made: list[Made] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=lambda: {fault.title: 0 for fault in Fault})
    wrong: list[str] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    samples: list[Census] = field(default_factory=list)
    took_s: float = 0.0

    def thirds(self, what: str) -> tuple[float, float]:
        """The mean of a figure over the first third of the quiet moments, and over the last."""
        values = [getattr(sample, what) for sample in self.samples] or [0]
        third = max(1, len(values) // 3)
        first, last = values[:third], values[-third:]
        return round(sum(first) / third, 1), round(sum(last) / third, 1)

    def look_for_growth(self) -> None:
        """Say where more is open, or used, at the end than at the beginning."""
        for what, slack in (("fds", FDS_SLACK), ("threads", THREADS_SLACK)):
            first, last = self.thirds(what)
            if last > first + slack:
                self.wrong.append(f"{what}: {first:g} in the first third, {last:g} in the last")
        first, last = self.thirds("rss_mb")
        if last > first * RSS_GROWTH + RSS_SLACK_MB:
            self.wrong.append(f"memory: {first:g} MB in the first third, {last:g} MB in the last")

    @property
    def calls(self) -> int:
        """How many were made, besides those that only warm it up."""
        return sum(call.number > 0 for call in self.made)

    @property
    def gaps_ms(self) -> list[int]:
        """The longest gap that was heard in each talk during which the program was killed."""
        return [call.gap_ms for call in self.made if call.gap_ms is not None]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    def as_json(self) -> dict[str, Any]:
        """For report.json."""
        return {
            "ok": self.ok,
            "calls": self.calls,
            "faults": self.faults,
            "wrong": self.wrong,
            "left": self.left,
            "rss_mb": list(self.thirds("rss_mb")),
            "fds": list(self.thirds("fds")),
            "survivors": len(self.gaps_ms),
            "gap_ms": max(self.gaps_ms, default=None),
        }

    def tables(self) -> list[Table]:
        """Calls by kind, faults, and figures."""
        kinds = Table("kind of call", "made", "hit by a fault", "not to the end")
        for kind in sorted({call.kind for call in self.made}, key=lambda kind: kind.title):
            its = [call for call in self.made if call.kind is kind]
            hit, short = sum(bool(call.faults) for call in its), sum(bool(call.trouble) for call in its)
            kinds.add_row(kind.title, str(len(its)), str(hit), str(short))
        faults = Table("fault", "times")
        for name, times in sorted(self.faults.items()):
            faults.add_row(name, str(times))
        figures = Table("at quiet moments", "first third", "last third")
        for what in ("fds", "threads", "processes", "media", "rss_mb"):
            figures.add_row(what, *(f"{value:g}" for value in self.thirds(what)))
        gaps = Table("talks over a kill", "longest gap of any, ms")
        gaps.add_row(str(len(self.gaps_ms)), str(max(self.gaps_ms, default="")))
        return [kinds, faults, figures, gaps]
