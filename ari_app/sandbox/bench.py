"""How long the steps of a call, and the keypad's answers, take on this machine: minimum, median and maximum.

python -m ari_app.sandbox.bench --help
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ari_app.app import Astergram, running
from ari_app.calls.call import Call
from ari_app.calls.events import CallEnded
from ari_app.config import load
from ari_app.sandbox.bench_status import lights
from ari_app.sandbox.person import Person
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE, stage

END_S = 10.0
FIGURES = ("min ms", "median ms", "max ms", "of")


async def incoming(app: Astergram, anna: Person, phone: SipPhone) -> None:
    """Anna calls the line; the phone answers by itself."""
    call = await anna.call(LINE)
    await call.confirm(None, None)
    await call.hang_up()
    await phone.closed()
    await call.close_audio()
    await app.registry.idle()


async def outgoing(app: Astergram, anna: Person, phone: SipPhone) -> None:
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


async def pressing(app: Astergram, anna: Person, phone: SipPhone, presses: int) -> list[float]:
    """Anna presses keys in a call; seconds until each is answered."""
    call = await anna.call(LINE)
    await call.confirm(None, None)
    keypad = await anna.keypad(LINE)
    times = []
    for _ in range(presses):
        began = time.perf_counter()
        await keypad.click(text="5")
        times.append(time.perf_counter() - began)
    await call.hang_up()
    await phone.closed()
    await call.close_audio()
    await app.registry.idle()
    await anna.sees(LINE, lambda messages: not messages)
    return times


@dataclass(frozen=True)
class Measured:
    """Calls with their events, and seconds: from a press to its answer, and from a fact to a line's light."""

    calls: list[Call]
    presses: dict[str, list[float]]
    lights: dict[str, float]


async def bench(calls: int, presses: int, transport: str) -> Measured:
    """Place so many calls each way, then press so many keys, twice."""
    with tempfile.TemporaryDirectory(prefix="astergram-bench-") as folder:
        async with stage(Path(folder)) as setting:
            settings = load(await setting.configuration(asterisk={"transport": transport}, bot=setting.bot()))
            await setting.sign_in_lines(settings)
            async with running(settings) as app, setting.person(ANNA) as anna:
                await app.first_attempt_done()
                async with SipPhone(setting.asterisk, "101", auto_answer=True) as phone:
                    for _ in range(calls):
                        async with asyncio.timeout(END_S):
                            await incoming(app, anna, phone)
                        async with asyncio.timeout(END_S):
                            await outgoing(app, anna, phone)
                    called = list(app.registry.ended)
                    pressed = {"edits go through": await pressing(app, anna, phone, presses)}
                    setting.telegram.refuse_bot("editMessageText", 429, retry_after=1, times=None)
                    pressed["edits get 429"] = await pressing(app, anna, phone, presses)
            return Measured(called, pressed, await lights(settings, setting))


def table(calls: Sequence[Call]) -> Table:
    """Milliseconds since the call began, for each step of each direction."""
    steps: dict[tuple[str, str], list[float]] = {}
    for call in calls:
        for step in call.events:
            if not isinstance(step.event, CallEnded):
                steps.setdefault((call.direction.value, f"{step.event.side.value}: {step.event}"), []).append(
                    step.at_s * 1000
                )
    shown = Table("call", "step", *FIGURES)
    for (direction, text), times in steps.items():
        shown.add_row(direction, text, *figures(times))
    return shown


def presses_table(presses: Mapping[str, Sequence[float]]) -> Table:
    """Milliseconds from a press to its answer."""
    shown = Table("press to answer while", *FIGURES)
    for what, times in presses.items():
        shown.add_row(what, *figures([each * 1000 for each in times]))
    return shown


def lights_table(lights: Mapping[str, float]) -> Table:
    """Milliseconds from a fact to the light that tells it."""
    shown = Table("a line's light tells that", "ms")
    for what, seconds in lights.items():
        shown.add_row(what, f"{seconds * 1000:.0f}")
    return shown


def figures(times: Sequence[float]) -> list[str]:
    """The columns of FIGURES."""
    return [*(f"{each:.0f}" for each in (min(times), statistics.median(times), max(times))), str(len(times))]


def main() -> int:
    """Run it and show the table."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Time the steps of Telegram calls across Asterisk"
    )
    parser.add_argument("--calls", type=int, default=10, help="how many each way (%(default)s)")
    parser.add_argument("--presses", type=int, default=30, help="how many keys, twice (%(default)s)")
    parser.add_argument("--transport", choices=("rtp", "websocket"), default="rtp")
    options = parser.parse_args()
    measured = asyncio.run(bench(options.calls, options.presses, options.transport))
    console = Console()
    console.print(table(measured.calls))
    console.print(presses_table(measured.presses))
    console.print(lights_table(measured.lights))
    return 0


if __name__ == "__main__":
    sys.exit(main())
