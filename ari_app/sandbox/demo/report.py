"""What the demo found out: steps, calls, what was wrong, `report.json` and the closing table."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Literal

from rich import box
from rich.table import Table

from ari_app.sandbox.sip_phone import Codec
from ari_app.sandbox.tones import GAP_MS

Side = Literal["telegram", "phone"]
SIDES: dict[Side, str] = {"telegram": "Anna", "phone": "phone 101"}

HZ_TOLERANCE = 3.0
LEVELS_DBFS = (-20.0, -6.0)
"""A tone is spoken at -12."""
SILENT_DBFS = -99.0
NOBODY = ("",) * 5


@dataclass
class Step:
    """Something that happened, or did not; seconds since the demo began."""

    name: str
    ok: bool
    at_s: float


@dataclass
class HeardTone:
    """What one side heard of the other; ``delay_ms`` is one way, mouth to ear, None where it could not be measured."""

    expected_hz: float
    hz: float
    level_dbfs: float
    gaps: int
    delay_ms: int | None

    @classmethod
    def of(cls, expected_hz: float, hz: float, level_dbfs: float, gaps: int, delay_ms: int | None) -> HeardTone:
        """Rounded, and without what JSON cannot hold."""
        level = SILENT_DBFS if math.isinf(level_dbfs) else round(level_dbfs, 1)
        return cls(expected_hz, round(hz, 1), level, gaps, delay_ms)

    def problems(self) -> list[str]:
        """What is wrong with it."""
        if self.level_dbfs <= SILENT_DBFS:
            return ["heard nothing"]
        found = []
        if abs(self.hz - self.expected_hz) > HZ_TOLERANCE:
            found.append(f"heard {self.hz:g} Hz, and {self.expected_hz:g} Hz was spoken")
        if not LEVELS_DBFS[0] <= self.level_dbfs <= LEVELS_DBFS[1]:
            found.append(f"heard it at {self.level_dbfs:g} dBFS, and it was spoken at -12")
        if self.gaps:
            found.append(f"heard it with {self.gaps} gap{'s' if self.gaps > 1 else ''}")
        return found


@dataclass
class CallReport:
    """One call; ``expected`` and ``failures`` are for the verdict and not in the report.

    ``setup_ms``: from the moment the called side answers (the phone answers; Accept is pressed on Telegram) until both
    sides can hear each other. ``status`` is Astergram's TELEGRAM_STATUS.
    """

    name: str
    direction: Literal["in", "out"]
    transport: str
    phone_codec: Codec
    expected: str
    talk: bool
    status: str | None = None
    setup_ms: int | None = None
    heard: dict[Side, HeardTone] = field(default_factory=dict)
    sip_status: str = ""
    failures: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """As it stands in report.json."""
        inside = ("name", "direction", "transport", "phone_codec", "status", "setup_ms", "heard")
        return {key: value for key, value in asdict(self).items() if key in inside}

    def problems(self) -> list[str]:
        """What is wrong with it, a sentence each; a failure explains what is missing because of it."""
        if self.failures:
            return [f"{self.name}: {each}" for each in self.failures]
        found = []
        if self.status != self.expected:
            found.append(f"{self.name}: TELEGRAM_STATUS is {self.status}, and {self.expected} was expected")
        for side in SIDES if self.talk else ():
            tone = self.heard.get(side)
            wrong = tone.problems() if tone else ["was not recorded"]
            found.extend(f"{self.name}: {SIDES[side]} {each}" for each in wrong)
        return found

    def rows(self) -> list[tuple[str, str, dict[Side, HeardTone]]]:
        """The two lines of each part of it in the table, and who heard what meanwhile."""
        return [(self.name.removesuffix(f"-{self.transport}"), f"{self.transport}, {self.phone_codec}", self.heard)]


@dataclass
class SurvivedCall(CallReport):
    """A call during which Astergram is killed: ``heard`` until then, ``heard_after`` once the next one has the call.

    ``gap_ms``: the longest gap that either side heard from the first until a key was pressed; 0 where there was none.
    """

    heard_after: dict[Side, HeardTone] = field(default_factory=dict)
    gap_ms: int | None = None

    def as_json(self) -> dict[str, object]:
        """As it stands in report.json."""
        before_and_after = {"before": self.heard, "after": self.heard_after}
        heard = {name: {side: asdict(tone) for side, tone in each.items()} for name, each in before_and_after.items()}
        return {**super().as_json(), "heard": heard, "gap_ms": self.gap_ms}

    def problems(self) -> list[str]:
        """What is wrong with it."""
        found = super().problems()
        if self.failures:
            return found
        for side in SIDES:
            tone = self.heard_after.get(side)
            wrong = tone.problems() if tone else ["was not recorded"]
            found.extend(f"{self.name}: after the kill {SIDES[side]} {each}" for each in wrong)
        if self.gap_ms is None or self.gap_ms >= GAP_MS:
            found.append(f"{self.name}: the longest gap across the kill was {self.gap_ms} ms")
        return found

    def rows(self) -> list[tuple[str, str, dict[Side, HeardTone]]]:
        """Before the kill, and after it."""
        gap = "?" if self.gap_ms is None else f"{self.gap_ms}"
        return [*super().rows(), ("  after the kill", f"longest gap {gap} ms", self.heard_after)]


@dataclass
class Report:
    """The whole demo."""

    steps: list[Step] = field(default_factory=list)
    calls: list[CallReport] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    answered_after_kill_ms: int | None = None
    """By another machine, where there are several."""

    def problems(self) -> list[str]:
        """All that is wrong; a demo without calls has shown nothing."""
        found = [*self.failures, *(problem for call in self.calls for problem in call.problems())]
        if not found:
            found = [f"the step {step.name} failed" for step in self.steps if not step.ok]
        return found or ([] if self.calls else ["no call was placed"])

    def as_json(self) -> dict[str, object]:
        """As it stands in report.json."""
        return {
            "ok": not self.problems(),
            **({} if self.answered_after_kill_ms is None else {"answered_after_kill_ms": self.answered_after_kill_ms}),
            "steps": [asdict(step) for step in self.steps],
            "calls": [call.as_json() for call in self.calls],
        }

    def table(self, *, plain: bool) -> Table:
        """Who heard what, and how fast, in less than 80 columns; ``plain`` has no lines."""
        table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for title in ("call", "status", "heard by"):
            table.add_column(title, no_wrap=True)
        for title in ("tone\nHz", "level\ndBFS", "gaps", "delay\nms", "set-up\nms"):
            table.add_column(title, justify="right", no_wrap=True)
        for call in self.calls:
            ended = _coloured(call.status or "?", call.status == call.expected)
            setup = "" if call.setup_ms is None else str(call.setup_ms)
            sip_code = f"SIP {call.sip_status.split()[0]}" if call.sip_status else ""
            for first_line, second_line, heard in call.rows():
                sides = [_cells(side, heard[side]) for side in SIDES if side in heard]
                first, second = [*sides, NOBODY, NOBODY][:2]
                table.add_row(first_line, ended, *first, setup)
                table.add_row(f"  {second_line}", sip_code, *second)
                ended = setup = ""
        return table


def _cells(side: Side, tone: HeardTone) -> tuple[str, ...]:
    return (
        SIDES[side],
        _coloured(f"{tone.hz:.1f}", abs(tone.hz - tone.expected_hz) <= HZ_TOLERANCE),
        _coloured(f"{tone.level_dbfs:.1f}", LEVELS_DBFS[0] <= tone.level_dbfs <= LEVELS_DBFS[1]),
        _coloured(str(tone.gaps), not tone.gaps),
        "?" if tone.delay_ms is None else str(tone.delay_ms),
    )


def _coloured(text: str, good: bool) -> str:
    return f"[{'green' if good else 'red'}]{text}[/]"
