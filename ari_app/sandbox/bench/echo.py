"""How long a person waits for their own words: by Asterisk's Echo() over each transport, and by two bare legs.

A person says talks with marks (`ari_app.sandbox.delay`), over and over, and records what they hear. Their device says
and hears by one clock, a frame of 10 ms each way with every tick, so a mark's delay is the distance between its places
in what was said and what was heard, and the length of a frame: it was spoken before it was handed over.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from ari_app.sandbox.bench.bare import bare_endpoint, connected
from ari_app.sandbox.bench.figures import spread
from ari_app.sandbox.bench.report import Found, Part
from ari_app.sandbox.bench.rig import TRANSPORTS, Rig, talk
from ari_app.sandbox.delay import HELLO_S, PAUSE_S, TICK_S, mark_delays_s, marks, write_talk
from media.process import MediaProcess

HZ = 440.0
TAIL_S = 1.5
"""For the last words to come back, before the next talk's first mark."""
BARE = "bare"


def write_talk_of(path: Path, seconds: float) -> float:
    """One talk; gives how long it is, pause included."""
    write_talk(path, HZ, seconds)
    return HELLO_S + PAUSE_S + seconds


async def said_and_heard(audio: MediaProcess, talk_s: float, talks: int) -> float:
    """Let a person talk; gives where in their recording, in seconds, they began to."""
    await asyncio.sleep(talks * talk_s + TAIL_S)
    ticks = await audio.stats()
    return (ticks.to_asterisk.packets - ticks.from_asterisk.packets) * TICK_S


def echoes_ms(said: Path, talk_s: float, talks: int, heard: Path, began_s: float) -> list[float]:
    """The delay of each mark of some talks, one after the other; ``began_s``: of the first, in the recording."""
    spoken, echoed = marks(said), marks(heard)
    found = []
    for number in range(talks):
        starts = began_s + number * talk_s
        its = [mark - starts for mark in echoed if starts <= mark < starts + talk_s + TAIL_S]
        found += [(delay + TICK_S) * 1000 for delay in mark_delays_s(spoken, its)]
    return found


async def measure(rig: Rig, found: Found) -> None:
    """Rounds of a call by each transport, and one of two bare legs."""
    sizes, said = rig.sizes, rig.folder / "talk.wav"
    talk_s = await asyncio.to_thread(write_talk_of, said, sizes.talk_s)
    ways = (*TRANSPORTS, BARE)
    delays: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(1, sizes.echo_rounds + 1):
        for way in ways:
            rig.say(f"round {number} of {sizes.echo_rounds}, {way}")
            heard = rig.folder / f"echo-{way}-{number}.wav"
            began_s = await _talk(rig, way, said, talk_s, heard)
            delays[way] += await asyncio.to_thread(echoes_ms, said, talk_s, sizes.talks, heard, began_s)
    for way in ways:
        row = spread(delays[way], "ms")
        found.row("person to echo to person", way=way, **row)
        found.put(f"echo_ms.{way}", row["p50_ms"], "no mark of the talks was found in what came back")


async def _talk(rig: Rig, way: str, said: Path, talk_s: float, heard: Path) -> float:
    talks = rig.sizes.talks
    for transport in TRANSPORTS:
        if way == transport:
            person, *_ = await rig.people(1)
            async with talk(await rig.controller(transport), person, said, heard, loop=True) as call:
                assert call.audio is not None
                return await said_and_heard(call.audio, talk_s, talks)
    pool = (await rig.stage()).people_pool
    versions = (await pool.protocol()).library_versions
    async with bare_endpoint("echo") as callee, pool.process("bare") as caller:
        await caller.attach_files(said, heard, loop=True)
        async with connected(caller, callee, versions):
            return await said_and_heard(caller, talk_s, talks)


PART = Part("echo", "person to echo to person", tuple(f"echo_ms.{way}" for way in (*TRANSPORTS, BARE)), measure)
