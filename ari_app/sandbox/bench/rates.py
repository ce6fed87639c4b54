"""How long it takes until a call talks, when they come one after the other and when they come together."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field

from ari_app.sandbox.bench.figures import percentile, spread
from ari_app.sandbox.bench.report import Found, Part
from ari_app.sandbox.bench.rig import CLEAN_FAILURES, Controller, Rig, end
from ari_app.sandbox.bench.usage import Window
from ari_app.sandbox.person import Person
from ari_app.tasks import background_tasks

TALK_S = 0.5
LIFE_S = 2.5
"""Of a call, more or less, on a machine that is not full: so many people are needed."""
LATE_S = 0.1
"""A call begins later than it should when nobody is free to make it, or the machine is full."""


@dataclass
class Rate:
    """What became of the calls of one rate; times in milliseconds since the person's device asked for the call."""

    rings_ms: list[float] = field(default_factory=list)
    accepted_ms: list[float] = field(default_factory=list)
    audio_ms: list[float] = field(default_factory=list)
    late: int = 0
    failures: list[str] = field(default_factory=list)


async def measure(rig: Rig, found: Found) -> None:
    """Rate after rate, each for some seconds."""
    sizes, controller = rig.sizes, await rig.controller("rtp")
    most = math.ceil(max(sizes.rates) * min(LIFE_S, sizes.rate_s))
    rig.say(f"signing in {most} people")
    people = await rig.people(most)
    for per_s in set(KEYS) - set(sizes.rates):
        found.put(KEYS[per_s], None, "this run does not try that many")
    for per_s in sizes.rates:
        rig.say(f"{per_s:g} calls a second, for {sizes.rate_s:g} s")
        window = Window([controller.program.pid])
        rate = await _calls(controller, people, per_s, round(per_s * sizes.rate_s))
        used = window.end()
        found.row(
            "calls a second",
            calls_a_second=per_s,
            calls=round(per_s * sizes.rate_s),
            failed=len(rate.failures),
            began_late=rate.late,
            rings_p50_ms=round(percentile(rate.rings_ms, 50)) if rate.rings_ms else None,
            accepted_p50_ms=round(percentile(rate.accepted_ms, 50)) if rate.accepted_ms else None,
            **{f"audio_{name}": value for name, value in spread(rate.audio_ms, "ms").items() if name != "of"},
            controller_cpu_pct=round(used.of(controller.program.pid), 1),
            machine_busy_pct=round(used.busy_pct),
            first_failure=rate.failures[0] if rate.failures else None,
        )
        if per_s in KEYS:
            found.put(KEYS[per_s], found.tables["calls a second"][-1]["audio_p50_ms"], "no call talked")
        await controller.quiet()


async def _calls(controller: Controller, people: list[Person], per_s: float, calls: int) -> Rate:
    rate, free = Rate(), asyncio.Queue[Person]()
    for person in people:
        free.put_nowait(person)
    began = time.monotonic()
    async with background_tasks() as tasks:
        running = []
        for number in range(calls):
            await asyncio.sleep(max(0.0, began + number / per_s - time.monotonic()))
            person = await free.get()
            rate.late += time.monotonic() - began - number / per_s > LATE_S
            running.append(tasks.create_task(_call(controller, person, rate, free), name=f"call {number}"))
        await asyncio.wait(running)
    return rate


async def _call(controller: Controller, person: Person, rate: Rate, free: asyncio.Queue[Person]) -> None:
    call = None
    try:
        call = await person.call(controller.line)
        for happens, times in ((call.rings, rate.rings_ms), (call.accepted, rate.accepted_ms)):
            await happens()
            times.append((time.monotonic() - call.asked_at) * 1000)
        await call.confirm(None, None)
        rate.audio_ms.append((time.monotonic() - call.asked_at) * 1000)
        await asyncio.sleep(TALK_S)
    except CLEAN_FAILURES as error:
        rate.failures.append(f"{type(error).__name__}: {error}")
    finally:
        if call:
            await end(call)
        free.put_nowait(person)


RATES = (1.0, 5.0, 10.0)
KEYS = {rate: f"audio_ms_at_rate.{rate:g}" for rate in RATES}
PART = Part("rates", "set-up times at rising rates of calls", tuple(KEYS.values()), measure)
