"""What Prometheus is told: read by its own parser."""

import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.bus import EventBus
from ari_app.calls import events, outcome
from ari_app.calls.admission import Admission
from ari_app.calls.call import Call
from ari_app.calls.capacity import AdmissionLimits
from ari_app.calls.outcome import Direction
from ari_app.calls.progress import CallState, Milestones, Progress
from ari_app.calls.registry import CallRegistry, LineFull
from ari_app.i18n import message
from ari_app.lines.health import StatusMonitor
from ari_app.reports.call_metrics import CallMetrics
from ari_app.reports.metrics import Metrics, Sources
from ari_app.reports.outbox import OutboxFigures
from ari_app.store.store import open_store
from ari_app.tasks import Failures
from ari_app.telegram.bot import Bot
from ari_app.telegram.line import LineState
from ari_app.telegram.peers import Person
from ari_app.telegram.phone import Discarded, DiscardReason
from ari_app.telegram.profile import CardReason
from media.types import FlowStats, MediaStats

LINE = "+79990000001"
ANNA = Person(id=7001, first_name="Anna", phone="+79161234567", username="anna")
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
Labels = frozenset[tuple[str, str]]


def samples(text: str) -> dict[tuple[str, Labels], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Read:
    """What was told, to be asked by name and labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = samples(text)

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples[f"astergram_{name}", frozenset(labels.items())]

    def has(self, name: str) -> bool:
        return any(each == f"astergram_{name}" for each, _ in self.samples)


def line(**values: Any) -> Any:
    known = {
        "number": LINE,
        "state": LineState.READY,
        "condition": message("Connected to Telegram."),
        "frozen": "",
        "pauses": {},
        "bot_problem": None,
        "dialogue": True,
        "account": SimpleNamespace(api_id=1, api_hash="hash"),
        "times_ready": 1,
        "telegram_offset_s": 0.5,
    }
    return SimpleNamespace(**(known | values))


def cluster(trouble: str | None = None) -> Any:
    """Of machine a, which is at work, and b, which is silent."""
    machines = [(SimpleNamespace(machine=name), 0.0, name == "a") for name in ("a", "b")]
    return SimpleNamespace(trouble=trouble, machines=lambda: machines, duty=SimpleNamespace(lines=(LINE,)))


def connection(state: ConnectionState = ConnectionState.CONNECTED, **values: Any) -> Any:
    return SimpleNamespace(
        **({"state": state, "refusal": None, "last_error": None, "connects": 1, "base": ""} | values)
    )


class Program:
    """What has figures: lines, calls, Asterisk; and what is told of it."""

    def __init__(self, queue: Any, cluster: Any = None, **values: Any) -> None:
        self.lines: dict[str, Any] = {}
        self.ari = connection()
        self.ami = connection()
        self.waiting = OutboxFigures(waiting=3, sent=5, lost=2, given_up=1)
        self.failures = Failures()
        bus = EventBus()
        self.registry = CallRegistry(bus, **values)
        self.statuses = StatusMonitor(self.lines, self.ari, Bot(), bus, self.registry.drain)
        self.metrics = Metrics(
            Sources(
                self.lines,
                self.statuses,
                self.registry,
                queue,
                {"ari": self.ari, "ami": self.ami},
                lambda: {"ami": self.waiting},
                cluster,
                self.failures,
            )
        )
        self.registry.listeners.add(self.metrics.calls)

    async def read(self, accept: str = "") -> Read:
        body, _ = await self.metrics.exposition(accept)
        return Read(body.decode())


@pytest.fixture
async def program(tmp_path: Path) -> Any:
    async with open_store(tmp_path / "astergram.db") as store:
        yield Program(store.queue)


def hung_up(direction: Direction) -> outcome.Ending:
    return outcome.telegram_ended(Discarded(DiscardReason.HANGUP, 10), direction, talking=True)


async def test_calls_are_counted_by_line_direction_and_status(program: Program) -> None:
    async with program.registry.admit(Direction.IN, LINE, "7001", 1, ANNA) as call:
        call.mark_ringing()
        now = await program.read()
        assert now("live_calls", line=LINE, direction="in", state="ringing") == 1
        assert not now.has("calls_total")
        call.mark_pbx_answered("100", "from-telegram")
        call.mark_media_up()
        call.measured(stats(packets=500, lost=2, late=1, jitter_ms=4.0))
        with pytest.raises(LineFull):
            async with program.registry.admit(Direction.OUT, LINE, "@anna", 1):
                pass
        now = await program.read()
        assert now("audio_packets_lost_total") == 3, "while they talk"
        assert now("audio_jitter_seconds") == 0.004
        call.end(hung_up(Direction.IN))
    told = await program.read()
    assert told("calls_total", line=LINE, direction="in", status="ANSWER") == 1
    assert told("calls_total", line=LINE, direction="out", status="BUSY") == 1
    assert told("calls_refused_total", line=LINE, direction="out", reason="LineBusy") == 1
    assert not told.has("live_calls")
    assert (told("audio_packets_total"), told("audio_packets_lost_total")) == (500, 3), "afterwards, and once"
    assert told("call_jitter_seconds_bucket", le="0.005") == 1
    assert told("call_talk_seconds_count", direction="in") == 1


async def test_nobody_who_calls_is_named(program: Program) -> None:
    async with program.registry.admit(Direction.OUT, LINE, ANNA.phone, 1, ANNA, pbx_party="+74951234567") as call:
        call.add_event(events.Dialled("+74951234567", ANNA.phone))
        program.registry.listeners.card_sent(LINE, ANNA, CardReason.MISSED)
        program.registry.listeners.message_received(LINE, ANNA, "hello")
        call.end(outcome.not_answered(60.0))
    told = await program.read()
    assert told("cards_sent_total", line=LINE, reason="missed") == 1
    assert told("messages_received_total", line=LINE) == 1
    for secret in ("79161234567", "74951234567", "7001", "Anna", "anna", "hello"):
        assert secret not in told.text.replace(LINE, "")


def call_at(direction: Direction, **milestones: float) -> Call:
    call = Call("c1", direction, LINE, "7001")
    call.milestones = Milestones(**milestones)
    return call


@pytest.mark.parametrize(
    ("direction", "steps", "expected"),
    [
        (
            Direction.IN,
            [
                (events.TelegramRinging(), {"rings_s": 0.2}),
                (events.PbxAnswered("100", "x"), {"rings_s": 0.2, "pbx_answered_s": 4.2}),
                (events.TelegramAnswered(), {"rings_s": 0.2, "pbx_answered_s": 4.2, "accepted_s": 4.3}),
                (
                    events.Connected(),
                    {"rings_s": 0.2, "pbx_answered_s": 4.2, "accepted_s": 4.3, "talks_s": 4.5},
                ),
            ],
            {"post_dial_delay": 0.2, "time_to_answer": 4.0, "media_connect": 0.3},
        ),
        (
            Direction.OUT,
            [
                (events.TelegramRinging(), {"rings_s": 1.0}),
                (events.TelegramRinging(), {"rings_s": 1.0}),  # it is redialled
                (events.TelegramAnswered(), {"rings_s": 1.0, "accepted_s": 9.0}),
            ],
            {"post_dial_delay": 1.0, "time_to_answer": 8.0},
        ),
        (
            Direction.BACK,
            [
                (events.PbxAnswered("605", "x"), {"pbx_answered_s": 5.0}),
                (events.TelegramRinging(), {"pbx_answered_s": 5.0, "rings_s": 6.5}),
            ],
            {"post_dial_delay": 1.5},
        ),
    ],
)
def test_each_time_of_a_call_is_observed_once(
    direction: Direction, steps: list[tuple[events.CallEvent, dict[str, float]]], expected: dict[str, float]
) -> None:
    registry = CollectorRegistry()
    metrics = CallMetrics(registry, lambda: ())
    for event, milestones in steps:
        metrics.happened(call_at(direction, **milestones), event)

    def value(name: str, of: str) -> float:
        return cast(
            float, registry.get_sample_value(f"astergram_call_{name}_seconds_{of}", {"direction": direction.value})
        )

    for name in ("post_dial_delay", "time_to_answer", "media_connect"):
        assert value(name, "count") == (name in expected), name
        assert value(name, "sum") == pytest.approx(expected.get(name, 0.0)), name


def test_what_an_earlier_run_has_observed_is_not_observed_again() -> None:
    registry = CollectorRegistry()
    metrics = CallMetrics(registry, lambda: ())
    call = Call("c1", Direction.IN, LINE, "7001")
    reached = Milestones(rings_s=0.2, pbx_answered_s=4.0, accepted_s=4.1, talks_s=4.2)
    call.resume(Progress(CallState.TALKING, 1_800_000_000.0, reached), ())
    metrics.happened(call, events.Resumed())
    metrics.happened(call, events.Connected())
    assert registry.get_sample_value("astergram_call_media_connect_seconds_count", {"direction": "in"}) == 0


def stats(jitter_ms: float = 1.0, **flow: int) -> MediaStats:
    return MediaStats(connected_ms=10_000, jitter_ms=jitter_ms, ticks_late=4, from_asterisk=FlowStats(**flow))


async def test_a_line_has_its_lights_and_pauses(program: Program) -> None:
    program.lines[LINE] = line(
        pauses={"phone.requestCall": (12.5, "FLOOD_WAIT_30"), "messages.sendMessage": (9.0, "PEER_FLOOD")},
        times_ready=3,
    )
    told = await program.read()
    lights = {
        colour: told("line_status", line=LINE, light="account", colour=colour)
        for colour in ("red", "orange", "green", "grey")
    }
    assert lights == {"red": 0, "orange": 1, "green": 0, "grey": 0}
    assert told("line_status", line=LINE, light="bot", colour="grey") == 1
    pause = {"line": LINE, "request": "phone.requestCall", "reason": "FLOOD_WAIT"}
    assert told("line_pause_remaining_seconds", **pause) == 12.5
    assert told("line_pause_remaining_seconds", line=LINE, request="messages.sendMessage", reason="PEER_FLOOD") == 9
    assert told("telegram_connects_total", line=LINE) == 3
    assert told("telegram_clock_offset_seconds") == 0.5
    program.lines.clear()
    assert not (await program.read()).has("line_status"), "it is no line any more"


async def test_the_program_and_its_neighbours(program: Program) -> None:
    program.failures.add("a test", ValueError("wrong"))
    program.ami.state = ConnectionState.WAITING
    program.ami.connects = 4
    program.registry.begin_drain()
    told = await program.read()
    assert told("unexpected_errors_total") == 1
    assert (told("draining"), told("ready")) == (1, 0)
    assert (told("asterisk_connected", over="ari"), told("asterisk_connected", over="ami")) == (1, 0)
    assert told("asterisk_connects_total", over="ami") == 4
    assert told("events_waiting", to="ami") == 3
    assert [told(f"events_{what}_total", to="ami") for what in ("sent", "lost", "given_up")] == [5, 2, 1]
    assert (told("store_writes_waiting"), told("store_writes_lost_total"), told("store_trouble")) == (0, 0, 0)
    assert told("calls_room") == 0
    assert told("tasks") >= 1
    assert any(name == "process_resident_memory_bytes" for name, _ in told.samples)


@pytest.mark.parametrize(("trouble", "connected"), [(None, 1), ("no servers available", 0)])
async def test_the_machines_of_a_cluster(tmp_path: Path, trouble: str | None, connected: int) -> None:
    async with open_store(tmp_path / "astergram.db") as store:
        told = await Program(store.queue, cluster(trouble)).read()
        assert not (await Program(store.queue).read()).has("cluster_connected"), "without one"
    assert (told("cluster_connected"), told("cluster_lines_held")) == (connected, 1)
    assert (told("cluster_machine_up", machine="a"), told("cluster_machine_up", machine="b")) == (1, 0)


async def test_the_machine_is_told_in_ratios_and_bytes(tmp_path: Path) -> None:
    load = SimpleNamespace(
        cpu_percent=40.0, call_cpu_percent=2.5, late_percent=0.5, free_mb=512.0, call_mb=10.0, room=lambda limits: ()
    )
    admission = Admission(AdmissionLimits())
    cast(Any, admission).load = lambda live: load
    async with open_store(tmp_path / "astergram.db") as store:
        program = Program(store.queue, admission=admission)
        told = await program.read()
    assert (told("machine_cpu_ratio"), told("call_cpu_ratio"), told("audio_late_ratio")) == (0.4, 0.025, 0.005)
    assert (told("machine_memory_free_bytes"), told("call_memory_bytes")) == (512 * 2**20, 10 * 2**20)


@pytest.mark.parametrize(
    ("accept", "media_type", "parse"),
    [
        ("", "text/plain", text_string_to_metric_families),
        (OPEN_METRICS, "application/openmetrics-text", open_metrics),
    ],
)
async def test_both_formats_are_read_by_their_parsers(
    program: Program, accept: str, media_type: str, parse: Callable[[str], Iterable[Any]]
) -> None:
    program.lines[LINE] = line(name='of "Anna"\n')
    async with program.registry.admit(Direction.IN, LINE, "7001", 1, ANNA) as call:
        call.end(hung_up(Direction.IN))
    body, told = await program.metrics.exposition(accept)
    assert told.startswith(media_type)
    families = list(parse(body.decode()))
    assert len(families) > 30
    for family in families:
        assert family.documentation
        assert not any(sample.name.endswith("_created") for sample in family.samples)
        if family.name.startswith("astergram_"):
            assert family.type in ("counter", "gauge", "histogram")
            assert family.type != "counter" or all(each.name.endswith("_total") for each in family.samples)
            assert family.name.rsplit("_", 1)[-1] not in ("ms", "mb", "percent"), "base units"


async def test_two_programs_in_one_process_share_nothing(tmp_path: Path) -> None:
    async with open_store(tmp_path / "astergram.db") as store:
        one, other = Program(store.queue), Program(store.queue)
        async with one.registry.admit(Direction.IN, LINE, "7001", 1) as call:
            call.end(hung_up(Direction.IN))
        assert (await one.read()).has("calls_total")
        assert not (await other.read()).has("calls_total")


DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "monitoring.md"
SELECTOR = re.compile(r"\b((?:astergram|process)_\w+)(?:\{([^}]*)\})?")
SET_BY_PROMETHEUS = {"job", "instance"}


@asynccontextmanager
async def everything(folder: Path) -> AsyncIterator[Program]:
    """A program in which each metric has a value."""
    load = SimpleNamespace(
        cpu_percent=40.0, call_cpu_percent=2.5, late_percent=0.5, free_mb=512.0, call_mb=10.0, room=lambda limits: ()
    )
    admission = Admission(AdmissionLimits(max_calls=5))
    cast(Any, admission).load = lambda live: load
    async with open_store(folder / "astergram.db") as store:
        program = Program(store.queue, cluster(), admission=admission)
        program.lines[LINE] = line(pauses={"phone.requestCall": (12.5, "FLOOD_WAIT_30")})
        registry = program.registry
        async with registry.admit(Direction.IN, LINE, "7001", 1) as answered:
            answered.mark_media_up()
            answered.end(hung_up(Direction.IN))
        async with registry.admit(Direction.IN, LINE, "7001", 1) as call:
            call.mark_ringing()
            call.mark_media_up()
            call.measured(stats(packets=500))
            with pytest.raises(LineFull):
                async with registry.admit(Direction.OUT, LINE, "@anna", 1):
                    pass
            registry.listeners.card_sent(LINE, ANNA, CardReason.MISSED)
            registry.listeners.message_received(LINE, ANNA, "hello")
            yield program


async def test_the_page_has_each_metric_with_its_labels(tmp_path: Path) -> None:
    async with everything(tmp_path) as program:
        text = (await program.read()).text
        told = {
            family.name + ("_total" if family.type == "counter" else ""): {
                label for sample in family.samples for label in sample.labels if label != "le"
            }
            for family in text_string_to_metric_families(text)
            if family.name.startswith("astergram_")
        }
    rows = re.findall(r"^\| `(astergram_\w+)` \|(.*?)\| ", PAGE.read_text(), re.MULTILINE)
    assert told == {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}


@pytest.mark.parametrize("file", ["monitoring/grafana.json", "monitoring/alerts.yml"])
async def test_queries_ask_for_what_there_is(tmp_path: Path, file: str) -> None:
    """Each name and label; tests/integration/test_monitoring.py has Prometheus itself run them."""
    async with everything(tmp_path) as program:
        told = {name: {label for label, _ in labels} for name, labels in (await program.read()).samples}
    text = (DOCS / file).read_text().replace("\\", "")
    asked = {
        (name, label) for name, labels in SELECTOR.findall(text) for label in re.findall(r"(\w+)=", labels) or [""]
    }
    assert len(asked) > 20
    assert not [name for name, _ in asked if name not in told]
    assert not [(name, label) for name, label in asked if label and label not in told[name] | SET_BY_PROMETHEUS]
