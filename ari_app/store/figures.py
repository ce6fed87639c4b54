"""Sums over the calls, which figures are made of."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from sqlite_utils import Database

from ari_app.store.store import Store

QUARTER_S = 900  # every time zone's offset is a whole number of these
WITHIN = "began_at >= ? AND began_at < ? AND (? = '' OR line = ?)"
UNANSWERED = "sum(NOT answered AND status IS NOT NULL)"

T = TypeVar("T")


@dataclass(frozen=True)
class Period:
    """From ``start`` (inclusive) until ``end`` (exclusive), Unix times; ``line``: of one line only."""

    start: float
    end: float
    line: str = ""

    @property
    def values(self) -> list[object]:
        """For `WITHIN`."""
        return [self.start, self.end, self.line, self.line]


class TallyRow(NamedTuple):
    """The calls of one direction."""

    direction: str
    answered: int
    unanswered: int
    pending: int


class TimesRow(NamedTuple):
    """All seconds talked, and the mean until the answer; None without calls."""

    talked_s: float | None
    to_answer_s: float | None


class QuarterRow(NamedTuple):
    """The calls of a quarter of an hour, which begins at a Unix time."""

    at: float
    answered: int
    unanswered: int


class LineRow(NamedTuple):
    """The calls of a line."""

    line: str
    answered: int
    unanswered: int


@dataclass(frozen=True)
class FiguresRepository:
    """Reads the calls' table, in which `CallRepository` keeps them."""

    store: Store

    async def totals(self, period: Period) -> tuple[list[TallyRow], TimesRow]:
        """Of each direction that has calls, and of all."""

        def read(db: Database) -> tuple[list[TallyRow], TimesRow]:
            tallies = (
                f"SELECT direction, sum(answered), {UNANSWERED}, sum(NOT answered AND status IS NULL) "  # noqa: S608
                f"FROM calls WHERE {WITHIN} GROUP BY direction"
            )
            times = (
                "SELECT sum(talked_s), avg(CASE WHEN answered THEN to_answer_s END) "  # noqa: S608
                f"FROM calls WHERE {WITHIN}"
            )
            found = [TallyRow(*row) for row in db.execute(tallies, period.values)]
            return found, TimesRow(*db.execute(times, period.values).fetchone())

        return await self.store.run(read)

    async def quarters(self, period: Period, count: Callable[[Iterable[QuarterRow]], T]) -> T:
        """What ``count`` makes, in the database's thread, of the quarters that have calls, in no order."""
        sql = (
            f"SELECT CAST(began_at / {QUARTER_S} AS INTEGER) AS quarter, sum(answered), {UNANSWERED} "  # noqa: S608
            f"FROM calls WHERE {WITHIN} GROUP BY quarter"
        )

        def read(db: Database) -> T:
            rows = db.execute(sql, period.values)
            return count(QuarterRow(float(quarter * QUARTER_S), *sums) for quarter, *sums in rows)

        return await self.store.run(read)

    async def lines(self, period: Period) -> list[LineRow]:
        """Each line with calls, live ones too."""
        sql = f"SELECT line, sum(answered), {UNANSWERED} FROM calls WHERE {WITHIN} GROUP BY line"  # noqa: S608
        return await self.store.run(lambda db: [LineRow(*row) for row in db.execute(sql, period.values)])

    async def to_answer(self, period: Period, count: Callable[[list[float]], T]) -> T:
        """What ``count`` makes, in the database's thread, of the seconds until each answer, in order."""
        sql = (
            f"SELECT to_answer_s FROM calls WHERE {WITHIN} AND answered AND to_answer_s IS NOT NULL "  # noqa: S608
            "ORDER BY to_answer_s"
        )
        return await self.store.run(lambda db: count([row[0] for row in db.execute(sql, period.values)]))
