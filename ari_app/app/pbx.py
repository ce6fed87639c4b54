"""Makes what programs of the PBX are told, and what they and the dialplan may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ari_app.app.calls import Calls
from ari_app.app.outboxes import Outboxes
from ari_app.app.storage import Storage
from ari_app.asterisk.agi import AgiServer
from ari_app.bus import EventBus
from ari_app.config import AgiSettings
from ari_app.lines.health import StatusMonitor
from ari_app.pbx.activity import RecentActivity
from ari_app.pbx.agi_scripts import AgiScripts
from ari_app.pbx.ami_services import AmiServices
from ari_app.pbx.placing import CallPlacer
from ari_app.pbx.reporting import Reporting
from ari_app.pbx.services import PbxServices
from ari_app.tasks import GuardedTasks, guarded_tasks


@dataclass(frozen=True)
class Pbx:
    """``reporting`` is told what happens, ``services`` and ``placer`` do what is asked for."""

    services: PbxServices
    placer: CallPlacer
    activity: RecentActivity
    reporting: Reporting
    tasks: GuardedTasks


@asynccontextmanager
async def open_pbx(
    bus: EventBus, storage: Storage, outboxes: Outboxes, calls: Calls, statuses: StatusMonitor
) -> AsyncIterator[Pbx]:
    """Report what happens from now on, also what a killed program has left open; AMI may ask, and no dialplan yet."""
    lines, registry = calls.lines, calls.registry
    services = PbxServices(lines, registry, calls.cards, calls.tasks)
    placer = CallPlacer(services, calls.dispatcher, storage.store)
    async with guarded_tasks() as tasks:
        activity = RecentActivity(lines, statuses, bus)
        reporting = Reporting([activity.put, *outboxes.readers], lines, statuses, registry, bus)
        if ami := outboxes.ami:
            ami.begin(reporting, lines, registry, AmiServices(services, placer, registry, storage.audit), tasks)
        reporting.begin(tasks, storage.history.crashed)
        yield Pbx(services, placer, activity, reporting, tasks)


def serve_agi(agi: AgiSettings, pbx: Pbx, calls: Calls, storage: Storage) -> None:
    """Have the dialplan served from now on."""
    scripts = AgiScripts(pbx.services, calls.registry, storage.audit.record)
    server = AgiServer(agi.host, agi.port, scripts.by_name, scripts.failed, allow=agi.allow, timeout_s=agi.timeout_s)
    pbx.tasks.supervise(server.run, "FastAGI")
