"""Calls as CSV (RFC 4180) that a spreadsheet reads as data, whatever separator it expects.

A caller chooses their name, and whoever opens the file has other rights than they. A program that expects semicolons
reads quotes in the middle of what it takes for a cell as letters, so quoting alone keeps nothing together: what stands
behind any separator inside a cell is looked at as if it were a cell. (https://owasp.org/www-community/attacks/CSV_Injection)
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime, tzinfo

from ari_app import zones
from ari_app.store.calls import CallRow

BOM = "\N{BYTE ORDER MARK}"  # without it Excel takes UTF-8 for something else
COLUMNS = (
    "id", "began", "ended", "direction", "line", "peer", "pbx", "person", "phone", "username", "telegram_id",
    "status", "cause", "detail", "answered", "refused", "seconds_to_answer", "seconds_talked", "timezone",
)  # fmt: skip
FORMULA = frozenset("=+-@\N{MINUS SIGN}")
PLAIN_PHONE = re.compile(r"\+[0-9]{1,20}")
LINE_ENDS = "\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"  # and the tab: by themselves they begin a formula, too
SEPARATOR = re.compile(f"([,;|{LINE_ENDS}])")


def as_csv(rows: Iterable[tuple[str, ...]]) -> str:
    """Every cell quoted, and none of them a formula."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(tuple(map(harmless, row)) for row in rows)
    return text.getvalue()


def exported(call: CallRow, detail: str, zone: tzinfo) -> tuple[str, ...]:
    """One row; ``detail``: why it ended. Times are ISO 8601 in ``zone``, whose name is told beside them."""

    def when(at: float | None) -> str:
        return "" if at is None else datetime.fromtimestamp(at, zone).isoformat(timespec="seconds")

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    def yes(value: bool) -> str:
        return "yes" if value else "no"

    return (
        call.id,
        when(call.began_at),
        when(call.ended_at),
        call.direction,
        call.line,
        call.peer,
        call.pbx_party,
        call.name,
        call.phone,
        call.username,
        str(call.person_id or ""),
        call.status or "",
        "" if call.cause is None else str(call.cause),
        detail,
        yes(call.answered),
        yes(call.refused),
        number(call.to_answer_s),
        number(call.talked_s),
        zones.name_of(zone),
    )


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
