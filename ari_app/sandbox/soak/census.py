"""What a program holds at a moment, read from /proc: processes, open files, threads, memory."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
KB_IN_MB = 1024
SOCKET_PATH, ACCEPTS = 7, 0x10000  # the column of a socket's path, and __SO_ACCEPTCON, in /proc/net/unix


@dataclass(frozen=True)
class Census:
    """``processes``: the program and all that it has started. ``media``: media processes, those too that an earlier
    program has left. The rest is of the program itself; ``rss_mb`` in MiB.

    ``requests``: connections that an HTTP client keeps for a while for its next requests; ``fds`` has not these.
    """

    processes: int
    fds: int
    requests: int
    threads: int
    rss_mb: float
    media: int = 0


def census(pid: int, servers: Collection[int] = (), sockets: Path | None = None) -> Census:
    """Count; ``servers`` are the ports that it makes requests to, ``sockets`` the folder of its media processes'.

    Raises OSError where the program is gone.
    """
    fds, connections = _fds(pid), _sockets_to(servers)
    requests = sum(each in connections for each in fds)
    status = dict(line.split(":", 1) for line in (PROC / str(pid) / "status").read_text().splitlines() if ":" in line)
    return Census(
        processes=1 + len(descendants(pid)),
        fds=len(fds) - requests,
        requests=requests,
        threads=int(status["Threads"]),
        rss_mb=round(int(status["VmRSS"].split()[0]) / KB_IN_MB, 1),
        media=len(_listening_in(sockets)) if sockets else 0,
    )


def descendants(pid: int) -> list[int]:
    """The processes below a process; those that have ended and were not waited for are none any more."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)):
            children.setdefault(parent, []).append(int(entry.name))
    found, looked_at = list[int](), [pid]
    while looked_at:
        below = children.get(looked_at.pop(), [])
        found += below
        looked_at += below
    return found


def grandchildren(pid: int) -> list[int]:
    """The processes that the children of a process have started."""
    below = descendants(pid)
    return [each for each in below if (parent := _parent(PROC / str(each))) and parent != pid]


def threads(pid: int) -> int:
    """How many a process has; 0 for one that is gone."""
    try:
        return sum(1 for _ in (PROC / str(pid) / "task").iterdir())
    except OSError:
        return 0


def _fds(pid: int) -> list[str]:
    """What each descriptor is of: a path, or ``socket:[INODE]``."""
    found = []
    for entry in (PROC / str(pid) / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(entry.readlink()))
    return found


def _sockets_to(ports: Collection[int]) -> set[str]:
    """The TCP connections of this machine to these ports, as `_fds` names them (proc_net(5))."""
    rows = (line.split() for line in (PROC / "net" / "tcp").read_text().splitlines()[1:])
    return {f"socket:[{row[9]}]" for row in rows if int(row[2].rpartition(":")[2], 16) in ports}


def _listening_in(folder: Path) -> set[str]:
    """The Unix sockets of a folder that somebody listens on; their names are random."""
    rows = [line.split() for line in (PROC / "net" / "unix").read_text().splitlines()[1:]]
    listening = (row[SOCKET_PATH] for row in rows if len(row) > SOCKET_PATH and int(row[3], 16) & ACCEPTS)
    return {path.rpartition("/")[2] for path in listening} & {path.name for path in folder.iterdir()}


def _parent(entry: Path) -> int | None:
    """The parent's pid; None for a process that is gone, or a zombie (proc_pid_stat(5))."""
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[1])
