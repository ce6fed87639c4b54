"""How long it takes from a press of the keypad until the dialplan has the digit."""

from __future__ import annotations

import asyncio
import time

from ari_app.asterisk.ami import Ami, Fields
from ari_app.sandbox.bench.figures import spread
from ari_app.sandbox.bench.report import Found, Part
from ari_app.sandbox.bench.rig import DIGIT_EVENT, KEYS_LINE, Rig, end
from ari_app.tasks import background_tasks

DIGIT_S = 15.0  # Asterisk waits for the end of a digit's 100 ms, and then tells
DIGITS = "123456789"


async def measure(rig: Rig, found: Found) -> None:
    """One key after the other, each when the one before has arrived."""
    controller, asterisk = await rig.controller("rtp"), (await rig.stage()).asterisk
    person, *_ = await rig.people(1)
    arrived = asyncio.Queue[tuple[str, float]]()

    def told(event: Fields) -> None:
        if event.get("UserEvent") == DIGIT_EVENT:
            arrived.put_nowait((str(event.get("Digit", "")), time.monotonic()))

    answers_ms, digits_ms = list[float](), list[float]()
    async with (
        Ami(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, asterisk.ami_password) as ami,
        background_tasks() as tasks,
    ):
        ami.on_event("UserEvent", told)
        call = await person.call(KEYS_LINE)
        try:
            await call.confirm(None, None)
            keypad = await person.keypad(KEYS_LINE)
            rig.say(f"{rig.sizes.presses} keys")
            for number in range(rig.sizes.presses):
                digit, began = DIGITS[number % len(DIGITS)], time.monotonic()
                pressing = tasks.create_task(_pressed(keypad, digit), name=f"press of {digit}")
                async with asyncio.timeout(DIGIT_S):
                    came, at = await arrived.get()
                    answered_at = await pressing
                if came != digit:
                    raise AssertionError(f"the dialplan has {came!r}, where {digit!r} was pressed")
                digits_ms.append((at - began) * 1000)
                answers_ms.append((answered_at - began) * 1000)
        finally:
            await end(call)
    await controller.quiet()
    for until, times in (("the press is answered", answers_ms), ("the dialplan has the digit", digits_ms)):
        found.row("from a press until", until=until, **spread(times, "ms"))
    found.put("digit_ms", found.tables["from a press until"][-1]["p50_ms"])


async def _pressed(keypad: object, digit: str) -> float:
    await keypad.click(text=digit)  # type: ignore[attr-defined]  # a message of Telethon's, which has no type hints
    return time.monotonic()


PART = Part("keypad", "from a press of the keypad to the digit in the dialplan", ("digit_ms",), measure)
