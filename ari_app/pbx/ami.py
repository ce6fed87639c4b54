"""AMI at work: events are on their way, requests are taken, and the connection is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from ari_app.asterisk.ami import Ami
from ari_app.asterisk.ami_link import AmiLink
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.calls.call import Call
from ari_app.calls.journalled import JournalledCall
from ari_app.calls.registry import CallRegistry
from ari_app.i18n import Message, message
from ari_app.pbx.ami_delivery import AmiDelivery
from ari_app.pbx.ami_requests import AmiRequests, Requestable
from ari_app.pbx.ami_spool import Spool
from ari_app.pbx.call_reporter import offered
from ari_app.pbx.events import ReportedEvent, TelegramCallOffered, TelegramMessage, TelegramStatusComplete
from ari_app.pbx.reporting import Reporting
from ari_app.reports.outbox import OutboxFigures
from ari_app.store.store import Store
from ari_app.tasks import GuardedTasks, guarded_tasks
from ari_app.telegram.line import Line

DRAIN_S = 2.0
"""At the end, for the last calls' events to be taken; those that are not are sent after the next start."""


@dataclass(frozen=True)
class AmiOptions:
    """``most``: events that wait at most. ``keys``: of each User that may send requests."""

    most: int
    with_text: bool
    keys: Mapping[str, str] = field(repr=False)


class AmiReports:
    """Events on their way out; made by `open_ami_reports`."""

    def __init__(self, options: AmiOptions, spool: Spool, link: AmiLink, delivery: AmiDelivery) -> None:
        self.spool = spool
        self.delivery = delivery
        self._options = options
        self.link = link
        self._calls: Mapping[str, Call] = {}

    @property
    def figures(self) -> OutboxFigures:
        """For the metrics."""
        return OutboxFigures(len(self.spool), self.delivery.sent, self.spool.lost, self.delivery.given_up)

    @property
    def trouble(self) -> Message | None:
        """Why events wait; None while AMI takes them."""
        error = self.link.last_error
        return message("AMI takes no events now. {error}", error=error) if error else None

    def begin(
        self,
        reporting: Reporting,
        lines: Mapping[str, Line],
        registry: CallRegistry,
        services: Requestable,
        tasks: GuardedTasks,
    ) -> None:
        """Take requests from now on. ``reporting`` has what is asked for, and `put` for its reader."""

        def answer_status(action_id: str) -> None:
            live = list(registry.calls.values())
            told: list[ReportedEvent] = [reporting.lines.status(line, action_id) for line in lines.values()]
            told += [reporting.calls.status(call, action_id) for call in live]
            complete = TelegramStatusComplete(
                event_time=time.time(), lines=len(lines), calls=len(live), action_id=action_id
            )
            for event in [*told, complete]:
                self.put(event)

        self._calls = registry.calls
        self.link.on_event = AmiRequests(services, self._options.keys, self.put, answer_status, tasks).take

    def put(self, event: ReportedEvent) -> None:
        """One more event; never waits."""
        if isinstance(event, TelegramMessage) and not self._options.with_text:
            event = replace(event, text="")
        event_id = self.spool.put(event.event, event.headers())
        if isinstance(event, TelegramCallOffered) and (call := self._calls.get(event.call_id)):
            call.opened(offer_event=event_id)  # before AMI can have it: a killed program has perhaps not kept it

    async def prune(self, before: float) -> AsyncIterator[int]:
        """Let go of events that wait since before that Unix time: how many."""
        yield self.spool.expire(before)

    async def sent(self) -> None:
        """Give AMI a moment to take what waits, if it takes anything."""
        if self.link.state is ConnectionState.CONNECTED:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await self.spool.emptied()


@asynccontextmanager
async def open_ami_reports(
    store: Store,
    connect: Callable[[], Ami],
    options: AmiOptions,
    on_change: Callable[[], None] = lambda: None,
    left: Iterable[JournalledCall] = (),
) -> AsyncIterator[AmiReports]:
    """Send what is reported for as long as the context lasts, and for a moment longer what is left.

    ``connect`` makes a connection; ``on_change`` is called when events begin to wait, or no longer do. ``left``: the
    calls that an earlier run has left, of which AMI is told that they have begun, if it may not have been.
    """
    spool = Spool(store, options.most)
    await spool.load()
    for call in left:
        if offer := offered(call):
            spool.restore(call.parts.offer_event, offer.event, offer.headers())
    link = AmiLink(connect, on_change=on_change)
    delivery = AmiDelivery(spool, link)
    async with guarded_tasks() as tasks:
        tasks.supervise(link.run, "AMI")
        tasks.supervise(delivery.run, "events for AMI")
        reports = AmiReports(options, spool, link, delivery)
        try:
            yield reports
        finally:
            await reports.sent()
