"""How the program is, for Prometheus: figures that its parts have anyway, read when somebody asks."""

import asyncio
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ari_app import __version__
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.calls.registry import CallRegistry
from ari_app.cluster.control import ClusterControl
from ari_app.lines.health import StatusMonitor
from ari_app.reports.call_metrics import CallMetrics
from ari_app.reports.line_metrics import LineReading, line_metrics
from ari_app.reports.outbox import OutboxFigures
from ari_app.store.write_queue import WriteQueue
from ari_app.tasks import FAILURES, Failures
from ari_app.telegram.line import Line

MB = 1024 * 1024


class AsteriskLink(Protocol):
    """A connection to Asterisk that is made again and again."""

    @property
    def state(self) -> ConnectionState:
        """Where it is."""

    @property
    def connects(self) -> int:
        """How often it was made."""


@dataclass(frozen=True)
class Sources:
    """The parts that have figures. ``connections`` to Asterisk by what they speak, ``outboxes`` by who reads them.
    ``cluster``: None where this is the only machine.
    """

    lines: Mapping[str, Line]
    statuses: StatusMonitor
    registry: CallRegistry
    queue: WriteQueue
    connections: Mapping[str, AsteriskLink] = field(default_factory=dict)
    outboxes: Callable[[], Mapping[str, OutboxFigures]] = dict
    cluster: ClusterControl | None = None
    failures: Failures = field(default_factory=lambda: FAILURES)
    clock: Callable[[], float] = time.time


def read_lines(its: Sources) -> Iterator[LineReading]:
    """The lines as they are now."""
    for number, line in its.lines.items():
        lights = its.statuses.lights(line)
        colours = lights.asterisk.colour, lights.account.colour, lights.bot.colour
        yield LineReading(number, colours, line.pauses, line.times_ready, line.telegram_offset_s)


class Metrics:
    """All of them; ``calls`` has to be told of the calls, as a `LineListener`."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._registry = CollectorRegistry()
        self.calls = CallMetrics(self._registry, sources.registry.calls.values)
        self._registry.register(ProgramMetrics(sources))
        ProcessCollector(registry=self._registry)

    async def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The text for who accepts these media types (as in an Accept header), and its own media type.

        Read at once, on the event loop; put into words in a thread: a thousand lines are a megabyte.
        """
        encode, media_type = choose_encoder(accept)
        taken = CollectorRegistry()
        metrics = [_without_created(each) for each in self._registry.collect()]
        taken.register(_Taken(metrics, tuple(read_lines(self._sources))))
        return await asyncio.to_thread(encode, taken), media_type


class _Taken(Collector):
    """What was read at one moment; whoever collects it may be a thread."""

    def __init__(self, metrics: Iterable[Metric], lines: Sequence[LineReading]) -> None:
        self._metrics = metrics
        self._lines = lines

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics
        yield from line_metrics(self._lines)


def _without_created(metric: Metric) -> Metric:
    """When each series began nobody asks, and it would be as many again."""
    metric.samples = [each for each in metric.samples if not each.name.endswith("_created")]
    return metric


def _gauge(name: str, said: str, value: float | None) -> Iterator[Metric]:
    """Nothing for what is not known."""
    if value is not None:
        yield GaugeMetricFamily(f"astergram_{name}", said, value)


class ProgramMetrics(Collector):
    """Those of the program and its calls now; what grows with the number of lines is in `line_metrics`."""

    def __init__(self, sources: Sources) -> None:
        self._its = sources

    def collect(self) -> Iterator[Metric]:
        """As they are now."""
        yield from self._program()
        yield from self._calls()
        yield from self._machine()
        yield from self._neighbours()
        yield from self._cluster()

    def _program(self) -> Iterator[Metric]:
        its, queue = self._its, self._its.queue
        build = GaugeMetricFamily("astergram_build_info", "Always 1.", labels=("version", "python"))
        build.add_metric((__version__, platform.python_version()), 1)
        yield build
        yield from _gauge("ready", "1: calls can be taken; as /ready says.", its.statuses.readiness().ready)
        yield from _gauge("draining", "1: no new calls are taken on.", its.registry.drain.active)
        yield from _gauge("tasks", "Tasks of the event loop.", len(asyncio.all_tasks()))
        yield CounterMetricFamily("astergram_unexpected_errors", "Of which the log says more.", its.failures.count)
        yield from _gauge("store_writes_waiting", "Changes that wait for the database.", len(queue))
        yield from _gauge("store_trouble", "1: the database can't be written.", queue.trouble is not None)
        yield CounterMetricFamily("astergram_store_writes_lost", "Changes that were given up.", queue.lost)

    def _calls(self) -> Iterator[Metric]:
        registry = self._its.registry
        live = GaugeMetricFamily("astergram_live_calls", "Calls now.", labels=("line", "direction", "state"))
        found = Counter((call.line, call.direction.value, call.state.value) for call in registry.calls.values())
        for labels, calls in found.items():
            live.add_metric(labels, calls)
        yield live
        yield from _gauge("calls_room", "How many more calls there is room for.", registry.room)
        jitter = max((call.samples.last.jitter_ms for call in registry.live() if call.samples.last), default=None)
        if jitter is not None:
            yield from _gauge("audio_jitter_seconds", "Highest jitter of the calls now (RFC 3550).", jitter / 1000)

    def _machine(self) -> Iterator[Metric]:
        if not (load := self._its.registry.load):
            return
        cost, memory = load.call_cpu_percent, load.call_mb
        yield from _gauge("machine_cpu_ratio", "CPU in use, of all processors.", load.cpu_percent / 100)
        yield from _gauge("machine_memory_free_bytes", "Memory that programs could have.", load.free_mb * MB)
        yield from _gauge("audio_late_ratio", "Of the calls' audio, what comes late.", load.late_percent / 100)
        if cost is not None:
            yield from _gauge("call_cpu_ratio", "What a call's media process takes, of all processors.", cost / 100)
        if memory is not None:
            yield from _gauge("call_memory_bytes", "What a call's media process has of its own.", memory * MB)

    def _neighbours(self) -> Iterator[Metric]:
        connected = GaugeMetricFamily("astergram_asterisk_connected", "1: it is.", labels=("over",))
        connects = CounterMetricFamily("astergram_asterisk_connects", "How often it was connected.", labels=("over",))
        for over, connection in self._its.connections.items():
            connected.add_metric((over,), connection.state is ConnectionState.CONNECTED)
            connects.add_metric((over,), connection.connects)
        yield from (connected, connects)
        outboxes = self._its.outboxes()
        waiting = GaugeMetricFamily("astergram_events_waiting", "Events that are to be sent.", labels=("to",))
        for to, each in outboxes.items():
            waiting.add_metric((to,), each.waiting)
        yield waiting
        for what, said in (
            ("sent", "Events that were taken."),
            ("lost", "Events for which there was no room."),
            ("given_up", "Events that were not taken."),
        ):
            family = CounterMetricFamily(f"astergram_events_{what}", said, labels=("to",))
            for to, each in outboxes.items():
                family.add_metric((to,), getattr(each, what))
            yield family

    def _cluster(self) -> Iterator[Metric]:
        if not (cluster := self._its.cluster):
            return
        yield from _gauge("cluster_connected", "1: NATS answers.", cluster.trouble is None)
        yield from _gauge("cluster_lines_held", "Lines for which this machine acts.", len(cluster.duty.lines))
        up = GaugeMetricFamily("astergram_cluster_machine_up", "1: it says something.", labels=("machine",))
        for member, _, is_there in cluster.machines():
            up.add_metric((member.machine,), is_there)
        yield up
