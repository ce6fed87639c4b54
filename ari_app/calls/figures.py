"""What the calls come to: today's figures, calls per hour and per line, and how soon they are answered."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from sqlite_utils import Database

from ari_app.store.store import Store

QUARTER_S = 900  # every time zone's offset is a whole number of these
BIN_EDGES_S = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
PERCENTS = (50, 90, 95)


@dataclass(frozen=True)
class Period:
    """From ``start`` (inclusive) until ``end`` (exclusive), Unix times; ``line``: of one line only."""

    start: float
    end: float
    line: str = ""


@dataclass(frozen=True)
class Today:
    """The local day so far. ``missed``: incoming calls that are over and were not answered, refused ones too.

    ``back`` counts calls that people asked for. ``to_answer_s`` is the mean over answered calls; None without any.
    """

    incoming: int = 0
    outgoing: int = 0
    back: int = 0
    answered: int = 0
    missed: int = 0
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


@dataclass(frozen=True)
class Hour:
    """One hour; ``start`` has the zone, so that the hour that a clock shows twice is two."""

    start: datetime
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
        self._store = store
        self._zone = zone

    async def today(self, now: float) -> Today:
        """The figures of the local day that ``now`` is in."""
        day = self.day(now)

        def read(db: Database) -> Today:
            row = db.execute(
                "SELECT sum(direction = 'in'), sum(direction = 'out'), sum(direction = 'back'), sum(answered), "
                "sum(direction = 'in' AND NOT answered AND status IS NOT NULL), sum(talked_s), "
                "avg(CASE WHEN answered THEN to_answer_s END) FROM calls WHERE began_at >= ? AND began_at < ?",
                [day.start, day.end],
            ).fetchone()
            incoming, outgoing, back, answered, missed, talked_s = (value or 0 for value in row[:-1])
            return Today(incoming, outgoing, back, answered, missed, talked_s, to_answer_s=row[-1])

        return await self._store.run(read)

    async def hours(self, period: Period) -> list[Hour]:
        """Each hour that begins in the period, also those without calls; the first begins with the period."""

        def read(db: Database) -> list[tuple[int, int, int]]:
            sql = (
                f"SELECT CAST(began_at / {QUARTER_S} AS INTEGER) AS quarter, "  # noqa: S608
                f"sum(answered), sum(NOT answered AND status IS NOT NULL) FROM calls WHERE {WHERE} GROUP BY quarter"
            )
            return db.execute(sql, _values(period)).fetchall()

        answered, unanswered = Counter[int](), Counter[int]()
        for quarter, yes, no in await self._store.run(read):
            index = int(max(0.0, quarter * QUARTER_S - period.start) // 3600)
            answered[index] += yes
            unanswered[index] += no
        begins = range(int(-(-(period.end - period.start) // 3600)))
        return [
            Hour(self._local(period.start + index * 3600), Count(answered[index], unanswered[index]))
            for index in begins
        ]

    async def lines(self, period: Period) -> list[LineCount]:
        """Each line that has calls in the period, the busiest first."""

        def read(db: Database) -> list[LineCount]:
            sql = (
                "SELECT line, sum(answered), sum(NOT answered AND status IS NOT NULL) AS unanswered "  # noqa: S608
                f"FROM calls WHERE {WHERE} GROUP BY line"
            )
            return [LineCount(line, Count(yes, no)) for line, yes, no in db.execute(sql, _values(period))]

        found = [each for each in await self._store.run(read) if each.count.all]
        return sorted(found, key=lambda each: (-each.count.all, each.line))

    async def count(self, period: Period) -> Count:
        """Answered or not."""
        lines = await self.lines(period)
        return Count(sum(each.count.answered for each in lines), sum(each.count.unanswered for each in lines))

    async def to_answer(self, period: Period) -> ToAnswer:
        """How soon calls of the period were answered."""

        def read(db: Database) -> list[float]:
            sql = (
                f"SELECT to_answer_s FROM calls WHERE {WHERE} AND answered AND to_answer_s IS NOT NULL "  # noqa: S608
                "ORDER BY to_answer_s"
            )
            return [row[0] for row in db.execute(sql, _values(period))]

        return _to_answer(await self._store.run(read))

    def day(self, now: float) -> Period:
        """The local day that ``now`` is in: 23 or 25 hours, where the clocks change."""
        return Period(self._midnight(now, 0), self._midnight(now, 1))

    def last_days(self, days: int, now: float) -> Period:
        """Today and the days before it, whole local days."""
        return Period(self._midnight(now, 1 - days), self._midnight(now, 1))

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC).astimezone(self._zone)

    def _midnight(self, now: float, days: int) -> float:
        """Some days after the local midnight before ``now``."""
        day = self._local(now).date() + timedelta(days=days)
        # A wall clock's time without a zone is this machine's, if the zone is None.
        return datetime(day.year, day.month, day.day, tzinfo=self._zone).timestamp()


WHERE = "began_at >= ? AND began_at < ? AND (? = '' OR line = ?)"


def _values(period: Period) -> list[object]:
    return [period.start, period.end, period.line, period.line]


def _to_answer(seconds: Sequence[float]) -> ToAnswer:
    highs = (*BIN_EDGES_S[1:], None)
    bins = tuple(
        Bin(low, high, sum(low <= each and (high is None or each < high) for each in seconds))
        for low, high in zip(BIN_EDGES_S, highs, strict=True)
    )
    # The nearest rank: a percentile is a time that a call really took.
    ranks = {percent: max(1, -(-len(seconds) * percent // 100)) for percent in PERCENTS} if seconds else {}
    return ToAnswer(len(seconds), bins, {percent: seconds[rank - 1] for percent, rank in ranks.items()})
