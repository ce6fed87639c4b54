"""Which days a page or a program asks for: some up to today, or any first and last one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal, get_args

from ari_app.i18n import Message, message
from ari_app.reports.figures import Unit
from ari_app.web.calls.filter import day_of
from ari_app.web.http.errors import PageError

PeriodName = Literal["today", "7d", "30d", "90d", "365d", "own"]
OWN: PeriodName = "own"
DAYS: dict[PeriodName, int] = {"today": 1, "7d": 7, "30d": 30, "90d": 90, "365d": 365}
NAMES: dict[PeriodName, Message] = {
    "today": message("Today"),
    "7d": message("7 days"),
    "30d": message("30 days"),
    "90d": message("90 days"),
    "365d": message("A year"),
    "own": message("Days of your own"),
}
USUAL: PeriodName = "7d"
OWN_DAYS = 30  # up to the last one, as long as no first day is chosen
MOST_DAYS = 3660  # ten years
DAYS_BY_DAY, DAYS_BY_WEEK = 92, 420  # up to so many are drawn by days, and by weeks


class PeriodRefused(Exception):
    """These days can't be asked for; the sentence says why."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


@dataclass(frozen=True)
class Days:
    """``first`` and ``last`` are both included; ``name`` is how they were chosen."""

    name: PeriodName
    first: date
    last: date

    @property
    def many(self) -> int:
        """How many they are."""
        return (self.last - self.first).days + 1

    @property
    def unit(self) -> Unit:
        """What they are drawn by; one day is drawn by hours."""
        if self.many <= DAYS_BY_DAY:
            return Unit.DAY
        return Unit.WEEK if self.many <= DAYS_BY_WEEK else Unit.MONTH


def today(now: float, zone: tzinfo) -> date:
    """Which day it is."""
    return datetime.fromtimestamp(now, UTC).astimezone(zone).date()


def chosen(name: PeriodName, first: date | None, last: date | None, today: date) -> Days:
    """Some days up to today; for OWN, what is not given has a default. Raises PeriodRefused."""
    if name != OWN:
        return Days(name, today - timedelta(days=DAYS[name] - 1), today)
    last = last or max(today, first or today)
    first = first or last - timedelta(days=OWN_DAYS - 1)
    if first > last:
        raise PeriodRefused(message("The last day is before the first one."))
    if (last - first).days >= MOST_DAYS:
        raise PeriodRefused(message("Choose at most {days} days.", days=MOST_DAYS))
    return Days(OWN, first, last)


def from_address(query: Mapping[str, str], today: date) -> Days:
    """What a page's address says; raises PageError for no choice of ours, PeriodRefused."""
    first, last = day_of(query.get("from", "")), day_of(query.get("to", ""))
    name = query.get("period", "") or (OWN if first or last else USUAL)
    for known in get_args(PeriodName):
        if name == known:
            return chosen(known, first, last, today)
    raise PageError(422, message("There is no such choice here: {value}", value=name))
