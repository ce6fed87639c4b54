"""The webhooks of an installation: each with what waits for it, and with those who send it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from yarl import URL

from ari_app.calls.journalled import JournalledCall
from ari_app.i18n import Message, message
from ari_app.lines.settings import LineError, SettingRefused
from ari_app.pbx.call_reporter import offered
from ari_app.pbx.events import ReportedEvent, TelegramCallOffered
from ari_app.reports.outbox import OutboxFigures
from ari_app.store.store import Store
from ari_app.store.webhooks import DeliveryRow, DeliveryState, WebhookRepository, WebhookRow
from ari_app.tasks import GuardedTasks, guarded_tasks
from ari_app.webhooks.fields import changed, new_secret
from ari_app.webhooks.payload import TEST, TYPES, body, body_of, order_key, type_of
from ari_app.webhooks.queue import DeliveryQueue
from ari_app.webhooks.sender import Sender, open_sender
from ari_app.webhooks.writer import DeliveryWriter
from ari_app.wrong import Wrong

AT_A_TIME = 4
"""Requests to one receiver: one that sleeps holds up so many calls, and no other receiver."""
DRAIN_S = 2.0
"""At the end, for the last calls' events to be taken; those that are not are sent after the next start."""
CALL_IDS = uuid.UUID("9b4c0f0e-8a0d-5b8b-9a57-1f6f0c2d7e11")
"""For the ids of the events by which calls begin (RFC 9562, version 5)."""
MOST = 20
"""Webhooks; each costs a request for every event."""


class UnknownWebhook(LineError):
    """There is no such webhook, or no such delivery of it."""


@dataclass
class Outbox:
    """A webhook, what waits for it, and who sends it."""

    row: WebhookRow
    queue: DeliveryQueue
    workers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The host that it is sent to; the rest of the address may be a secret."""
        return _host(self.row)


class Webhooks:
    """Made by `open_webhooks`. ``on_change`` is called when what it tells of itself has changed."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        tasks: GuardedTasks,
        clock: Callable[[], float] = time.time,
        on_change: Callable[[], None] = lambda: None,
        new_queue: Callable[..., DeliveryQueue] = DeliveryQueue,
    ) -> None:
        self._repository = WebhookRepository(store)
        self._writer = DeliveryWriter(self._repository)
        self._sender = sender
        self._tasks = tasks
        self._clock = clock
        self._on_change = on_change
        self._new_queue = new_queue
        self._outboxes: dict[str, Outbox] = {}
        self._last_id = 0
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        """What is set, and what an earlier run has left; before anything else. Raises StoreUnavailable."""
        for row in await self._repository.all():
            self._outboxes[row.id] = Outbox(row, self._queue(row))
        waiting, self._last_id = await self._repository.waiting()
        for delivery in waiting:
            if delivery.webhook in self._outboxes:
                self._outboxes[delivery.webhook].queue.load(delivery)
        for outbox in self._outboxes.values():
            self._follow(outbox)

    async def restore(self, offers: Sequence[TelegramCallOffered]) -> None:
        """Have each webhook told of these calls, which an earlier run took on and perhaps did not keep to tell.

        Before anything else is put. Raises StoreUnavailable.
        """
        kept = await self._repository.kept([event_id_of(each) for each in offers])
        for event in offers:
            for outbox in self._outboxes.values():
                if outbox.row.made_at < event.event_time and (outbox.row.id, event_id_of(event)) not in kept:
                    self._put(outbox, event, event_id_of(event))

    # What is sent.

    def put(self, event: ReportedEvent) -> None:
        """One more event, for each webhook that is on and gets such ones; never waits."""
        if type_of(type(event)) not in TYPES:
            return
        event_id = event_id_of(event) if isinstance(event, TelegramCallOffered) else _new_event_id()
        for outbox in self._outboxes.values():
            self._put(outbox, event, event_id)

    def _put(self, outbox: Outbox, event: ReportedEvent, event_id: str) -> None:
        row, its_type = outbox.row, type_of(type(event))
        if row.enabled and (not row.events or its_type in row.events):
            text = body_of(event, row.message_text)
            outbox.queue.put(self._delivery(row, event_id, its_type, order_key(event), text))

    def test(self, id: str) -> DeliveryRow:
        """Send an event that tells of nothing, now. Raises UnknownWebhook."""
        outbox, event_id = self._outbox(id), _new_event_id()
        delivery = self._delivery(outbox.row, event_id, TEST, event_id, body(TEST, self._clock(), {}))
        outbox.queue.put(delivery)
        return delivery

    async def send_again(self, id: str, delivery_id: int) -> DeliveryRow:
        """Try a delivery now: one that waits, or once more one that is over. Raises UnknownWebhook."""
        delivery = await self._repository.delivery(id, delivery_id)
        if delivery is None:
            raise UnknownWebhook(message("There is no such delivery; old ones are removed."))
        again = self._outbox(id).queue.send_again(delivery)
        self._on_change()
        return again

    async def prune(self, before: float) -> int:
        """Remove some deliveries that are over, and from before that Unix time; 0 when none is left."""
        return await self._repository.prune(before)

    async def deliveries(
        self, id: str, state: DeliveryState | None = None, before: int | None = None, limit: int = 50
    ) -> list[DeliveryRow]:
        """The newest first. Raises UnknownWebhook."""
        self._outbox(id)
        return await self._repository.deliveries(id, state, before, limit)

    # What is set.

    def all(self) -> list[Outbox]:
        """The oldest first."""
        return list(self._outboxes.values())

    def one(self, id: str) -> Outbox:
        """One of them. Raises UnknownWebhook."""
        return self._outbox(id)

    async def add(self, changes: Mapping[str, Any]) -> WebhookRow:
        """A new one, with its secret. Raises SettingRefused."""
        id = uuid.uuid4().hex[:12]
        base = WebhookRow(id, "", (), enabled=True, message_text=False, made_at=self._clock(), secret=new_secret())
        async with self._changing:
            if len(self._outboxes) >= MOST:
                raise SettingRefused(Wrong("url", message("There are {most} webhooks already.", most=MOST)))
            row = changed(base, changes)
            await self._repository.save(row)
            self._outboxes[id] = Outbox(row, self._queue(row))
            self._follow(self._outboxes[id])
        self._on_change()
        return row

    async def change(self, id: str, changes: Mapping[str, Any]) -> WebhookRow:
        """Set ``url``, ``events``, ``enabled`` or ``message_text``; at once. Raises UnknownWebhook, SettingRefused."""
        async with self._changing:
            outbox = self._outbox(id)
            row = changed(outbox.row, changes)
            await self._repository.save(row)
            self._use(outbox, row)
        self._on_change()
        return row

    async def renew_secret(self, id: str) -> WebhookRow:
        """Another secret, with which all that is sent from now on is signed. Raises UnknownWebhook."""
        async with self._changing:
            outbox = self._outbox(id)
            row = replace(outbox.row, secret=new_secret())
            await self._repository.save(row)
            self._use(outbox, row)
        return row

    async def remove(self, id: str) -> WebhookRow:
        """Forget one, which is returned, with what waits for it. Raises UnknownWebhook."""
        async with self._changing:
            outbox = self._outbox(id)
            await self._repository.remove(id)
            del self._outboxes[id]
            _stop(outbox)
        self._on_change()
        return outbox.row

    def forget(self, which: Callable[[DeliveryRow], bool]) -> None:
        """Send and keep none of these any more; what is in the database is not touched."""
        for outbox in self.all():
            outbox.queue.forget(which)
        self._writer.forget(which)
        self._on_change()

    # How it is.

    @property
    def waiting(self) -> int:
        """Events that wait to be taken."""
        return sum(len(each.queue) for each in self._outboxes.values())

    @property
    def delivered(self) -> int:
        """Events that were taken, since the start."""
        return sum(each.queue.delivered for each in self._outboxes.values())

    @property
    def lost(self) -> int:
        """Events that there was no room for, since the start."""
        return sum(each.queue.lost for each in self._outboxes.values())

    @property
    def given_up(self) -> int:
        """Events that were not taken in time, since the start."""
        return sum(each.queue.given_up for each in self._outboxes.values())

    @property
    def figures(self) -> dict[str, OutboxFigures]:
        """For the metrics: of each by its id, which is no secret as an address may be."""
        queues = {f"webhook {id}": each.queue for id, each in self._outboxes.items()}
        return {to: OutboxFigures(len(its), its.delivered, its.lost, its.given_up) for to, its in queues.items()}

    @property
    def trouble(self) -> Message | None:
        """Which webhook takes nothing, and why."""
        for each in self._outboxes.values():
            if each.row.enabled and each.queue.error and len(each.queue):
                return message("The webhook {name} takes no events: {error}.", name=each.name, error=each.queue.error)
        return None

    async def sent(self) -> None:
        """Give the receivers a moment to take what is to be sent now."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                for outbox in self.all():
                    if outbox.row.enabled:
                        await outbox.queue.at_rest()

    def _outbox(self, id: str) -> Outbox:
        if (outbox := self._outboxes.get(id)) is None:
            raise UnknownWebhook(message("There is no webhook {id}.", id=id))
        return outbox

    def _queue(self, row: WebhookRow) -> DeliveryQueue:
        return self._new_queue(_log_name(row), self._save, self._clock)

    def _save(self, delivery: DeliveryRow) -> None:
        self._writer.save(delivery)
        self._on_change()

    def _use(self, outbox: Outbox, row: WebhookRow) -> None:
        outbox.row = row
        outbox.queue.name = _log_name(row)
        self._follow(outbox)

    def _follow(self, outbox: Outbox) -> None:
        """Send, or don't, as is set."""
        if not outbox.row.enabled:
            _stop(outbox)
        elif not outbox.workers:
            work = partial(self._work, outbox)
            outbox.workers = [self._tasks.supervise(work, outbox.queue.name) for _ in range(AT_A_TIME)]

    async def _work(self, outbox: Outbox) -> None:
        """Send what is due, without an end."""
        while True:
            delivery = await outbox.queue.next()
            answer = None
            try:
                answer = await self._sender.send(outbox.row, delivery)
            finally:
                if answer is None:
                    outbox.queue.released(delivery.id)
            outbox.queue.answered(delivery.id, answer)

    def _delivery(self, row: WebhookRow, event_id: str, type: str, key: str, text: str) -> DeliveryRow:
        now = self._clock()
        self._last_id = max(self._last_id + 1, round(now * 1000))
        return DeliveryRow(self._last_id, row.id, event_id, type, key, text, made_at=now, since=now, next_at=now)


@asynccontextmanager
async def open_webhooks(
    store: Store,
    clock: Callable[[], float] = time.time,
    on_change: Callable[[], None] = lambda: None,
    left: Iterable[JournalledCall] = (),
) -> AsyncIterator[Webhooks]:
    """Send what is put for as long as the context lasts, and for a moment longer what is left.

    ``left``: the calls that an earlier run has left, of which receivers may not have been told that they have begun.
    """
    async with open_sender(clock) as sender, guarded_tasks() as tasks:
        webhooks = Webhooks(store, sender, tasks, clock, on_change)
        await webhooks.load()
        await webhooks.restore([event for call in left if (event := offered(call))])
        try:
            yield webhooks
        finally:
            await webhooks.sent()


def _host(row: WebhookRow) -> str:
    return URL(row.url).host or row.url


def _log_name(row: WebhookRow) -> str:
    return f"webhook {_host(row)}"


def _stop(outbox: Outbox) -> None:
    for worker in outbox.workers:
        worker.cancel()
    outbox.workers = []


def event_id_of(event: TelegramCallOffered) -> str:
    """The same again after a kill: a receiver knows by it what it was told already."""
    return f"msg_{uuid.uuid5(CALL_IDS, event.call_id).hex}"


def _new_event_id() -> str:
    return f"msg_{uuid.uuid4().hex}"
