"""A short chaos run of two machines, as `scripts/chaos` runs it: nothing may be wrong."""

import json
from pathlib import Path

import pytest

from ari_app.sandbox import networks
from tests.e2e.commands import printed_by

FAULTS, SEED = 6, 5
CHAOS_S = 600.0  # on a busy machine each fault takes its time to heal


@pytest.mark.timeout(CHAOS_S + 60)
async def test_a_short_chaos_run(tmp_path: Path) -> None:
    folder = tmp_path / "chaos"
    printed, status = await printed_by(
        "chaos", "--faults", FAULTS, "--seed", SEED, "--folder", folder, within_s=CHAOS_S
    )
    assert (folder / "report.json").exists(), printed
    report = json.loads((folder / "report.json").read_text())
    assert report["wrong"] == [], printed
    assert report["cuts"] == ("proxies" if networks.trouble() else "networks")
    assert (report["ok"], status) == (True, 0)
    assert sum(each["times"] for each in report["faults"].values()) == FAULTS
    made = [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]
    assert report["calls"]["answered"] == sum(not each["gives_up"] for each in made) > 0
    assert report["calls"]["hit_by_a_fault"] > 0
    assert report["texts"] > 0
