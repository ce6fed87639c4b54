"""What a chaos run has found: tables for people, report.json for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from ari_app.sandbox.chaos.plan import Fault
from ari_app.sandbox.chaos.rules import Made, Struck


@dataclass
class Report:
    """``cuts``: what cut machines off. ``texts``: how many were written. ``shown``: who was shown a keypad, and when
    (Unix time). ``rows``: of the history, by status.
    """

    seed: int
    cuts: str
    made: list[Made] = field(default_factory=list)
    struck: list[Struck] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    texts: int = 0
    shown: list[tuple[str, float]] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    def answers_s(self, fault: Fault | None) -> list[float]:
        """How long each caller waited for the answer that a fault of a kind, or none, hit."""
        its = [each for each in self.made if each.answered_at and (fault in each.faults if fault else not each.hit)]
        return sorted(each.answered_at - each.began_at for each in its if each.answered_at)

    def served_again_s(self, struck: Struck) -> float:
        """From a fault's beginning until every line had answered a call that came after that."""
        lines = {each.line for each in self.made if not each.gives_up}
        first = [
            min(
                (each.answered_at for each in self.made
                 if each.line == line and each.answered_at and each.began_at >= struck.began_at),
                default=float("inf"),
            )
            for line in lines
        ]  # fmt: skip
        return max(first, default=0.0) - struck.began_at

    def as_json(self) -> dict[str, Any]:
        """For report.json."""
        by_fault = {}
        for fault in Fault:
            its = [each for each in self.struck if each.fault is fault]
            if its:
                by_fault[fault.title] = {
                    "times": len(its),
                    "longest_answer_s": round(max(self.answers_s(fault), default=0.0), 1),
                    "longest_until_served_s": round(max(map(self.served_again_s, its)), 1),
                    "longest_until_one_holder_s": round(max(each.healed_at - each.over_at for each in its), 1),
                }
        calm = self.answers_s(None)
        return {
            "ok": self.ok,
            "seed": self.seed,
            "cuts": self.cuts,
            "took_s": round(self.took_s),
            "faults": by_fault,
            "calls": {
                "made": len(self.made),
                "answered": sum(each.answered_at is not None for each in self.made),
                "given_up": sum(each.gives_up for each in self.made),
                "ended_before_their_time": sum(bool(each.trouble) for each in self.made),
                "rang_on_both_without_fault": sum(len(each.rows) > 1 and not each.hit for each in self.made),
                "hit_by_a_fault": sum(bool(each.hit) for each in self.made),
            },
            "answer_without_fault_s": round(calm[len(calm) // 2], 1) if calm else None,
            "history": dict(self.rows),
            "keypads": len(self.shown),
            "cards": sum(each.cards for each in self.made),
            "texts": self.texts,
            "wrong": self.wrong,
        }

    def tables(self) -> list[Table]:
        """Faults, and calls."""
        told = self.as_json()
        faults = Table("fault", "times", "longest wait for an answer, s", "until every line was served, s",
                       "after it, until one holder, s")  # fmt: skip
        for title, its in told["faults"].items():
            faults.add_row(title, *map(str, its.values()))
        calls = Table("calls", "")
        others = {"texts": self.texts, "keypads": len(self.shown), "cards": told["cards"]}
        for what, count in (told["calls"] | others | self.rows).items():
            calls.add_row(what.replace("_", " "), str(count))
        return [faults, calls]
