"""Whether the history tells of every call once, and of its right ending."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ari_app.sandbox.soak.plan import Direction, Fault, Kind
from ari_app.sandbox.soak.talks import GAP_MOST_MS

SLACK_S = 0.5  # the program may hear of a call a moment after its script was given up


@dataclass
class Made:
    """A call that was made; times are Unix times.

    ``talked``: both sides were connected with each other for a while. ``trouble`` is what kept its script from coming
    to its end, ``faults`` what worked meanwhile, ``kills`` which media processes were killed meanwhile, by number: one
    of them may have been its own. ``gap_ms``: the longest gap that either side heard of a talk during which the program
    was killed, None where there was none to listen to.
    """

    number: int
    kind: Kind
    phone: str
    person_id: int
    began_at: float
    ended_at: float = 0.0
    talked: bool = False
    trouble: str = ""
    faults: set[Fault] = field(default_factory=set)
    kills: set[int] = field(default_factory=set)
    gap_ms: int | None = None

    def __str__(self) -> str:
        hit = ", ".join(sorted(fault.title for fault in self.faults)) or "no fault"
        return f"call {self.number} ({self.kind.title}; phone {self.phone}; {hit})"

    def as_json(self) -> dict[str, Any]:
        """For whoever looks into one of many."""
        faults = sorted(fault.title for fault in self.faults)
        return vars(self) | {"kind": self.kind.title, "faults": faults, "kills": sorted(self.kills)}

    @property
    def excused(self) -> bool:
        """Whether a fault may have kept its script from coming to its end.

        None does once they talk and ask nothing of anybody, but those that take the audio away.
        """
        if self.talked and self.kind.only_talks:
            return any(fault.ends_talks for fault in self.faults)
        return any(fault.harms or (fault.of_the_bot and self.kind.of_the_bot) for fault in self.faults)

    def is_of(self, row: dict[str, Any]) -> bool:
        """Whether a call of the program's is this phone's or this person's: either has one at a time."""
        return bool(row["pbx_party"] == self.phone if row["direction"] == "out" else row["person_id"] == self.person_id)

    def owns(self, row: dict[str, Any]) -> bool:
        """Whether a row of the history tells of it."""
        return bool(self.is_of(row) and self.began_at <= row["began_at"] <= self.ended_at + SLACK_S)


def audit(made: Sequence[Made], rows: Sequence[dict[str, Any]]) -> list[str]:
    """What is wrong with the history's rows of some calls, which are over."""
    owners: dict[str, list[Made]] = {row["id"]: [call for call in made if call.owns(row)] for row in rows}
    wrong = [f"nobody made the call {_told(row)}" for row in rows if not owners[row["id"]]]
    victims: defaultdict[int, list[Made]] = defaultdict(list)
    for call in made:
        its = [row for row in rows if call in owners[row["id"]][-1:]]
        wrong += [f"{call}: {each}" for each in _judged(call, its)]
        if call.faults == {Fault.MEDIA_KILLED} and len(call.kills) == 1 and (call.trouble or _otherwise(call, its)):
            victims[next(iter(call.kills))].append(call)
    wrong += [
        f"one media process was killed, and {len(hit)} calls did not go as they should: {'; '.join(map(str, hit))}"
        for hit in victims.values()
        if len(hit) > 1
    ]
    return wrong


def _otherwise(call: Made, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether the history tells of other endings than those of its kind."""
    expected = sorted((row.direction, row.status) for row in call.kind.rows)
    return expected != sorted((row["direction"], row["status"] or "") for row in rows)


def _judged(call: Made, rows: Sequence[dict[str, Any]]) -> list[str]:
    wrong = []
    if call.trouble and not call.excused:
        wrong.append(call.trouble)
    if (call.gap_ms or 0) > GAP_MOST_MS and not any(fault.ends_talks for fault in call.faults):
        wrong.append(f"nothing was heard for {call.gap_ms} ms when the program was killed")
    harmed = any(fault.harms for fault in call.faults)
    wrong += [f"has no end: {_told(row)}" for row in rows if row["status"] is None or row["ended_at"] is None]
    for direction in ("in", "out", "back"):
        expected = [each.status for each in call.kind.rows if each.direction == direction]
        found = [row for row in rows if row["direction"] == direction]
        if len(found) > len(expected):
            wrong.append(f"{len(found)} rows {direction} in the history in place of {len(expected)}")
        elif len(found) < len(expected) and not _may_be_missing(call, direction):
            wrong.append(f"is not in the history ({direction}); {call.trouble or 'its script came to its end'}")
        allowed = {*expected}
        if not call.talked:  # what has talked has been answered, whatever ends it
            allowed |= {status for fault in call.faults for status in fault.endings}
            if harmed and call.trouble:
                allowed |= {"CANCEL", *(["BUSY"] if direction == "out" else [])}  # who waited in vain has given up
        wrong += [
            f"ended with {_told(row)} in place of {' or '.join(sorted(allowed))}; {call.trouble or 'script ended'}"
            for row in found
            if row["status"] is not None and row["status"] not in allowed
        ]
    return wrong


def _may_be_missing(call: Made, direction: Direction | str) -> bool:
    if any(fault.hides for fault in call.faults):
        return True
    # Without a card, or its button, there is nothing to press.
    return direction == "back" and any(fault.of_the_bot or fault.harms for fault in call.faults)


def _told(row: dict[str, Any]) -> str:
    return f"{row['status']} ({row['direction']}, {row['detail']}, call {row['id']})"
