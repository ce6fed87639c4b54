"""What is done every 10 ms of a call, by Telegram's clock: the person's voice goes out, what they hear comes in.

It runs in ntgcalls' own thread, and waits for nothing: neither for the event loop nor for a packet.
"""

import threading
import time
from dataclasses import replace

from media.codecs import TICK_MS, size_of
from media.silence import ALWAYS_QUIET, METERED, LevelMeter, rms
from media.transport import Transport
from media.types import MediaStats

LATE_S = 2 * TICK_MS / 1000
"""Between two ticks: the machine was too busy, or stopped."""


class Tick:
    """Ticks of one call. The event loop gives it a transport and takes it away; a lock keeps the two apart."""

    def __init__(self) -> None:
        self._late = 0
        self._ticks = 0
        self._ahead = 0
        self._odd = False  # what Telegram's codec has been given has no even number of ticks
        self._to_be_metered = False
        self._from_telegram = LevelMeter()
        self._to_telegram = LevelMeter()
        self._lock = threading.Lock()
        self._transport: Transport | None = None
        self._size = 0  # of a frame, in bytes
        self._both_ways = False
        self._last_at: float | None = None

    def use(self, transport: Transport | None) -> None:
        """Carry sound to it and from it from now on; when this returns, no tick uses an earlier one any more."""
        with self._lock:
            self._transport = transport
            self._size = size_of(TICK_MS, transport.rate) if transport is not None else 0
            if transport is not None and self._both_ways:
                transport.start()

    def begin(self) -> None:
        """Telegram can hear."""
        with self._lock:
            self._both_ways = True
            if self._transport is not None:
                self._transport.start()

    def stats(self) -> MediaStats:
        """The transport's, with what is known here."""
        with self._lock:
            known = self._transport.stats() if self._transport else MediaStats()
            return replace(
                known,
                transport=self._transport.name if self._transport else None,
                ticks_late=self._late,
                level_to_telegram_dbfs=self._to_telegram.dbfs,
                level_from_telegram_dbfs=self._from_telegram.dbfs,
            )

    def take(self, frame: bytes) -> list[bytes]:
        """10 ms of the person's voice, mono s16le at the transport's rate.

        What is to be sent to them now, 10 ms of 48 kHz each: both halves of a packet at once, and then nothing with the
        next tick. Telegram's codec has packets of 60 ms: one that a second half completes goes 10 ms sooner so. Where
        first halves complete them, one is left out as soon as it is quiet.
        """
        now = time.monotonic()
        with self._lock:
            if self._last_at is not None and now - self._last_at > LATE_S:
                self._late += 1
            self._last_at = now
            if self._transport is None:
                return []
            if len(frame) != self._size:  # it may have begun with another rate
                frame = bytes(self._size)
            self._ticks += 1
            if self._ticks % METERED == 0:
                self._from_telegram.heard(frame)
                self._to_be_metered = True
            self._transport.push(frame)
            if self._ahead or not self._both_ways:
                self._ahead = max(0, self._ahead - 1)
                return []
            said = self._transport.pull()
            self._ahead = max(0, len(said) - 1)
            if said and self._to_be_metered:
                self._to_telegram.heard(said[0])
                self._to_be_metered = False
            if self._odd and len(said) == 2 and rms(said[0]) <= ALWAYS_QUIET:
                del said[0]
            self._odd ^= len(said) % 2 == 1
            return said
