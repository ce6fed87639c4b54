"""What a call may cost at most, and whether a report says that it does not cost more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ari_app.sandbox.bench.report import Row, cell, value_of


@dataclass(frozen=True)
class Goal:
    """``key`` is to be at most ``most``, or at least ``least``, or less than another key, ``below``."""

    what: str
    key: str
    unit: str
    most: float | None = None
    least: float | None = None
    below: str = ""

    def told(self, report: Mapping[str, Any]) -> str:
        """What is asked for."""
        if self.below:
            return f"less than {_with_unit(value_of(report, self.below), self.unit)}"
        return f"at most {_with_unit(self.most, self.unit)}" if self.least is None else f"at least {self.least:g}"

    def met(self, report: Mapping[str, Any]) -> bool | None:
        """Whether it is so; None where it was not measured."""
        value = value_of(report, self.key)
        limit = value_of(report, self.below) if self.below else self.most if self.least is None else self.least
        if value is None or limit is None:
            return None
        return bool(value < limit if self.below else value >= limit if self.least is not None else value <= limit)


DIRECT_MOST = 1.35
ECHO_MS_MOST = 240
CALLS_LEAST = 32
REFUSED_MS_MOST = 300
MEMORY_MB_MOST = 8

GOALS = (
    Goal(
        "CPU of a call's media process (rtp), as times that of a bare direct endpoint",
        "media_to_bare_direct", "×", most=DIRECT_MOST,
    ),
    Goal("CPU of a call's media process (rtp), beside a bare asyncio endpoint", "media_cpu_pct", "%",
         below="bare_asyncio_cpu_pct"),
    Goal(
        "the same over websocket, as times that of a bare direct endpoint",
        "media_websocket_to_bare_direct", "×", most=DIRECT_MOST,
    ),
    Goal("person → Echo() → person, rtp", "echo_ms.rtp", "ms", most=ECHO_MS_MOST),
    Goal("person → Echo() → person, websocket", "echo_ms.websocket", "ms", most=ECHO_MS_MOST),
    Goal("calls at once without a gap, people and Asterisk on the same machine", "calls_without_gap", "",
         least=CALLS_LEAST),
    Goal("the one too many is refused within", "refused_in_ms", "ms", most=REFUSED_MS_MOST),
    Goal("memory of a call's media process, its own", "media_mb", "MB", most=MEMORY_MB_MOST),
)  # fmt: skip


def judged(report: Mapping[str, Any]) -> list[Row]:
    """Each goal beside what was measured."""
    words = {True: "yes", False: "no", None: "not measured"}
    return [
        {
            "what": goal.what,
            "goal": goal.told(report),
            "measured": _with_unit(value_of(report, goal.key), goal.unit),
            "reached": words[goal.met(report)],
        }
        for goal in GOALS
    ]


def _with_unit(value: Any, unit: str) -> str:
    return cell(value) if value is None else f"{cell(value)} {unit}".rstrip()
