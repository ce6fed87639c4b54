"""Astergram under a supervisor, as systemd has it: killed, it is started again, and its calls go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from ari_app.sandbox.demo.program import OWN, Ended, Program, astergram
from ari_app.sandbox.processes import SandboxError
from ari_app.tasks import background_tasks

T = TypeVar("T")

RESTART_S = 1.0
"""From its end to the next start: RestartSec= of scripts/systemd/astergram.service."""
READY_S = 60.0
"""For a start: while people talk, a busy machine has little time left for it."""


class Supervisor:
    """Has Astergram running; made by `supervised(...)`."""

    def __init__(self, configuration: Path, log: Path, command: Sequence[str] = OWN) -> None:
        self.program: Program
        """The one at work, or the last one."""
        self.ready = asyncio.Event()
        """Whether it is ready."""
        self._configuration = configuration
        self._log = log
        self._command = command
        self._killed = False
        self._failed: asyncio.Future[SandboxError] = asyncio.get_running_loop().create_future()

    async def kill(self) -> Program:
        """`kill -9` it; returns the next one, once that is ready. Raises SandboxError where it does not get so far."""
        self.ready.clear()
        self._killed = True
        self.program.kill()
        return await self.at_work()

    async def at_work(self) -> Program:
        """Wait until there is one that is ready. Raises SandboxError."""
        await self.during(self.ready.wait())
        return self.program

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something, whether it is killed meanwhile or not.

        Raises ProgramEnded as soon as it ends by itself, another SandboxError where the next one does not get ready.
        """
        working = asyncio.create_task(work)
        either: set[asyncio.Future[Any]] = {working, self._failed}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise self._failed.result()
            return working.result()
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def call_talks(self) -> None:
        """As the program's."""
        await self.program.call_talks()

    async def call_ended(self) -> Ended:
        """As the program's."""
        return await self.program.call_ended()

    def forget(self) -> None:
        """As the program's."""
        self.program.forget()

    async def run(self) -> None:
        """Start it, and again whenever it was killed, until cancelled, or until it has ended by itself."""
        while not self._failed.done():
            ended_at = 0.0
            try:
                async with astergram(self._configuration, self._log, READY_S, self._command) as program:
                    self.program = program
                    self._killed = False
                    self.ready.set()
                    try:
                        await program.during(asyncio.Event().wait())
                    finally:
                        ended_at = time.monotonic()
            except SandboxError as error:
                if not self._killed or not ended_at:
                    self._failed.set_result(error)
            if not self._failed.done():
                # Reading its last lines has taken some of the time.
                await asyncio.sleep(max(0.0, ended_at + RESTART_S - time.monotonic()))


@asynccontextmanager
async def supervised(configuration: Path, log: Path, command: Sequence[str] = OWN) -> AsyncIterator[Supervisor]:
    """Astergram, ready, until the block is left. Raises SandboxError where it does not get ready."""
    supervisor = Supervisor(configuration, log, command)
    async with background_tasks() as tasks:
        tasks.create_task(supervisor.run(), name="supervisor of Astergram")
        await supervisor.at_work()
        yield supervisor
