"""What the calls come to: today's figures, calls per hour and per line, and how soon they are answered."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import Enum
from itertools import groupby

from ari_app.calls.outcome import Direction
from ari_app.store.figures import FiguresRepository, Period, QuarterRow
from ari_app.store.store import Store

BIN_EDGES_S = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
PERCENTS = (50, 90, 95)


class Unit(Enum):
    """What calls are counted by."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Tally:
    """All calls of a direction.

    ``unanswered``: those that are over, refused ones too; ``pending``: live ones that nobody has answered yet.
    """

    answered: int = 0
    unanswered: int = 0
    pending: int = 0

    @property
    def all(self) -> int:
        """Each call is in one of them."""
        return self.answered + self.unanswered + self.pending

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.answered + other.answered, self.unanswered + other.unanswered, self.pending + other.pending)


@dataclass(frozen=True)
class Today:
    """The local day so far.

    ``back`` counts calls that people asked for. ``to_answer_s`` is the mean over answered calls; None without any.
    """

    incoming: Tally = Tally()
    outgoing: Tally = Tally()
    back: Tally = Tally()
    talked_s: float = 0.0
    to_answer_s: float | None = None


@dataclass(frozen=True)
class Count:
    """Calls that are over, and live ones in which both sides talk."""

    answered: int = 0
    unanswered: int = 0

    @property
    def all(self) -> int:
        """Both."""
        return self.answered + self.unanswered

    def __add__(self, other: "Count") -> "Count":
        return Count(self.answered + other.answered, self.unanswered + other.unanswered)


@dataclass(frozen=True)
class Hour:
    """One hour; ``start`` has the zone, so that the hour that a clock shows twice is two."""

    start: datetime
    count: Count


@dataclass(frozen=True)
class Span:
    """Some days, or one: ``first`` and ``last`` are both included."""

    first: date
    last: date
    count: Count


@dataclass(frozen=True)
class LineCount:
    """One line's calls; an empty number is of calls that were refused before a line was found."""

    line: str
    count: Count


@dataclass(frozen=True)
class Bin:
    """How many calls were answered after at least ``low_s`` and less than ``high_s`` (None: any longer)."""

    low_s: float
    high_s: float | None
    calls: int


@dataclass(frozen=True)
class ToAnswer:
    """Seconds from the first ring to the answer, of answered calls; ``percentiles`` are empty without any."""

    calls: int
    bins: tuple[Bin, ...]
    percentiles: dict[int, float]


class Figures:
    """Reads them from the history. ``zone`` is where a day begins at midnight; None is this machine's."""

    def __init__(self, store: Store, zone: tzinfo | None = None) -> None:
        self._repository = FiguresRepository(store)
        self._zone = zone

    async def today(self, now: float) -> Today:
        """The figures of the local day that ``now`` is in."""
        tallies, times = await self._repository.totals(self.day(now))
        found = {row.direction: Tally(row.answered, row.unanswered, row.pending) for row in tallies}
        tally = {direction: found.get(direction.value, Tally()) for direction in Direction}
        return Today(
            incoming=tally[Direction.IN],
            outgoing=tally[Direction.OUT],
            back=tally[Direction.BACK],
            talked_s=times.talked_s or 0.0,
            to_answer_s=times.to_answer_s,
        )

    async def hours(self, period: Period) -> list[Hour]:
        """Each hour that begins in the period, also those without calls; the first begins with the period."""

        def count(quarters: Iterable[QuarterRow]) -> list[Hour]:
            counts: dict[int, Count] = {}
            for at, answered, unanswered in quarters:
                index = int(max(0.0, at - period.start) // 3600)
                counts[index] = counts.get(index, Count()) + Count(answered, unanswered)
            begins = range(int(-(-(period.end - period.start) // 3600)))
            return [Hour(self._local(period.start + index * 3600), counts.get(index, Count())) for index in begins]

        return await self._repository.quarters(period, count)

    async def spans(self, period: Period, unit: Unit, week_begins: int = 0) -> list[Span]:
        """The period's days, weeks or months, also those without calls; the first and the last may be cut.

        ``week_begins``: on which day, Monday is 0.
        """

        def count(quarters: Iterable[QuarterRow]) -> list[Span]:
            first, last = self._local(period.start).date(), self._local(period.end).date() - timedelta(days=1)
            days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
            counts: dict[date, Count] = {}
            for at, answered, unanswered in quarters:
                day = max(first, self._local(at).date())
                counts[day] = counts.get(day, Count()) + Count(answered, unanswered)
            spans = []
            for _, group in groupby(days, lambda day: _begin_of(day, unit, week_begins)):
                its = list(group)
                spans.append(Span(its[0], its[-1], sum((counts.get(day, Count()) for day in its), Count())))
            return spans

        return await self._repository.quarters(period, count)

    async def hours_of_day(self, period: Period) -> list[Count]:
        """Calls by the hour that the clock showed: 24 of them."""

        def count(quarters: Iterable[QuarterRow]) -> list[Count]:
            counts = [Count()] * 24
            for at, answered, unanswered in quarters:
                counts[self._local(at).hour] += Count(answered, unanswered)
            return counts

        return await self._repository.quarters(period, count)

    async def lines(self, period: Period) -> list[LineCount]:
        """Each line that has calls in the period, the busiest first."""
        rows = await self._repository.lines(period)
        found = [LineCount(row.line, Count(row.answered, row.unanswered)) for row in rows]
        return sorted((each for each in found if each.count.all), key=lambda each: (-each.count.all, each.line))

    async def count(self, period: Period) -> Count:
        """Answered or not."""
        lines = await self.lines(period)
        return Count(sum(each.count.answered for each in lines), sum(each.count.unanswered for each in lines))

    async def to_answer(self, period: Period) -> ToAnswer:
        """How soon calls of the period were answered."""
        return await self._repository.to_answer(period, _to_answer)

    def day(self, now: float) -> Period:
        """The local day that ``now`` is in: 23 or 25 hours, where the clocks change."""
        return Period(self._midnight(now, 0), self._midnight(now, 1))

    def last_days(self, days: int, now: float) -> Period:
        """Today and the days before it, whole local days."""
        return Period(self._midnight(now, 1 - days), self._midnight(now, 1))

    def days(self, first: date, last: date) -> Period:
        """Whole local days, both included."""
        return Period(self._begins(first), self._begins(last + timedelta(days=1)))

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC).astimezone(self._zone)

    def _midnight(self, now: float, days: int) -> float:
        """Some days after the local midnight before ``now``."""
        return self._begins(self._local(now).date() + timedelta(days=days))

    def _begins(self, day: date) -> float:
        # A wall clock's time without a zone is this machine's, if the zone is None.
        return datetime(day.year, day.month, day.day, tzinfo=self._zone).timestamp()


def _begin_of(day: date, unit: Unit, week_begins: int) -> date:
    """When the week or the month of a day began."""
    if unit is Unit.WEEK:
        return day - timedelta(days=(day.weekday() - week_begins) % 7)
    return day.replace(day=1) if unit is Unit.MONTH else day


def _to_answer(seconds: Sequence[float]) -> ToAnswer:
    """``seconds`` in order."""
    highs = (*BIN_EDGES_S[1:], None)
    bins = tuple(
        Bin(low, high, (len(seconds) if high is None else bisect_left(seconds, high)) - bisect_left(seconds, low))
        for low, high in zip(BIN_EDGES_S, highs, strict=True)
    )
    # The nearest rank: a percentile is a time that a call really took.
    ranks = {percent: max(1, -(-len(seconds) * percent // 100)) for percent in PERCENTS} if seconds else {}
    return ToAnswer(len(seconds), bins, {percent: seconds[rank - 1] for percent, rank in ranks.items()})
