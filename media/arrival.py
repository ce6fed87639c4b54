"""When something came in by a socket, by the kernel's note of it: not when somebody had time to read it."""

import socket
import struct
import time

SO_TIMESTAMPNS = 35
"""Linux's number for it, which Python does not have: the kernel notes when a datagram came (socket(7)), and of a
stream when the last segment came of those that are read."""
_TIMESPEC = struct.Struct("ll")
NOTES_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
"""For recvmsg()."""
LONGEST_WAIT_S = 15.0
"""Longer than a buffer holds packets."""


def note_arrivals(of: socket.socket) -> None:
    """Have the kernel do it."""
    of.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def waited_s(notes: list[tuple[int, int, bytes]]) -> float:
    """How long ago it came; 0 without a note."""
    for level, kind, value in notes:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(value) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(value)
            waited: float = time.time() - (seconds + nanoseconds / 1e9)
            return min(max(waited, 0.0), LONGEST_WAIT_S)  # the wall clock may have been set meanwhile
    return 0.0
