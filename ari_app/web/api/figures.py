"""What the calls come to."""

from dataclasses import asdict
from typing import Literal

from pydantic import BaseModel, Field

from ari_app.calls.figures import Count, Figures, Period
from ari_app.web.api.operation import Asked, Operation
from ari_app.web.pages.charts import DAYS


class TodayFigures(BaseModel):
    """The day so far, in the installation's time zone; `to_answer_s` is a mean, null without answered calls."""

    incoming: int
    outgoing: int
    back: int
    answered: int
    missed: int
    talked_s: float
    to_answer_s: float | None


class Counted(BaseModel):
    """Calls, answered or not."""

    answered: int
    unanswered: int

    @classmethod
    def of(cls, count: Count) -> "Counted":
        """From the figures."""
        return cls(answered=count.answered, unanswered=count.unanswered)


class HourFigures(BaseModel):
    """One hour; `start` is its Unix time."""

    start: float
    calls: Counted


class LineFigures(BaseModel):
    """One line; an empty number is of calls that were refused before a line was found."""

    line: str
    calls: Counted


class AnswerBin(BaseModel):
    """Calls answered after at least `low_s` and less than `high_s`, which is null in the last one."""

    low_s: float
    high_s: float | None
    calls: int


class AnswerFigures(BaseModel):
    """How soon calls were answered; `percentiles` in seconds, by percent, without any where none was answered."""

    calls: int
    bins: list[AnswerBin]
    percentiles: dict[str, float]


class PeriodFigures(BaseModel):
    """Whole days in the installation's time zone, today the last: from `start` until `end`, Unix times."""

    start: float
    end: float
    hours: list[HourFigures]
    lines: list[LineFigures]
    to_answer: AnswerFigures


class FiguresWanted(BaseModel):
    """Which days, and of which line; all where it is empty."""

    period: Literal["today", "7d", "30d"] = "7d"
    line: str = Field("", pattern=r"^(\+[0-9]{5,15})?$")


async def get_today(asked: Asked) -> TodayFigures:
    """Today's figures."""
    today = await Figures(asked.services.store, asked.services.zone).today(asked.web.clock())
    return TodayFigures.model_validate(asdict(today))


async def get_period(asked: Asked, query: FiguresWanted) -> PeriodFigures:
    """The figures of some days."""
    figures = Figures(asked.services.store, asked.services.zone)
    days = figures.last_days(DAYS[query.period], asked.web.clock())
    period = Period(days.start, days.end, query.line)
    to_answer = await figures.to_answer(period)
    return PeriodFigures(
        start=period.start,
        end=period.end,
        hours=[
            HourFigures(start=each.start.timestamp(), calls=Counted.of(each.count))
            for each in await figures.hours(period)
        ],
        lines=[LineFigures(line=each.line, calls=Counted.of(each.count)) for each in await figures.lines(period)],
        to_answer=AnswerFigures(
            calls=to_answer.calls,
            bins=[AnswerBin.model_validate(asdict(each)) for each in to_answer.bins],
            percentiles={str(percent): seconds for percent, seconds in to_answer.percentiles.items()},
        ),
    )


operations = (
    Operation("GET", "/api/figures/today", get_today, "Today's figures"),
    Operation("GET", "/api/figures", get_period, "The figures of some days"),
)
