"""What can be seen on this machine: disk, modes, limits, memory, whether its clock is set by somebody."""

from __future__ import annotations

import ctypes
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

from ari_app.doctor.findings import Finding, Topic, advice, ok, problem
from ari_app.doctor.surroundings import Surroundings
from ari_app.i18n import message

MEGABYTE = 1024 * 1024
DISK_PROBLEM_MB = 50
DISK_ADVICE_MB = 500
FREE_INODES = 1000
FILES_OF_THE_PROGRAM = 128
FILES_OF_A_CALL = 16
MEMORY_OF_A_CALL_MB = 64
"""A media process with what it shares, and the controller's part: generous."""
FOLDER_MODE = 0o700
FILE_MODE = 0o600
PRIVATE_SUFFIXES = (".session", ".session-journal", ".db", ".db-wal", ".db-shm", ".sock")
MEMINFO = Path("/proc/meminfo")
SHOWN_PATHS = 5
TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""
_SIZE_OF_TIMEX = 256


def disk(surroundings: Surroundings) -> list[Finding]:
    """Space and inodes where the state is."""
    folder = surroundings.state_dir
    if not folder.exists():
        return []  # `modes` tells
    found = os.statvfs(folder)
    free_mb = found.f_bavail * found.f_frsize // MEGABYTE
    values = {"free": free_mb, "folder": folder}
    remedy = message("Make room on that disk: the database and the sessions must be able to grow.")
    if free_mb < DISK_PROBLEM_MB:
        return [problem(Topic.MACHINE, message("Only {free} MB are free where {folder} is.", **values), remedy)]
    if found.f_files and found.f_favail < FREE_INODES:
        return [
            problem(Topic.MACHINE, message("The disk of {folder} has hardly any inodes left.", folder=folder), remedy)
        ]
    if free_mb < DISK_ADVICE_MB:
        return [advice(Topic.MACHINE, message("Only {free} MB are free where {folder} is.", **values), remedy)]
    return [ok(Topic.MACHINE, message("{free} MB are free where {folder} is.", **values))]


def modes(surroundings: Surroundings) -> list[Finding]:
    """Whether nobody but this user can read the sessions, and this user can write them."""
    folder = surroundings.state_dir
    if not folder.is_dir():
        return [
            problem(
                Topic.MACHINE,
                message("The folder {folder} does not exist.", folder=folder),
                message("Create it for the user that Astergram runs as, with mode 0700, or set state_dir."),
            )
        ]
    found = []
    if open_to_others := [path for path, allowed in _private(folder) if _mode(path) & ~allowed]:
        listed = " ".join(str(path) for path in open_to_others[:SHOWN_PATHS])
        found.append(
            problem(
                Topic.MACHINE,
                message("Others can get at what only Astergram may read: {paths}", paths=listed),
                message(
                    "A session is the account itself. Run: chmod -R u=rwX,go= {folder}",
                    folder=folder,
                ),
            )
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        found.append(
            problem(
                Topic.MACHINE,
                message("This user cannot write into {folder}.", folder=folder),
                message("Make the user that Astergram runs as its owner."),
            )
        )
    return found or [ok(Topic.MACHINE, message("Only this user can read {folder}.", folder=folder))]


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.lstat().st_mode)
    except FileNotFoundError:  # the sockets of media processes come and go
        return 0


def _private(folder: Path) -> Iterator[tuple[Path, int]]:
    """Each path that must be private, with the bits that it may have."""
    yield folder, FOLDER_MODE
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            yield path, FOLDER_MODE
        elif path.suffix in PRIVATE_SUFFIXES:
            yield path, FILE_MODE


def open_files(surroundings: Surroundings) -> list[Finding]:
    """Whether the limit of open files is enough for all calls."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = FILES_OF_THE_PROGRAM + FILES_OF_A_CALL * surroundings.calls
    if limit != resource.RLIM_INFINITY and limit < needed:
        return [
            problem(
                Topic.MACHINE,
                message(
                    "All calls that the lines may have ({calls}) need up to {needed} open files; the limit is {limit}.",
                    calls=surroundings.calls,
                    needed=needed,
                    limit=limit,
                ),
                message("Raise it: LimitNOFILE= in the systemd unit, or ulimit -n."),
            )
        ]
    return [ok(Topic.MACHINE, message("The limit of open files is enough: {limit}.", limit=limit))]


def memory(surroundings: Surroundings) -> list[Finding]:
    """Whether there is memory for all calls."""
    lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
    free_mb = int(lines["MemAvailable"].split()[0]) // 1024
    needed_mb = MEMORY_OF_A_CALL_MB * surroundings.calls
    if free_mb < needed_mb:
        return [
            advice(
                Topic.MACHINE,
                message(
                    "All calls that the lines may have ({calls}) need up to {needed} MB of memory; {free} MB are free.",
                    calls=surroundings.calls,
                    needed=needed_mb,
                    free=free_mb,
                ),
                message("Lower the lines' max_calls, or give the machine more memory."),
            )
        ]
    return [ok(Topic.MACHINE, message("{free} MB of memory are available.", free=free_mb))]


def synchronised() -> list[Finding]:
    """Whether something such as NTP sets this machine's clock: the kernel knows (adjtimex(2))."""
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_SIZE_OF_TIMEX))
    if state == TIME_ERROR:
        return [
            advice(
                Topic.TIME,
                message("Time synchronisation is not set up on this machine."),
                message("Start an NTP client, such as systemd-timesyncd or chrony."),
            )
        ]
    if state < 0:  # some containers forbid the question
        return []
    return [ok(Topic.TIME, message("This machine's clock is synchronised by NTP."))]
