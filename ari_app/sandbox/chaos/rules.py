"""What is right for each call, text and card of a chaos run, and what the faults that hit it excuse (docs/cluster.md).

- Whoever calls a line that answers is answered, once, whatever the fault.
- Whoever writes is answered, once, whatever the fault.
- Who talks goes on talking until they hang up. A fault that takes a machine, or its way to Telegram, away
  (`TAKES_AWAY`) may end a call that this machine has answered.
- The history tells of the call, and of one answer at most. A second machine may have rung for it, and tells so: where a
  fault hit it, and where the computer that all of this runs on was too busy for a word each `claims.SILENT_S`, which
  the report counts. A program that was killed may have rung for it before and afterwards.
- After a missed call the line sends one card; none where the fault takes the machine away that had the call.
- Each program that rings for a call shows a keypad once; where the bot can't be reached, it asks for a text instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ari_app.sandbox.chaos.plan import Fault

TAKES_AWAY = {Fault.PROGRAM_KILLED, Fault.PROGRAM_STOPPED, Fault.TELEGRAM_CUT, Fault.BOTH_CUT}
RINGS_MOST = 3
"""Rows of one call that a fault hit: of the killed program, of its next run, and of the other machine."""


@dataclass(frozen=True)
class Struck:
    """A fault that was inflicted: on whom, and from when until when it was felt (Unix times)."""

    fault: Fault
    whom: str
    began_at: float
    over_at: float = float("inf")
    healed_at: float = float("inf")

    def hits(self, began_at: float, ended_at: float) -> bool:
        """Whether it was felt in this time."""
        return self.began_at <= ended_at and began_at <= self.healed_at


@dataclass
class Made:
    """A call that was made; times are Unix times.

    ``gives_up``: the caller does, while it rings; else they wait for the answer, and hang up after a talk.
    ``answered_at``: when Telegram said so. ``talked``: they had audio. ``trouble``: why that came to no end. ``cards``:
    how many came after it, ``keypads``: how many were shown. ``rows``: what the history has of it.
    """

    number: int
    line: str
    caller: str
    person_id: int
    gives_up: bool
    began_at: float
    ended_at: float = float("inf")
    answered_at: float | None = None
    talked: bool = False
    trouble: str = ""
    cards: int = 0
    keypads: int = 0
    hit: list[Struck] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        faults = "; ".join(f"{each.fault.title} ({each.whom})" for each in self.hit) or "no fault"
        kind = "given up" if self.gives_up else "to be answered"
        return f"call {self.number} of {self.caller} to {self.line} at {self.began_at:.1f} ({kind}; {faults})"

    @property
    def faults(self) -> set[Fault]:
        """Those that hit it."""
        return {each.fault for each in self.hit}


def judged_text(answers: int) -> str:
    """What is wrong with a text that got so many answers; empty where nothing is."""
    if answers == 1:
        return ""
    return f"was answered {answers} times" if answers else "was not answered"


def judged(call: Made) -> list[str]:
    """What is wrong with a call, and with what the history has of it."""
    wrong, rows = [], call.rows
    excused = bool(call.faults & TAKES_AWAY)
    if not call.gives_up and call.answered_at is None:
        wrong.append(f"was not answered: {call.trouble}")
    elif call.trouble and not excused:
        wrong.append(call.trouble)
    statuses = [row["status"] for row in rows]
    told = ", ".join(f"{row['status']} on {row['machine']} ({row['id']}: {row['detail']})" for row in rows) or "nothing"
    if None in statuses:
        wrong.append(f"has no end in the history: {told}")
    if statuses.count("ANSWER") != call.talked and not (excused and call.answered_at and statuses.count("ANSWER") < 2):
        wrong.append(f"the history has {told}; {'they talked' if call.talked else 'nobody talked'}")
    if call.gives_up and "CANCEL" not in statuses and not excused:
        wrong.append(f"the caller gave up, and the history has {told}")
    if len(rows) > RINGS_MOST:
        wrong.append(f"the history has {told}")
    if call.gives_up and not call.trouble:
        if call.cards > 1 or (not call.cards and not excused):
            wrong.append(f"{call.cards} cards came after it; the history has {told}")
    elif call.cards:
        wrong.append(f"{call.cards} cards came after it")
    if call.keypads > len(rows):
        wrong.append(f"{call.keypads} keypads were shown; the history has {told}")
    return [f"{call}: {each}" for each in wrong]
