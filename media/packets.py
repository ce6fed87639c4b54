"""What the two ways to Asterisk have in common: packets of 20 ms out, a jitter buffer in, and their figures."""

import time
from abc import ABC, abstractmethod
from dataclasses import replace

from media.codecs import TICK_MS
from media.formats import FORMATS
from media.jitter import LEAD_IN_MS, JitterBuffer
from media.types import Codecs, FlowStats, MediaStats

UNHEARD_TICKS = 100 // TICK_MS
"""Of the lead-in: Telegram's encoder begins a moment after Telegram media has connected, and what it did not hear would
be counted as a part of its packets (`media.tick`)."""


class PacketTransport(ABC):
    """A `media.transport.Transport` of packets."""

    name: str

    def __init__(self, codecs: Codecs) -> None:
        self._use(codecs)
        self._first: bytes | None = None  # of the two ticks in a packet
        self._heard_at = time.monotonic()
        self._unheard = UNHEARD_TICKS
        self._sent = self._sent_bytes = self._overflows = self._rejected = self._foreign = 0

    def _use(self, codecs: Codecs) -> None:
        """For what is to come; nothing has come or gone yet."""
        self._encoder = FORMATS[codecs.to_asterisk].encoder()
        self.rate = self._encoder.rate
        self._decoder = FORMATS[codecs.from_asterisk].decoder()
        self._jitter = JitterBuffer(self._decoder, LEAD_IN_MS)

    def start(self) -> None:
        """Let the jitter buffer play."""
        self._jitter.release()

    def push(self, sound: bytes) -> None:
        """Send every second tick, together with the one before."""
        if not self._jitter.released:
            self._take_in()
        first, self._first = self._first, sound
        if first is not None:
            self._first = None
            self._put_out(first + sound)

    @abstractmethod
    def _put_out(self, sound: bytes) -> None:
        """Send 20 ms, or have them sent."""

    @abstractmethod
    def _take_in(self) -> None:
        """Give the jitter buffer what has come."""

    def pull(self) -> list[bytes]:
        """The next tick from the jitter buffer, with the other half of its packet; none that nobody would hear."""
        self._take_in()
        now = time.monotonic()
        said = [self._jitter.pull(now)]
        if self._unheard:
            self._unheard -= 1
            return []
        if self._jitter.decoded:
            said.append(self._jitter.pull(now + TICK_MS / 1000))
        return said

    def stats(self) -> MediaStats:
        """Bytes from Asterisk are payloads, those towards it whole packets."""
        self._take_in()
        stats = self._jitter.stats(
            rejected=self._rejected,
            foreign=self._foreign,
            overflows=self._overflows,
            to_asterisk=FlowStats(packets=self._sent, bytes=self._sent_bytes),
        )
        return replace(stats, quiet_ms=int((time.monotonic() - self._heard_at) * 1000))
