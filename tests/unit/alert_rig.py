"""Alerts with conditions, a clock and people of a test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any, cast

from ari_app.alerts.alerts import Alerts
from ari_app.alerts.book import AlertCondition, AlertKind
from ari_app.alerts.conditions import Situation
from ari_app.alerts.outbox import AlertOutbox
from ari_app.alerts.settings import AlertSettings
from ari_app.alerts.texts import AlertText
from ari_app.backoff import Backoff
from ari_app.i18n import message
from ari_app.lines.part_settings import PartSettings
from ari_app.pbx.events import ReportedEvent
from ari_app.store.alerts import AlertRepository
from ari_app.store.store import Store, open_store
from ari_app.webhooks.queue import SendResult

NOW = 1_790_000_000.0
LINE = "+79990000001"
LIGHT = AlertCondition(AlertKind.LIGHT, f"{LINE} account", message("Sales: It is signed out."), LINE, hold_s=120.0)
DISK = AlertCondition(AlertKind.DISK, "", message("Only {free} MB are free.", free=7))


@dataclass
class Rig:
    """``live``: what is so now. ``sent``: what got through by which way, to whom; ``refuses``: nothing does."""

    now: float = NOW
    live: list[AlertCondition] = field(default_factory=list)
    unknown: set[AlertKind] = field(default_factory=set)
    sent: list[tuple[str, str, AlertText]] = field(default_factory=list)
    about: list[str] = field(default_factory=list)
    reported: list[Any] = field(default_factory=list)
    refuses: bool = False
    alerts: Alerts = field(init=False)
    store: Store = field(init=False)

    async def send(self, way: str, to: str, said: AlertText) -> SendResult:
        if self.refuses:
            return SendResult(taken=False, error="nobody is there")
        self.sent.append((way, to, said))
        return SendResult(taken=True)

    async def pass_s(self, seconds: float) -> None:
        """Let time pass, look, and send what is to be sent."""
        self.now += seconds
        await self.alerts.look()
        await self.alerts.outbox.send_due()

    @property
    def said(self) -> list[str]:
        """What people were told."""
        return [said.text for _, _, said in self.sent]


async def straight(language: str) -> Any:
    return str


@asynccontextmanager
async def alerts(rig: Rig, folder: Path, **settings: Any) -> AsyncIterator[Alerts]:
    """A run of the program; what an earlier one has left is there."""

    class Mail:
        async def send(self, id: str, to: str, said: AlertText) -> SendResult:
            return await rig.send("mail", to, said)

    class Telegram:
        async def send(self, to: str, said: AlertText, about: Any) -> SendResult:
            rig.about = list(about)
            return await rig.send("telegram", to, said)

    async def look(settings: AlertSettings, now: float) -> Situation:
        return Situation(tuple(rig.live), frozenset(rig.unknown))

    def report(event: ReportedEvent) -> None:
        rig.reported.append(event)

    async with open_store(folder / "astergram.db") as store:
        rig.store, repository = store, AlertRepository(store)
        part = PartSettings(store, "alerts", AlertSettings())
        mail, telegram = cast(Any, Mail()), cast(Any, Telegram())
        outbox = AlertOutbox(
            repository, lambda: part.settings, mail, telegram, lambda: rig.now, retry=Backoff(10.0, 10.0)
        )
        rig.alerts = Alerts(
            part, repository, outbox, look, report, straight, zone=lambda: UTC, clock=lambda: rig.now, link="http://pbx"
        )
        await rig.alerts.load()
        if settings:
            await part.change(settings)
        yield rig.alerts
