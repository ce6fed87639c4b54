"""The geometry of charts, and what the macro makes of it."""

import re
from functools import partial
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ari_app.web.ui import charts
from ari_app.web.ui.charts import Chart, Column, Curve, Series
from ari_app.web.ui.render import STATIC, TEMPLATES

ANSWERED, UNANSWERED = Series("answered", "answered"), Series("not answered", "unanswered")
JITTER = Series("jitter", "first")


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 9, [0, 2.5, 5, 7.5, 10]),
        (0, 100, [0, 25, 50, 75, 100]),
        (0, 0, [0, 0.25, 0.5, 0.75, 1]),
        (-99, 0, [-100, -75, -50, -25, 0]),
        (0, 0.03, [0, 0.01, 0.02, 0.03]),
        (3, 3, [3, 3.25, 3.5, 3.75, 4]),
    ],
)
def test_ticks_are_round(low: float, high: float, found: list[float]) -> None:
    assert charts.ticks(low, high) == found


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 7, 9, 13, 99, 1234])
def test_ticks_of_counts_are_whole_and_hold_the_most(most: int) -> None:
    found = charts.ticks(0, most, whole=True)
    assert all(each == int(each) for each in found)
    assert found[0] == 0
    assert found[-1] >= most
    assert len(found) <= 6


def test_numbers_are_short() -> None:
    assert [charts.number(each) for each in (0, -0.001, 3.0, 2.5, 0.25, 1.755, 12000, -99)] == [
        "0", "0", "3", "2.5", "0.25", "1.75", "12000", "-99",
    ]  # fmt: skip


def test_ticks_of_times() -> None:
    assert charts.clock_ticks(7) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert charts.clock_ticks(600) == [0, 120, 240, 360, 480, 600]
    assert charts.clock_ticks(200_000)[-1] <= 200_000
    assert [charts.clock(at) for at in (0, 7.4, 65, 3600, 3661)] == ["0:00", "0:07", "1:05", "1:00:00", "1:01:01"]


def hours() -> Chart:
    columns = [Column(f"{hour}", (float(hour), 2.0), f"{hour}:00") for hour in range(24)]
    return charts.stacked_bars("Calls per hour", (ANSWERED, UNANSWERED), columns, label="hour")


def test_bars_stand_on_each_other() -> None:
    chart = hours()
    first, second = [box for box in chart.boxes if box.title.startswith("5:00")]
    assert (first.kind, second.kind) == ("answered", "unanswered")
    assert first.x == second.x
    assert second.y + second.height == pytest.approx(first.y, abs=0.02)
    floor = max(rule.y1 for rule in chart.rules)
    assert first.y + first.height == pytest.approx(floor, abs=0.02)
    assert first.height / second.height == pytest.approx(2.5, rel=0.02)
    assert first.title == "5:00: answered 5"


def test_everything_is_on_the_paper() -> None:
    plot = charts.line_plot("Level", [Curve(JITTER, [(float(at), -at / 3) for at in range(1, 300)])], unit="dBFS")
    lines = charts.horizontal_bars("Lines", (ANSWERED,), [Column("x" * 90, (3.0,)), Column("y", (200.0,))])
    for chart in (hours(), plot, lines):
        for box in chart.boxes:
            assert box.x >= 0 and box.y >= 0 and box.width >= 0 and box.height >= 0
            assert box.x + box.width <= chart.width
            assert box.y + box.height <= chart.height
        for label in chart.labels:
            assert 0 <= label.x <= chart.width
            assert 0 <= label.y <= chart.height


def test_labels_do_not_overlap() -> None:
    many = [Column(f"{day} May {hour}:00", (1.0,)) for day in range(7) for hour in range(24)]
    chart = charts.stacked_bars("Week", (ANSWERED,), many)
    below = sorted(label.x for label in chart.labels if label.anchor == "middle")
    width = len("6 May 23:00") * charts.LETTER
    assert len(below) > 3
    assert min(right - left for left, right in pairwise(below)) > width


def test_bars_that_lie() -> None:
    chart = charts.horizontal_bars(
        "Lines", (ANSWERED, UNANSWERED), [Column("Sales", (30.0, 10.0)), Column("+79990000001", (0.0, 20.0))]
    )
    sales, sales_missed, other = chart.boxes
    assert sales.x + sales.width == pytest.approx(sales_missed.x)
    assert other.x == sales.x
    assert other.y > sales.y
    assert sales.width + sales_missed.width == pytest.approx(2 * other.width, abs=0.05)
    assert [label.text for label in chart.labels] == ["Sales", "40", "+79990000001", "20"]


@pytest.mark.parametrize("width", [charts.WIDTH, charts.NARROW])
def test_the_end_of_a_long_name_can_be_read(width: float) -> None:
    """Lines are told apart by their numbers, which stand at the end."""
    name = "Customer care and sales of the whole north west, both shifts"
    columns = [Column(f"{name} (+7999000000{number})", (3.0,)) for number in range(3)]
    columns.append(Column("+79990000009", (1.0,)))
    chart = charts.horizontal_bars("Lines", (ANSWERED,), columns, width=width)
    shown = [label for label in chart.labels if "+7999" in label.text]
    assert [label.text[-14:] for label in shown] == [*(f"(+7999000000{number})" for number in range(3)), "+79990000009"]
    assert all(label.x + len(label.text) * charts.LETTER <= width for label in shown)
    assert all(label.anchor == "start" for label in shown), "a name is cut at its middle, not at the paper's edge"


def test_the_last_column_is_labelled() -> None:
    """Of many days the last one is today, and what one looks for first."""
    for days in (7, 30, 31, 92):
        columns = [Column(f"{day} Jan", (1.0,)) for day in range(days)]
        chart = charts.stacked_bars("Days", (ANSWERED,), columns, width=charts.NARROW, last_named=True)
        *before, last = [label for label in chart.labels if "Jan" in label.text]
        half = len(last.text) * charts.LETTER / 2
        end = last.x + (half if last.anchor == "middle" else 0)
        assert (last.text, end <= charts.NARROW) == (f"{days - 1} Jan", True)
        assert end - 2 * half > before[-1].x + half
        assert all(label.anchor == "middle" for label in before)


def test_numbers_are_written_as_the_reader_does() -> None:
    def write(value: float) -> str:
        return charts.number(value).replace(".", ",")

    plot = charts.line_plot("Jitter", [Curve(JITTER, [(1.0, 2.5), (2.0, 1.0)])], unit="мс", write=write)
    assert plot.rows == (("jitter", "1 мс", "1,8 мс", "2,5 мс"),)
    assert plot.boxes[0].title == "0:01: jitter 2,5 мс"
    assert "1,5 мс" in [label.text for label in plot.labels]
    bars = charts.horizontal_bars("Lines", (ANSWERED,), [Column("a", (2.5,))], write=write)
    assert bars.boxes[0].title == "a: answered 2,5"
    assert bars.rows == (("a", "2,5"),)


def test_a_chart_for_a_phone_comes_beside_the_wide_one() -> None:
    both = charts.both(partial(charts.stacked_bars, "Days", (ANSWERED,), [Column("1", (2.0,))]), 560.0)
    assert both.narrow is not None
    assert (both.width, both.narrow.width) == (560.0, charts.NARROW)
    drawings = ET.fromstring(drawn(both)).findall("svg")  # noqa: S314 - it is our own
    assert [each.get("class") for each in drawings] == ["chart-drawing", "chart-narrow"]
    assert [len(each.findall("rect")) for each in drawings] == [1, 1]


def test_a_histogram() -> None:
    chart = charts.histogram(
        "Seconds", ANSWERED, [Column("0-5", (2.0,)), Column("5-10", (0.0,)), Column("60+", (1.0,))]
    )
    assert [box.title for box in chart.boxes] == ["0-5: answered 2", "60+: answered 1"]
    assert chart.rows == (("0-5", "2"), ("5-10", "0"), ("60+", "1"))


def test_a_line_has_gaps() -> None:
    points = [(1.0, 1.0), (2.0, 2.0), (3.0, None), (4.0, 3.0), (5.0, 2.0), (30.0, 1.0)]
    chart = charts.line_plot("Jitter", [Curve(JITTER, points)], unit="ms", gap_s=5.0)
    (path,) = chart.paths
    assert re.sub(r"[^MLh]", "", path.d) == "MhLMhLMh"
    assert chart.rows == (("jitter", "1 ms", "1.8 ms", "3 ms"),)
    assert chart.boxes[0].title == "0:01: jitter 1 ms"
    assert len(chart.boxes) == 5
    for before, after in pairwise(chart.boxes):
        assert before.x + before.width == pytest.approx(after.x, abs=0.02)


def test_two_lines_share_an_axis() -> None:
    low, high = Curve(Series("to", "first"), [(1.0, -60.0)]), Curve(Series("from", "second"), [(1.0, -5.0)])
    chart = charts.line_plot("Level", [low, high], unit="dBFS", low=-60.0, high=0.0)
    assert [path.kind for path in chart.paths] == ["first", "second"]
    assert [label.text for label in chart.labels if label.anchor == "end"] == [
        "-60 dBFS", "-40 dBFS", "-20 dBFS", "0 dBFS",
    ]  # fmt: skip
    assert [box.title for box in chart.boxes] == ["0:01: to -60 dBFS, from -5 dBFS"]


def nothing() -> list[Chart]:
    return [
        charts.stacked_bars("Calls", (ANSWERED,), []),
        charts.stacked_bars("Calls", (ANSWERED,), [Column("1", (0.0,))]),
        charts.horizontal_bars("Lines", (ANSWERED,), []),
        charts.line_plot("Jitter", [Curve(JITTER, [])]),
        charts.line_plot("Jitter", [Curve(JITTER, [(1.0, None)])]),
        charts.line_plot("Jitter", []),
    ]


def test_nothing_to_show() -> None:
    assert all(chart.empty for chart in nothing())
    assert not hours().empty


# --- the macro


def drawn(chart: Chart) -> str:
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    page = environment.from_string(
        '{% from "charts.html" import chart %}{{ chart(c, "The same as a table", "No calls yet") }}'
    )
    return page.render(c=chart)


def everything() -> list[Chart]:
    curves = [Curve(JITTER, [(1.0, 1.0), (2.0, 2.0)]), Curve(Series("from", "second"), [(1.0, 2.0)])]
    bars = charts.horizontal_bars("Lines", (ANSWERED, UNANSWERED), [Column("Sales", (3.0, 1.0))])
    return [hours(), bars, charts.line_plot("Jitter", curves), *nothing()]


def test_a_chart_needs_no_inline_style_or_script() -> None:
    for chart in everything():
        for element in ET.fromstring(drawn(chart)).iter():  # noqa: S314 - it is our own
            assert element.tag not in ("style", "script")
            assert not [name for name in element.attrib if name == "style" or name.startswith("on")]


def test_each_class_is_in_the_stylesheet() -> None:
    css = (STATIC / "charts.css").read_text()
    used = {
        name
        for chart in everything()
        for names in re.findall(r'class="([^"]+)"', drawn(chart))
        for name in names.split()
    }
    assert {name for name in used if not re.search(rf"\.{name}\b(?!-)", css)} == set()


def test_a_chart_can_be_read_without_eyes() -> None:
    figure = ET.fromstring(drawn(hours()))  # noqa: S314 - it is our own
    drawing = figure.find("svg[@role='img']")
    assert drawing is not None
    assert drawing.get("aria-label") == "Calls per hour"
    rows = figure.findall(".//tbody/tr")
    assert ["".join(cell.itertext()) for cell in rows[5]] == ["5:00", "5", "2"]
    assert [cell.text for cell in figure.findall(".//thead//th")] == ["hour", "answered", "not answered"]
    assert [each.text for each in drawing.findall("rect/title")][:2] == ["0:00: not answered 2", "1:00: answered 1"]


def test_names_are_escaped() -> None:
    evil = '<script>"alert"</script>'
    for chart in (
        charts.horizontal_bars(evil, (Series(evil, "answered"),), [Column(evil, (1.0,), evil)], label=evil, unit=evil),
        charts.line_plot(evil, [Curve(Series(evil, "first"), [(1.0, 1.0)])], unit=evil),
    ):
        page = drawn(chart)
        assert "<script" not in page
        assert '"alert"' not in page
        ET.fromstring(page)  # noqa: S314 - it is our own


def test_an_empty_chart_says_so() -> None:
    for chart in nothing():
        assert "No calls yet" in drawn(chart)
        assert "chart-drawing" not in drawn(chart)
