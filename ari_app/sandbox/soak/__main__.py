"""The soak: the whole program under hundreds of calls and a fault every few seconds, and what came of it.

python -m ari_app.sandbox.soak --help
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

from ari_app.api_client import program
from ari_app.config import load
from ari_app.sandbox import debian
from ari_app.sandbox.command import run, stopped_by_sigterm, told
from ari_app.sandbox.conclusion import conclude
from ari_app.sandbox.demo.folder import demo_folder
from ari_app.sandbox.demo.program import ProgramEnded
from ari_app.sandbox.processes import SandboxError
from ari_app.sandbox.proxy import Proxy
from ari_app.sandbox.soak import plan
from ari_app.sandbox.soak.api import PatientApi
from ari_app.sandbox.soak.cast import DIALPLAN, LINES, PEOPLE, PLACES, place, set_privacy
from ari_app.sandbox.soak.faults import Target
from ari_app.sandbox.soak.report import Report
from ari_app.sandbox.soak.soak import FAILURES, Soak, persists
from ari_app.sandbox.stage import LINE, stage
from ari_app.sandbox.supervisor import READY_S, Supervisor, supervised

WELL = "Every call ended as it should, and nothing is left of any."
BOT_S = 60.0  # for the bot to be connected; to load it takes seconds of a core
FOLDER = Path(__file__).resolve().parents[3] / "var" / "soak"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak; returns its exit status."""
    options = parse(arguments)
    return run(demo_folder(options.folder, "soak"), partial(soak, options))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Place calls of every kind across a real Asterisk, six at a time, while one fault after the other "
        "is thrown in; then look whether every call ended as it should, and whether anything is left of them.",
        epilog="Exit status: 0 all is well, 1 something is not (it says what), 2 the soak could not run (it says why).",
    )
    parser.add_argument("--calls", type=int, default=500, metavar="N", help="how many (%(default)s)")
    parser.add_argument(
        "--minutes", type=float, default=10.0, metavar="M", help="over which time they are spread (%(default)g)"
    )
    parser.add_argument(
        "--kills",
        type=int,
        metavar="N",
        help=f"how often Astergram is killed by SIGKILL, and started again ({plan.KILLS_A_MINUTE:g} a minute, one at "
        "least)",
    )
    parser.add_argument("--seed", type=int, help="which calls and faults, in which order; it tells the one it took")
    parser.add_argument("--transport", choices=("rtp", "websocket"), default="rtp", help="of the audio (%(default)s)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=FOLDER,
        help="where report and logs go; those of an earlier soak are replaced (var/soak)",
    )
    return parser.parse_args(arguments)


async def soak(options: argparse.Namespace, folder: Path) -> int:
    """Set the stage, run it, show and write the report; returns the exit status."""
    console = Console()
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    report = Report(seed)
    with stopped_by_sigterm():
        for tree in ("asterisk", "baresip"):
            await asyncio.to_thread(debian.unpack, tree)
        console.print(
            f"Soak: {options.calls} calls in {options.minutes:g} minutes, {_kills(options)} kills of Astergram, "
            f"seed {seed}. Logs in {folder}."
        )
        async with set_up(options, folder, report) as (prepared, at_work):
            try:
                await at_work.during(prepared.run())
            except ProgramEnded as error:
                report.wrong.append(str(error))
            except (ExceptionGroup, *FAILURES) as error:
                report.wrong.append(f"the soak itself could not go on: {told(error)}")
    return conclude(console, report, (call.as_json() for call in report.made), folder, WELL)


@asynccontextmanager
async def set_up(options: argparse.Namespace, folder: Path, report: Report) -> AsyncIterator[tuple[Soak, Supervisor]]:
    """Everybody in their places, and Astergram at work: it reaches Asterisk and Telegram by proxies only."""
    async with AsyncExitStack() as stack:
        setting = await stack.enter_async_context(stage(folder, dialplan=DIALPLAN, people=PEOPLE))
        set_privacy(setting)
        ari = await stack.enter_async_context(Proxy(setting.asterisk.http_port))
        mtproto = await stack.enter_async_context(Proxy(setting.telegram.port))
        configuration = await setting.configuration(
            LINES,
            asterisk={"url": f"http://127.0.0.1:{ari.port}", "transport": options.transport},
            telegram={"port": mtproto.port},
            bot=setting.bot(),
            media={"orphan_s": READY_S},
        )
        settings = load(configuration)
        await setting.sign_in_lines(settings)
        at_work = await stack.enter_async_context(supervised(configuration, folder / "astergram.log"))
        api = PatientApi(await stack.enter_async_context(program(settings)), at_work)
        if refused := await persists(partial(_open_dialogue, api), BOT_S):
            raise SandboxError(f"the line has no chat with its bot: {refused}")
        places = [await stack.enter_async_context(place(setting, number)) for number in range(1, PLACES + 1)]
        target = Target(setting, at_work, settings.database, ari, mtproto)
        size = (options.calls, options.minutes, _kills(options))
        yield Soak(setting, at_work, api, target, places, report, *size), at_work


async def _open_dialogue(api: PatientApi) -> str:
    """Have the line start its bot, which connects some time after the program's start; why it can't yet."""
    steps = await api.ask("POST", f"/lines/{LINE}/setup", {"steps": ["bot dialogue"]})
    (step,) = (each for each in steps if each["step"] == "bot dialogue")
    return "" if step["state"] == "done" else str(step["sentence"])


def _kills(options: argparse.Namespace) -> int:
    """How many, as far as there is a call for each."""
    usual = max(1, round(options.minutes * plan.KILLS_A_MINUTE))
    wanted: int = usual if options.kills is None else max(0, options.kills)
    return min(int(options.calls), wanted)


if __name__ == "__main__":
    sys.exit(main())
