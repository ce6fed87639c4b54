"""Makes what counts and traces calls, from the first one on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ari_app.app.asterisk import StasisApplication
from ari_app.app.calls import Calls
from ari_app.app.outboxes import Outboxes
from ari_app.app.storage import Storage
from ari_app.cluster.control import ClusterControl
from ari_app.config import Settings
from ari_app.lines.health import StatusMonitor
from ari_app.reports.metrics import AsteriskLink, Metrics, Sources
from ari_app.reports.traces import tracing


@asynccontextmanager
async def open_metrics(
    settings: Settings,
    storage: Storage,
    asterisk: StasisApplication,
    outboxes: Outboxes,
    calls: Calls,
    statuses: StatusMonitor,
    cluster: ClusterControl | None,
) -> AsyncIterator[Metrics]:
    """Those for Prometheus. Spans are sent where the environment says so, the last ones when this is left."""
    connections: dict[str, AsteriskLink] = {"ari": asterisk.ari}
    if outboxes.ami:
        connections["ami"] = outboxes.ami.link
    registry, listeners = calls.registry, calls.registry.listeners
    sources = Sources(
        calls.lines, statuses, registry, storage.store.queue, connections, outboxes.figures, cluster=cluster
    )
    metrics = Metrics(sources)
    listeners.add(metrics.calls)
    async with tracing(os.environ, names_people=settings.traces.people) as traces:
        if traces:
            listeners.add(traces)
        yield metrics
