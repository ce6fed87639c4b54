"""How long packets have to wait to be in time: RTP's wrapping counters and the spread of the packets' delays."""

from media.codecs import SAMPLE_RATE

_MS = SAMPLE_RATE // 1000

START_WAIT = 20 * _MS
MIN_WAIT = 5 * _MS
MAX_WAIT = 180 * _MS
WAIT_MARGIN = 5 * _MS
WAIT_DECAY = 0.5 * _MS
"""How much the wait may shrink with each packet: it grows at once, and shrinks by 25 ms a second."""
HALF_WINDOW = 50
"""Delays are compared over one to two times as many packets: one to two seconds."""


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
        step = (value - self._highest) % self._modulus
        if step < self._modulus // 2:
            self._highest += step
            return self._highest
        return self._highest + step - self._modulus


class TargetWait:
    """Follows the network: ``samples`` is how long each packet has to wait for none of the latest to have been late."""

    def __init__(self) -> None:
        self.samples = float(START_WAIT)
        self.jitter = 0.0
        """Interarrival jitter in samples (RFC 3550, section 6.4.1)."""
        self._last = 0.0
        self._low = self._high = self._earlier_low = self._earlier_high = 0.0
        self._count = 0
        self._comparable = False

    def arrived(self, timestamp: int, now: float) -> None:
        """Take note of a packet: its unwrapped timestamp, and when it came in seconds."""
        delay = now * SAMPLE_RATE - timestamp
        if self._comparable:
            self.jitter += (abs(delay - self._last) - self.jitter) / 16
            if delay < self._low:
                self._low = delay
            elif delay > self._high:
                self._high = delay
        else:
            self._low = self._high = self._earlier_low = self._earlier_high = delay
            self._count, self._comparable = 0, True
        self._last = delay
        spread = max(self._high, self._earlier_high) - min(self._low, self._earlier_low)
        self.samples = min(max(self.samples - WAIT_DECAY, spread + WAIT_MARGIN, MIN_WAIT), MAX_WAIT)
        self._count += 1
        if self._count == HALF_WINDOW:
            self._earlier_low, self._earlier_high = self._low, self._high
            self._low = self._high = delay
            self._count = 0

    def paused(self) -> None:
        """The sender made a pause; its clock need not agree with ours across it."""
        self._comparable = False
