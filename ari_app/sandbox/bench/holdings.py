"""Which machine has held which line, from when until when, by one clock; and processes that tell it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import combinations

from ari_app.cluster.engine_leases import boottime
from ari_app.sandbox.processes import SandboxError, stopped
from ari_app.tasks import background_tasks

CONNECT_S = 30.0  # for a process to start and be connected, on a busy machine
KILLED_S = 10.0


class HeldTwice(Exception):
    """Two machines held one line at the same time, which no lease may let happen."""


@dataclass
class Holding:
    """``since`` and ``until``: seconds of CLOCK_BOOTTIME; ``until`` is None while it goes on."""

    line: str
    machine: str
    since: float
    until: float | None = None


class Holdings:
    """All of a run."""

    def __init__(self) -> None:
        self.all: list[Holding] = []
        self._changed = asyncio.Event()

    def took(self, machine: str, line: str, at: float) -> None:
        """A machine holds a line."""
        self.all.append(Holding(line, machine, at))
        self._change()

    def left(self, machine: str, line: str, at: float) -> None:
        """It has let go of it."""
        self._end(at, lambda its: (its.machine, its.line) == (machine, line))

    def ended(self, machine: str, at: float) -> None:
        """The machine has, and holds nothing any more."""
        self._end(at, lambda its: its.machine == machine)

    def holder(self, line: str) -> str | None:
        """The machine that holds a line; None where there is none, or more than one so far as has been told."""
        machines = [its.machine for its in self.all if its.line == line and its.until is None]
        return machines[0] if len(machines) == 1 else None

    def last(self, line: str) -> Holding:
        """The one that began last."""
        return max((its for its in self.all if its.line == line), key=lambda its: its.since)

    async def held_by(self, machine: str, lines: Collection[str], within_s: float) -> float:
        """Wait until a machine holds all of the lines; gives since when it does. Raises SandboxError."""
        try:
            async with asyncio.timeout(within_s):
                await self.until(lambda: all(self.holder(line) == machine for line in lines))
        except TimeoutError:
            held = sum(self.holder(line) == machine for line in lines)
            raise SandboxError(f"machine {machine} holds {held} of {len(lines)} lines after {within_s:g} s") from None
        return max(self.last(line).since for line in lines)

    async def until(self, so: Callable[[], bool]) -> None:
        """Wait until something is so, which what is told here may make so."""
        while not so():
            await self._changed.wait()

    def check(self) -> None:
        """Raises HeldTwice where two ever held one line; to be asked when all processes have ended."""
        for one, other in combinations(sorted(self.all, key=lambda its: its.since), 2):
            if one.line == other.line and (one.until is None or other.since < one.until):
                ends = [its.until for its in (one, other) if its.until is not None]
                lasted = f"for {min(ends) - other.since:.3f} s" if ends else "without an end"
                raise HeldTwice(f"{one.line} was held by machines {one.machine} and {other.machine} at once, {lasted}")

    def _end(self, at: float, which: Callable[[Holding], bool]) -> None:
        for its in self.all:
            if its.until is None and which(its):
                its.until = at
        self._change()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Holder:
    """A process of `holder.py`; made by `holder(...)`. ``connected``: when it was, once it is."""

    def __init__(self, machine: str, process: asyncio.subprocess.Process, holdings: Holdings) -> None:
        self.machine = machine
        self.connected: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._process = process
        self._holdings = holdings
        self._ending = False
        self._ended = asyncio.Event()

    async def until_connected(self) -> None:
        """Wait until it is. Raises SandboxError."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self.connected
        except TimeoutError:
            raise SandboxError(f"machine {self.machine} is not connected to NATS after {CONNECT_S:g} s") from None

    async def kill(self) -> float:
        """By SIGKILL; gives when."""
        self._ending = True
        killed_at = boottime()
        self._process.kill()
        async with asyncio.timeout(KILLED_S):
            await self._ended.wait()
            await self._process.wait()
        return killed_at

    async def end(self) -> None:
        """In order: it lets go of its lines."""
        self._ending = True
        await stopped(self._process)

    def hand_over(self, line: str, to: str) -> None:
        """Have it let go of a line in favour of another machine, if it holds it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"hand_over": line, "to": to}).encode() + b"\n")

    async def follow(self) -> None:
        """Take note of what it says, until it ends. Raises SandboxError where nobody has ended it."""
        assert self._process.stdout is not None
        try:
            async for said in self._process.stdout:
                match json.loads(said):
                    case {"connected": float(at)}:
                        self.connected.set_result(at)
                    case {"held": str(line), "at": float(at)}:
                        self._holdings.took(self.machine, line, at)
                    case {"left": str(line), "at": float(at)}:
                        self._holdings.left(self.machine, line, at)
        finally:
            self._holdings.ended(self.machine, boottime())
            self._ended.set()
        if not self._ending:
            raise SandboxError(f"machine {self.machine} has ended by itself; sandbox.log may say why")


@asynccontextmanager
async def holder(
    machine: str, lease_s: float, lines: Sequence[str], servers: Sequence[str], holdings: Holdings
) -> AsyncIterator[Holder]:
    """One that is connected, until the block is left."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"{__package__}.holder", machine, str(lease_s), ",".join(lines), ",".join(servers)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C at the terminal is ours to handle
    )
    its = Holder(machine, process, holdings)
    async with background_tasks() as tasks:
        following = tasks.create_task(its.follow(), name=f"machine {machine}")
        try:
            await its.until_connected()
            yield its
        finally:
            await its.end()
            await following
