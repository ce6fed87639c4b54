"""What /proc tells: of a machine that is written down, and of this one."""

import os
import time
from pathlib import Path

import pytest

from ari_app.calls.capacity import MediaReading
from ari_app.calls.machine import PROC, TICK_S, read_machine

STAT = """\
cpu  600 50 300 9000 40 1 9 90 77 5
cpu0 300 25 150 4500 20 0 5 45 0 0
cpu1 300 25 150 4500 20 1 4 45 0 0
intr 8406583 0 0
ctxt 25897039
"""
MEMINFO = "MemTotal:       2048000 kB\nMemFree:         102400 kB\nMemAvailable:    512000 kB\n"
PROCESS = "42 (media (of 1) x) S 1 42 42 0 -1 4194624 9 0 0 0 150 50 0 0 15 -5 6 0 99 123 456 789\n"
SMAPS = """\
55c6-7fff ---p 00000000 00:00 0                          [rollup]
Rss:               71680 kB
Shared_Clean:      30000 kB
Private_Clean:      1024 kB
Private_Dirty:      9216 kB
Private_Hugetlb:       0 kB
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "stat").write_text(STAT)
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "42").mkdir()
    (tmp_path / "42" / "stat").write_text(PROCESS)
    (tmp_path / "42" / "smaps_rollup").write_text(SMAPS)
    return tmp_path


def test_a_machine(proc: Path) -> None:
    known = MediaReading(0.0, talking=True, ticks_late=3)
    its = read_machine({42: known, 43: known}, 42, proc)
    assert its.busy_s == pytest.approx(1000 * TICK_S), "user, system, irq, softirq, steal"
    assert its.total_s == pytest.approx(10090 * TICK_S), "with nice, idle, iowait"
    assert its.processors == 2
    assert (its.free_mb, its.call_mb) == (500, 10)
    assert its.media == {42: MediaReading(200 * TICK_S, talking=True, ticks_late=3)}, "43 is gone"


def test_a_process_that_is_not_to_be_weighed(proc: Path) -> None:
    assert read_machine({}, None, proc).call_mb is None
    assert read_machine({}, 43, proc).call_mb is None, "it is gone"
    (proc / "42" / "smaps_rollup").write_text("")
    assert read_machine({}, 42, proc).call_mb is None


@pytest.mark.parametrize("without", ["stat", "meminfo"])
def test_a_machine_that_tells_nothing(proc: Path, without: str) -> None:
    (proc / without).write_text("")
    with pytest.raises(ValueError, match="neither CPU nor memory"):
        read_machine({}, None, proc)
    (proc / without).unlink()
    with pytest.raises(FileNotFoundError):
        read_machine({}, None, proc)


@pytest.mark.skipif(not PROC.joinpath("stat").exists(), reason="Linux only")
def test_this_machine() -> None:
    pid = os.getpid()
    first = read_machine({pid: MediaReading(0.0, talking=True)}, pid)
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    last = read_machine({pid: MediaReading(0.0, talking=True)})
    assert last.media[pid].cpu_s - first.media[pid].cpu_s >= 0.2 - 2 * TICK_S
    assert last.busy_s > first.busy_s
    assert last.total_s > first.total_s
    assert last.at_s > first.at_s
    assert last.processors >= 1
    assert last.free_mb > 0
    assert first.call_mb
    assert first.call_mb > 1
