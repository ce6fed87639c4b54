"""What a cluster costs with many lines: each controller, NATS, and how long it takes until a call talks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from ari_app.api_client import Api, program
from ari_app.config import Settings, load
from ari_app.sandbox.bench.figures import percentile
from ari_app.sandbox.bench.lines import FDS_A_LINE, START_S, add_users, descriptors, keys, sign_in
from ari_app.sandbox.bench.report import Found, Part
from ari_app.sandbox.bench.rig import CLEAN_FAILURES, ECHO, LOOK_EVERY_S, Rig, end
from ari_app.sandbox.bench.usage import Window, own_mb
from ari_app.sandbox.demo.program import Program, astergram
from ari_app.sandbox.nats import PrivateNats
from ari_app.sandbox.person import Person
from ari_app.sandbox.stage import Stage

LINES_FROM = 79990300000
ALL_HELD_S = 180.0
SERVERS = 3
SETTLE_S = 5.0
"""After all lines are held, for what is done once; as long as they are idle, in a quick run."""
TALK_S = 0.5


@dataclass(frozen=True)
class Machine:
    """A controller at work."""

    settings: Settings
    program: Program
    api: Api


async def measure(rig: Rig, found: Found) -> None:
    """One cluster after the other."""
    setting, count = await rig.stage(), rig.sizes.machine_lines
    numbers = [f"+{LINES_FROM + number}" for number in range(count)]
    add_users(setting, numbers)
    (person,) = await rig.people(1)
    for machines in rig.sizes.machines:
        async with AsyncExitStack() as stack:
            nats = await stack.enter_async_context(PrivateNats(rig.folder / f"nats-{machines}", servers=SERVERS))
            stack.enter_context(descriptors(max(machines, 1) * count * FDS_A_LINE))
            rig.say(f"{count} lines, machines: {machines}")
            began = time.monotonic()
            its = [
                await stack.enter_async_context(_machine(setting, numbers, machines, number, nats))
                for number in range(max(machines, 1))
            ]
            if machines:
                await _all_held(its[0], count)
            held_s = time.monotonic() - began
            await asyncio.sleep(min(SETTLE_S, rig.sizes.idle_s))
            rig.say(f"idle for {rig.sizes.idle_s:g} s")
            programs = [each.program.pid for each in its]
            window = Window([*programs, *nats.pids])
            await asyncio.sleep(rig.sizes.idle_s)
            used = window.end()
            memory = [own_mb(pid) for pid in programs]
            servers = [own_mb(pid) for pid in nats.pids]
            calls = 2 * rig.sizes.steps
            rig.say(f"{calls} calls")
            audio_ms, failures = await _calls(person, numbers, calls)
            found.row(
                "lines on several machines",
                machines=machines,
                lines=count,
                all_held_s=round(held_s, 1),
                controller_cpu_pct=round(used.mean_pct(programs), 1),
                controller_mb=round(sum(memory) / len(memory), 1),
                nats_server_cpu_pct=round(used.mean_pct(nats.pids), 1),
                nats_server_mb=round(sum(servers) / len(servers), 1),
                machine_busy_pct=round(used.busy_pct),
                audio_p50_ms=round(percentile(audio_ms, 50)) if audio_ms else None,
                audio_max_ms=round(max(audio_ms)) if audio_ms else None,
                failed=len(failures),
                first_failure=failures[0] if failures else None,
            )
    found.put("machines_held", max(rig.sizes.machines))


@asynccontextmanager
async def _machine(
    setting: Stage, numbers: list[str], machines: int, number: int, nats: PrivateNats
) -> AsyncIterator[Machine]:
    """One of so many, with a device of its own on each line."""
    name = f"pbx-{number + 1}"
    cluster = {"cluster": {"servers": nats.urls, "machine": name}} if machines else {}
    configuration = await setting.configuration(
        [{"number": each, "context": ECHO} for each in numbers],
        f"machines-{machines}-{number}",
        asterisk={"app": name},
        **cluster,
    )
    settings = load(configuration)
    await asyncio.to_thread(sign_in, settings, keys(setting, numbers), setting)
    log = setting.folder / f"machines-{machines}-{number}.log"
    async with astergram(configuration, log, START_S) as at_work, program(settings) as api:
        yield Machine(settings, at_work, api)


async def _all_held(machine: Machine, lines: int) -> None:
    async with asyncio.timeout(ALL_HELD_S):
        while True:
            told = await machine.api.ask("GET", "/cluster")
            if len({line for each in told["machines"] for line in each["lines"]}) == lines:
                return
            await asyncio.sleep(LOOK_EVERY_S)


async def _calls(person: Person, numbers: list[str], calls: int) -> tuple[list[float], list[str]]:
    """How long each took until it talked, in milliseconds, and what went wrong with those that did not."""
    audio_ms, failures = list[float](), list[str]()
    for number in numbers[:: max(len(numbers) // calls, 1)][:calls]:
        call = None
        try:
            call = await person.call(number)
            await call.confirm(None, None)
            audio_ms.append((time.monotonic() - call.asked_at) * 1000)
            await asyncio.sleep(TALK_S)
        except CLEAN_FAILURES as error:
            failures.append(f"{type(error).__name__}: {error}")
        finally:
            if call:
                await end(call)
    return audio_ms, failures


PART = Part("machines", "many lines on several machines", ("machines_held",), measure)
