"""A UDP port that is read and written without an event loop, and tells when each datagram came."""

import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

SO_TIMESTAMPNS = 35
"""Linux's number for it, which Python does not have: the kernel notes when a datagram came (socket(7))."""
_TIMESPEC = struct.Struct("ll")
_NOTES_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
JUST_NOW_S = 0.008
"""Less than a tick: of what came in it, one packet is sound for two ticks, and the others have time."""
BUFFER_BYTES = 212_992
"""Linux's own limit, and twice its default: ten seconds of packets, for the time before Telegram is connected."""
LONGEST_WAIT_S = 15.0
"""Longer than the buffer holds packets."""
DATAGRAM_BYTES = 2048
"""More than any packet of audio; a longer one is cut, and then is none."""

Address = tuple[str, int]


class Datagram(NamedTuple):
    """``at``: on time.monotonic()'s clock, when it came."""

    data: bytes
    source: Address
    at: float


class UdpPort:
    """A free port of ``host``. Raises OSError if the address is not this machine's."""

    def __init__(self, host: str) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._socket.bind(address)
        except BaseException:
            self._socket.close()
            raise

    @property
    def address(self) -> Address:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def received(self) -> Iterator[Datagram]:
        """What has come since the last time; after one that has just come, the rest may be left for the next time."""
        while True:
            try:
                data, notes, _, source = self._socket.recvmsg(DATAGRAM_BYTES, _NOTES_BYTES)
            except BlockingIOError:
                return
            except OSError:  # a datagram of ours was refused: whoever has the other port is known by its packets
                continue
            waited = _waited_s(notes)
            yield Datagram(data, source[:2], time.monotonic() - waited)
            if waited < JUST_NOW_S:
                return

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram, or lose it: to audio, a full buffer or a port that is closed for a moment is no error."""
        try:
            self._socket.sendto(data, to)
        except OSError:
            return

    def close(self) -> None:
        """Let the port go."""
        self._socket.close()


def _waited_s(notes: list[tuple[int, int, bytes]]) -> float:
    for level, kind, value in notes:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(value) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(value)
            waited: float = time.time() - (seconds + nanoseconds / 1e9)
            return min(max(waited, 0.0), LONGEST_WAIT_S)  # the wall clock may have been set meanwhile
    return 0.0
