"""What the kernel says of this machine, and of the media processes on it: proc(5)."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ari_app.calls.capacity import MachineReading, MediaReading

PROC = Path("/proc")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
"""The kernel's unit of CPU time."""
KB_OF_MB = 1024
GONE = (FileNotFoundError, ProcessLookupError)
"""A process that has ended, before its file was opened and after."""


def read_machine(media: Mapping[int, MediaReading], weighed: int | None = None, proc: Path = PROC) -> MachineReading:
    """Read all of it: a millisecond, and a tenth for each process. ``media`` has what is known; its CPU is filled in.

    ``weighed``: of which process the memory is asked for, which takes the kernel longer. Raises OSError, ValueError.
    """
    cpus = [line.split() for line in (proc / "stat").read_text().splitlines() if line.startswith("cpu")]
    memory = dict(line.split(":", 1) for line in (proc / "meminfo").read_text().splitlines())
    if len(cpus) < 2 or "MemAvailable" not in memory:
        raise ValueError(f"{proc} tells neither CPU nor memory as Linux does")
    # What has a lower priority (nice) gives way to calls, as an idle processor does.
    user, nice, system, idle, iowait, irq, softirq, steal = (int(each) * TICK_S for each in cpus[0][1:9])
    busy_s = user + system + irq + softirq + steal
    found = {}
    for pid, known in media.items():
        with suppress(*GONE):
            found[pid] = replace(known, cpu_s=_cpu_s(proc / f"{pid}"))
    return MachineReading(
        at_s=time.monotonic(),
        busy_s=busy_s,
        total_s=busy_s + nice + idle + iowait,
        processors=len(cpus) - 1,
        free_mb=int(memory["MemAvailable"].split()[0]) / KB_OF_MB,
        media=found,
        call_mb=None if weighed is None else _own_mb(proc / f"{weighed}"),
    )


def _cpu_s(process: Path) -> float:
    """Of user and system, all threads; its name, in parentheses, may have spaces."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def _own_mb(process: Path) -> float | None:
    """What a process does not share with the zygote and the other media processes; None where that is not told."""
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended; or the kernel is old, or forbids it
        return None
    own_kb = [int(line.split()[1]) for line in lines if line.startswith("Private_")]
    return sum(own_kb) / KB_OF_MB if own_kb else None
