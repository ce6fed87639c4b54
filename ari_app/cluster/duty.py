"""Which lines this machine acts for: all of them where it is alone, in a cluster those whose lease it holds."""

from __future__ import annotations

import logging
from typing import Protocol

from ari_app.cluster.leases import HeldLine, Leases
from ari_app.logs import line_log

log = logging.getLogger(__name__)


class Duty(Protocol):
    """Says for which lines this machine acts."""

    def holds(self, line: str) -> bool:
        """Whether it answers what comes to a line."""

    async def keep(self, line: str) -> None:
        """Act for a line whenever nobody else does, until cancelled."""


class Always:
    """Where it is alone."""

    def holds(self, line: str) -> bool:
        """It does."""
        return True

    async def keep(self, line: str) -> None:
        """Nothing is to be done: its session file is locked."""


class ByLease:
    """In a cluster."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._held: dict[str, HeldLine] = {}

    def holds(self, line: str) -> bool:
        """Whether its lease is ours."""
        held = self._held.get(line)
        return held is not None and not held.lost.is_set()

    async def keep(self, line: str) -> None:
        """Hold its lease, and again once it was lost or handed over."""
        while True:
            async with self._leases.hold(line) as held:
                self._held[line] = held
                line_log(log, line).info("this machine acts for it now (lease %d)", held.token)
                try:
                    await held.lost.wait()
                finally:
                    del self._held[line]
                    line_log(log, line).info("this machine acts for it no more")
