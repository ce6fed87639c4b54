"""docs/measured.md and its pictures, made from the report of one full run: `scripts/bench --document`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ari_app.sandbox.bench import pictures
from ari_app.sandbox.bench.goals import judged
from ari_app.sandbox.bench.report import Row, lying

NAME = "measured.md"
BY_HAND = "<!-- What follows is written by hand, and kept when the page is made again. -->"
MISSED = f"{BY_HAND}\n\n## What was missed, and why\n"
HEAD = """\
# What was measured

Made by `scripts/bench --document` from the report of one run; only the last section is written by hand. The local
Telegram, the private Asterisk and all people were on this machine, too. `pct` is percent of one core; `p50` and `p99`
are percentiles, of as many values as `of` says; a dash is what was not measured.
"""
SECTIONS = {
    "cost": (
        "One call",
        "A person's tone is echoed by Asterisk's `Echo()`. In the same seconds bare ntgcalls endpoints talk to each "
        "other, two of each kind: *direct* ones answer in ntgcalls' own callback, *asyncio* ones send from a loop. The "
        "summary has the medians of these windows.",
    ),
    "echo": (
        "Delay",
        "From a person's mouth to their ear: by Telegram's media, the media process and Asterisk to `Echo()`, and all "
        "the way back. *bare* has an endpoint that echoes in the place of Astergram and Asterisk: that is what the "
        "person's device and Telegram's own jitter buffers take.",
    ),
    "calls": (
        "Many calls at once",
        "Each with its person, whose device costs about as much as the call. A gap is a silence of 60 ms or more in "
        "what a person hears of their tone; where there was one, that many calls were looked at twice.",
    ),
    "rates": (
        "Set-up at rising rates",
        "From the moment in which the person's device asks Telegram for the call, until it rings, is accepted, and its "
        "audio is connected. The dialplan answers at once.",
    ),
    "keypad": ("A press of the keypad", "The dialplan waits in `Read()`; Asterisk is asked for a tone of 100 ms."),
    "loss": (
        "Loss and jitter on Asterisk's side",
        "A forwarder between Asterisk and the media process loses packets from Asterisk, or lets each wait for up to "
        "50 ms. *lost* and *late* are the jitter buffer's counters, *concealed* is sound that it guessed.",
    ),
    "lines": ("Many lines", "The controller with lines that have no calls, against the local Telegram."),
    "machines": (
        "Many lines on several machines",
        "Each line is signed in on each controller, all of which have one Asterisk and three NATS servers; 0 machines "
        "is one controller without a cluster. Calls come one after the other, each to another line. All of it, the "
        "local Telegram and the person are on this machine: with four controllers its cores are what is short.",
    ),
    "leases": (
        "Leases",
        "Two machines that do nothing but hold six lines, each a process of its own, and three NATS servers. Times of "
        "all lines are those of the last one. It fails where two machines ever hold one line.",
    ),
    "history": ("A full history", "What the pages ask of the database, which has a year of calls."),
    "steps": ("The steps of a call", "To a phone that answers at once, and from it; since the call began."),
    "lights": ("A line's lights", "From a fact until the light shows it."),
}
"""By the name of the part, in the page's order: heading, and how it was measured."""


class NoDocument(Exception):
    """There is no report that a page can be made of; the text says why, and what to do."""


def write(report: Path, folder: Path) -> list[str]:
    """Write the page and its pictures; gives their names. Raises NoDocument, OSError."""
    try:
        measured = json.loads(report.read_text())
    except FileNotFoundError:
        raise NoDocument(f"{report} is not there: run scripts/bench first") from None
    if measured["quick"] or measured["only"]:
        raise NoDocument(f"{report} is not of a full run: run scripts/bench without --quick and --only")
    page = folder / NAME
    _, _, by_hand = (page.read_text() if page.exists() else "").partition(BY_HAND)
    made = documents(measured, by_hand)
    for name, text in made.items():
        (folder / name).write_text(text)
    return list(made)


def documents(report: Mapping[str, Any], by_hand: str = "") -> dict[str, str]:
    """By the name of the file; ``by_hand`` is what stands behind `BY_HAND`, empty at the first time."""
    drawn = {name: chart for name, draw in pictures.PICTURES.items() if not (chart := draw(report)).empty}
    parts = [HEAD, *_run(report), "\n## Beside the goals\n", *_table(judged(report))]
    for name, (heading, method) in SECTIONS.items():
        parts += [f"\n## {heading}\n", method, *_part(name, report)]
        if picture := drawn.get(name):
            order = ", ".join(series.name for series in picture.legend) if len(picture.legend) > 1 else ""
            parts.append(f"\n{picture.title}{f' (in this order: {order})' if order else ''}:")
            parts.append(f"\n![{picture.title}]({picture_name(name)})")
    parts += _missing(report)
    page = "\n".join(parts) + "\n\n" + (BY_HAND + by_hand if by_hand else MISSED)
    return {NAME: page, **{picture_name(name): pictures.svg(chart) for name, chart in drawn.items()}}


def picture_name(part: str) -> str:
    """The file of a part's picture."""
    return f"measured-{part}.svg"


def _run(report: Mapping[str, Any]) -> Iterator[str]:
    machine, versions = report["machine"], report["versions"]
    yield from _table(
        [
            {"": "machine", "this run": f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_mb']} MB, "
             f"Linux {machine['kernel']}; load before: {machine['load_before']:g}"},
            {"": "with", "this run": ", ".join(f"{name} {version}" for name, version in versions.items())},
            {"": "date", "this run": report["date"]},
            {"": "command", "this run": f"`{report['command']}`, {round(report['took_s'] / 60)} minutes"},
        ]
    )  # fmt: skip


def _part(name: str, report: Mapping[str, Any]) -> Iterator[str]:
    if failure := report["failed"].get(name):
        yield f"\nIt failed: {failure}"
    tables = report["tables"].get(name, {})
    for title, rows in tables.items():
        yield f"\n{title[0].upper()}{title[1:]}:\n" if len(tables) > 1 else ""
        yield from _table(rows)
    if name == "loss" and (parts := list(pictures.delay_parts(report))):
        yield "\nWhat the milliseconds of the calls that lose nothing are; the bare legs are those from above:\n"
        yield from _table(
            {"way": way, "total": sum(its), **dict(zip(pictures.DELAYS, its, strict=True))} for way, its in parts
        )
    if name == "calls" and (ended := report.get("calls_ended_by")):
        yield f"\nThere were no more calls because: {ended}."


def _missing(report: Mapping[str, Any]) -> Iterator[str]:
    if report["missing"]:
        yield "\n## What could not be measured\n"
        yield from (f"- `{key}`: {reason}" for key, reason in report["missing"].items())


def _table(rows: Iterable[Row]) -> Iterator[str]:
    head, *lines = lying(rows)
    for line in (head, ["---"] * len(head), *lines):
        yield "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in line) + " |"
