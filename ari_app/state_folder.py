"""The state directory: one program works on it at a time, and what root puts there belongs to its owner."""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from media.forker import started_at

LOCK = "astergram.lock"
PRIVATE = 0o600
PRIVATE_FOLDER = 0o700


class StateHeld(Exception):
    """Another program works on the state directory; the text says which, and what to do."""


@contextmanager
def held(folder: Path, command: str) -> Iterator[None]:
    """Hold the state directory for `astergram COMMAND`, before anything in it is opened; it is made if need be.

    The kernel lets go of it when the program ends, however it ends: its child processes do not inherit it (flock(2)
    with O_CLOEXEC). Raises StateHeld, OSError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    except FileExistsError:  # which is no help, where a folder has to be
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None
    path = folder / LOCK
    with os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, PRIVATE), "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateHeld(
                f"{_holder(lock)} works on {folder}: stop it first, or set another state_dir for this one"
            ) from None
        give_to_owner(path)
        with suppress(OSError):  # a full disk costs the next one the name, nothing else
            lock.truncate()
            pid = os.getpid()
            json.dump({"command": command, "pid": pid, "began": started_at(pid), "since": time.time()}, lock)
            lock.flush()
        yield


def _holder(lock: IO[str]) -> str:
    """Who holds it. What is written may be an earlier holder's, where the present one has only just taken it."""
    try:
        its = json.load(lock)
        since = datetime.fromtimestamp(its["since"]).astimezone()
        if int(its["began"]) == started_at(int(its["pid"])):  # a reused pid is of a later process
            return f"`astergram {its['command']}` (process {its['pid']}, since {since:%Y-%m-%d %H:%M:%S})"
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        pass
    return "another Astergram"


def give_to_owner(*paths: Path) -> None:
    """Let files and folders belong to whom the folder that they are in belongs to; only root can, and has to."""
    if os.geteuid() == 0:
        for path in paths:
            its = path.parent.stat()
            os.chown(path, its.st_uid, its.st_gid, follow_symlinks=False)
