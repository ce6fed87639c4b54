"""How a soak and a chaos run end: their report in files, and what it says on the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

WELL, WRONG = 0, 1
"""Exit statuses."""
SHOWN_MOST = 40  # things that are wrong, in the terminal


class RunReport(Protocol):
    """What came of a run."""

    @property
    def wrong(self) -> Sequence[str]:
        """A sentence for each thing that is."""

    @property
    def ok(self) -> bool:
        """Whether nothing is."""

    def as_json(self) -> dict[str, Any]:
        """All of it."""

    def tables(self) -> Sequence[Table]:
        """What people look at."""


def conclude(console: Console, report: RunReport, calls: Iterable[dict[str, Any]], folder: Path, well: str) -> int:
    """Write report.json and calls.jsonl, show tables and verdict (``well`` where it is good); gives the exit status."""
    path = folder / "report.json"
    path.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")
    (folder / "calls.jsonl").write_text("".join(f"{json.dumps(call, default=str)}\n" for call in calls))
    for table in report.tables():
        console.print(table)
    for each in report.wrong[:SHOWN_MOST]:
        console.print(f"[red]Not as it should be:[/] {escape(each)}", soft_wrap=True)
    if len(report.wrong) > SHOWN_MOST:
        console.print(f"... and {len(report.wrong) - SHOWN_MOST} more")
    if report.ok:
        console.print(f"[green]{well}[/]")
    console.print(f"report  {path}")
    return WELL if report.ok else WRONG
