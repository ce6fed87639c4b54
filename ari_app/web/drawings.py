"""The charts of the pages: what is measured and counted, ready to be drawn, in the reader's language."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from aiohttp import web
from babel import Locale
from babel.dates import format_datetime

from ari_app.calls.figures import Count, Hour, LineCount, ToAnswer
from ari_app.calls.history import Record
from ari_app.calls.samples import each_time
from ari_app.sentence import Sentence, say
from ari_app.web import charts
from ari_app.web.charts import Chart, Column, Curve, Series
from ari_app.web.context import web_of
from ari_app.web.i18n import Language

DAY_HOURS = 25  # a day has so many at most; a longer period is drawn by days
FLOOR_DBFS = -60.0
WIDTH = 560.0  # of a chart that stands beside another
GAP_S = 5.0  # without a sample for so many of the usual steps between them, a curve breaks


class Drawings:
    """Draws in one language; dates and numbers are the locale's."""

    def __init__(self, language: Language, locale: Locale) -> None:
        self._tell: Callable[[object], str] = language.tell
        self._locale = locale

    @classmethod
    def of(cls, request: web.Request) -> "Drawings":
        """For whoever asks."""
        templates = web_of(request).templates
        return cls(templates.language(request), templates.locale(request))

    def calls(self, hours: Sequence[Hour]) -> Chart:
        """Calls per hour of one day, else per day."""
        by_days = len(hours) > DAY_HOURS
        columns = [
            Column(label, (count.answered, count.unanswered), name)
            for label, name, count in (self._days(hours) if by_days else self._hours(hours))
        ]
        title = say("Calls per day") if by_days else say("Calls per hour")
        label = self._tell(say("Day") if by_days else say("Hour"))
        return charts.stacked_bars(self._tell(title), self._answered(), columns, label=label, width=WIDTH)

    def hours_of_day(self, hours: Sequence[Hour]) -> Chart:
        """Calls of several days by the hour of the day."""
        columns = []
        for hour in range(24):
            counts = [each.count for each in hours if each.start.hour == hour]
            columns.append(Column(f"{hour}", _values(_sum(counts)), f"{hour}:00"))
        title = say("Calls by the hour of the day")
        label = self._tell(say("Hour"))
        return charts.stacked_bars(self._tell(title), self._answered(), columns, label=label, width=WIDTH)

    def lines(self, counts: Sequence[LineCount], names: Mapping[str, str]) -> Chart:
        """Calls of each line."""
        columns = [
            Column(names.get(each.line, each.line) or self._tell(say("No line found")), _values(each.count), each.line)
            for each in counts
        ]
        return charts.horizontal_bars(
            self._tell(say("Calls per line")), self._answered(), columns, label=self._tell(say("Line")), width=WIDTH
        )

    def to_answer(self, found: ToAnswer) -> Chart:
        """How soon calls were answered."""
        columns = [Column(_bounds(each.low_s, each.high_s), (float(each.calls),)) for each in found.bins]
        return charts.histogram(
            self._tell(say("Seconds to answer")),
            self._series(say("Answered calls"), "answered"),
            columns,
            label=self._tell(say("Seconds")),
            width=WIDTH,
        )

    def audio(self, record: Record) -> list[Chart]:
        """A call's level, jitter and loss."""
        samples = record.samples
        gap_s = GAP_S * (samples[-1].at_s / len(samples)) if samples else GAP_S
        head = ("", self._tell(say("Least")), self._tell(say("Mean")), self._tell(say("Most")))
        to_telegram = [(each.at_s, max(FLOOR_DBFS, each.to_telegram_dbfs)) for each in samples]
        from_telegram = [(each.at_s, max(FLOOR_DBFS, each.from_telegram_dbfs)) for each in samples]
        levels = (
            Curve(self._series(say("To Telegram"), "first"), to_telegram),
            Curve(self._series(say("From Telegram"), "second"), from_telegram),
        )
        jitter = Curve(self._series(say("Jitter"), "first"), [(each.at_s, each.jitter_ms) for each in samples])
        lost = Curve(self._series(say("Packets lost"), "bad"), each_time(samples, "lost"))
        plots: tuple[tuple[Sentence, tuple[Curve, ...], str, float, float], ...] = (
            (say("Level"), levels, "dBFS", FLOOR_DBFS, 0.0),
            (say("Jitter of what comes from Asterisk"), (jitter,), "ms", 0.0, 10.0),
            (say("Packets from Asterisk that were lost or came too late"), (lost,), "", 0.0, 5.0),
        )
        return [
            charts.line_plot(self._tell(title), curves, head=head, unit=unit, low=low, high=high, gap_s=gap_s)
            for title, curves, unit, low, high in plots
        ]

    def _series(self, name: Sentence, kind: str) -> Series:
        return Series(self._tell(name), kind)

    def _answered(self) -> tuple[Series, Series]:
        return self._series(say("Answered calls"), "answered"), self._series(say("Not answered"), "unanswered")

    def _hours(self, hours: Sequence[Hour]) -> list[tuple[str, str, Count]]:
        return [(f"{each.start.hour}", self._shown(each.start, "short"), each.count) for each in hours]

    def _days(self, hours: Sequence[Hour]) -> list[tuple[str, str, Count]]:
        counts: dict[str, tuple[datetime, list[Count]]] = {}
        for each in hours:
            counts.setdefault(each.start.date().isoformat(), (each.start, []))[1].append(each.count)
        return [
            (self._shown(start, "d MMM"), self._shown(start, "d MMMM y"), _sum(of)) for start, of in counts.values()
        ]

    def _shown(self, at: datetime, form: str) -> str:
        return str(format_datetime(at, form, locale=self._locale))


def _sum(counts: Sequence[Count]) -> Count:
    return Count(sum(each.answered for each in counts), sum(each.unanswered for each in counts))


def _values(count: Count) -> tuple[float, float]:
    return float(count.answered), float(count.unanswered)


def _bounds(low_s: float, high_s: float | None) -> str:
    return f"{low_s:g}–{high_s:g}" if high_s is not None else f"{low_s:g}+"
