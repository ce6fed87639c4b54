"""What the calls come to."""

from dataclasses import asdict
from datetime import date

from pydantic import BaseModel, Field

from ari_app.reports.figures import Count, Figures, Unit
from ari_app.store.figures import Period
from ari_app.web.calls.filter import YEARS
from ari_app.web.charts.period import PeriodName, PeriodRefused, chosen, today
from ari_app.web.http.operation import Asked, Operation

MOST_HOURLY_DAYS = 31  # an answer has so many days' hours at most


class TodayFigures(BaseModel):
    """The day so far, in the installation's time zone; `to_answer_s` is a mean, null without answered calls.

    All calls (`incoming`, `outgoing` and `back`) are `answered`, `missed`, `unanswered` or `pending`.
    """

    incoming: int
    outgoing: int
    back: int
    answered: int
    missed: int = Field(description="Incoming calls that are over and were not answered, refused ones too.")
    unanswered: int = Field(description="The same of outgoing calls and calls back.")
    pending: int = Field(description="Live calls that nobody has answered yet.")
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


class DayFigures(BaseModel):
    """One day."""

    day: date
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
    days: list[DayFigures]
    hours: list[HourFigures] = Field(description=f"Empty for more than {MOST_HOURLY_DAYS} days.")
    lines: list[LineFigures]
    to_answer: AnswerFigures


class FiguresWanted(BaseModel):
    """Which days, and of which line; all where it is empty.

    `own`: from `first` to `last`, without which it is up to today, and 30 days.
    """

    period: PeriodName = "7d"
    first: date | None = Field(None, ge=date(YEARS[0], 1, 1), le=date(YEARS[-1], 12, 31))
    last: date | None = Field(None, ge=date(YEARS[0], 1, 1), le=date(YEARS[-1], 12, 31))
    line: str = Field("", pattern=r"^(\+[0-9]{5,15})?$", examples=["+79990000001"])


async def get_today(asked: Asked) -> TodayFigures:
    """Today's figures."""
    today = await Figures(asked.services.store, asked.services.zone).today(asked.web.clock())
    ours = today.outgoing + today.back
    return TodayFigures(
        incoming=today.incoming.all,
        outgoing=today.outgoing.all,
        back=today.back.all,
        answered=today.incoming.answered + ours.answered,
        missed=today.incoming.unanswered,
        unanswered=ours.unanswered,
        pending=today.incoming.pending + ours.pending,
        talked_s=today.talked_s,
        to_answer_s=today.to_answer_s,
    )


async def get_period(asked: Asked, query: FiguresWanted) -> PeriodFigures:
    """The figures of some days."""
    figures = Figures(asked.services.store, asked.services.zone)
    wanted = chosen(query.period, query.first, query.last, today(asked.web.clock(), asked.services.zone))
    days = figures.days(wanted.first, wanted.last)
    period = Period(days.start, days.end, query.line)
    to_answer = await figures.to_answer(period)
    hours = await figures.hours(period) if wanted.many <= MOST_HOURLY_DAYS else []
    return PeriodFigures(
        start=period.start,
        end=period.end,
        days=[
            DayFigures(day=each.first, calls=Counted.of(each.count)) for each in await figures.spans(period, Unit.DAY)
        ],
        hours=[HourFigures(start=each.start.timestamp(), calls=Counted.of(each.count)) for each in hours],
        lines=[LineFigures(line=each.line, calls=Counted.of(each.count)) for each in await figures.lines(period)],
        to_answer=AnswerFigures(
            calls=to_answer.calls,
            bins=[AnswerBin.model_validate(asdict(each)) for each in to_answer.bins],
            percentiles={str(percent): seconds for percent, seconds in to_answer.percentiles.items()},
        ),
    )


operations = (
    Operation("GET", "/api/figures/today", get_today, "Today's figures"),
    Operation("GET", "/api/figures", get_period, "The figures of some days", errors={422: PeriodRefused}),
)
