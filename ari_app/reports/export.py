"""Calls as CSV (RFC 4180) that a spreadsheet reads as data, whatever separator it expects.

A caller chooses their name, and whoever opens the file has other rights than they. A program that expects semicolons
reads quotes in the middle of what it takes for a cell as letters, so quoting alone keeps nothing together: what stands
behind any separator inside a cell is looked at as if it were a cell. (https://owasp.org/www-community/attacks/CSV_Injection)
"""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from ari_app import zones
from ari_app.store.calls import CallRow

BOM = "\N{BYTE ORDER MARK}"  # without it Excel takes UTF-8 for something else
FORMULA = frozenset("=+-@\N{MINUS SIGN}")
PLAIN_PHONE = re.compile(r"\+[0-9]{1,20}")
LINE_ENDS = "\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"  # and the tab: by themselves they begin a formula, too
SEPARATOR = re.compile(f"([,;|{LINE_ENDS}])")


def as_csv(rows: Iterable[tuple[str, ...]]) -> str:
    """Every cell quoted, and none of them a formula."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(tuple(map(harmless, row)) for row in rows)
    return text.getvalue()


@dataclass(frozen=True)
class Export:
    """What a row of the file is made of: a call, why it ended, and the zone of its times, which are ISO 8601."""

    call: CallRow
    detail: str
    zone: tzinfo

    def row(self) -> tuple[str, ...]:
        """Its cells."""
        return tuple(cell(self) for cell in COLUMNS.values())

    def when(self, at: float | None) -> str:
        """A time."""
        return "" if at is None else datetime.fromtimestamp(at, self.zone).isoformat(timespec="seconds")


COLUMNS: Mapping[str, Callable[[Export], str]] = {
    "id": lambda it: it.call.id,
    "began": lambda it: it.when(it.call.began_at),
    "ended": lambda it: it.when(it.call.ended_at),
    "direction": lambda it: it.call.direction,
    "line": lambda it: it.call.line,
    "peer": lambda it: it.call.peer,
    "pbx": lambda it: it.call.pbx_party,
    "person": lambda it: it.call.name,
    "phone": lambda it: it.call.phone,
    "username": lambda it: it.call.username,
    "telegram_id": lambda it: str(it.call.person_id or ""),
    "status": lambda it: it.call.status or "",
    "cause": lambda it: "" if it.call.cause is None else str(it.call.cause),
    "detail": lambda it: it.detail,
    "answered": lambda it: _yes(it.call.answered),
    "refused": lambda it: _yes(it.call.refused),
    "seconds_to_answer": lambda it: _number(it.call.to_answer_s),
    "seconds_talked": lambda it: _number(it.call.talked_s),
    "timezone": lambda it: zones.name_of(it.zone),
    "machine": lambda it: it.call.machine,
}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def harmless(cell: str) -> str:
    """A cell that no program takes for a formula; a plain phone number is none, and stays as it is."""
    if PLAIN_PHONE.fullmatch(cell):
        return cell
    parts = SEPARATOR.split(cell)
    guarded = "".join(f"'{part}" if _is_formula(part) else part for part in parts)
    return f"'{guarded}" if cell.startswith(tuple(LINE_ENDS)) else guarded


def _is_formula(part: str) -> bool:
    """Whether its first sign that can be seen begins one, in any width; a quote may be gone when it is looked at."""
    seen = next((sign for sign in part if sign.isprintable() and sign not in ' "'), "")
    return unicodedata.normalize("NFKC", seen) in FORMULA
