"""The faults of a soak: how each is made to happen, and when it is over."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ari_app.sandbox.proxy import Proxy
from ari_app.sandbox.soak.census import grandchildren, threads
from ari_app.sandbox.soak.plan import Fault, PlannedFault
from ari_app.sandbox.stage import Stage
from ari_app.sandbox.supervisor import Supervisor

log = logging.getLogger(__name__)

SPARE_THREADS = 1  # of a media process without a call; ntgcalls has its own
ASTERISK_GONE_S = 1.0  # before it is started again, as a supervisor does


@dataclass
class Target:
    """What is hit: the program, its ``database``, and the ways by which it reaches Asterisk and Telegram."""

    stage: Stage
    supervisor: Supervisor
    database: Path
    ari: Proxy
    mtproto: Proxy

    @property
    def pid(self) -> int:
        """The program's process."""
        return self.supervisor.program.pid

    def inflicted(self, planned: PlannedFault) -> AbstractAsyncContextManager[None]:
        """The fault works while inside."""
        ways: dict[Fault, Callable[[], AbstractAsyncContextManager[None]]] = {
            Fault.ARI_CUT: self.ari.away,
            Fault.ARI_STALLED: self._stalled,
            Fault.ASTERISK_KILLED: self._asterisk_killed,
            Fault.MTPROTO_CUT: self.mtproto.away,
            Fault.DATABASE_LOCKED: self._database_locked,
            Fault.DISK_FULL: self._disk_full,
            Fault.MEDIA_KILLED: partial(self._media_killed, planned.whom),
            Fault.BOT_429: self._bot_refused,
            Fault.BOT_DOWN: self.stage.telegram.bot_api_down,
            Fault.CONTROLLER_KILLED: self._controller_killed,
        }
        return ways[planned.fault]()

    @asynccontextmanager
    async def _stalled(self) -> AsyncIterator[None]:
        with self.ari.stalled():
            yield

    @asynccontextmanager
    async def _asterisk_killed(self) -> AsyncIterator[None]:
        await self.stage.asterisk.kill()
        await asyncio.sleep(ASTERISK_GONE_S)
        await self.stage.asterisk.start()
        yield

    @asynccontextmanager
    async def _database_locked(self) -> AsyncIterator[None]:
        with closing(sqlite3.connect(self.database, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("ROLLBACK")

    @asynccontextmanager
    async def _disk_full(self) -> AsyncIterator[None]:
        """The kernel lets the program write to no file (setrlimit(2)); pipes and sockets are none."""
        before = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, before)

    @asynccontextmanager
    async def _media_killed(self, whom: float) -> AsyncIterator[None]:
        """One of the processes that the program's own children have forked, rather one that is in a call."""
        processes = sorted(grandchildren(self.pid))
        processes = [each for each in processes if threads(each) > SPARE_THREADS] or processes
        if processes:
            os.kill(processes[int(whom * len(processes))], signal.SIGSEGV)
        yield

    @asynccontextmanager
    async def _controller_killed(self) -> AsyncIterator[None]:
        await self.supervisor.kill()
        yield

    @asynccontextmanager
    async def _bot_refused(self) -> AsyncIterator[None]:
        self.stage.telegram.refuse_bot("*", 429, retry_after=1, times=None)
        try:
            yield
        finally:
            self.stage.telegram.clear_faults()
