"""The figures of the lines, for Prometheus: a thousand lines have more of them than all the rest of the program."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from ari_app.lines.health import Colour

LIGHTS = ("asterisk", "account", "bot")
COLOURS = tuple((colour, colour.value) for colour in Colour)
DIGITS = "_0123456789"
"""At the end of Telegram's word for a pause, its seconds: FLOOD_WAIT_30."""


@dataclass(frozen=True)
class LineReading:
    """A line at one moment: ``colours`` are those of `LIGHTS`, the rest is as `Line` has it."""

    number: str
    colours: tuple[Colour, Colour, Colour]
    pauses: Mapping[str, tuple[float, str]]
    times_ready: int
    telegram_offset_s: float | None


def line_metrics(lines: Iterable[LineReading]) -> Iterator[Metric]:
    """Of all lines; may run in a thread."""
    status = GaugeMetricFamily(
        "astergram_line_status", "1 for the colour that a light has now.", labels=("line", "light", "colour")
    )
    pauses = GaugeMetricFamily(
        "astergram_line_pause_remaining_seconds",
        "Until a request is made again from which a line backs off.",
        labels=("line", "request", "reason"),
    )
    connects = CounterMetricFamily(
        "astergram_telegram_connects", "How often a line has become ready.", labels=("line",)
    )
    offset = GaugeMetricFamily("astergram_telegram_clock_offset_seconds", "How much Telegram's clock is ahead.")
    for each in lines:
        for light, now in zip(LIGHTS, each.colours, strict=True):
            for colour, name in COLOURS:
                status.add_metric((each.number, light, name), colour is now)
        for request, (left_s, reason) in each.pauses.items():
            pauses.add_metric((each.number, request, reason.rstrip(DIGITS)), left_s)
        connects.add_metric((each.number,), each.times_ready)
        if each.telegram_offset_s is not None and not offset.samples:
            offset.add_metric((), each.telegram_offset_s)
    yield from (status, pauses, connects, offset)
