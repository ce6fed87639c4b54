"""How each fault of a chaos run is made to happen, and when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from ari_app.sandbox.chaos.machine import Machine
from ari_app.sandbox.chaos.plan import Fault, PlannedFault
from ari_app.sandbox.chaos.ways import Way
from ari_app.sandbox.nats import PrivateNats
from ari_app.sandbox.processes import frozen


@dataclass(frozen=True)
class Target:
    """What is hit: the machines, and the NATS servers."""

    machines: Sequence[Machine]
    nats: PrivateNats

    def hit_by(self, planned: PlannedFault) -> str:
        """Which of them a fault hits, as the report calls it."""
        if planned.fault in _OF_MACHINES:
            return f"machine {self._machine(planned).name}"
        return "all servers" if planned.fault is Fault.DATA_LOST else f"server {self._server(planned)}"

    def inflicted(self, planned: PlannedFault) -> AbstractAsyncContextManager[None]:
        """The fault works while inside."""
        machine, server = self._machine(planned), self._server(planned)
        to_server = [each.nats[server] for each in self.machines]
        ways: dict[Fault, Callable[[], AbstractAsyncContextManager[None]]] = {
            Fault.PROGRAM_KILLED: lambda: _killed(machine),
            Fault.PROGRAM_STOPPED: lambda: _stopped(machine),
            Fault.NATS_CUT: lambda: _cut(machine.nats, planned.hangs),
            Fault.TELEGRAM_CUT: lambda: _cut(machine.telegram, planned.hangs),
            Fault.BOTH_CUT: lambda: _cut([*machine.nats, *machine.telegram], planned.hangs),
            Fault.SERVER_KILLED: lambda: self._servers_killed([server]),
            Fault.SERVER_STOPPED: lambda: self._server_stopped(server),
            Fault.SERVER_CUT: lambda: _cut(to_server, planned.hangs),
            Fault.DATA_LOST: lambda: self._servers_killed(range(len(self.nats.urls)), forget=True),
        }
        return ways[planned.fault]()

    def _machine(self, planned: PlannedFault) -> Machine:
        return self.machines[int(planned.whom * len(self.machines))]

    def _server(self, planned: PlannedFault) -> int:
        return int(planned.whom * len(self.nats.urls))

    @asynccontextmanager
    async def _servers_killed(self, servers: Sequence[int], *, forget: bool = False) -> AsyncIterator[None]:
        await asyncio.gather(*map(self.nats.kill, servers))
        try:
            yield
        finally:
            if forget:
                for each in servers:
                    self.nats.forget(each)
            await asyncio.gather(*(self.nats.start(each, ready=False) for each in servers))
            await asyncio.gather(*map(self.nats.ready, servers))

    @asynccontextmanager
    async def _server_stopped(self, server: int) -> AsyncIterator[None]:
        with self.nats.frozen(server):
            yield


_OF_MACHINES = {
    Fault.PROGRAM_KILLED, Fault.PROGRAM_STOPPED, Fault.NATS_CUT, Fault.TELEGRAM_CUT, Fault.BOTH_CUT,
}  # fmt: skip


@asynccontextmanager
async def _killed(machine: Machine) -> AsyncIterator[None]:
    await machine.supervisor.kill()
    yield


@asynccontextmanager
async def _stopped(machine: Machine) -> AsyncIterator[None]:
    with frozen(machine.supervisor.program.pid):
        yield


@asynccontextmanager
async def _cut(ways: Sequence[Way], hangs: bool) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for each in ways:
            await stack.enter_async_context(each.cut(hangs))
        yield
