"""The bench: what calls cost on this machine, how long things take, and what was to be reached.

python -m ari_app.sandbox.bench --help
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from ari_app.sandbox import debian
from ari_app.sandbox.bench import (
    cost,
    document,
    echo,
    history,
    keys,
    leases,
    lights,
    lines,
    loss,
    machines,
    many,
    rates,
    steps,
)
from ari_app.sandbox.bench.machine import machine, versions
from ari_app.sandbox.bench.report import Part, Report
from ari_app.sandbox.bench.runner import REPORT, Runner
from ari_app.sandbox.bench.sizes import FULL, QUICK, Sizes
from ari_app.sandbox.command import UNUSABLE, run, stopped_by_sigterm
from ari_app.sandbox.demo.folder import demo_folder

MEASURED, PARTS_FAILED = 0, 1
ROOT = Path(__file__).resolve().parents[3]
FOLDER, DOCS = ROOT / "var" / "bench", ROOT / "docs"
PARTS: tuple[Part, ...] = (
    cost.PART, echo.PART, many.PART, rates.PART, keys.PART, loss.PART, lines.PART, machines.PART, leases.PART,
    history.PART, steps.PART, lights.PART,
)  # fmt: skip
MOST_CALLS = 90
"""A call has one RTP stream in Asterisk, of two ports each; a few stay free for those that are ending."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench, or write the page of its last run; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    if options.document:
        return page(options.folder / REPORT, options.document)
    return run(demo_folder(options.folder, "bench"), partial(bench, options, arguments))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parts = "; ".join(f"{part.name}: {part.what}" for part in PARTS)
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure what calls cost on this machine, and how long things take, with a local Telegram and a "
        f"private Asterisk. The parts are {parts}. Nothing else should be at work meanwhile.",
        epilog="Exit status: 0 all parts were measured, 1 a part failed (it says which), 2 the bench could not run "
        "(it says why).",
    )
    parser.add_argument("--quick", action="store_true", help="less of everything, in about three minutes")
    parser.add_argument(
        "--only", action="append", choices=[part.name for part in PARTS], metavar="PART", help="one part, or several"
    )
    parser.add_argument("--most-calls", type=_calls, metavar="N", help=f"calls at once, at most ({FULL.most})")
    parser.add_argument(
        "--document",
        type=Path,
        nargs="?",
        const=DOCS,
        metavar="DOCS",
        help="measure nothing: write measured.md and its pictures, of the last full run, into a folder (docs)",
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where report and logs go; earlier ones are replaced (var/bench)"
    )
    return parser.parse_args(arguments)


def _calls(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MOST_CALLS:
        raise argparse.ArgumentTypeError(f"1 to {MOST_CALLS}: the private Asterisk has RTP ports for no more")
    return number


def page(report: Path, folder: Path) -> int:
    """Write it, or say why not."""
    try:
        names = document.write(report, folder)
    except (document.NoDocument, OSError) as error:
        print(f"astergram: {error}", file=sys.stderr)
        return UNUSABLE
    print(f"written into {folder}: {', '.join(names)}")
    return MEASURED


async def bench(options: argparse.Namespace, arguments: Sequence[str], folder: Path) -> int:
    """Measure, show and write; returns the exit status."""
    sizes = QUICK if options.quick else FULL
    if options.most_calls:
        sizes = replace(sizes, most=options.most_calls)
    report = Report(PARTS, context(options, arguments, sizes))
    runner, began = Runner(report, sizes, folder, Console()), time.monotonic()
    with stopped_by_sigterm():
        for tree in ("asterisk", "baresip"):
            await asyncio.to_thread(debian.unpack, tree)
        await runner.measure([part for part in PARTS if not options.only or part.name in options.only])
    report.context["took_s"] = round(time.monotonic() - began)
    runner.conclude()
    return PARTS_FAILED if report.failed else MEASURED


def context(options: argparse.Namespace, arguments: Sequence[str], sizes: Sizes) -> dict[str, Any]:
    """Of the run: where, with what, when and how."""
    return {
        "machine": machine(),
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["scripts/bench", *arguments]),
        "quick": options.quick,
        "only": options.only,
        "options": asdict(sizes),
    }


if __name__ == "__main__":
    sys.exit(main())
