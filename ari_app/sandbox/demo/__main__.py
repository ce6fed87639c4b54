"""The demo: a local Telegram, a private Asterisk and Astergram; calls between them; what everybody heard.

python -m ari_app.sandbox.demo --help
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from rich.markup import escape

from ari_app.config import load
from ari_app.sandbox import debian
from ari_app.sandbox.command import run, stopped_by_sigterm
from ari_app.sandbox.demo import chat, stay
from ari_app.sandbox.demo.folder import demo_folder
from ari_app.sandbox.demo.machines import MachinesScenario, machines
from ari_app.sandbox.demo.program import OWN, ProgramEnded, astergram
from ari_app.sandbox.demo.report import Report
from ari_app.sandbox.demo.scenario import VERA, Cast, Scenario
from ari_app.sandbox.demo.show import Show
from ari_app.sandbox.demo.survival import SurvivalScenario
from ari_app.sandbox.stage import ANNA, BORIS, LINE, stage
from ari_app.sandbox.supervisor import supervised

HEARD, NOT_HEARD = 0, 1
TRANSPORTS = ("rtp", "websocket")
FOLDER = Path(__file__).resolve().parents[3] / "var" / "demo"
LONGEST_TALK_S = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns its exit status."""
    options = parse(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    return run(demo_folder(options.folder), partial(demo, options))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Place Telegram calls across a real Asterisk, both ways, and show who heard what. Telegram is a "
        "local one; Asterisk and the phone are unpacked from Debian's packages into a cache at first use. Everything "
        "listens on 127.0.0.1, and nothing is installed.",
        epilog="Exit status: 0 all was heard and ended as it should, 1 something was not (it says what), 2 the demo "
        "could not run (it says why).",
    )
    parser.add_argument(
        "--transport",
        choices=TRANSPORTS,
        help="how audio goes between Astergram and Asterisk; without it, both in turn",
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=4.0, metavar="S", help="how long each talk is (%(default)g)"
    )
    parser.add_argument(
        "--machines",
        type=int,
        choices=(1, 2),
        default=1,
        help="2: with one line and three NATS servers; the one that rings is killed, and the other one answers",
    )
    parser.add_argument(
        "--stay", action="store_true", help="then leave everything running until Ctrl-C, and say how to call"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=FOLDER,
        help="where report, recordings and logs go; those of an earlier demo are replaced (var/demo)",
    )
    parser.add_argument(
        "--command",
        type=shlex.split,
        default=OWN,
        help="another Astergram than this checkout's, such as 'chroot /srv/debian astergram'",
    )
    return parser.parse_args(arguments)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 2 <= seconds <= LONGEST_TALK_S:  # less has no two marks to measure the delay by
        raise argparse.ArgumentTypeError(f"a talk takes 2 to {LONGEST_TALK_S:g} seconds")
    return seconds


async def demo(options: argparse.Namespace, folder: Path) -> int:
    """Set everything up, place the calls, show and write the report; stays, if it shall."""
    show, report, log = Show(), Report(), folder / "astergram.log"
    with stopped_by_sigterm():
        show.say("Astergram: Telegram calls across Asterisk, on this machine alone.")
        show.heading("Setting up")
        async with set_up(show, folder) as cast:
            transports = [options.transport] if options.transport else TRANSPORTS
            if options.machines > 1:
                await two_machines(cast, transports[0], options.seconds, folder, show, report)
                report.steps = show.steps
                return conclude(show, report, folder)
            try:
                for transport in transports:
                    show.heading(f"Astergram, with audio to and from Asterisk over {transport}")
                    configuration = await cast.stage.configuration(asterisk={"transport": transport})
                    async with astergram(configuration, log, command=options.command) as program:
                        show.step(f"astergram-{transport}", "Astergram is ready")
                        await Scenario(cast, program, transport, options.seconds, show, report).play()
                show.heading("Astergram, with its bot")
                configuration = await cast.stage.configuration(**chat.configuration(cast))
                async with astergram(configuration, log, command=options.command) as program:
                    show.step("astergram-bot", "Astergram is ready")
                    await chat.ChatScenario(cast, program, show, report).play()
                for transport in transports:
                    show.heading(f"Astergram is killed while people talk, with audio over {transport}")
                    configuration = await cast.stage.configuration(
                        asterisk={"transport": transport}, bot=cast.stage.bot()
                    )
                    async with supervised(configuration, log, options.command) as supervisor:
                        show.step(f"supervised-{transport}", "Astergram is ready, and has a supervisor")
                        await SurvivalScenario(cast, supervisor, transport, show, report).play()
            except ProgramEnded as error:
                if not report.calls:
                    raise
                report.failures.append(str(error))
            report.steps = show.steps
            status = conclude(show, report, folder)
            if options.stay:
                configuration = await cast.stage.configuration(bot=cast.stage.bot(), **stay.CONFIGURATION)
                async with astergram(configuration, log, command=options.command) as program:
                    await stay.stay(cast, program, show)
            return status


async def two_machines(cast: Cast, transport: str, seconds: float, folder: Path, show: Show, report: Report) -> None:
    """The calls to a line that two machines have."""
    show.heading(f"Two machines with one line, with audio to and from Asterisk over {transport}")
    try:
        async with machines(cast, transport, folder, show) as its:
            await MachinesScenario(cast, its, transport, seconds, show, report).play()
    except ProgramEnded as error:
        report.failures.append(str(error))


@asynccontextmanager
async def set_up(show: Show, folder: Path) -> AsyncIterator[Cast]:
    """Unpack what is needed, start the local Telegram and the private Asterisk, and sign everybody in."""
    with show.unpacking() as unpacking:
        for tree in ("asterisk", "baresip"):
            await asyncio.to_thread(debian.unpack, tree, unpacking)
    show.step("programs", f"Asterisk and the phone are unpacked below {_short(debian.cache_folder())}")
    async with stage(folder, people={VERA: "Vera"}, dialplan=stay.DIALPLAN + chat.DIALPLAN) as setting:
        show.step("telegram", f"a local Telegram listens at {setting.telegram.host}:{setting.telegram.port}")
        show.step(
            "asterisk", f"a private Asterisk runs, SIP at {setting.asterisk.sip_host}:{setting.asterisk.sip_port}"
        )
        await setting.sign_in_lines(load(await setting.configuration()))
        async with setting.person(ANNA) as anna, setting.person(BORIS) as boris, setting.person(VERA) as vera:
            show.step("people", f"the line {LINE} is signed in, and so are Anna, Boris and Vera")
            yield Cast(setting, anna, boris, vera)


def conclude(show: Show, report: Report, folder: Path) -> int:
    """Write report.json, show the table and the verdict; returns the exit status."""
    path = folder / "report.json"
    path.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    show.heading("Who heard what")
    show.console.print(report.table(plain=show.plain))
    show.say()
    problems = report.problems()
    for problem in problems:
        show.console.print(f"[red]Not as it should be:[/] {escape(problem)}", soft_wrap=True)
    if not problems:
        show.console.print("[green]All was heard, and every call ended as it should.[/]")
    for what, where in (("report", path), ("recordings", folder / "recordings"), ("log", folder / "astergram.log")):
        show.say(f"{what:<11} {_short(where)}")
    return NOT_HEARD if problems else HEARD


def _short(path: Path) -> str:
    """A path as somebody in this folder would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


if __name__ == "__main__":
    sys.exit(main())
