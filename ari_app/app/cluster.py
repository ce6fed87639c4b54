"""Makes what tells this machine which lines and calls are its own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ari_app.cluster.claims import KEPT_S, Claims, EngineClaims, OnlyMachine
from ari_app.cluster.duty import Always, ByLease, Duty
from ari_app.cluster.engine_leases import EngineLeases, Owner
from ari_app.config import ClusterSettings, ConfigError
from ari_app.tasks import guarded_tasks


@dataclass(frozen=True)
class Cluster:
    """``duty``: which lines this machine acts for; ``claims``: which calls it answers."""

    duty: Duty
    claims: Claims


@asynccontextmanager
async def open_cluster(settings: ClusterSettings | None) -> AsyncIterator[Cluster]:
    """Without settings this is the only machine. Raises ConfigError where a package is missing."""
    if settings is None:
        yield Cluster(Always(), OnlyMachine())
        return
    try:
        from ari_app.cluster.engine import connected
    except ImportError as error:
        raise ConfigError("[cluster] is set, and nats-py is missing: pip install 'astergram[cluster]'") from error
    owner = Owner(settings.machine, secrets.token_hex(8))
    async with connected(settings.servers, settings.machine) as engine, guarded_tasks() as tasks:
        leases = EngineLeases(engine.bucket("astergram-leases"), owner, settings.lease_s)
        tasks.supervise(leases.watch, "leases of the cluster")
        duty = ByLease(leases)
        yield Cluster(duty, EngineClaims(engine.bucket("astergram-claims", KEPT_S), settings.machine, duty.holds))
