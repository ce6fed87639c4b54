"""Makes what looks after the installation by itself: retention, backups, alerts, the notice of newer versions."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from ari_app.alerts.alerts import Alerts
from ari_app.alerts.opening import open_alerts
from ari_app.app.calls import Calls
from ari_app.app.lines import LineParts
from ari_app.app.outboxes import Outboxes
from ari_app.app.pbx import Pbx
from ari_app.app.storage import Storage
from ari_app.backups.backups import Backups
from ari_app.backups.opening import open_backups
from ari_app.bus import EventBus
from ari_app.cluster.control import ClusterControl
from ari_app.cluster.sharing import Sharing
from ari_app.config import Settings
from ari_app.people import orders
from ari_app.people.memory import Memory
from ari_app.people.parts import people, rules
from ari_app.people.people import People
from ari_app.people.retention import Retention
from ari_app.tasks import GuardedTasks
from ari_app.updates import UpdateNotice, newest
from ari_app.web.ui.translator import translator


@dataclass(frozen=True)
class Upkeep:
    """``people``: what is kept of whom, which `retention` removes in time."""

    updates: UpdateNotice
    backups: Backups
    alerts: Alerts
    people: People
    retention: Retention

    def begin(self, tasks: GuardedTasks) -> None:
        """All but `retention`, which runs from the start."""
        self.alerts.begin(tasks)
        tasks.supervise(self.backups.run, "backups")
        tasks.supervise(self.updates.run, "newer versions")


async def open_upkeep(
    settings: Settings,
    bus: EventBus,
    storage: Storage,
    outboxes: Outboxes,
    calls: Calls,
    lines: LineParts,
    pbx: Pbx,
    cluster: ClusterControl | None,
    sharing: Sharing | None,
) -> Upkeep:
    """As it was set before; nothing of it runs yet. Raises StoreUnavailable."""
    store, installation, audit = storage.store, storage.installation, storage.audit
    updates = _updates(settings, bus)
    own_folder, changed = settings.backups.folder, partial(bus.publish, "backups")
    backups = await open_backups(store, settings.state_dir, own_folder, audit, installation, on_change=changed)
    alerts = await open_alerts(
        store,
        settings.state_dir,
        calls.lines,
        lines.statuses,
        calls.bot,
        installation,
        pbx.reporting.put,
        translator,
        backup_trouble=lambda: backups.trouble,
        cluster=cluster,
        link=f"{settings.web.public_url}/alerts" if settings.web.public_url else "",
        clock=time.time,
        on_change=partial(bus.publish, "alerts"),
    )
    memory = Memory(
        calls.cards.known, storage.languages, lines.manager, calls.registry, outboxes.webhooks, alerts, outboxes.ami
    )
    sessions = settings.session("").parent
    obeyed = rules(store, sessions, storage.history, audit, memory, settings.web.browsers_s)
    retention = Retention(obeyed, lambda: installation.settings)
    tell = partial(orders.tell, sharing.erasures) if sharing else None
    return Upkeep(updates, backups, alerts, people(store, sessions, lines.manager, memory, tell=tell), retention)


def _updates(settings: Settings, bus: EventBus) -> UpdateNotice:
    its = settings.updates
    ask = None if its.source == "off" else partial(newest, its.source, its.address)
    return UpdateNotice(ask, on_change=partial(bus.publish, "updates"))
