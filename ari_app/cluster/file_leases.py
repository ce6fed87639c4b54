"""Leases of lines among the programs of one machine: a lock on a file for each (flock(2)).

The kernel lets go of a lock when its holder ends, however it ends, so that nothing needs to be renewed or waited out.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ari_app.cluster.bucket import key_of
from ari_app.cluster.leases import HeldLine
from ari_app.state_folder import PRIVATE, PRIVATE_FOLDER

LOOK_S = 0.5  # whether it is free: the kernel tells nobody
HAND_OVER_S = 2.0
"""For the program that a line is handed over to; then any may have it."""


class FileLeases:
    """``folder``: where the files are, the same for all of them; ``program``: its name, for a hand-over.

    A file has the lease's ``token``, and to whom it was handed over last; it stays when nobody holds the line.
    """

    def __init__(self, folder: Path, program: str = "") -> None:
        self._folder = folder
        self._program = program

    @asynccontextmanager
    async def hold(self, line: str) -> AsyncIterator[HeldLine]:
        """Wait until this program holds a line; leaving the block lets go of it. Raises OSError."""
        clock, path = asyncio.get_running_loop().time, self._folder / f"{key_of(line)}.lease"
        self._folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        seen: tuple[int, str | None] | None = None
        since = clock()
        while True:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, PRIVATE), "r+b", buffering=0) as file:
                if _locked(file.fileno()):
                    token, hand_to = now = _read(file.read())
                    if now != seen:
                        seen, since = now, clock()
                    if hand_to in (None, self._program) or clock() - since >= HAND_OVER_S:
                        held = HeldLine(line, token + 1)
                        _write(file.fileno(), held)
                        try:
                            yield held
                        finally:
                            held.lost.set()
                            if held.hand_to is not None:
                                _write(file.fileno(), held)
                        return
            await asyncio.sleep(LOOK_S)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(content: bytes) -> tuple[int, str | None]:
    """The token, and to whom it was handed over; of a file that is new, or half written as its disk was full, 0."""
    try:
        its: dict[str, Any] = json.loads(content)
        return int(its["token"]), its["hand_to"]
    except (ValueError, KeyError, TypeError):
        return 0, None


def _write(file: int, held: HeldLine) -> None:
    os.pwrite(file, json.dumps({"token": held.token, "hand_to": held.hand_to}).encode().ljust(256), 0)
