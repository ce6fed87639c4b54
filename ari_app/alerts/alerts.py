"""Alerts: what is wrong is looked at again and again, and whoever is to be told is, once; also when it is over."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import tzinfo

from ari_app.alerts.book import Alert, AlertBook, AlertCondition, AlertKind
from ari_app.alerts.conditions import Situation
from ari_app.alerts.mutes import Mutes
from ari_app.alerts.outbox import AlertOutbox
from ari_app.alerts.settings import AlertSettings
from ari_app.alerts.texts import AlertWords, Translate
from ari_app.i18n import as_data, from_data, message
from ari_app.lines.part_settings import PartSettings
from ari_app.lines.settings import LineError
from ari_app.pbx.events import AlertState, ReportedEvent, TelegramAlert
from ari_app.store.alerts import AlertRepository, AlertRow, MuteRow
from ari_app.store.webhooks import DeliveryRow
from ari_app.tasks import GuardedTasks

LOOK_S = 10.0
"""Between two looks: durations and disks have no event. A look costs some milliseconds."""
HOUR_S = 3600.0
KINDS = {each.value: each for each in AlertKind}
TEST = "test"

Look = Callable[[AlertSettings, float], Awaitable[Situation]]
Translator = Callable[[str], Awaitable[Translate]]
"""What puts messages into the language of a code."""


class UnknownAlert(LineError):
    """There is no such alert, or nothing of that name is muted."""


class NobodyTold(LineError):
    """Nobody is set to be told."""


class Alerts:
    """``look`` finds what is so now; ``report`` gets each alert as an event; ``clock`` gives Unix time.

    ``company`` and ``zone`` are the installation's now; ``link``: where alerts are shown, empty where nobody knows.
    """

    def __init__(
        self,
        settings: PartSettings[AlertSettings],
        repository: AlertRepository,
        outbox: AlertOutbox,
        look: Look,
        report: Callable[[ReportedEvent], None],
        translator: Translator,
        *,
        company: Callable[[], str] = lambda: "",
        zone: Callable[[], tzinfo],
        link: str = "",
        clock: Callable[[], float] = time.time,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.part = settings
        self.outbox = outbox
        self._repository = repository
        self._look = look
        self._report = report
        self._translator = translator
        self._company = company
        self._zone = zone
        self._link = link
        self._clock = clock
        self._on_change = on_change
        self._book = AlertBook()
        self._mutes = Mutes(repository)
        self._hurry = asyncio.Event()
        settings.on_change(self._look_soon)

    async def load(self) -> None:
        """What an earlier run has left; before anything else. Raises StoreUnavailable."""
        await self.part.load()
        await self._mutes.load()
        self._book.load(_alert(row) for row in await self._repository.open() if row.kind in KINDS)
        await self.outbox.load()

    def begin(self, tasks: GuardedTasks) -> None:
        """Look, and send, from now on."""
        self.outbox.begin(tasks)
        tasks.supervise(self.run, "alerts")

    async def run(self) -> None:
        """Look at once and then again and again, until cancelled."""
        while True:
            self._hurry.clear()
            await self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._hurry.wait()

    async def look(self) -> None:
        """Look once: who is to be told now is."""
        words = await self._words() if self._somebody_is_told else None  # first: what is over is found but once
        now = self._clock()
        found = await self._look(self.part.settings, now)
        opened, closed = self._book.look(found.conditions, now, found.unknown)
        for each in (*opened, *closed):
            self._repository.keep(_row(each))
        news = [each for each in self.open if not each.told and not self._mutes.muted(each.condition.key, now)]
        over = [each for each in closed if each.told]
        if news or over:
            self._tell(news, over, words)
        if opened or closed or news:
            self._on_change()

    # What there is.

    @property
    def open(self) -> list[Alert]:
        """Those that are not over, the oldest first."""
        return sorted(self._book.open.values(), key=lambda each: (each.since, each.id))

    def forget(self, is_them: Callable[[str], bool]) -> None:
        """See `AlertOutbox.forget`."""
        self.outbox.forget(is_them)

    async def prune(self, before: float) -> int:
        """Remove some alerts, and messages, that are over and from before that Unix time; 0 when none is left."""
        return await self._repository.prune(before)

    async def last(self, limit: int = 50) -> list[Alert]:
        """Those that are over, the last one first. Raises StoreUnavailable."""
        return [_alert(row) for row in await self._repository.last(limit) if row.kind in KINDS]

    def muted(self, alert: Alert) -> bool:
        """Whether nobody is told of it now."""
        return self._mutes.muted(alert.condition.key, self._clock())

    @property
    def mutes(self) -> list[MuteRow]:
        """What is muted now."""
        return self._mutes.now(self._clock())

    # What somebody does.

    async def mute(self, alert_id: str | None, hours: float | None, who: str) -> MuteRow:
        """Tell nobody of an open alert's condition, or, None, of anything, for some hours, or, None, until `unmute`.

        Raises UnknownAlert, StoreUnavailable.
        """
        now = self._clock()
        until = now + hours * HOUR_S if hours is not None else None
        key = self._one(alert_id).condition.key if alert_id is not None else None
        row = await self._mutes.add(key, until, who, now)
        self._on_change()
        return row

    async def unmute(self, id: str) -> None:
        """End one; what is open and was not told is told now. Raises UnknownAlert, StoreUnavailable."""
        if not await self._mutes.remove(id):
            raise UnknownAlert(message("Nothing that is called {id} is muted.", id=id))
        await self._look_soon()
        self._on_change()

    async def test(self) -> list[DeliveryRow]:
        """Send everybody who is told something that tells of nothing, muted or not. Raises NobodyTold."""
        if not self._somebody_is_told:
            raise NobodyTold(message("Nobody is told of alerts yet: enter whom."))
        words = await self._words()
        id, said = uuid.uuid4().hex[:12], words.of_test()
        self._report(
            TelegramAlert(event_time=self._clock(), alert_id=id, state=AlertState.TEST.value, message=said.text)
        )
        return self.outbox.put(TEST, id, said)

    def _one(self, id: str) -> Alert:
        for each in self._book.open.values():
            if each.id == id:
                return each
        raise UnknownAlert(message("There is no open alert {id}; it may be over.", id=id))

    @property
    def _somebody_is_told(self) -> bool:
        return bool(self.part.settings.telegram_to or self.part.settings.mail_to)

    def _tell(self, news: Sequence[Alert], over: Sequence[Alert], words: AlertWords | None) -> None:
        """All of it in one message for each person: where Telegram is away, it is so for each line."""
        news = [self._book.told(each) for each in news]
        for each in news:
            self._repository.keep(_row(each))
        for each in (*news, *over):
            self._report(self._event(each))
        about = {each.condition.line for each in (*news, *over)} - {""}
        state = AlertState.OPEN if news else AlertState.OVER
        if words:
            self.outbox.put(state.value, (news or over)[0].id, words.of(news, over), about)

    async def _words(self) -> AlertWords:
        translate = await self._translator(self.part.settings.language)
        return AlertWords(translate, self._zone(), self._company() or "Astergram", self._link)

    def _event(self, alert: Alert) -> TelegramAlert:
        over = alert.closed_at is not None
        return TelegramAlert(
            event_time=self._clock(),
            alert_id=alert.id,
            state=(AlertState.OVER if over else AlertState.OPEN).value,
            kind=alert.condition.kind.value,
            line=alert.condition.line,
            since=alert.since,
            duration=max(0.0, (alert.closed_at or 0.0) - alert.since) if over else 0.0,
            message=str(alert.condition.sentence),
        )

    async def _look_soon(self) -> None:
        self._hurry.set()


def _row(alert: Alert) -> AlertRow:
    its = alert.condition
    said = json.dumps(as_data(its.sentence), ensure_ascii=False)
    return AlertRow(alert.id, its.kind.value, its.subject, its.line, said, alert.since, alert.closed_at, alert.told)


def _alert(row: AlertRow) -> Alert:
    sentence = from_data(json.loads(row.sentence))
    condition = AlertCondition(KINDS[row.kind], row.subject, sentence, row.line)
    return Alert(row.id, condition, row.since, row.closed_at, row.told)
