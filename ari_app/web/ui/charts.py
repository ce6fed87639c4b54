"""The geometry of charts, for the macro in templates/charts.html, which draws them as inline SVG.

Pure functions; texts come in as they are to be shown. How a chart looks is static/charts.css's: shapes have classes
(``chart-`` and the series' ``kind``) and no style, which the pages' Content-Security-Policy forbids. By hand: libraries
draw with scripts or styles of their own, and without the table beside each chart.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

WIDTH, HEIGHT = 720.0, 240.0
NARROW = 320.0  # for a phone: what fits there at the size of a letter
TOP, RIGHT, BOTTOM = 12.0, 14.0, 26.0
LETTER = 6.6  # the width of a letter, more or less
LABEL_ROOM = 12.0  # between two labels of an axis
ROW, ROW_LABEL, ROW_BAR = 40.0, 14.0, 18.0  # of bars that lie: each with its name above it
TAIL = 16  # letters that stay at the end of a name that is cut: a phone number in brackets
STEPS = (1, 2, 2.5, 5, 10)
TICK_ROOM = 90.0  # between two times of an axis
CLOCK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)


@dataclass(frozen=True)
class Series:
    """What a colour stands for; ``kind`` becomes the class ``chart-KIND``."""

    name: str
    kind: str


@dataclass(frozen=True)
class Column:
    """One bar: its label, and a value for each series; ``name`` says more than the label, where that is short."""

    label: str
    values: tuple[float, ...]
    name: str = ""


@dataclass(frozen=True)
class Curve:
    """One line of a plot: times in seconds and values, in order; None is a gap."""

    series: Series
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True)
class Path:
    """A line; ``d`` is SVG's path data."""

    d: str
    kind: str
    title: str


@dataclass(frozen=True)
class Gridline:
    """A straight line of the grid, or an axis."""

    x1: float
    y1: float
    x2: float
    y2: float
    kind: str = "grid"


@dataclass(frozen=True)
class Label:
    """A text; ``anchor`` is SVG's text-anchor."""

    x: float
    y: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Chart:
    """All that is drawn, and the same as a table (``head`` and ``rows``) for who can't see it.

    ``narrow``: the same for a phone.
    """

    title: str
    width: float
    height: float
    rules: tuple[Gridline, ...] = ()
    labels: tuple[Label, ...] = ()
    boxes: tuple[Box, ...] = ()
    paths: tuple[Path, ...] = ()
    legend: tuple[Series, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    narrow: "Chart | None" = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return not self.paths and not any(box.width and box.height for box in self.boxes)


def ticks(low: float, high: float, about: int = 4, whole: bool = False) -> list[float]:
    """Round values from at or below ``low`` to at or above ``high``, about so many steps apart."""
    span = high - low if high > low else 1.0
    least = max(span / about, 1.0) if whole else span / about
    magnitude = 10.0 ** math.floor(math.log10(least))
    sizes = [step * magnitude for step in STEPS if not whole or (step * magnitude).is_integer()]
    step = next(size for size in sizes if size >= least * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil((low + span) / step - 1e-9)
    return [round(index * step, 9) + 0.0 for index in range(first, last + 1)]


def clock_ticks(last_s: float, about: int = 8) -> list[float]:
    """Round times from 0 on, in seconds; the last is not after ``last_s``."""
    step = next((each for each in CLOCK_STEPS if last_s / each <= about), math.ceil(last_s / about / 3600) * 3600)
    return [float(at) for at in range(0, math.floor(last_s) + 1, step)]


def number(value: float) -> str:
    """As short as it is right: 3, 2.5, 0.25, 12000."""
    return f"{round(value, 2) or 0:.2f}".rstrip("0").removesuffix(".")


Write = Callable[[float], str]
"""Writes a number as the reader's language does."""


def both(draw: Callable[..., Chart], width: float) -> Chart:
    """What ``draw(width=...)`` draws, at this width and for a phone."""
    return replace(draw(width=width), narrow=draw(width=NARROW))


def clock(seconds: float) -> str:
    """0:07, 12:30, 1:00:00."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def stacked_bars(
    title: str,
    series: Sequence[Series],
    columns: Sequence[Column],
    *,
    label: str = "",
    unit: str = "",
    width: float = WIDTH,
    height: float = HEIGHT,
    gap: float = 0.28,
    write: Write = number,
    last_named: bool = False,
) -> Chart:
    """Columns that stand, one on another the series of each; ``label`` heads the labels' column of the table.

    Where there is no room for every label, the first column has one, or, with ``last_named``, the last.
    """
    steps = ticks(0, max((sum(column.values) for column in columns), default=0) or 1, whole=True)
    said = _Said(unit, write)
    frame = _Frame.around(width, height, (0.0, float(max(1, len(columns)))), steps, said)
    boxes = []
    for index, column in enumerate(columns):
        below = 0.0
        for each, value in zip(series, column.values, strict=True):
            x, top = frame.x(index + gap / 2), frame.y(below + value)
            if value:
                wide, high = round(frame.x(index + 1 - gap / 2) - x, 2), round(frame.y(below) - top, 2)
                boxes.append(Box(x, top, wide, high, each.kind, said.of(column, each, value)))
            below += value
    slot = frame.x(1) - frame.x(0)
    every = max(1, math.ceil((max((len(each.label) for each in columns), default=0) * LETTER + LABEL_ROOM) / slot))
    named = (len(columns) - 1) % every if last_named else 0
    labels = [
        _below(frame, index + 0.5, column.label)
        for index, column in enumerate(columns)
        if index % every == named and column.label
    ]
    return Chart(
        title,
        width,
        height,
        rules=frame.rules,
        labels=(*frame.labels, *labels),
        boxes=tuple(boxes),
        legend=tuple(series),
        head=(label, *(each.name for each in series)),
        rows=said.rows(columns),
    )


def histogram(
    title: str,
    series: Series,
    bins: Sequence[Column],
    *,
    label: str = "",
    unit: str = "",
    width: float = WIDTH,
    write: Write = number,
) -> Chart:
    """Columns that nearly touch: each counts what falls between its bounds."""
    return stacked_bars(title, (series,), bins, label=label, unit=unit, width=width, gap=0.06, write=write)


def horizontal_bars(
    title: str,
    series: Sequence[Series],
    columns: Sequence[Column],
    *,
    label: str = "",
    unit: str = "",
    width: float = WIDTH,
    write: Write = number,
) -> Chart:
    """Bars that lie, one under another, each with its name above it and its whole value at its end."""
    said = _Said(unit, write)
    height = TOP + ROW * max(1, len(columns))
    totals = [sum(column.values) for column in columns]
    most = max(totals, default=0) or 1
    room = width - RIGHT - max((len(write(total)) for total in totals), default=0) * LETTER - LABEL_ROOM
    letters = int((width - RIGHT) / LETTER)
    boxes, labels = [], []
    for index, (column, total) in enumerate(zip(columns, totals, strict=True)):
        top, x = round(TOP + index * ROW, 2), 0.0
        labels.append(Label(0.0, top + ROW_LABEL - 4, _cut(column.label, letters), "start"))
        for each, value in zip(series, column.values, strict=True):
            long = round(value / most * room, 2)
            if value:
                place = (round(x, 2), top + ROW_LABEL, long, ROW_BAR)
                boxes.append(Box(*place, each.kind, said.of(column, each, value)))
            x += long
        labels.append(Label(round(x + 6, 2), top + ROW_LABEL + ROW_BAR / 2 + 4, write(total), "start"))
    return Chart(
        title,
        width,
        height,
        labels=tuple(labels),
        boxes=tuple(boxes),
        legend=tuple(series),
        head=(label, *(each.name for each in series)),
        rows=said.rows(columns),
    )


def line_plot(
    title: str,
    curves: Sequence[Curve],
    *,
    head: tuple[str, str, str, str] = ("", "min", "mean", "max"),
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    gap_s: float = math.inf,
    width: float = WIDTH,
    height: float = 180.0,
    write: Write = number,
) -> Chart:
    """Values over a call's time. A line breaks where a value is None or the next comes more than ``gap_s`` later.

    ``low``, ``high``: what the axis shows at least. ``head``: of the table, which has each line's extremes and mean.
    """
    points = [(at, value) for curve in curves for at, value in curve.points if value is not None]
    values = [value for _, value in points]
    lowest = min([*values, *([] if low is None else [low])], default=0.0)
    highest = max([*values, *([] if high is None else [high])], default=1.0)
    last_s = max([at for curve in curves for at, _ in curve.points], default=0.0) or 1.0
    said = _Said(unit, write)
    frame = _Frame.around(width, height, (0.0, last_s), ticks(lowest, highest), said)
    about = max(2, round(width / TICK_ROOM))
    labels = [_below(frame, at, clock(at)) for at in clock_ticks(last_s, about)]
    paths = [
        Path(_path(frame, curve.points, gap_s), curve.series.kind, curve.series.name)
        for curve in curves
        if any(value is not None for _, value in curve.points)
    ]
    return Chart(
        title,
        width,
        height,
        rules=frame.rules,
        labels=(*frame.labels, *labels),
        boxes=tuple(_hits(frame, curves, said)) if paths else (),
        paths=tuple(paths),
        legend=tuple(curve.series for curve in curves),
        head=head,
        rows=tuple(_extremes(curve, said) for curve in curves),
    )


@dataclass(frozen=True)
class _Said:
    """What is said of values."""

    unit: str
    write: Write

    def value(self, value: float) -> str:
        return f"{self.write(value)} {self.unit}".rstrip()

    def of(self, column: Column, series: Series, value: float) -> str:
        return f"{column.name or column.label}: {series.name} {self.value(value)}"

    def rows(self, columns: Sequence[Column]) -> tuple[tuple[str, ...], ...]:
        return tuple((column.name or column.label, *map(self.value, column.values)) for column in columns)


@dataclass(frozen=True)
class _Frame:
    """Where values are on the paper."""

    left: float
    width: float
    height: float
    x_range: tuple[float, float]
    steps: Sequence[float]
    said: _Said

    @classmethod
    def around(
        cls, width: float, height: float, x_range: tuple[float, float], steps: Sequence[float], said: _Said
    ) -> "_Frame":
        longest = max(len(said.value(step)) for step in steps)
        return cls(round(longest * LETTER + LABEL_ROOM, 2), width, height, x_range, steps, said)

    def x(self, value: float) -> float:
        start, end = self.x_range
        return round(self.left + (value - start) / (end - start) * (self.width - self.left - RIGHT), 2)

    def y(self, value: float) -> float:
        low, high = self.steps[0], self.steps[-1]
        return round(self.height - BOTTOM - (value - low) / (high - low) * (self.height - TOP - BOTTOM), 2)

    @property
    def rules(self) -> tuple[Gridline, ...]:
        right = self.width - RIGHT
        return tuple(
            Gridline(self.left, self.y(step), right, self.y(step), "grid" if index else "axis")
            for index, step in enumerate(self.steps)
        )

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(self.left - 6, self.y(step) + 4, self.said.value(step), "end") for step in self.steps)


def _path(frame: _Frame, points: Sequence[tuple[float, float | None]], gap_s: float) -> str:
    d, before_s = [], -math.inf
    pen_up = True
    for at, value in points:
        if value is None:
            pen_up = True
            continue
        begins = pen_up or at - before_s > gap_s
        # Drawn from where it is to itself, a point with gaps on both sides is a dot.
        d.append(f"M{frame.x(at)} {frame.y(value)}h0" if begins else f"L{frame.x(at)} {frame.y(value)}")
        pen_up, before_s = False, at
    return "".join(d)


def _below(frame: _Frame, value: float, text: str) -> Label:
    """A label of the lower axis; at the right edge it ends with the paper."""
    x, y = frame.x(value), frame.height - 8
    return Label(frame.width, y, text, "end") if x + len(text) * LETTER / 2 > frame.width else Label(x, y, text)


def _cut(name: str, letters: int) -> str:
    """A name that is not longer than that; its end is what names differ by."""
    return name if len(name) <= letters else f"{name[: letters - TAIL - 1]}…{name[-TAIL:]}"


def _hits(frame: _Frame, curves: Sequence[Curve], said: _Said) -> list[Box]:
    """An unseen column at each time, whose title has all values there."""
    at_times: dict[float, list[str]] = {}
    for curve in curves:
        for at, value in curve.points:
            if value is not None:
                at_times.setdefault(at, []).append(f"{curve.series.name} {said.value(value)}")
    times = sorted(at_times)
    edges = [0.0, *((before + after) / 2 for before, after in pairwise(times)), frame.x_range[1]]
    top, bottom = frame.y(frame.steps[-1]), frame.y(frame.steps[0])
    return [
        Box(
            frame.x(start),
            top,
            round(frame.x(end) - frame.x(start), 2),
            round(bottom - top, 2),
            "hit",
            f"{clock(at)}: {', '.join(at_times[at])}",
        )
        for at, (start, end) in zip(times, pairwise(edges), strict=True)
    ]


def _extremes(curve: Curve, said: _Said) -> tuple[str, ...]:
    values = [value for _, value in curve.points if value is not None]
    if not values:
        return (curve.series.name, "", "", "")
    found = (min(values), round(sum(values) / len(values), 1), max(values))
    return (curve.series.name, *map(said.value, found))
