"""The messages about alerts that wait, by the way that they go: one after the other to each person, until taken."""

import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial

from ari_app.alerts.mail import MailSender
from ari_app.alerts.settings import AlertSettings
from ari_app.alerts.telegram import TelegramSender
from ari_app.alerts.texts import AlertText
from ari_app.backoff import Backoff
from ari_app.i18n import Message, message
from ari_app.store.alerts import AlertRepository
from ari_app.store.webhooks import DeliveryRow
from ari_app.tasks import GuardedTasks
from ari_app.webhooks.queue import DeliveryQueue, SendResult

MAIL, TELEGRAM = "mail", "telegram"
WAYS = (TELEGRAM, MAIL)
RETRY = Backoff(first_s=10.0, last_s=600.0, jitter=0.1)
"""Between two tries; for a day, as the queue has it."""
TROUBLE = {
    TELEGRAM: (
        message("Alerts do not get through by Telegram: {error}."),
        message("Alerts do not get through by Telegram."),
    ),
    MAIL: (message("Alerts do not get through by mail: {error}."), message("Alerts do not get through by mail.")),
}
"""With the reason, and without."""
MOST_WAITING = 500
"""Messages of each way."""


class AlertOutbox:
    """``clock`` gives Unix time; ``on_change`` is called when what it tells of itself has changed."""

    def __init__(
        self,
        repository: AlertRepository,
        settings: Callable[[], AlertSettings],
        mail: MailSender,
        telegram: TelegramSender,
        clock: Callable[[], float],
        on_change: Callable[[], None] = lambda: None,
        retry: Backoff = RETRY,
    ) -> None:
        self._repository = repository
        self._settings = settings
        self._mail = mail
        self._telegram = telegram
        self._clock = clock
        self._on_change = on_change
        self._last_id = 0
        self.queues = {
            way: DeliveryQueue(f"alerts by {way}", self._save, clock, most=MOST_WAITING, retry=retry) for way in WAYS
        }

    async def load(self) -> None:
        """What an earlier run has left; before anything else. Raises StoreUnavailable."""
        waiting, self._last_id = await self._repository.waiting()
        for row in waiting:
            if row.webhook in self.queues:
                self.queues[row.webhook].load(row)

    def begin(self, tasks: GuardedTasks) -> None:
        """Send from now on."""
        for way, queue in self.queues.items():
            tasks.supervise(partial(self._work, queue), f"alerts by {way}")

    def put(self, kind: str, event_id: str, said: AlertText, about: Collection[str] = ()) -> list[DeliveryRow]:
        """One message for each person who is told; never waits. ``about``: the lines that it is about."""
        its, rows = self._settings(), []
        for way, people in ((TELEGRAM, its.telegram_to), (MAIL, its.mail_to)):
            for to in people:
                now = self._clock()
                self._last_id = max(self._last_id + 1, round(now * 1000))
                body = json.dumps({"subject": said.subject, "text": said.text, "about": sorted(about)})
                rows.append(DeliveryRow(self._last_id, way, event_id, kind, to, body, now, now, now))
                self.queues[way].put(rows[-1])
        return rows

    def forget(self, is_them: Callable[[str], bool]) -> None:
        """Send nothing that waits to somebody, whose destination is told; what is kept of it is not touched."""
        for queue in self.queues.values():
            queue.forget(lambda row: is_them(row.key))
        self._telegram.forget(is_them)

    @property
    def waiting(self) -> int:
        """Messages that wait to be taken."""
        return sum(len(each) for each in self.queues.values())

    def trouble(self, *, reason: bool) -> Message | None:
        """By which way nothing gets through; ``reason``: and why, which may name who is told, for administrators."""
        for way, queue in self.queues.items():
            if queue.error and len(queue):
                known, unknown = TROUBLE[way]
                return Message(known.text, {"error": queue.error}) if reason else unknown
        return None

    async def deliveries(self, limit: int) -> Sequence[DeliveryRow]:
        """The last messages, the newest first. Raises StoreUnavailable."""
        return await self._repository.deliveries(limit)

    def _save(self, row: DeliveryRow) -> None:
        self._repository.keep_delivery(row)
        self._on_change()

    async def send_due(self) -> None:
        """Send what is to be sent now, once."""
        for queue in self.queues.values():
            while row := queue.take():
                await self._try(queue, row)

    async def _work(self, queue: DeliveryQueue) -> None:
        """Send what is due, without an end."""
        while True:
            await self._try(queue, await queue.next())

    async def _try(self, queue: DeliveryQueue, row: DeliveryRow) -> None:
        result = None
        try:
            result = await self._sent(row)
        finally:
            if result is None:
                queue.released(row.id)
        queue.answered(row.id, result)

    async def _sent(self, row: DeliveryRow) -> SendResult:
        its, body = self._settings(), json.loads(row.body)
        if row.key not in (its.telegram_to if row.webhook == TELEGRAM else its.mail_to):
            return SendResult(taken=False, error="not told any more", final=True)
        said = AlertText(body["subject"], body["text"])
        sent: Awaitable[SendResult] = (
            self._telegram.send(row.key, said, body["about"])
            if row.webhook == TELEGRAM
            else self._mail.send(f"{row.event_id}.{row.id}", row.key, said)
        )
        return await sent
