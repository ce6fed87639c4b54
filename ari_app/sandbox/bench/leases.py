"""How long a line is without a machine, or NATS without a leader, whatever happens to who holds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field
from uuid import uuid4

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.engine import NatsBucket, connected
from ari_app.cluster.engine_leases import RENEWALS, boottime
from ari_app.sandbox.bench.figures import extremes, percentile
from ari_app.sandbox.bench.holder import BUCKET
from ari_app.sandbox.bench.holdings import Holder, Holdings, holder
from ari_app.sandbox.bench.report import Found, Part
from ari_app.sandbox.bench.rig import Rig
from ari_app.sandbox.bench.sizes import Sizes
from ari_app.sandbox.nats import PORTS_EACH, PrivateNats
from ari_app.sandbox.ports import HOST
from ari_app.sandbox.processes import SandboxError
from ari_app.sandbox.proxy import Proxy
from ari_app.tasks import guarded_tasks

LINES = [f"+{79990400000 + number}" for number in range(6)]
HELD_S = 60.0
"""Beside the time of a lease, for lines to be held: whatever else the machine has to do."""
PROBE_S = 0.05
WRITES_S = 60.0
STREAM = f"KV_{BUCKET}"  # NATS ADR-8
PROBE = "probe"  # a key of the leases' bucket that is no line's
MOVED = "leases_changed_hands"

Times = Mapping[str, Sequence[float]]
"""By what was measured: seconds, as often as it was."""


@dataclass
class Machines:
    """Machine ``a``, which holds all lines at first, and ``b``."""

    nats: PrivateNats
    sizes: Sizes
    found: Found
    stack: AsyncExitStack
    holdings: Holdings = field(default_factory=Holdings)
    at_work: dict[str, Holder] = field(default_factory=dict)

    async def start(self, machine: str, servers: Sequence[str] = ()) -> float:
        """Start one, with ways of its own to the servers or without; gives when it was connected."""
        its = holder(machine, self.sizes.lease_s, LINES, servers or self.nats.urls, self.holdings)
        self.at_work[machine] = await self.stack.enter_async_context(its)
        return self.at_work[machine].connected.result()

    async def held_by(self, machine: str, lines: Sequence[str] = LINES) -> float:
        """Wait until it holds all of them; gives since when."""
        return await self.holdings.held_by(machine, lines, self.sizes.lease_s + HELD_S)

    async def faults(self) -> AsyncIterator[None]:
        """One moment after the other for a fault on ``a``, which holds all lines; they are spread evenly over the time
        between two renewals.
        """
        between_s = self.sizes.lease_s / RENEWALS
        for number in range(self.sizes.lease_faults):
            await self._gather(between_s)
            await asyncio.sleep(between_s * number / self.sizes.lease_faults)
            yield

    async def _gather(self, again_s: float) -> None:
        """Have ``b`` hand over all it has, and again where ``a`` could not take it yet."""
        until = boottime() + self.sizes.lease_s + HELD_S
        while boottime() < until:
            for line in LINES:
                if self.holdings.holder(line) == "b":
                    self.at_work["b"].hand_over(line, "a")
            with suppress(SandboxError):
                await self.holdings.held_by("a", LINES, again_s)
                return
        raise SandboxError("machine b could not hand all lines over to machine a")


async def measure(rig: Rig, found: Found) -> None:
    """One step after the other, with the same two machines. Raises HeldTwice."""
    async with PrivateNats(rig.folder / "nats-leases", hidden=True) as nats, AsyncExitStack() as stack:
        machines = Machines(nats, rig.sizes, found, stack)
        stack.callback(machines.holdings.check)  # when both have ended
        rig.say(f"the first start, which takes {rig.sizes.lease_s:g} s")
        await machines.start("a")
        await machines.held_by("a")
        await machines.start("b")
        for said, step, key in STEPS:
            rig.say(said)
            times = await step(machines)
            for what, its in times.items():
                found.row("leases", what=what, **extremes(its, "s", 3))
            found.put(key, round(percentile(next(iter(times.values())), 50), 3))


async def _handed_over(machines: Machines) -> Times:
    times = []
    for number in range(machines.sizes.hand_overs):
        line = LINES[number % len(LINES)]
        before = machines.holdings.last(line)
        to = "b" if before.machine == "a" else "a"
        machines.at_work[before.machine].hand_over(line, to)
        held_at = await machines.held_by(to, [line])
        assert before.until is not None
        times.append(held_at - before.until)
    return {"handed over, one line": times}


async def _started_again(machines: Machines) -> Times:
    since_kill, since_connected = [], []
    async for _ in machines.faults():
        killed_at = await machines.at_work["a"].kill()
        connected_at = await machines.start("a")
        held_at = await machines.held_by("a")
        since_kill.append(held_at - killed_at)
        since_connected.append(held_at - connected_at)
    return {
        "killed and started again: until it holds all lines": since_kill,
        "the same, since it was connected": since_connected,
    }


async def _killed(machines: Machines) -> Times:
    times = []
    async for _ in machines.faults():
        killed_at = await machines.at_work["a"].kill()
        times.append(await machines.held_by("b") - killed_at)
        await machines.start("a")
    return {"killed for good: until the other one holds all lines": times}


async def _leader_killed(machines: Machines) -> Times:
    times, moved, nats = [], 0, machines.nats
    async for _ in machines.faults():
        leader = await _leader(nats)
        async with connected([nats.urls[leader - 1]], "bench") as engine:  # by a server that stays
            bucket = engine.bucket(BUCKET)
            await bucket.read(PROBE)
            killed_at = boottime()
            await nats.kill(leader)
            times.append(await _first_write(bucket) - killed_at)
        await nats.start(leader)
        await asyncio.sleep(machines.sizes.lease_s)  # by then a lease that has lapsed is taken
        moved += sum(machines.holdings.last(line).machine != "a" for line in LINES)
    machines.found.row("lines at these kills", kills=len(times), lines=len(LINES) * len(times), changed_hands=moved)
    machines.found.put(MOVED, moved)
    return {"the NATS server that leads killed: until a write is acknowledged": times}


async def _cut_off(machines: Machines) -> Times:
    ports = machines.nats.ports[::PORTS_EACH]
    proxies = [await machines.stack.enter_async_context(Proxy(port)) for port in ports]
    await machines.at_work["a"].end()
    await machines.start("a", [f"nats://{HOST}:{proxy.port}" for proxy in proxies])
    let_go, taken, between = [], [], []
    async for _ in machines.faults():
        its = [machines.holdings.last(line) for line in LINES]
        cut_at = boottime()
        with ExitStack() as cut:
            for proxy in proxies:
                cut.enter_context(proxy.stalled())
            taken.append(await machines.held_by("b") - cut_at)
        let_go.append(max(each.until or 0.0 for each in its) - cut_at)
        between += [machines.holdings.last(each.line).since - (each.until or 0.0) for each in its]
    return {
        "cut from NATS: until the other one holds all lines": taken,
        "until it has let go of all": let_go,
        "between the two, each line": between,
    }


async def _leader(nats: PrivateNats) -> int:
    """The server that leads for the leases."""
    async with connected(nats.urls, "bench") as engine:
        client = await engine.connection()
        cluster = (await client.jetstream().stream_info(STREAM)).cluster
    if cluster is None or not cluster.leader:
        raise SandboxError("the leases have no leader among the NATS servers")
    return int(cluster.leader.removeprefix("n"))


async def _first_write(bucket: NatsBucket) -> float:
    """Write every `PROBE_S`, whether or not the earlier ones were answered; gives when the first one was."""
    written: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def write() -> None:
        with suppress(EngineAway):
            await bucket.write(f"{PROBE}.{uuid4().hex}", b"", 0)
            if not written.done():
                written.set_result(boottime())

    until = boottime() + WRITES_S
    async with guarded_tasks() as tasks:
        while boottime() < until:
            tasks.spawn(write(), "a write")
            await asyncio.wait({written}, timeout=PROBE_S)
            if written.done():
                return written.result()
    raise SandboxError(f"NATS confirms no write {WRITES_S:g} s after one of its servers was killed")


STEPS: tuple[tuple[str, Callable[[Machines], Awaitable[Times]], str], ...] = (
    ("handing lines over", _handed_over, "leases_s.handed_over"),
    ("killing the holder, which is started again", _started_again, "leases_s.started_again"),
    ("killing the holder for good", _killed, "leases_s.killed"),
    ("killing the NATS server that leads", _leader_killed, "leases_s.no_writes"),
    ("cutting the holder from NATS", _cut_off, "leases_s.cut_off"),
)
"""Each with the key of the first of its times, the middle one. The last one leaves machine ``a`` behind proxies."""
PART = Part(
    "leases", "who holds a line when a machine or a NATS server goes", (*(key for *_, key in STEPS), MOVED), measure
)
