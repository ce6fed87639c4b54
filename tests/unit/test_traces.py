"""The spans of calls, in OpenTelemetry's own exporter in memory; and that nothing of it is loaded without need."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from ari_app.calls import outcome
from ari_app.calls.call import Call
from ari_app.calls.events import CallOffered, Dialled, TimedEvent
from ari_app.calls.outcome import Direction, Ending
from ari_app.calls.progress import CallState, Milestones, Progress
from ari_app.reports import traces
from ari_app.reports.traces import CallTraces, tracing, wanted
from ari_app.telegram.peers import Person
from ari_app.telegram.phone import Discarded, DiscardReason

LINE = "+79990000001"
ANNA = Person(id=7001, first_name="Anna", phone="+79161234567", username="anna")
BEGAN = 1_800_000_000.0
HUNG_UP = outcome.telegram_ended(Discarded(DiscardReason.HANGUP, 10), Direction.IN, talking=True)


def over(direction: Direction, milestones: Milestones, ending: Ending, lasted_s: float, *events: Any) -> Call:
    """A call that is over, and has lasted so long."""
    call = Call("c1", direction, LINE, "7001", clock=lambda: BEGAN + lasted_s)
    talking_at = BEGAN + milestones.talks_s if milestones.talks_s is not None else None
    call.resume(
        Progress(CallState.TALKING, BEGAN, milestones, talking_at=talking_at),
        [TimedEvent(at_s, event) for at_s, event in events],
    )
    call.person, call.pbx_party = ANNA, "+74951234567"
    call.end(ending)
    return call


def spans_of(*calls: Call, names_people: bool = False) -> Sequence[ReadableSpan]:
    """The spans, in the order in which they began."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    made = CallTraces(provider, names_people=names_people)
    for call in calls:
        made.ended(call)
    provider.shutdown()
    return sorted(exporter.get_finished_spans(), key=lambda span: (span.parent is not None, span.start_time or 0))


def times(span: ReadableSpan) -> tuple[float, float]:
    assert span.start_time
    assert span.end_time
    return round(span.start_time / 1e9 - BEGAN, 1), round(span.end_time / 1e9 - BEGAN, 1)


def test_a_call_has_a_span_with_a_child_for_each_part() -> None:
    reached = Milestones(rings_s=0.2, pbx_answered_s=4.0, accepted_s=4.1, talks_s=4.5)
    offered = CallOffered(ANNA.phone)
    call, *parts = spans_of(over(Direction.IN, reached, HUNG_UP, 30.0, (0.1, offered)))
    assert (call.name, call.kind, call.parent, times(call)) == ("call in", SpanKind.SERVER, None, (0.0, 30.0))
    assert [(part.name, *times(part)) for part in parts] == [
        ("set-up", 0.0, 0.2),
        ("ringing", 0.2, 4.0),
        ("media", 4.0, 4.5),
        ("talk", 4.5, 30.0),
    ]
    assert {part.parent.span_id for part in parts if part.parent} == {call.context.span_id}
    assert call.attributes is not None
    assert call.attributes["astergram.id"] == "c1"
    assert call.attributes["astergram.line"] == LINE
    assert call.attributes["astergram.status"] == "ANSWER"
    assert call.attributes["astergram.reason"] == "EndedOnTelegram"
    assert call.status.status_code is StatusCode.UNSET
    assert [event.name for event in call.events] == ["CallOffered", "CallEnded"]
    assert round(call.events[0].timestamp / 1e9 - BEGAN, 1) == 0.1


@pytest.mark.parametrize(
    ("direction", "reached", "parts"),
    [
        (Direction.OUT, Milestones(), ["set-up"]),
        (Direction.OUT, Milestones(rings_s=1.0), ["set-up", "ringing"]),
        (Direction.OUT, Milestones(rings_s=1.0, accepted_s=2.0), ["set-up", "ringing", "media"]),
        (Direction.OUT, Milestones(accepted_s=2.0), ["set-up", "media"]),  # some clients never say that they ring
        (Direction.BACK, Milestones(), ["agent"]),
        (Direction.BACK, Milestones(pbx_answered_s=2.0, rings_s=3.0), ["agent", "set-up", "ringing"]),
    ],
)
def test_a_call_has_the_parts_that_it_has_come_to(direction: Direction, reached: Milestones, parts: list[str]) -> None:
    call, *made = spans_of(over(direction, reached, outcome.no_media(5.0), 9.0))
    assert [part.name for part in made] == parts
    assert call.kind is SpanKind.CLIENT
    assert (call.status.status_code, call.status.description) == (StatusCode.ERROR, "NoMedia")


def test_people_are_named_only_where_a_setting_says_so() -> None:
    call = over(Direction.OUT, Milestones(), HUNG_UP, 9.0, (0.0, Dialled("+74951234567", ANNA.phone)))
    told = "".join(span.to_json() for span in spans_of(call))
    assert not [each for each in ("79161234567", "74951234567", "7001", "Anna") if each in told]
    told = "".join(span.to_json() for span in spans_of(call, names_people=True))
    assert ANNA.phone in told
    assert "+74951234567" in told


def test_each_call_is_a_trace_of_its_own() -> None:
    made = spans_of(*(over(Direction.IN, Milestones(), HUNG_UP, 1.0) for _ in range(2)))
    assert len({span.context.trace_id for span in made}) == 2


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
async def test_the_standard_variables_say_whether(environment: dict[str, str], expected: bool) -> None:
    assert wanted(environment) is expected
    if not expected:
        async with tracing(environment, names_people=False) as made:
            assert made is None


def test_nothing_of_it_is_loaded_with_the_program() -> None:
    code = "import sys, ari_app.app; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_where_it_is_not_installed_the_log_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    async with tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, names_people=False) as made:
        assert made is None
    assert "install astergram[otel]" in caplog.text


@asynccontextmanager
async def collector(status: int = 200) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Where spans are sent to, and what came."""
    taken: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        taken.append(await request.read())
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}", taken
    finally:
        await runner.cleanup()


async def test_spans_are_sent_to_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    async with collector() as (url, taken):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        async with tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": url}, names_people=False) as made:
            assert made
            made.ended(over(Direction.IN, Milestones(), HUNG_UP, 1.0))
        assert any(b"call in" in body and b"astergram" in body for body in taken)


async def test_a_collector_that_is_away_holds_up_no_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(traces, "FLUSH_S", 0.05)
    caplog.set_level(logging.WARNING)
    async with collector(status=503) as (url, _):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        async with asyncio.timeout(30), tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": url}, names_people=False) as made:
            assert made
            made.ended(over(Direction.IN, Milestones(), HUNG_UP, 1.0))
    assert "were not taken within 0.05 s" in caplog.text
