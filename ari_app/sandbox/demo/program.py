"""Astergram as the demo runs it: the real command, a process of its own, known only by what it logs."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ari_app.calls.events import Connected, Resumed
from ari_app.sandbox.processes import SandboxError, stopped
from ari_app.tasks import background_tasks

T = TypeVar("T")

READY_S = 30.0
EVENT_S = 15.0
"""A call's end is in the log within this: it may have to wait for an answer of Asterisk."""
LAST_LINES_S = 1.0
"""Its last lines come right after its end; a media process that outlives it may hold the pipe open for longer."""
TAIL_LINES = 8
OWN = (sys.executable, "-m", "ari_app.cli")
"""This checkout's Astergram."""

READY = re.compile(r"astergram: (ready: .*)")
FIRST_LINK = re.compile(r"open this link \(once\): (\S+)")
CONNECTED = re.compile(f"{Connected()}$")
RESUMED = re.compile(f"{Resumed()}$")
ACTS = re.compile(r"this machine acts for it (now|no more)")
ENDING = re.compile(r"call \w+ +[\d.]+ s +astergram +(?P<status>[A-Z]+), cause (?P<cause>\d+): (?P<detail>.*)")


class ProgramEnded(SandboxError):
    """Astergram has ended by itself; the text quotes its last log lines."""


@dataclass(frozen=True)
class Ended:
    """How a call ended, in Astergram's own words."""

    status: str
    cause: int
    detail: str


class Program:
    """A running Astergram."""

    def __init__(
        self, process: asyncio.subprocess.Process, output: asyncio.StreamReader, log: Path, started: float
    ) -> None:
        self.log = log
        self.said_ready = ""
        self.ready_ms = 0
        """From its start until it was ready."""
        self.resumed_ms: list[int] = []
        """From its start, for each call that an earlier one has left and that goes on; `resumed` waits for them."""
        self._leases = 0
        self._started = started
        self._process = process
        self._output = output
        self._unread: list[str] = []
        self._tail: list[str] = []
        self._changed = asyncio.Condition()
        self._closed = asyncio.Event()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ready(self, timeout_s: float = READY_S) -> str:
        """Wait until it works; returns its own line about that."""
        self.said_ready = (await self.during(self._line(READY, timeout_s)))[1]
        self.ready_ms = self._since_start_ms()
        return self.said_ready

    async def first_link(self) -> str:
        """Wait for the link to its admin page, which it prints once it is ready, as long as there is no password."""
        return (await self.during(self._line(FIRST_LINK, READY_S)))[1]

    async def call_talks(self) -> None:
        """Wait until both sides of the next call talk: a person's own media may be connected a moment before."""
        await self._line(CONNECTED, EVENT_S)

    async def acts_for_a_line(self) -> None:
        """Wait until it has a lease of the cluster's, which it may have had before it was ready."""
        await self.during(self._acts_for_a_line())

    async def _acts_for_a_line(self) -> None:
        try:
            async with asyncio.timeout(READY_S), self._changed:
                await self._changed.wait_for(lambda: self._leases > 0)
        except TimeoutError:
            raise SandboxError(f"Astergram has no lease after {READY_S:g} s ({self.log})") from None

    async def call_ended(self) -> Ended:
        """Wait for the next call's end."""
        line = await self._line(ENDING, EVENT_S)
        return Ended(line["status"], int(line["cause"]), line["detail"])

    async def resumed(self, calls: int = 1) -> None:
        """Wait until so many calls that an earlier one has left go on."""
        try:
            async with asyncio.timeout(EVENT_S), self._changed:
                await self._changed.wait_for(lambda: len(self.resumed_ms) >= calls)
        except TimeoutError:
            had = len(self.resumed_ms)
            raise SandboxError(
                f"Astergram goes on with {had} of {calls} calls after {EVENT_S:g} s ({self.log})"
            ) from None

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()

    def forget(self) -> None:
        """What it has logged so far is not waited for any more."""
        self._unread.clear()

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something that needs it; raises ProgramEnded as soon as it ends."""
        working = asyncio.create_task(work)
        ended = asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait({working, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise await self._death(ended.result())
            return working.result()
        finally:
            for task in (working, ended):
                task.cancel()
            await asyncio.gather(working, ended, return_exceptions=True)

    async def follow(self) -> None:
        """Read its log until it ends."""
        with self.log.open("ab", buffering=0) as file:
            async for raw in self._output:
                file.write(raw)
                line = raw.decode(errors="replace").rstrip()
                self._tail = [*self._tail, line][-TAIL_LINES:]
                async with self._changed:
                    if RESUMED.search(line):
                        self.resumed_ms.append(self._since_start_ms())
                    if acts := ACTS.search(line):
                        self._leases += 1 if acts[1] == "now" else -1
                    self._unread.append(line)
                    self._changed.notify_all()
        self._closed.set()

    async def _line(self, pattern: re.Pattern[str], timeout_s: float) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            while self._unread:
                if match := pattern.search(self._unread.pop(0)):
                    return match
            return None

        try:
            async with asyncio.timeout(timeout_s), self._changed:
                return await self._changed.wait_for(found)  # type: ignore[arg-type]
        except TimeoutError:
            raise SandboxError(f"Astergram logged no {pattern.pattern!r} within {timeout_s:g} s ({self.log})") from None

    def _since_start_ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)

    async def last_lines(self) -> None:
        """Wait, after its end, until all of its log has been read."""
        try:
            async with asyncio.timeout(LAST_LINES_S):
                await self._closed.wait()
        except TimeoutError:
            return

    async def _death(self, status: int) -> ProgramEnded:
        await self.last_lines()
        said = "".join(f"\n    {line}" for line in self._tail)
        return ProgramEnded(f"Astergram ended by itself with status {status}; its last lines ({self.log}):{said}")


@asynccontextmanager
async def astergram(
    configuration: Path, log: Path, ready_s: float = READY_S, command: Sequence[str] = OWN
) -> AsyncIterator[Program]:
    """Run `astergram run --config FILE` until the block is left; it is ready, within ``ready_s``, at its beginning.

    ``command``: what stands in the place of `astergram`.
    """
    readable, writable = os.pipe()
    output = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(output), os.fdopen(readable, "rb")
    )
    started = time.monotonic()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            *("run", "--config", str(configuration)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writable,
            stderr=asyncio.subprocess.STDOUT,
            # A Ctrl-C at the terminal is the demo's to handle: it stops Astergram in its turn.
            start_new_session=True,
        )
    except BaseException:
        pipe.close()
        raise
    finally:
        os.close(writable)
    program = Program(process, output, log, started)
    async with background_tasks() as tasks:
        tasks.create_task(program.follow(), name="Astergram's log")
        try:
            await program.ready(ready_s)
            yield program
        finally:
            await stopped(process)
            await program.last_lines()
            pipe.close()
