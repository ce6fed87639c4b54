"""What the admin page and the JSON API work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ari_app.bus import EventBus
from ari_app.store.store import Store
from ari_app.tasks import FAILURES, Failures

if TYPE_CHECKING:
    from datetime import tzinfo

    from ari_app.alerts.alerts import Alerts
    from ari_app.backups.backups import Backups
    from ari_app.calls.dispatcher import CallDispatcher
    from ari_app.calls.registry import CallRegistry
    from ari_app.cluster.control import ClusterControl
    from ari_app.cluster.live_calls import LiveCalls
    from ari_app.cluster.shared_settings import SharedPage
    from ari_app.doctor import Doctor
    from ari_app.lines.account_setup import AccountSetup
    from ari_app.lines.card_files import CardFiles
    from ari_app.lines.health import StatusMonitor
    from ari_app.lines.installation import Installation
    from ari_app.lines.manager import LineManager
    from ari_app.pbx.activity import RecentActivity
    from ari_app.pbx.ami import AmiReports
    from ari_app.pbx.placing import CallPlacer
    from ari_app.people.people import People
    from ari_app.reports.audit import AuditLog
    from ari_app.reports.history import History
    from ari_app.reports.metrics import Metrics
    from ari_app.reports.whole_calls import WholeCalls
    from ari_app.updates import UpdateNotice
    from ari_app.webhooks.webhooks import Webhooks


@dataclass(frozen=True)
class Services:
    """The parts of the running program that pages and API show and change."""

    lines: LineManager
    statuses: StatusMonitor
    account_setup: AccountSetup
    dispatcher: CallDispatcher
    placer: CallPlacer
    card_files: CardFiles
    registry: CallRegistry
    history: History
    whole_calls: WholeCalls
    doctor: Doctor
    installation: Installation
    store: Store
    bus: EventBus
    webhooks: Webhooks
    metrics: Metrics
    audit: AuditLog
    alerts: Alerts
    people: People
    activity: RecentActivity
    backups: Backups
    updates: UpdateNotice
    ami: AmiReports | None = None
    cluster: ClusterControl | None = None
    cluster_calls: LiveCalls | None = None
    shared_page: SharedPage | None = None
    failures: Failures = field(default_factory=lambda: FAILURES)

    @property
    def zone(self) -> tzinfo:
        """The installation's time zone."""
        return self.installation.settings.zone
