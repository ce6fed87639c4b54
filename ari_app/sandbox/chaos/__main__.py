"""The chaos run of a cluster: two machines, three NATS servers, callers, and what came of it.

python -m ari_app.sandbox.chaos --help
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from ari_app.sandbox import debian, networks
from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.chaos import plan
from ari_app.sandbox.chaos.cast import CALLERS, DIALPLAN, LINES, WRITERS
from ari_app.sandbox.chaos.chaos import Chaos
from ari_app.sandbox.chaos.faults import Target
from ari_app.sandbox.chaos.machine import machine
from ari_app.sandbox.chaos.report import Report
from ari_app.sandbox.command import run, stopped_by_sigterm, told
from ari_app.sandbox.conclusion import conclude
from ari_app.sandbox.demo.folder import demo_folder
from ari_app.sandbox.demo.program import ProgramEnded
from ari_app.sandbox.nats import PrivateNats
from ari_app.sandbox.soak.soak import FAILURES
from ari_app.sandbox.stage import stage
from ari_app.sandbox.tones import write_tone

WELL = "Every call and text was answered once, and the histories agree."
FOLDER = Path(__file__).resolve().parents[3] / "var" / "chaos"


NETWORKS, PROXIES = "networks", "proxies"
"""How a machine is cut off: links of networks of their own are taken down, or proxies pass nothing on."""


def main(arguments: Sequence[str]) -> int:
    """Run it; returns its exit status."""
    options = parse(arguments)
    if needs_network(options):
        if status := run(demo_folder(options.folder, "chaos"), downloaded):
            return status
        networks.enter([sys.executable, "-m", "ari_app.sandbox.chaos", *arguments])
    return run(demo_folder(options.folder, "chaos"), partial(chaos, options))


def needs_network(options: argparse.Namespace) -> bool:
    """Whether it has yet to begin where it can make networks; where it can't, ``options.cuts`` may become PROXIES."""
    if options.cuts == PROXIES or networks.is_entered():
        return False
    if not (trouble := networks.trouble()):
        return True
    if options.cuts == NETWORKS:
        raise SystemExit(f"astergram: this computer has no networks for the machines: {trouble}")
    print(f"This computer has no networks for the machines, proxies take their place: {trouble}")
    options.cuts = PROXIES
    return False


async def downloaded(folder: Path) -> int:
    """Have what can't be had from inside such a network."""
    await asyncio.to_thread(debian.unpack, "asterisk")
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="Have people call and write to the lines of two machines, while one fault after the other is "
        "thrown in; then look whether each call and text was answered once, and whether the machines' histories agree.",
        epilog="Exit status: 0 all is well, 1 something is not (it says what), 2 it could not run (it says why).",
    )
    parser.add_argument("--faults", type=int, default=100, metavar="N", help="how many (%(default)s)")
    parser.add_argument(
        "--cuts",
        choices=(NETWORKS, PROXIES),
        help="what cuts a machine off: links of network namespaces, which lose all that is sent, or proxies, which "
        "hold it back (namespaces where the computer allows them)",
    )
    parser.add_argument("--seed", type=int, help="which faults, in which order; it tells the one it took")
    parser.add_argument(
        "--folder",
        type=Path,
        default=FOLDER,
        help="where report and logs go; those of an earlier run are replaced (var/chaos)",
    )
    return parser.parse_args(arguments)


async def chaos(options: argparse.Namespace, folder: Path) -> int:
    """Set the stage, run it, show and write the report; returns the exit status."""
    console = Console()
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    report = Report(seed, PROXIES if options.cuts == PROXIES else NETWORKS)
    with stopped_by_sigterm():
        await asyncio.to_thread(debian.unpack, "asterisk")
        console.print(f"Chaos: {options.faults} faults on two machines, seed {seed}. Logs in {folder}.")
        console.print(f"What cuts a machine off: {report.cuts}.")
        async with set_up(folder, report, console) as (prepared, target):
            first, second = (each.supervisor for each in target.machines)
            try:
                await first.during(second.during(prepared.run(list(plan.faults(seed, options.faults)))))
            except ProgramEnded as error:
                report.wrong.append(str(error))
            except (ExceptionGroup, *FAILURES) as error:
                report.wrong.append(f"the run itself could not go on: {told(error)}")
    return conclude(console, report, map(vars, report.made), folder, WELL)


@asynccontextmanager
async def set_up(folder: Path, report: Report, console: Console) -> AsyncIterator[tuple[Chaos, Target]]:
    """Everybody in their places, and both machines at work."""
    async with AsyncExitStack() as stack:
        first, second = await own_networks(folder, stack) if report.cuts == NETWORKS else (None, None)
        setting = await stack.enter_async_context(
            stage(folder, dialplan=DIALPLAN, people=PEOPLE, inside=first.inside if first else ())
        )
        nats = await stack.enter_async_context(PrivateNats(folder / "nats", hidden=True))
        other = await stack.enter_async_context(
            PrivateAsterisk(folder / "asterisk-b", dialplan=DIALPLAN, inside=second.inside if second else ())
        )
        machines = [
            await stack.enter_async_context(machine(setting, nats, name, asterisk, network))
            for name, asterisk, network in (("a", setting.asterisk, first), ("b", other, second))
        ]
        callers = [await stack.enter_async_context(setting.person(phone)) for phone in CALLERS]
        writers = [await stack.enter_async_context(setting.person(phone)) for phone in WRITERS]
        tone = folder / "tone.wav"
        write_tone(tone, 440.0, 1.0)
        ids = {phone: setting.telegram.user(phone).id for phone in CALLERS}
        target = Target(machines, nats)
        yield Chaos(target, callers, writers, tone, report, ids, partial(console.print, soft_wrap=True)), target


async def own_networks(folder: Path, stack: AsyncExitStack) -> list[networks.Network]:
    """One for each machine."""
    await networks.begin()
    log = folder / "networks.log"
    return [await stack.enter_async_context(networks.network(f"machine {name}", log)) for name in "ab"]


PEOPLE = {
    **{line["number"]: f"Line {number}" for number, line in enumerate(LINES, start=1)},
    **CALLERS,
    **WRITERS,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
