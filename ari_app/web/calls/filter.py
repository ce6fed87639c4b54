"""Which calls a page of the history shows: all of it stands in the page's address."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any
from urllib.parse import urlencode

from ari_app.calls.outcome import STATUSES, Direction, Status
from ari_app.i18n import Message, message
from ari_app.store.calls import Query
from ari_app.web.http.errors import PageError

ANSWERED, UNANSWERED = "answered", "unanswered"
RESULTS: dict[str, Message] = {
    ANSWERED: message("Answered"),
    UNANSWERED: message("Not answered"),
    **{status.value: said for status, said in STATUSES.items() if status is not Status.ANSWER},
}
LONGEST_TEXT = 200
YEARS = range(1971, 2999)  # what a Unix time and a date can both be, in any zone
MOST_PAGES = 1_000_000


@dataclass(frozen=True)
class CallFilter:
    """What was chosen; ``first`` and ``last`` are days, both included. ``page`` counts from 1."""

    text: str = ""
    line: str = ""
    direction: str = ""
    result: str = ""
    first: date | None = None
    last: date | None = None
    page: int = 1

    @classmethod
    def of(cls, address: Mapping[str, str]) -> "CallFilter":
        """From an address's query; raises PageError."""
        given = {name: value.strip() for name, value in address.items()}
        return cls(
            text="".join(filter(str.isprintable, given.get("q", "")))[:LONGEST_TEXT],
            line=given.get("line", ""),
            direction=one_of(given.get("direction", ""), [each.value for each in Direction]),
            result=one_of(given.get("result", ""), RESULTS),
            first=day_of(given.get("from", "")),
            last=day_of(given.get("to", "")),
            page=page_number(given.get("page", "")),
        )

    def query(self, zone: tzinfo) -> Query:
        """For the history; days begin at midnight in ``zone``."""
        answered = {ANSWERED: True, UNANSWERED: False}.get(self.result)
        since, until = days_between(self.first, self.last, zone)
        return Query(
            text=self.text,
            line=self.line,
            direction=self.direction or None,
            status=self.result if self.result and answered is None else None,
            answered=answered,
            since=since,
            until=until,
        )

    @property
    def chosen(self) -> bool:
        """Whether some calls are left out."""
        return replace(self, page=1) != CallFilter()

    def address(self, path: str, **changes: Any) -> str:
        """A path with what was chosen, some of it changed."""
        its = replace(self, **changes)
        first, last = (day.isoformat() if day else "" for day in (its.first, its.last))
        given = {"q": its.text, "line": its.line, "direction": its.direction, "result": its.result}
        given |= {"from": first, "to": last, "page": str(its.page) if its.page > 1 else ""}
        query = urlencode({name: value for name, value in given.items() if value})
        return f"{path}?{query}" if query else path


def one_of(value: str, known: Container[str]) -> str:
    """A choice, or none; raises PageError."""
    if value and value not in known:
        raise PageError(422, message("There is no such choice here: {value}", value=value))
    return value


def day_of(value: str) -> date | None:
    """A day of an address; raises PageError."""
    if not value:
        return None
    try:
        day = date.fromisoformat(value)
    except ValueError:
        day = date.min
    if day.year not in YEARS:
        raise PageError(422, message("This is no day such as 2027-01-31: {value}", value=value))
    return day


def page_number(value: str) -> int:
    """From 1 on; raises PageError."""
    if not value:
        return 1
    if not (value.isascii() and value.isdecimal() and len(value) < len(str(MOST_PAGES)) and int(value)):
        raise PageError(422, message("There is no such page: {value}", value=value))
    return int(value)


def days_between(first: date | None, last: date | None, zone: tzinfo) -> tuple[float | None, float | None]:
    """From the beginning of a day to the end of another, as Unix times."""
    since = _midnight(first, zone) if first else None
    return since, _midnight(last + timedelta(days=1), zone) if last else None


def _midnight(day: date, zone: tzinfo) -> float:
    return datetime.combine(day, time(), zone).timestamp()
