"""A machine of a cluster that holds lines and does nothing else: a process, which says so by JSON lines.

It says ``{"connected": AT}``, ``{"held": LINE, "at": AT}`` and ``{"left": LINE, "at": AT}``, by the clock of the
leases, which all processes of this machine share. ``{"hand_over": LINE, "to": MACHINE}`` is what it may be told. It
lets go of its lines and ends on SIGTERM, or where its input ends.

python -m ari_app.sandbox.bench.holder MACHINE LEASE_S LINE,LINE,... SERVER,SERVER,...
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from uuid import uuid4

from ari_app.cluster.engine import connected
from ari_app.cluster.engine_leases import EngineLeases, Owner, boottime
from ari_app.cluster.leases import HeldLine
from ari_app.sandbox.command import stopped_by_sigterm
from ari_app.tasks import guarded_tasks

BUCKET = "astergram-leases"


async def main(machine: str, lease_s: float, lines: Sequence[str], servers: Sequence[str]) -> None:
    """Hold the lines whenever that is possible, until told to end."""
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    held: dict[str, HeldLine] = {}
    with stopped_by_sigterm():
        async with connected(servers, machine) as engine, guarded_tasks() as tasks:
            leases = EngineLeases(engine.bucket(BUCKET), Owner(machine, uuid4().hex), lease_s)
            tasks.supervise(leases.watch, "the leases")
            for line in lines:
                tasks.supervise(partial(_hold, leases, line, held), line)
            await engine.connected.wait()
            _say(connected=boottime())
            async for order in orders:
                match json.loads(order):
                    case {"hand_over": str(line), "to": str(to)} if line in held:
                        held[line].hand_over_to(to)


async def _hold(leases: EngineLeases, line: str, held: dict[str, HeldLine]) -> None:
    while True:
        async with leases.hold(line) as its:
            _say(held=line, at=boottime())
            held[line] = its
            try:
                await its.lost.wait()
            finally:
                del held[line]
                _say(left=line, at=boottime())


def _say(**said: str | float) -> None:
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    with suppress(asyncio.CancelledError):
        asyncio.run(main(sys.argv[1], float(sys.argv[2]), sys.argv[3].split(","), sys.argv[4].split(",")))
