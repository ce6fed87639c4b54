"""The bench as somebody runs it: a process of its own."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from ari_app.sandbox.bench.__main__ import PARTS
from ari_app.sandbox.bench.report import value_of
from ari_app.sandbox.bench.runner import REPORT

PART_S = 90.0
STOP_S = 30.0
STOPPED = 130


@asynccontextmanager
async def bench(*arguments: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ari_app.sandbox.bench", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


async def test_one_part_fills_its_keys_and_says_of_the_others_that_it_did_not(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    async with bench("--quick", "--only", "keypad", "--folder", folder) as process, asyncio.timeout(PART_S):
        printed = (await process.communicate())[0].decode()
    assert process.returncode == 0, printed
    report = json.loads((folder / REPORT).read_text())
    assert (report["quick"], report["only"], report["failed"]) == (True, ["keypad"], {})
    assert report["digit_ms"] >= 100, "as long as the tone is"
    assert [row["until"] for row in report["tables"]["keypad"]["from a press until"]] == [
        "the press is answered",
        "the dialplan has the digit",
    ]
    for part in PARTS:
        for key in part.keys:
            if part.name != "keypad":
                assert value_of(report, key) is None
                assert report["missing"][key] == f"{part.name} was not measured"
    assert report["machine"].keys() >= {"cores", "cpu", "memory_mb"}
    assert report["versions"].keys() >= {"astergram", "asterisk", "ntgcalls", "python"}
    assert report["command"].startswith("scripts/bench --quick --only keypad")
    assert report["date"]


async def test_no_line_has_two_machines_whatever_happens_to_who_holds_it(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    async with bench("--quick", "--only", "leases", "--folder", folder) as process, asyncio.timeout(PART_S):
        printed = (await process.communicate())[0].decode()
    assert process.returncode == 0, printed
    report = json.loads((folder / REPORT).read_text())
    assert report["leases_s"].keys() == {"handed_over", "started_again", "killed", "no_writes", "cut_off"}
    assert all(row["of"] and row["lowest_s"] >= 0 for row in report["tables"]["leases"]["leases"])


@pytest.mark.timeout(PART_S + 2 * STOP_S)
async def test_a_bench_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    async with bench("--quick", "--only", "cost", "--folder", folder) as process:
        assert process.stdout is not None
        async with asyncio.timeout(PART_S):
            while b"rtp" not in (line := await process.stdout.readline()):  # a call is about to be placed
                assert line
            pids = {each.pid for each in psutil.Process(process.pid).children(recursive=True)}
        assert pids
        process.terminate()
        async with asyncio.timeout(STOP_S):
            said = (await process.communicate())[0].decode()
    assert process.returncode == STOPPED, said
    assert said.endswith("astergram: stopped\n")
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert not [
        each for each in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(each.info["cmdline"] or [])
    ]
    assert list(folder.rglob("*.sock")) == []
