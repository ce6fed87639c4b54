"""Ports for programs that cannot choose their own: blocks below the kernel's ephemeral range, held while in use."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator

from ari_app.sandbox.processes import SandboxError

HOST = "127.0.0.1"

# Below Linux's default net.ipv4.ip_local_port_range, so that no outgoing socket lands in a block.
FIRST, LAST = 16000, 32000
UNIT = 20
"""Blocks begin at multiples of this and are held by units."""
GUARDS = (LAST, LAST + (LAST - FIRST) // UNIT)
"""One guard port for each unit lies above the blocks."""


def _bound(kind: socket.SocketKind, port: int) -> socket.socket:
    held = socket.socket(socket.AF_INET, kind)
    try:
        held.bind((HOST, port))
    except OSError:
        held.close()
        raise
    return held


@contextlib.contextmanager
def block(size: int) -> Iterator[range]:
    """Hold ``size`` consecutive free ports of 127.0.0.1, TCP and UDP, and yield them.

    A block is locked by guard sockets outside of it, one for each unit, bound for as long as the block is held: the
    kernel grants a port to one process only, whoever runs it, and takes it back when the process dies. Ports that a
    stranger uses are found by binding them once. Raises SandboxError when no block is free.
    """
    units = -(-size // UNIT)
    starts = list(range(0, (LAST - FIRST) // UNIT - units))
    random.shuffle(starts)
    for start in starts:
        ports = range(FIRST + start * UNIT, FIRST + start * UNIT + size)
        with contextlib.ExitStack() as guards:
            try:
                for unit in range(start, start + units):
                    guards.enter_context(_bound(socket.SOCK_STREAM, GUARDS[0] + unit))
                for port in ports:
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        _bound(kind, port).close()
            except OSError:
                continue
            yield ports
            return
    raise SandboxError(f"no {size} free ports in a row between {FIRST} and {LAST} on {HOST}")
