"""What a run has measured: report.json for programs, tables for people. What could not be measured says why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from ari_app.sandbox.bench.rig import Rig

Row = Mapping[str, Any]

MOST_COLUMNS = 7
"""That are read beside each other."""


class Found:
    """What a part has measured so far: values by the report's keys, and tables by their names."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}
        self.tables: dict[str, list[Row]] = {}

    def put(self, key: str, value: Any, reason: str = "nothing was measured") -> None:
        """One of the report's own values; ``reason`` says why it is None, where it is."""
        self.values[key] = value
        if value is None:
            self.reasons[key] = reason

    def row(self, table: str, **columns: Any) -> None:
        """One more row of a table."""
        self.tables.setdefault(table, []).append(columns)


@dataclass(frozen=True)
class Part:
    """One thing that is measured; ``keys`` are the report's own values that it fills, ``a.b`` for b in a."""

    name: str
    what: str
    keys: tuple[str, ...]
    measure: Callable[[Rig, Found], Awaitable[None]]


@dataclass
class Report:
    """``context``: machine, versions, date, command, options. ``failed``: what went wrong with a part."""

    parts: tuple[Part, ...]
    context: dict[str, Any] = field(default_factory=dict)
    found: dict[str, Found] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    took_s: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Each key of each part is there: null has its reason in ``missing``."""
        values: dict[str, Any] = {}
        missing: dict[str, str] = {}
        for part in self.parts:
            found = self.found.get(part.name)
            for key in part.keys:
                value = found.values.get(key) if found else None
                _put(values, key, value)
                if value is None:
                    missing[key] = self._why(part, found, key)
        tables = {name: found.tables for name, found in self.found.items() if found.tables}
        parts = {"missing": missing, "failed": self.failed, "part_took_s": self.took_s, "tables": tables}
        return {**self.context, **values, **parts}

    def _why(self, part: Part, found: Found | None, key: str) -> str:
        if reason := (found.reasons.get(key) if found else None):
            return reason
        if failure := self.failed.get(part.name):
            return f"{part.name} failed: {failure}"
        return f"{part.name} was not measured" if found is None else f"{part.name} had no value for it"


def value_of(report: Mapping[str, Any], key: str) -> Any:
    """A value by its key, ``a.b`` for b in a; None where it is null or not there."""
    value: Any = report
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def columns_of(rows: Iterable[Row]) -> list[str]:
    """The columns of all rows, in the order in which they first come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def cell(value: Any) -> str:
    """A value as a table shows it; what is not known is a dash."""
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def lying(rows: Iterable[Row]) -> list[list[str]]:
    """Rows as lines of cells, the first one of which are the columns' names; many columns lie, each as a line."""
    rows = list(rows)
    names = columns_of(rows)
    lines = [[name.replace("_", " ") for name in names], *([cell(row.get(name)) for name in names] for row in rows)]
    return [list(line) for line in zip(*lines, strict=True)] if len(names) > MOST_COLUMNS else lines


def shown(title: str, rows: Iterable[Row]) -> Table:
    """Rows as a table."""
    head, *lines = lying(rows)
    table = Table(*head, title=title, title_justify="left")
    for line in lines:
        table.add_row(*line)
    return table


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *above, last = key.split(".")
    for name in above:
        values = values.setdefault(name, {})
    values[last] = value
