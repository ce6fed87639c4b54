"""How long the steps of a call take on this machine: calls one after the other, minimum, median and maximum.

python -m ari_app.sandbox.bench --help
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ari_app.app import Astergram, running
from ari_app.calls.call import Call
from ari_app.config import load
from ari_app.sandbox.person import Person
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE, stage

END_S = 10.0


async def incoming(app: Astergram, anna: Person, phone: SipPhone) -> None:
    """Anna calls the line; the phone answers by itself."""
    call = await anna.call(LINE)
    await call.confirm(None, None)
    await call.hang_up()
    await phone.closed()
    await call.close_audio()
    await app.desk.idle()


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
    await app.desk.idle()


async def bench(calls: int, transport: str) -> list[Call]:
    """Place so many calls each way, and give them with their ladders."""
    with tempfile.TemporaryDirectory(prefix="astergram-bench-") as folder:
        async with stage(Path(folder)) as setting:
            settings = load(setting.configuration(asterisk={"transport": transport}))
            await setting.sign_in_lines(settings)
            async with running(settings) as app, setting.person(ANNA) as anna:
                await app.settled()
                async with SipPhone(setting.asterisk, "101", auto_answer=True) as phone:
                    for _ in range(calls):
                        async with asyncio.timeout(END_S):
                            await incoming(app, anna, phone)
                        async with asyncio.timeout(END_S):
                            await outgoing(app, anna, phone)
                return list(app.desk.ended)


def table(calls: Sequence[Call]) -> Table:
    """Milliseconds since the call began, for each step of each direction."""
    steps: dict[tuple[str, str], list[float]] = {}
    for call in calls:
        for step in call.ladder:
            if step.side != "call" or step.text == "both sides talk":
                steps.setdefault((call.direction.value, f"{step.side}: {step.text}"), []).append(step.at_s * 1000)
    shown = Table("call", "step", "min ms", "median ms", "max ms", "of")
    for (direction, text), times in steps.items():
        figures = (min(times), statistics.median(times), max(times))
        shown.add_row(direction, text, *(f"{each:.0f}" for each in figures), str(len(times)))
    return shown


def main() -> int:
    """Run it and show the table."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Time the steps of Telegram calls across Asterisk"
    )
    parser.add_argument("--calls", type=int, default=10, help="how many each way (%(default)s)")
    parser.add_argument("--transport", choices=("rtp", "websocket"), default="rtp")
    options = parser.parse_args()
    Console().print(table(asyncio.run(bench(options.calls, options.transport))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
