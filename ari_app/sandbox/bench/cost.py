"""What one call costs: its media process, with Asterisk and the controller, and bare endpoints in the same seconds."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from ari_app.sandbox.bench.bare import BareEndpoint, Mode, bare_endpoint, connected
from ari_app.sandbox.bench.figures import median, ratio
from ari_app.sandbox.bench.report import Found, Part
from ari_app.sandbox.bench.rig import TRANSPORTS, Controller, Rig, talk
from ari_app.sandbox.bench.usage import Window, own_mb

SETTLE_S = 1.5
"""After the audio is connected, for the first second of it, and for key exchange and set-up to be over."""
MODES: tuple[Mode, ...] = ("direct", "asyncio")


async def measure(rig: Rig, found: Found) -> None:
    """Rounds of one call by each transport; a pair of bare endpoints of each kind talks all the while."""
    setting = await rig.stage()
    versions = (await setting.people_pool.protocol()).library_versions
    async with AsyncExitStack() as stack:
        bare: dict[Mode, list[BareEndpoint]] = {}
        for mode in MODES:
            one, other = bare[mode] = [await stack.enter_async_context(bare_endpoint(mode)) for _ in range(2)]
            await stack.enter_async_context(connected(one, other, versions))
        for number in range(1, rig.sizes.cost_rounds + 1):
            for transport in TRANSPORTS:
                rig.say(f"round {number} of {rig.sizes.cost_rounds}, {transport}")
                await _window(rig, await rig.controller(transport), bare, found)
    _conclude(found)


async def _window(rig: Rig, controller: Controller, bare: dict[Mode, list[BareEndpoint]], found: Found) -> None:
    person, *_ = await rig.people(1)
    asterisk = (await rig.stage()).asterisk.pid
    async with talk(controller, person, rig.tone, None, loop=True):
        await asyncio.sleep(SETTLE_S)
        media = controller.media_pids
        endpoints = {mode: [each.pid for each in pair] for mode, pair in bare.items()}
        before = [await each.heard() for pair in bare.values() for each in pair]
        window = Window([*media, asterisk, controller.program.pid, *endpoints["direct"], *endpoints["asyncio"]])
        await asyncio.sleep(rig.sizes.window_s)
        used = window.end()
        after = [await each.heard() for pair in bare.values() for each in pair]
        (in_the_call, *_) = used.busiest(media, 1)
        found.row(
            "one call",
            transport=controller.transport,
            media_cpu_pct=round(used.of(in_the_call), 2),
            bare_direct_cpu_pct=round(used.mean_pct(endpoints["direct"]), 2),
            bare_asyncio_cpu_pct=round(used.mean_pct(endpoints["asyncio"]), 2),
            media_to_bare_direct=ratio(used.of(in_the_call), used.mean_pct(endpoints["direct"])),
            asterisk_cpu_pct=round(used.of(asterisk), 2),
            controller_cpu_pct=round(used.of(controller.program.pid), 2),
            media_mb=round(own_mb(in_the_call), 1),
            bare_frames_heard=min(now - then for now, then in zip(after, before, strict=True)),
            machine_busy_pct=round(used.busy_pct),
        )


KEYS = {
    "media_cpu_pct": ("rtp", "media_cpu_pct"),
    "media_websocket_cpu_pct": ("websocket", "media_cpu_pct"),
    "media_to_bare_direct": ("rtp", "media_to_bare_direct"),
    "media_websocket_to_bare_direct": ("websocket", "media_to_bare_direct"),
    "bare_direct_cpu_pct": ("", "bare_direct_cpu_pct"),
    "bare_asyncio_cpu_pct": ("", "bare_asyncio_cpu_pct"),
    "asterisk_cpu_pct": ("rtp", "asterisk_cpu_pct"),
    "controller_cpu_pct": ("rtp", "controller_cpu_pct"),
    "media_mb": ("rtp", "media_mb"),
}
"""Of the report: the column of the table, and of which transport it is (empty: both)."""


def _conclude(found: Found) -> None:
    """The middle of all windows: one that somebody else disturbed does not count."""
    rows = found.tables["one call"]
    for key, (transport, column) in KEYS.items():
        values = [row[column] for row in rows if transport in ("", row["transport"]) and row[column] is not None]
        found.put(key, median(values, 2))


PART = Part("cost", "CPU and memory of one call, beside bare endpoints", tuple(KEYS), measure)
