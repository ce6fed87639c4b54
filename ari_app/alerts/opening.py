"""Makes the alerts of an installation of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ari_app.alerts.alerts import Alerts, Translator
from ari_app.alerts.conditions import Watch
from ari_app.alerts.mail import MailSender
from ari_app.alerts.outbox import AlertOutbox
from ari_app.alerts.settings import AlertSettings
from ari_app.alerts.telegram import TelegramSender
from ari_app.cluster.control import ClusterControl
from ari_app.i18n import Message
from ari_app.lines.health import StatusMonitor
from ari_app.lines.installation import Installation
from ari_app.lines.part_settings import PartSettings
from ari_app.pbx.events import ReportedEvent
from ari_app.store.alerts import AlertRepository
from ari_app.store.store import Store
from ari_app.telegram.bot import Bot
from ari_app.telegram.line import Line

PART = "alerts"


async def open_alerts(
    store: Store,
    folder: Path,
    lines: Mapping[str, Line],
    statuses: StatusMonitor,
    bot: Bot,
    installation: Installation,
    report: Callable[[ReportedEvent], None],
    translator: Translator,
    *,
    backup_trouble: Callable[[], Message | None] = lambda: None,
    cluster: ClusterControl | None = None,
    link: str,
    clock: Callable[[], float],
    on_change: Callable[[], None],
) -> Alerts:
    """With what an earlier run has left. ``folder``: whose disk is looked at. Raises StoreUnavailable."""
    repository = AlertRepository(store)
    part = PartSettings(store, PART, AlertSettings())
    telegram = TelegramSender(lines, bot, lambda: part.settings, await repository.people(), repository.keep_person)
    outbox = AlertOutbox(
        repository, lambda: part.settings, MailSender(lambda: part.settings), telegram, clock, on_change
    )
    alerts = Alerts(
        part,
        repository,
        outbox,
        Watch(lines, statuses, store, folder, backup_trouble=backup_trouble, cluster=cluster).look,
        report,
        translator,
        company=lambda: installation.settings.company,
        zone=lambda: installation.settings.zone,
        link=link,
        clock=clock,
        on_change=on_change,
    )
    await alerts.load()
    return alerts
