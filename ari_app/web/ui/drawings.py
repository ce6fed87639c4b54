"""The charts of the pages: what is measured and counted, ready to be drawn, in the reader's language."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial

from aiohttp import web
from babel import Locale
from babel.dates import format_date, format_datetime, format_skeleton

from ari_app.i18n import Message, message
from ari_app.reports.figures import Count, Hour, LineCount, Span, ToAnswer, Unit
from ari_app.reports.history import CallRecord
from ari_app.reports.samples import each_time
from ari_app.web.ui import charts, formats
from ari_app.web.ui.charts import Chart, Column, Curve, Series
from ari_app.web.ui.languages import Language
from ari_app.web.ui.render import templates_of

NUMBER_DIGITS = 2
FLOOR_DBFS = -60.0
WIDTH = 560.0  # of a chart that stands beside another
GAP_S = 5.0  # without a sample for so many of the usual steps between them, a curve breaks


PER: dict[Unit, tuple[Message, Message]] = {
    Unit.DAY: (message("Calls per day"), message("Day")),
    Unit.WEEK: (message("Calls per week"), message("Week")),
    Unit.MONTH: (message("Calls per month"), message("Month")),
}


class Drawings:
    """Draws in one language; dates and numbers are the locale's."""

    def __init__(self, language: Language, locale: Locale) -> None:
        self._translate: Callable[[object], str] = language.translate
        self._locale = locale

    @classmethod
    def of(cls, request: web.Request) -> "Drawings":
        """For whoever asks."""
        templates = templates_of(request)
        return cls(templates.language(request), templates.locale(request))

    def hours(self, hours: Sequence[Hour]) -> Chart:
        """Calls per hour of one day."""
        columns = [
            Column(f"{each.start.hour}", _values(each.count), format_datetime(each.start, "short", locale=self._locale))
            for each in hours
        ]
        return self._bars(message("Calls per hour"), message("Hour"), columns)

    def spans(self, spans: Sequence[Span], unit: Unit) -> Chart:
        """Calls per day, week or month."""
        title, label = PER[unit]
        return self._bars(title, label, [self._span(each, unit) for each in spans], last_named=True)

    def hours_of_day(self, counts: Sequence[Count]) -> Chart:
        """Calls of several days by the hour of the day."""
        columns = [Column(f"{hour}", _values(count), f"{hour}:00") for hour, count in enumerate(counts)]
        return self._bars(message("Calls by the hour of the day"), message("Hour"), columns)

    def lines(self, counts: Sequence[LineCount], names: Mapping[str, str]) -> Chart:
        """Calls of each line."""
        columns = [
            Column(names.get(each.line, each.line) or self._translate(message("No line found")), _values(each.count))
            for each in counts
        ]
        return charts.both(
            partial(
                charts.horizontal_bars,
                self._translate(message("Calls per line")),
                self._answered(),
                columns,
                label=self._translate(message("Line")),
                write=self._number,
            ),
            WIDTH,
        )

    def to_answer(self, found: ToAnswer) -> Chart:
        """How soon calls were answered."""
        columns = [Column(_bounds(each.low_s, each.high_s), (float(each.calls),)) for each in found.bins]
        return charts.both(
            partial(
                charts.histogram,
                self._translate(message("Time to answer")),
                self._series(message("Answered calls"), "answered"),
                columns,
                label=self._translate(message("Seconds")),
                write=self._number,
            ),
            WIDTH,
        )

    def audio(self, record: CallRecord) -> list[Chart]:
        """A call's level, jitter and loss."""
        samples = record.samples
        gap_s = GAP_S * (samples[-1].at_s / len(samples)) if samples else GAP_S
        head = (
            "",
            self._translate(message("Least")),
            self._translate(message("Mean")),
            self._translate(message("Most")),
        )
        to_telegram = [(each.at_s, max(FLOOR_DBFS, each.to_telegram_dbfs)) for each in samples]
        from_telegram = [(each.at_s, max(FLOOR_DBFS, each.from_telegram_dbfs)) for each in samples]
        levels = (
            Curve(self._series(message("To Telegram"), "first"), to_telegram),
            Curve(self._series(message("From Telegram"), "second"), from_telegram),
        )
        jitter = Curve(self._series(message("Jitter"), "first"), [(each.at_s, each.jitter_ms) for each in samples])
        lost = Curve(self._series(message("Packets lost"), "bad"), each_time(samples, "lost"))
        plots: tuple[tuple[Message, tuple[Curve, ...], Message, float, float], ...] = (
            (message("Level"), levels, message("{value} dBFS"), FLOOR_DBFS, 0.0),
            (message("Jitter of what comes from Asterisk"), (jitter,), message("{value} ms"), 0.0, 10.0),
            (message("Packets from Asterisk that were lost or came too late"), (lost,), message("{value}"), 0.0, 5.0),
        )
        draw = partial(charts.line_plot, head=head, gap_s=gap_s)
        return [
            charts.both(
                partial(draw, self._translate(title), curves, low=low, high=high, write=partial(self._with_unit, unit)),
                charts.WIDTH,
            )
            for title, curves, unit, low, high in plots
        ]

    def _with_unit(self, unit: Message, value: float) -> str:
        return self._translate(Message(unit.text, {"value": self._number(value)}))

    def _bars(self, title: Message, label: Message, columns: Sequence[Column], *, last_named: bool = False) -> Chart:
        draw = partial(charts.stacked_bars, self._translate(title), self._answered(), columns, write=self._number)
        return charts.both(partial(draw, label=self._translate(label), last_named=last_named), WIDTH)

    def _span(self, span: Span, unit: Unit) -> Column:
        """A column of some days; its label is short, its name is whole."""
        first = self._day(span.first)
        name = first if span.first == span.last else f"{first} – {self._day(span.last)}"
        skeleton = "yMMM" if unit is Unit.MONTH else "MMMd"
        return Column(format_skeleton(skeleton, span.first, locale=self._locale), _values(span.count), name)

    def _day(self, day: date) -> str:
        return str(format_date(day, "medium", locale=self._locale))

    def _number(self, value: float) -> str:
        return formats.number(value, self._locale, NUMBER_DIGITS)

    def _series(self, name: Message, kind: str) -> Series:
        return Series(self._translate(name), kind)

    def _answered(self) -> tuple[Series, Series]:
        return self._series(message("Answered calls"), "answered"), self._series(message("Not answered"), "unanswered")


def _values(count: Count) -> tuple[float, float]:
    return float(count.answered), float(count.unanswered)


def _bounds(low_s: float, high_s: float | None) -> str:
    return f"{low_s:g}–{high_s:g}" if high_s is not None else f"{low_s:g}+"
