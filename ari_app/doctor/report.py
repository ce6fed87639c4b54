"""The findings as text, for a terminal, and as JSON."""

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ari_app.doctor.findings import TITLES, Finding, Grade

MARKS = {
    Grade.OK: Text("✓ ok", style="green"),
    Grade.ADVICE: Text("! advice", style="yellow"),
    Grade.PROBLEM: Text("✗ problem", style="bold red"),
}


def as_json(finding: Finding) -> dict[str, str]:
    """As the API tells it."""
    return {
        "topic": finding.topic,
        "title": str(TITLES[finding.topic]),
        "grade": finding.grade,
        "sentence": str(finding.sentence),
        "remedy": str(finding.remedy or ""),
    }


def print_report(findings: Sequence[Finding], console: Console) -> int:
    """Print findings, which are in the order of their topics; returns the exit status: 1 if one is a problem."""
    for topic, group in groupby(findings, key=lambda finding: finding.topic):
        console.print(Text(str(TITLES[topic]), style="bold"))
        table = Table.grid(padding=(0, 2))
        table.add_column(min_width=len("✗ problem"))
        table.add_column(overflow="fold")
        for finding in group:
            said = Text(str(finding.sentence))
            if finding.remedy:
                said.append(f"\n→ {finding.remedy}", style="italic")
            table.add_row(MARKS[finding.grade], said)
        console.print(Padding(table, (0, 0, 1, 2)))
    problems = sum(finding.grade is Grade.PROBLEM for finding in findings)
    pieces = sum(finding.grade is Grade.ADVICE for finding in findings)
    console.print(f"problems: {problems}, advice: {pieces}, ok: {len(findings) - problems - pieces}")
    return int(problems > 0)
