"""Unix sockets (unix(7)), also in folders with long names: the kernel takes an address of 108 bytes at most."""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short_address(path: Path) -> Iterator[str]:
    """An address for ``path`` that is short enough to bind or to connect to, while the context lasts."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def peer_pid(its: socket.socket) -> int:
    """Which process listens where this is connected to (SO_PEERCRED)."""
    pid, _, _ = struct.unpack("3i", its.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(pid)
