"""How long the steps of a call take, each way, and how soon the keypad answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ari_app.app import Astergram, running
from ari_app.calls.call import Call
from ari_app.calls.events import CallEnded, Connected
from ari_app.config import Settings, load
from ari_app.sandbox.bench.figures import median, spread
from ari_app.sandbox.bench.report import Found, Part
from ari_app.sandbox.bench.rig import Rig
from ari_app.sandbox.person import Person
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE, Stage, stage

END_S = 10.0  # for one call, from its beginning until all is closed


async def measure(rig: Rig, found: Found) -> None:
    """Place so many calls each way, then press so many keys, twice."""
    async with (
        own_stage(rig.folder / "steps") as (setting, settings),
        running(settings) as app,
        setting.person(ANNA) as anna,
    ):
        await app.first_attempt_done()
        await app.bot.first_attempt_done()
        async with SipPhone(setting.asterisk, "101", auto_answer=True) as phone:
            for number in range(1, rig.sizes.steps + 1):
                rig.say(f"calls {number} of {rig.sizes.steps}, each way")
                for place in (_incoming, _outgoing):
                    async with asyncio.timeout(END_S):
                        await place(app, anna, phone)
            _steps(list(app.registry.ended), found)
            rig.say(f"{rig.sizes.presses} keys, twice")
            await _press(app, anna, phone, rig.sizes.presses, "edits go through", found)
            setting.telegram.refuse_bot("editMessageText", 429, retry_after=1, times=None)
            await _press(app, anna, phone, rig.sizes.presses, "edits get 429", found)


@asynccontextmanager
async def own_stage(folder: Path) -> AsyncIterator[tuple[Stage, Settings]]:
    """A stage of a part's own, with a line that has a bot and rings phone 101."""
    folder.mkdir()  # noqa: ASYNC240 - takes microseconds
    async with stage(folder) as setting:
        settings = load(await setting.configuration(bot=setting.bot()))
        await setting.sign_in_lines(settings)
        yield setting, settings


async def _incoming(app: Astergram, anna: Person, phone: SipPhone) -> None:
    """Anna calls the line; the phone answers by itself."""
    call = await anna.call(LINE)
    await call.confirm(None, None)
    await call.hang_up()
    await phone.closed()
    await call.close_audio()
    await app.registry.idle()


async def _outgoing(app: Astergram, anna: Person, phone: SipPhone) -> None:
    """The phone calls Anna, who accepts at once."""
    await phone.dial(ANNA)
    call = await anna.incoming()
    await call.ring()
    await call.accept(None, None)
    await phone.established()
    await phone.hangup()
    await call.ended()
    await call.close_audio()
    await app.registry.idle()


async def _press(app: Astergram, anna: Person, phone: SipPhone, presses: int, when: str, found: Found) -> None:
    """Anna presses keys in a call; the row has the time until each is answered."""
    call = await anna.call(LINE)
    await call.confirm(None, None)
    keypad = await anna.keypad(LINE)
    times = []
    for _ in range(presses):
        began = time.perf_counter()
        await keypad.click(text="5")
        times.append((time.perf_counter() - began) * 1000)
    await call.hang_up()
    await phone.closed()
    await call.close_audio()
    await app.registry.idle()
    await anna.sees(LINE, lambda messages: not messages)
    found.row("press of a key to its answer", when=when, **spread(times, "ms"))


def _steps(calls: Sequence[Call], found: Found) -> None:
    """Since the call began, for each step of each direction."""
    steps: dict[tuple[str, str], list[float]] = {}
    setup: dict[str, list[float]] = {}
    for call in calls:
        for step in call.events:
            if isinstance(step.event, CallEnded):
                continue
            key = call.direction.value, f"{step.event.side.value}: {step.event}"
            steps.setdefault(key, []).append(step.at_s * 1000)
            if isinstance(step.event, Connected):
                setup.setdefault(call.direction.value, []).append(step.at_s * 1000)
    for (direction, text), times in steps.items():
        columns: dict[str, Any] = {"call": direction, "step": text}
        found.row("steps of a call", **columns, **spread(times, "ms"))
    for direction in ("in", "out"):
        found.put(f"setup_ms.{direction}", median(setup.get(direction, []), 0), "no call came so far")


PART = Part("steps", "the steps of a call to a phone and from one", ("setup_ms.in", "setup_ms.out"), measure)
