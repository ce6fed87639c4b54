"""A UDP port that is read and written without an event loop, and tells when each datagram came."""

import socket
import time

from media.arrival import NOTES_BYTES, note_arrivals, waited_s

BUFFER_BYTES = 212_992
"""Linux's own limit, and twice its default: ten seconds of packets, for the time before Telegram is connected."""
DATAGRAM_BYTES = 2048
"""More than any packet of audio; a longer one is cut, and then is none."""

Address = tuple[str, int]
Datagram = tuple[bytes, Address, float]
"""What came, from where, and when, on time.monotonic()'s clock."""


class UdpPort:
    """A free port of ``host``. Raises OSError if the address is not this machine's."""

    def __init__(self, host: str) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            note_arrivals(self._socket)
            self._socket.bind(address)
        except BaseException:
            self._socket.close()
            raise

    @property
    def address(self) -> Address:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def receive(self) -> Datagram | None:
        """The next one that has come; None once there is no other."""
        while True:
            try:
                data, notes, _, source = self._socket.recvmsg(DATAGRAM_BYTES, NOTES_BYTES)
            except BlockingIOError:
                return None
            except OSError:  # a datagram of ours was refused: whoever has the other port is known by its packets
                continue
            return data, source[:2], time.monotonic() - waited_s(notes)

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram, or lose it: to audio, a full buffer or a port that is closed for a moment is no error."""
        try:
            self._socket.sendto(data, to)
        except OSError:
            return

    def close(self) -> None:
        """Let the port go."""
        self._socket.close()
