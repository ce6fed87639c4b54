"""Opens the admin page and the API, once all that they show is at work."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ari_app.app.asterisk import StasisApplication
from ari_app.app.calls import Calls
from ari_app.app.cluster import Cluster
from ari_app.app.lines import LineParts
from ari_app.app.other_asterisks import OtherAsterisks
from ari_app.app.outboxes import Outboxes
from ari_app.app.pbx import Pbx
from ari_app.app.storage import Storage
from ari_app.app.upkeep import Upkeep
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.bus import EventBus
from ari_app.calls.registry import CallRegistry
from ari_app.cluster.call_details import CallDetails
from ari_app.cluster.control import ClusterControl
from ari_app.cluster.live_calls import LiveCalls, MachineCall
from ari_app.config import Settings
from ari_app.lines.account_setup import AccountSetup
from ari_app.lines.manager import LineManager
from ari_app.reports.history import CallRecord, History
from ari_app.reports.metrics import Metrics
from ari_app.reports.whole_calls import WholeCalls, told_of
from ari_app.web.http.listening import ListeningSockets
from ari_app.web.http.services import Services

if TYPE_CHECKING:
    from ari_app.doctor import Surroundings
    from ari_app.web.server import Served


@dataclass(frozen=True)
class ServedPage:
    """Where it is, and what it works with."""

    services: Services
    web: Served


@asynccontextmanager
async def open_page(
    settings: Settings,
    sockets: ListeningSockets,
    bus: EventBus,
    storage: Storage,
    asterisk: StasisApplication,
    outboxes: Outboxes,
    calls: Calls,
    lines: LineParts,
    metrics: Metrics,
    pbx: Pbx,
    upkeep: Upkeep,
    cluster: Cluster,
    others: OtherAsterisks,
) -> AsyncIterator[ServedPage]:
    """What it needs takes long to load, and is loaded here, in a thread."""
    await asyncio.to_thread(importlib.import_module, "ari_app.web.server")
    from ari_app.doctor import Doctor
    from ari_app.web.server import serving

    services = Services(
        lines=lines.manager,
        statuses=lines.statuses,
        account_setup=AccountSetup(lines.manager, calls.bot, bus),
        dispatcher=calls.dispatcher,
        placer=pbx.placer,
        card_files=lines.card_files,
        registry=calls.registry,
        history=storage.history,
        whole_calls=WholeCalls(storage.history, _call_details(cluster.control, storage.history)),
        doctor=Doctor(partial(_look_around, settings, storage, asterisk, lines.manager, others)),
        installation=storage.installation,
        store=storage.store,
        bus=bus,
        webhooks=outboxes.webhooks,
        metrics=metrics,
        audit=storage.audit,
        alerts=upkeep.alerts,
        people=upkeep.people,
        activity=pbx.activity,
        backups=upkeep.backups,
        updates=upkeep.updates,
        ami=outboxes.ami,
        cluster=cluster.control,
        cluster_calls=_cluster_calls(cluster.control, storage.history, calls.registry),
        shared_page=cluster.page,
    )
    async with serving(services, settings.web, sockets, settings.oidc) as web:
        yield ServedPage(services, web)


def _call_details(control: ClusterControl | None, history: History) -> CallDetails | None:
    if control is None:
        return None
    details = CallDetails(control.engine, control.others, partial(told_of, history))
    details.serve()
    return details


def _cluster_calls(control: ClusterControl | None, history: History, registry: CallRegistry) -> LiveCalls | None:
    if control is None:
        return None

    def own() -> list[MachineCall]:
        return [_shown(each) for each in history.live()]

    calls = LiveCalls(control.engine, control.others, own, registry.hang_up)
    calls.serve()
    return calls


def _shown(record: CallRecord) -> MachineCall:
    its = record.call
    who = its.name or its.phone or its.username or its.peer
    return MachineCall(its.id, its.began_at, its.direction, its.line, who, its.pbx_party, record.state.value)


def _look_around(
    settings: Settings,
    storage: Storage,
    asterisk: StasisApplication,
    manager: LineManager,
    others: OtherAsterisks,
) -> Surroundings:
    from ari_app.surroundings import surroundings

    its = storage.installation.settings
    return surroundings(
        settings,
        manager.all_settings(),
        has_bot=bool(its.token),
        proxy=its.way,
        turn=its.relay,
        holds_app=asterisk.ari.state is ConnectionState.CONNECTED,
        telegram_offset_s=manager.telegram_offset_s,
        other_asterisks=others.offers(),
    )
