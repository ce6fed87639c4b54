"""Reports what happens to calls and lines to each that tells programs of it: AMI, webhooks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from ari_app import __version__
from ari_app.bus import EventBus
from ari_app.calls.registry import CallRegistry
from ari_app.lines.health import StatusMonitor
from ari_app.pbx.call_reporter import CallReporter
from ari_app.pbx.events import ReportedEvent, TelegramStarted
from ari_app.pbx.line_reporter import LineReporter
from ari_app.store.calls import CallRow
from ari_app.tasks import FAILURES, GuardedTasks
from ari_app.telegram.line import Line

Reader = Callable[[ReportedEvent], None]
"""Takes each event; never waits."""


class Reporting:
    """One reporter of calls and one of lines; what a reader raises is recorded, and kept from the others."""

    def __init__(
        self,
        readers: Sequence[Reader],
        lines: Mapping[str, Line],
        statuses: StatusMonitor,
        registry: CallRegistry,
        bus: EventBus,
    ) -> None:
        self.calls = CallReporter(self.put)
        self.lines = LineReporter(self.put, lines, statuses, registry, bus)
        self._readers = readers
        self._registry = registry

    def begin(self, tasks: GuardedTasks, crashed: Sequence[CallRow] = ()) -> None:
        """Report from now on. ``crashed``: what an earlier run has left open."""
        self._registry.listeners.add(self.calls)
        for row in crashed:
            self.calls.crashed(row)
        self.put(TelegramStarted(event_time=time.time(), version=__version__))
        tasks.supervise(self.lines.run, "reports of lines")

    def put(self, event: ReportedEvent) -> None:
        """One more event, for each reader; never waits."""
        for reader in self._readers:
            try:
                reader(event)
            except Exception as error:  # noqa: BLE001 - recorded
                FAILURES.add(f"report of {event.event}", error)
