"""What processes use, read from /proc: CPU in percent of a core, and memory that is theirs alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ari_app.sandbox.processes import SandboxError

PROC = Path("/proc")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
KB_IN_MB = 1024
UTIME, STIME = 11, 12
"""Places in /proc/PID/stat behind the name of the program (proc_pid_stat(5)); of all its threads, also ended ones."""
IDLE, IOWAIT = 3, 4
"""Places in the first line of /proc/stat, behind its name."""


def cpu_s(pid: int) -> float:
    """CPU time so far, in seconds. Raises OSError where the process is gone."""
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[UTIME]) + int(fields[STIME])) / TICKS_A_SECOND


def own_mb(pid: int) -> float:
    """Memory that no other process shares (USS), in MiB. Raises OSError where the process is gone."""
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / KB_IN_MB


def resident_mb(pid: int) -> float:
    """All memory of it that is not swapped out (RSS), in MiB. Raises OSError where the process is gone."""
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:")) / KB_IN_MB


def _cpu_of(pids: Iterable[int]) -> dict[int, float]:
    found = {}
    for pid in pids:
        with suppress(OSError):  # it has ended
            found[pid] = cpu_s(pid)
    return found


def _machine_s() -> tuple[float, float]:
    """Of all cores together: seconds at work, and seconds in all."""
    ticks = [int(each) for each in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[IDLE] - ticks[IOWAIT]) / TICKS_A_SECOND, sum(ticks) / TICKS_A_SECOND


@dataclass(frozen=True)
class Used:
    """Over a window: each process's CPU in percent of a core, and of all cores how much was at work, in percent.

    A process that has ended meanwhile is left out.
    """

    cpu_pct: dict[int, float]
    busy_pct: float

    def of(self, pid: int) -> float:
        """Of one. Raises SandboxError where it has ended."""
        try:
            return self.cpu_pct[pid]
        except KeyError:
            raise SandboxError(f"process {pid} has ended while it was measured") from None

    def busiest(self, pids: Iterable[int], count: int) -> list[int]:
        """Those of them that used most."""
        known = (pid for pid in pids if pid in self.cpu_pct)
        return sorted(known, key=self.of, reverse=True)[:count]

    def mean_pct(self, pids: Iterable[int]) -> float:
        """Of some of them, each; 0 of none. Raises SandboxError where one has ended."""
        shares = [self.of(pid) for pid in pids]
        return sum(shares) / len(shares) if shares else 0.0


class Window:
    """From its making until `end`."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._began = time.monotonic()
        self._machine = _machine_s()
        self._before = _cpu_of(pids)

    def end(self) -> Used:
        """What was used meanwhile."""
        seconds = time.monotonic() - self._began
        at_work, in_all = (now - before for now, before in zip(_machine_s(), self._machine, strict=True))
        return Used(
            {pid: (now - self._before[pid]) / seconds * 100 for pid, now in _cpu_of(self._before).items()},
            at_work / in_all * 100 if in_all else 0.0,
        )
