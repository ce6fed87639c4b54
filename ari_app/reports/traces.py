"""A span of each call for OpenTelemetry, once it is over; nothing of it is imported unless somebody takes spans."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from threading import Thread
from typing import TYPE_CHECKING

from ari_app import __version__
from ari_app.calls.call import Call
from ari_app.calls.drain import DrainState
from ari_app.calls.events import CallEvent
from ari_app.calls.outcome import Direction, Status
from ari_app.telegram.peers import Person
from ari_app.telegram.profile import CardReason

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.util.types import AttributeValue

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
NAME = "astergram"
FLUSH_S = 3.0
"""At the end, for the last spans to be taken: a collector that is away holds up no stop."""
FAILED = (Status.ERROR, Status.UNAVAILABLE)

log = logging.getLogger(__name__)


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the standard variables name somebody who takes spans."""
    off = (
        environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none"
    )
    return not off and any(environment.get(name) for name in ENDPOINTS)


class CallTraces:
    """A `LineListener` that makes the spans. ``names_people``: their numbers are attributes."""

    def __init__(self, provider: TracerProvider, *, names_people: bool) -> None:
        from opentelemetry import trace

        self._api = trace
        self._tracer = provider.get_tracer(NAME, __version__)
        self._names_people = names_people

    def ended(self, call: Call) -> None:
        """Make its span, with a child for each part of it."""
        if (ending := call.ending) is None:
            return
        kind = self._api.SpanKind.SERVER if call.direction is Direction.IN else self._api.SpanKind.CLIENT
        lasted_s = call.lasted_s
        span = self._tracer.start_span(
            f"call {call.direction.value}",
            self._api.set_span_in_context(self._api.INVALID_SPAN),
            kind,
            self._attributes(call),
            start_time=_at(call, 0.0),
        )
        for each in call.events:
            span.add_event(type(each.event).__name__, timestamp=_at(call, each.at_s))
        if ending.status in FAILED:
            span.set_status(self._api.StatusCode.ERROR, type(ending.reason).__name__)
        within = self._api.set_span_in_context(span)
        for name, start_s, end_s in _parts(call, lasted_s):
            part = self._tracer.start_span(name, within, start_time=_at(call, start_s))
            part.end(_at(call, end_s))
        span.end(_at(call, lasted_s))

    def _attributes(self, call: Call) -> dict[str, AttributeValue]:
        assert call.ending is not None
        made: dict[str, AttributeValue] = {
            "astergram.id": call.id,
            "astergram.line": call.line,
            "astergram.direction": call.direction.value,
            "astergram.status": call.ending.status.value,
            "astergram.cause": int(call.ending.cause),
            "astergram.reason": type(call.ending.reason).__name__,
            "astergram.refused": call.refused,
            "astergram.talk_s": round(call.talked_s, 3),
            "astergram.redials": call.redials,
        }
        if call.stats:
            made["astergram.jitter_ms"] = call.samples.jitter_ms
            made["astergram.packets_lost"] = call.stats.from_asterisk.lost + call.stats.from_asterisk.late
        if self._names_people:
            made |= {"astergram.peer": call.peer, "astergram.pbx_party": call.pbx_party}
            if call.person:
                made["astergram.phone"] = call.person.phone
        return made

    def happened(self, call: Call, event: CallEvent) -> None:
        """It is in the call's own list."""

    def card_sent(self, line: str, person: Person, reason: CardReason) -> None:
        """It is in no call."""

    def message_received(self, line: str, person: Person, text: str) -> None:
        """It is in no call."""

    def drained(self, state: DrainState, calls: int) -> None:
        """It is in no call."""


def _parts(call: Call, lasted_s: float) -> Iterator[tuple[str, float, float]]:
    """What a call is made of, as far as it has come: name, beginning and end, in seconds since it began."""
    its, back = call.milestones, call.direction is Direction.BACK
    marks = [
        ("agent", 0.0 if back else None),  # of a call back: until the PBX's side has answered
        ("set-up", its.pbx_answered_s if back else 0.0),  # until it rings
        ("ringing", its.rings_s),
        ("media", its.answered_s(call.direction)),  # until both sides hear each other
        ("talk", its.talks_s),
    ]
    reached = [(name, at_s) for name, at_s in marks if at_s is not None]
    ends = [*(at_s for _, at_s in reached[1:]), lasted_s]
    for (name, start_s), end_s in zip(reached, ends, strict=True):
        yield name, start_s, max(start_s, end_s)


def _at(call: Call, seconds: float) -> int:
    """As OpenTelemetry counts: nanoseconds since 1970."""
    return round((call.began_at + seconds) * 1e9)


@asynccontextmanager
async def tracing(environment: Mapping[str, str], *, names_people: bool) -> AsyncIterator[CallTraces | None]:
    """What makes spans of calls and sends them, where the environment names an exporter; None elsewhere."""
    if not wanted(environment):
        yield None
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.error("no spans are sent: %s; install astergram[otel]", error)  # noqa: TRY400 - it is a whole sentence
        yield None
        return
    known = {SERVICE_NAME: environment.get("OTEL_SERVICE_NAME", NAME), SERVICE_VERSION: __version__}
    provider = TracerProvider(resource=Resource.create(known), shutdown_on_exit=False)
    exporter = OTLPSpanExporter()
    processor = BatchSpanProcessor(exporter)  # in a thread of its own
    provider.add_span_processor(processor)
    log.info("a span of each call is sent by OpenTelemetry")
    try:
        yield CallTraces(provider, names_people=names_people)
    finally:
        # It would wait for half a minute, and asks nobody for how long.
        sending = Thread(target=processor.shutdown, name="last spans", daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, FLUSH_S)
        if sending.is_alive():
            log.warning("the last spans were not taken within %g s, and are given up", FLUSH_S)
            exporter.shutdown()  # type: ignore[no-untyped-call]  # or it would try again
