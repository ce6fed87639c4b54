"""A short soak, as `scripts/soak` runs it: calls of every kind, every fault, a kill, and nothing may be wrong."""

import json
from pathlib import Path

import pytest

from ari_app.sandbox.soak.plan import Fault, Kind
from tests.e2e.commands import printed_by

CALLS, MINUTES, SEED = 60, 2, 8
SOAK_S = 600.0  # on a busy machine each fault takes its time to heal
FAULTS_LEAST = 5  # of whatever kind: how many there is time for depends on the machine


@pytest.mark.timeout(SOAK_S + 60)
async def test_a_short_soak(tmp_path: Path) -> None:
    folder = tmp_path / "soak"
    arguments = ("--calls", CALLS, "--minutes", MINUTES, "--seed", SEED, "--folder", folder)
    printed, status = await printed_by("soak", *arguments, within_s=SOAK_S)
    assert (folder / "report.json").exists(), printed
    report = json.loads((folder / "report.json").read_text())
    assert report["wrong"] == [], printed
    assert report["left"] == {}
    assert (report["ok"], report["calls"], status) == (True, CALLS, 0)
    assert report["faults"].keys() == {fault.title for fault in Fault}
    assert sum(report["faults"].values()) >= FAULTS_LEAST
    assert report["faults"][Fault.CONTROLLER_KILLED.title] >= 1
    made = [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]
    hit = [call for call in made if Fault.CONTROLLER_KILLED.title in call["faults"]]
    assert report["survivors"] >= 1, "\n".join(map(str, hit))
    assert {call["kind"] for call in made} == {kind.title for kind in Kind}
