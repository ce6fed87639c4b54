"""The bench's report, its goals, its command line, and what becomes of a part that fails."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ari_app.sandbox.bench import __main__ as bench
from ari_app.sandbox.bench.goals import GOALS, judged
from ari_app.sandbox.bench.report import Found, Part, Report, lying, value_of
from ari_app.sandbox.bench.rig import Rig
from ari_app.sandbox.bench.runner import REPORT, Runner
from ari_app.sandbox.bench.sizes import FULL, QUICK

NEEDED = {
    "media_cpu_pct", "bare_direct_cpu_pct", "bare_asyncio_cpu_pct", "echo_ms.rtp", "echo_ms.websocket", "echo_ms.bare",
    "calls_without_gap", "refused_in_ms",
}  # fmt: skip


async def nothing(rig: Rig, found: Found) -> None:
    pass


def part(name: str, *keys: str, measure: Any = nothing) -> Part:
    return Part(name, f"what {name} is", keys, measure)


def context() -> dict[str, Any]:
    options = bench.parse([])
    return bench.context(options, [], FULL)


def test_every_key_is_there_and_null_has_a_reason() -> None:
    report = Report((part("a", "x", "echo_ms.rtp"), part("b", "echo_ms.bare"), part("c", "z"), part("d", "y")))
    report.found["a"] = found = Found()
    found.put("x", 1.5)
    found.put("echo_ms.rtp", None, "no mark was found")
    report.found["b"], report.found["d"] = Found(), Found()
    report.failed["b"] = "TimeoutError"
    assert json.loads(json.dumps(report.as_json())) == {
        "x": 1.5,
        "echo_ms": {"rtp": None, "bare": None},
        "z": None,
        "y": None,
        "missing": {
            "echo_ms.rtp": "no mark was found",
            "echo_ms.bare": "b failed: TimeoutError",
            "z": "c was not measured",
            "y": "d had no value for it",
        },
        "failed": {"b": "TimeoutError"},
        "part_took_s": {},
        "tables": {},
    }


def test_the_report_has_what_others_read() -> None:
    written = Report(bench.PARTS, context()).as_json()
    assert set(written["missing"]) >= NEEDED
    assert all(value_of(written, key) is None for key in NEEDED)
    assert written["machine"]["cores"] == os.cpu_count()
    assert written["versions"].keys() >= {"astergram", "python", "ntgcalls"}
    assert written["command"] == "scripts/bench"
    assert written["options"]["calls"] == FULL.calls == (1, 5, 10, 20, 30)


def test_no_key_is_filled_by_two_parts() -> None:
    keys = [key for each in bench.PARTS for key in each.keys]
    assert len(keys) == len(set(keys))


def test_every_goal_is_about_a_key_of_the_report() -> None:
    keys = {key for each in bench.PARTS for key in each.keys}
    assert {goal.key for goal in GOALS} | {goal.below for goal in GOALS if goal.below} <= keys


def test_goals_are_judged() -> None:
    report = {
        "media_to_bare_direct": 1.35, "media_cpu_pct": 3.5, "bare_asyncio_cpu_pct": 3.5,
        "echo_ms": {"rtp": 241, "websocket": None}, "calls_without_gap": 32, "refused_in_ms": None, "media_mb": 8.0,
    }  # fmt: skip
    told = [(row["goal"], row["measured"], row["reached"]) for row in judged(report)]
    assert told == [
        ("at most 1.35 ×", "1.35 ×", "yes"),
        ("less than 3.5 %", "3.5 %", "no"),
        ("at most 1.35 ×", "–", "not measured"),
        ("at most 240 ms", "241 ms", "no"),
        ("at most 240 ms", "–", "not measured"),
        ("at least 32", "32", "yes"),
        ("at most 300 ms", "–", "not measured"),
        ("at most 8 MB", "8 MB", "yes"),
    ]


def test_many_columns_lie() -> None:
    assert lying([{"a_b": 1, "c": None}, {"c": 2.5}]) == [["a b", "c"], ["1", "–"], ["–", "2.5"]]
    wide = {f"c{number}": number for number in range(9)}
    assert lying([wide, wide])[:2] == [["c0", "0", "0"], ["c1", "1", "1"]]


# --- the runner


async def test_a_part_that_fails_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    rigs: list[Rig] = []

    async def measured(rig: Rig, found: Found) -> None:
        rigs.append(rig)
        found.put("x", 1)
        found.row("rows", n=len(rigs))

    async def fails(rig: Rig, found: Found) -> None:
        found.row("rows", before="it failed")
        async with asyncio.TaskGroup() as group:
            group.create_task(lost())
            await asyncio.Event().wait()

    async def lost() -> None:
        raise ConnectionError("the phone is gone")

    async def cancelled(rig: Rig, found: Found) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    parts = (
        part("one", "x", measure=measured), part("two", "y", measure=fails), part("three", measure=measured),
        part("four", "z", measure=cancelled), part("five", measure=measured),
    )  # fmt: skip
    report = Report(parts, context())
    await Runner(report, QUICK, tmp_path, Console(quiet=True)).measure(list(parts))
    written = json.loads((tmp_path / REPORT).read_text())
    assert written["failed"] == {"two": "ConnectionError: the phone is gone", "four": "CancelledError"}
    assert written["missing"] == {
        "y": "two failed: ConnectionError: the phone is gone",
        "z": "four failed: CancelledError",
    }
    assert (written["x"], written["tables"]["two"]) == (1, {"rows": [{"before": "it failed"}]})
    assert written["tables"]["five"] == {"rows": [{"n": 3}]}
    assert len({id(each) for each in rigs}) == 3, "after each failure the rig is a new one"
    assert written["part_took_s"].keys() == {"one", "three", "five"}


async def test_a_stop_is_no_failure(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def forever(rig: Rig, found: Found) -> None:
        begun.set()
        await asyncio.Event().wait()

    parts = (part("one", measure=nothing), part("two", measure=forever))
    report = Report(parts, context())
    running = asyncio.create_task(Runner(report, QUICK, tmp_path, Console(quiet=True)).measure(list(parts)))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert report.failed == {}
    assert json.loads((tmp_path / REPORT).read_text())["part_took_s"].keys() == {"one"}


# --- the command line


def test_the_command_line() -> None:
    options = bench.parse(["--quick", "--only", "echo", "--only", "cost", "--most-calls", "7"])
    assert (options.quick, options.only, options.most_calls, options.document) == (True, ["echo", "cost"], 7, None)
    assert bench.parse(["--document"]).document == bench.DOCS


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--most-calls", "0"], ["--most-calls", "91"]])
def test_what_the_command_line_refuses(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        bench.parse(arguments)


def test_a_quick_run_is_smaller() -> None:
    assert max(QUICK.lines) < max(FULL.lines)
    assert QUICK.history < FULL.history
    assert set(QUICK.rates) < set(FULL.rates)
    assert QUICK.most < FULL.most
    assert QUICK.lease_s < FULL.lease_s
    assert QUICK.lease_faults < FULL.lease_faults
