"""Many calls at once: what each costs, how many there can be without a gap, and what becomes of the one too many.

People and Asterisk are on the same machine, and each person's device costs about as much as the call itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from telethon.tl import types

from ari_app.sandbox.bench.growth import LOOKS, Growth
from ari_app.sandbox.bench.holes import holes_ms
from ari_app.sandbox.bench.report import Found, Part
from ari_app.sandbox.bench.rig import CLEAN_FAILURES, Controller, Rig, end
from ari_app.sandbox.bench.usage import Used, Window, own_mb
from ari_app.sandbox.person import Person, PersonCall
from ari_app.sandbox.processes import SandboxError
from media.types import MediaError

SETTLE_S = 1.0
WRITTEN_S = 0.7
"""A recording is written each half second."""
TICK_S = 0.01


class NotTaken(SandboxError):
    """A call that did not come to talk; ``refused``: whether it was, before anybody rang, and ``after_ms`` when."""

    def __init__(self, refused: bool, after_ms: float, why: str) -> None:
        super().__init__(f"{'refused' if refused else 'failed'} after {after_ms:.0f} ms: {why}")
        self.refused = refused
        self.after_ms = after_ms


@dataclass
class Held:
    """A call that goes on, and what its person hears."""

    call: PersonCall
    heard: Path

    async def heard_s(self) -> float | None:
        """How long the recording is by now; None where there is nobody any more who records."""
        assert self.call.audio is not None
        try:
            return (await self.call.audio.stats()).to_asterisk.packets * TICK_S
        except MediaError:
            return None


@dataclass
class Look:
    """``gaps_ms``: the longest of each call that had one."""

    used: Used
    gaps_ms: list[int]


async def measure(rig: Rig, found: Found) -> None:
    """One call after the other, until there is a gap, a refusal, or there are as many as are wanted."""
    sizes = rig.sizes
    controller = await rig.limited_controller()
    rig.say(f"signing in {sizes.most + 1} people")
    people = await rig.people(sizes.most + 1)
    growth, held = Growth(sizes.calls, sizes.step, sizes.most), list[Held]()
    refusal: NotTaken | None = None
    try:
        while size := growth.next():
            rig.say(f"{size} calls")
            try:
                while len(held) < size:
                    held.append(await _place(rig, controller, people[len(held)]))
            except NotTaken as error:
                refusal = error
                growth.stop(f"call {len(held) + 1} was {error}")
            with_gaps: list[int] = []
            while len(with_gaps) < LOOKS and (not with_gaps or with_gaps[-1]):
                seconds = sizes.window_s if size in sizes.calls else sizes.hold_s
                look = await _look(rig, controller, held, seconds)
                with_gaps.append(len(look.gaps_ms))
                _row(found, controller, (await rig.stage()).asterisk.pid, len(held), seconds, look)
            growth.looked(len(held), with_gaps)
        if refusal is None:
            rig.say("one more")
            refusal = await _one_more(rig, controller, people[len(held)], held)
    finally:
        await asyncio.gather(*(end(each.call) for each in held))
        for each in held:
            each.heard.unlink(missing_ok=True)
    _conclude(found, growth, refusal)
    await controller.quiet()


async def _one_more(rig: Rig, controller: Controller, person: Person, held: list[Held]) -> NotTaken | None:
    """A call that should be refused, as there is no room for it; None where it is taken on."""
    try:
        held.append(await _place(rig, controller, person))
    except NotTaken as error:
        return error
    return None


async def _place(rig: Rig, controller: Controller, person: Person) -> Held:
    heard = rig.folder / f"heard-{person.phone}.wav"
    began = time.monotonic()
    call: PersonCall | None = None
    try:
        call = await person.call(controller.line)
        await call.confirm(rig.tone, heard, loop=True)
    except CLEAN_FAILURES as error:
        after_ms = (time.monotonic() - (call.asked_at if call else began)) * 1000
        if call:
            await end(call)
        raise NotTaken(bool(call and was_refused(call.updates)), after_ms, str(error)) from error
    return Held(call, heard)


def was_refused(updates: Sequence[object]) -> bool:
    """Whether a caller was told "busy" at once, before anybody's phone rang."""
    reasons = [update.reason for update in updates if isinstance(update, types.PhoneCallDiscarded)]
    rang = any(getattr(update, "receive_date", None) for update in updates)
    accepted = any(isinstance(update, types.PhoneCallAccepted) for update in updates)
    return bool(reasons) and isinstance(reasons[0], types.PhoneCallDiscardReasonBusy) and not (rang or accepted)


async def _look(rig: Rig, controller: Controller, held: Sequence[Held], seconds: float) -> Look:
    """At what they hear for some seconds, and at what all of it costs."""
    await asyncio.sleep(SETTLE_S)
    asterisk = (await rig.stage()).asterisk.pid
    starts = await asyncio.gather(*(each.heard_s() for each in held))
    window = Window([*controller.media_pids, asterisk, controller.program.pid])
    await asyncio.sleep(seconds)
    used = window.end()
    ends = await asyncio.gather(*(each.heard_s() for each in held))
    await asyncio.sleep(WRITTEN_S)
    gaps = []
    for each, start, until in zip(held, starts, ends, strict=True):
        if start is None or until is None:
            gaps.append(round(seconds * 1000))
        elif holes := await asyncio.to_thread(holes_ms, each.heard, start, until):
            gaps.append(max(holes))
    return Look(used, gaps)


def _row(found: Found, controller: Controller, asterisk: int, calls: int, seconds: float, look: Look) -> None:
    used = look.used
    media = used.busiest(controller.media_pids, calls)
    found.row(
        "calls at once",
        calls=calls,
        seconds=seconds,
        media_cpu_pct=round(used.mean_pct(media), 2),
        asterisk_cpu_pct=round(used.of(asterisk) / max(1, calls), 2),
        controller_cpu_pct=round(used.of(controller.program.pid), 2),
        media_mb=round(sum(map(own_mb, media)) / max(1, len(media)), 1),
        machine_busy_pct=round(used.busy_pct),
        calls_with_gaps=len(look.gaps_ms),
        longest_gap_ms=max(look.gaps_ms, default=0),
    )


def _conclude(found: Found, growth: Growth, refusal: NotTaken | None) -> None:
    found.put("calls_without_gap", growth.best)
    found.put("calls_ended_by", growth.ended)
    if refusal and refusal.refused:
        found.put("refused_in_ms", round(refusal.after_ms))
    else:
        found.put("refused_in_ms", None, f"nothing refused a call: {growth.ended}")


KEYS = ("calls_without_gap", "calls_ended_by", "refused_in_ms")
PART = Part("calls", "many calls at once, up to the one too many", KEYS, measure)
