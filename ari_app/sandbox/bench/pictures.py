"""Pictures of a report, drawn as the pages' charts are: an SVG file holds its own style."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ari_app.sandbox.bench.report import value_of
from ari_app.sandbox.bench.sizes import NONE
from ari_app.web.ui import charts
from ari_app.web.ui.charts import Chart, Column, Series
from ari_app.web.ui.render import STATIC, TEMPLATES

WAYS = {"rtp": "over rtp", "websocket": "over websocket"}
DELAYS = {"two bare legs": "good", "Astergram's jitter buffer": "first", "packets, and Asterisk": "second"}
"""Parts of a delay, with their colours."""
COSTS = {
    "media_cpu_pct": "media process, rtp",
    "media_websocket_cpu_pct": "media process, websocket",
    "bare_direct_cpu_pct": "bare endpoint, direct",
    "bare_asyncio_cpu_pct": "bare endpoint, asyncio",
    "asterisk_cpu_pct": "Asterisk beside it, rtp",
}


def cost(report: Mapping[str, Any]) -> Chart:
    """What one call costs."""
    columns = [Column(name, (value,)) for key, name in COSTS.items() if (value := value_of(report, key)) is not None]
    series = (Series("of a core", "first"),)
    return charts.horizontal_bars("CPU of one call, % of a core", series, columns, label="process", unit="%")


def delay(report: Mapping[str, Any]) -> Chart:
    """What the delay of an echo is made of."""
    series = tuple(Series(name, kind) for name, kind in DELAYS.items())
    columns = [Column(WAYS[way], tuple(max(0.0, each) for each in its)) for way, its in delay_parts(report)]
    return charts.horizontal_bars("person → Echo() → person, ms", series, columns, label="way", unit="ms")


def delay_parts(report: Mapping[str, Any]) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Of each transport's call that lost nothing, in the order of `DELAYS`: what its milliseconds are."""
    bare = value_of(report, "echo_ms.bare")
    for row in report["tables"].get("loss", {}).get("packets from Asterisk", []):
        total, buffer = row["echo_p50_ms"], row["buffer_ms"]
        if row["impairment"] == NONE.name and None not in (bare, total, buffer):
            yield row["transport"], (bare, buffer, total - bare - buffer)


def calls(report: Mapping[str, Any]) -> Chart:
    """What each of many calls costs."""
    series = (Series("media process", "first"), Series("Asterisk", "second"))
    rows = report["tables"].get("calls", {}).get("calls at once", [])
    measured = {row["calls"]: row for row in rows if row["calls"] in report["options"]["calls"]}
    columns = [
        Column(f"{count}", (row["media_cpu_pct"], row["asterisk_cpu_pct"]), f"{count} calls")
        for count, row in measured.items()
    ]
    draw = partial(charts.stacked_bars, "CPU of each of so many calls, % of a core", series, columns)
    return draw(label="calls", unit="%")


PICTURES = {"cost": cost, "loss": delay, "calls": calls}
"""By the name of the part whose section shows it."""


def svg(chart: Chart) -> str:
    """A file of it."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, autoescape=True)
    drawn: Any = environment.get_template("charts.html").module
    size = f'xmlns="http://www.w3.org/2000/svg" width="{chart.width:g}" height="{chart.height:g}"'
    head, _, shapes = str(drawn.drawing(chart, "chart-drawing")).partition(">")
    style = (STATIC / "charts.css").read_text()
    return f"{head.replace('<svg', f'<svg {size}')}>\n<style>\n{style}</style>\n{shapes.strip()}\n"
