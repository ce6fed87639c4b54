"""How deep a jitter buffer has to be: RTP's wrapping counters and the spread of the packets' delays."""

from collections import deque

from media.codecs import SAMPLE_RATE

_MS = SAMPLE_RATE // 1000

START_TARGET = 40 * _MS
MIN_TARGET = 30 * _MS
MAX_TARGET = 200 * _MS
TARGET_MARGIN = 10 * _MS
TARGET_DECAY = 0.5 * _MS
"""How much the target may sink with each packet: it grows at once, and shrinks by 25 ms a second."""
WINDOW = 100
"""Packets over which delays are compared: two seconds."""


class SerialNumber:
    """Unwraps a counter of ``bits`` bits that starts anywhere (RFC 1982): RTP's sequence numbers and timestamps."""

    def __init__(self, bits: int) -> None:
        self._modulus = 1 << bits
        self._highest: int | None = None

    def unwrap(self, value: int) -> int:
        """The number nearest to the highest one so far that is equal modulo 2**bits."""
        if self._highest is None:
            self._highest = value
            return value
        half = self._modulus // 2
        result = self._highest + (value - self._highest + half) % self._modulus - half
        self._highest = max(self._highest, result)
        return result


class TargetDepth:
    """Follows the network: ``samples`` is the depth that would have made none of the latest packets late."""

    def __init__(self) -> None:
        self.samples = float(START_TARGET)
        self.jitter = 0.0
        """Interarrival jitter in samples (RFC 3550, section 6.4.1)."""
        self._delays: deque[float] = deque(maxlen=WINDOW)

    def arrived(self, timestamp: int, samples: int, now: float) -> None:
        """Take note of a packet: its unwrapped timestamp, its length, and when it came in seconds."""
        delay = now * SAMPLE_RATE - timestamp
        if self._delays:
            self.jitter += (abs(delay - self._delays[-1]) - self.jitter) / 16
        self._delays.append(delay)
        needed = max(self._delays) - min(self._delays) + samples + TARGET_MARGIN
        self.samples = min(max(self.samples - TARGET_DECAY, needed, MIN_TARGET), MAX_TARGET)

    def paused(self) -> None:
        """The sender made a pause; its clock need not agree with ours across it."""
        self._delays.clear()
