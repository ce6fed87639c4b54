"""Whether this machine can carry one more call, by what its calls cost on it. Reads no clock and no file.

CPU and late ticks are averages over `WINDOW_S`. A call costs what the media processes of the calls that talk take each,
or of those that talked last. One that was taken on and has not talked for all of that time is not in the machine's
figures yet, or not in full: it counts with what it lacks of that cost.
"""

import math
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ari_app.calls.reasons import AudioLate, CpuShort, MemoryShort, PortsShort, Shortage, TooManyCalls

WINDOW_S = 5.0
"""Of readings that count: in a shorter one, any program that starts looks like a machine that is full."""
STALE_S = 10.0
"""A reading that is older says nothing of now."""
WEIGHT = 0.1
"""Of one reading in what a call costs, which so follows the calls of about the last ten seconds."""
AGAIN = 0.95
"""Of the limit of CPU: calls are taken on again when no more is in use, or else each hang-up would let one call in."""
LATE_PERCENT, LATE_AGAIN_PERCENT = 2.0, 0.5
"""Of the ticks of all calls: two pauses a second in each call are heard, one in two seconds is concealed."""
RESERVE_MB, RESERVE_AGAIN_MB = 64.0, 96.0
"""Memory that is left to the rest of the machine, which would begin to swap or kill: no call's audio survives that."""
TICKS_PER_S = 100
"""Of a call (media/tick.py)."""


@dataclass(frozen=True)
class AdmissionLimits:
    """Until when calls are taken on. ``max_calls``: at a time, all lines together; 0: no limit.

    ``cpu_percent``: share of all processors that may be in use; 0: neither CPU nor late ticks are looked at.
    """

    max_calls: int = 0
    cpu_percent: int = 0


@dataclass(frozen=True)
class MediaReading:
    """A live call's media process: CPU since its start, and whether the call talks.

    ``ticks_late``: since its start; None before they were first asked for.
    """

    cpu_s: float
    talking: bool
    ticks_late: int | None = None


@dataclass(frozen=True)
class MachineReading:
    """The machine at one moment. ``at_s``: of a steady clock. ``media``: by process id.

    ``busy_s`` of ``total_s``: CPU of all processors since the machine's start. ``free_mb``: what programs could have.
    ``call_mb``: the memory of its own that a call's media process has; None where none was weighed.
    """

    at_s: float
    busy_s: float
    total_s: float
    processors: int
    free_mb: float
    media: Mapping[int, MediaReading]
    call_mb: float | None = None


@dataclass(frozen=True)
class Load:
    """The machine now; CPU in percent of all processors. What a call costs is None before the first one has talked.

    ``promised...``: what the calls will take, besides, that are taken on and not in the figures yet.
    """

    cpu_percent: float
    promised_cpu_percent: float
    call_cpu_percent: float | None
    late_percent: float
    free_mb: float
    promised_mb: float
    call_mb: float | None

    @property
    def cpu_with_one_more(self) -> float:
        """In percent."""
        return self.cpu_percent + self.promised_cpu_percent + (self.call_cpu_percent or 0.0)

    @property
    def left_mb(self) -> float:
        """Memory that nobody has or will have."""
        return self.free_mb - self.promised_mb

    def room(self, limits: AdmissionLimits) -> Iterator[float]:
        """For how many more calls there is CPU, and memory, as far as that is known."""
        if limits.cpu_percent and self.call_cpu_percent:
            yield (limits.cpu_percent - self.cpu_percent - self.promised_cpu_percent) / self.call_cpu_percent
        if self.call_mb:
            yield (self.left_mb - RESERVE_MB) / self.call_mb


class Capacity:
    """Follows the readings. ``live``, each time: the media process of each call that has not ended; None: not begun."""

    def __init__(self, limits: AdmissionLimits) -> None:
        self.use(limits)
        self.rtp_calls: int | None = None
        """For how many calls Asterisk has RTP ports; None: not known."""
        self._readings: deque[MachineReading] = deque()
        self._call_cores: float | None = None
        self._call_mb: float | None = None
        self._late = _Threshold(LATE_PERCENT, LATE_AGAIN_PERCENT)
        self._memory = _Threshold(-RESERVE_MB, -RESERVE_AGAIN_MB)

    def use(self, limits: AdmissionLimits) -> None:
        """Other limits, from now on."""
        self.limits = limits
        self._cpu = _Threshold(limits.cpu_percent, AGAIN * limits.cpu_percent)

    def take(self, reading: MachineReading) -> None:
        """The machine, about once a second."""
        self._readings.append(reading)
        while len(self._readings) > 1 and reading.at_s - self._readings[1].at_s >= WINDOW_S:
            self._readings.popleft()
        if self._spans_window and (talking := self._talking()):
            cores = sum(self._cores(pid) for pid in talking) / len(talking)
            self._call_cores = _moved(self._call_cores, cores)
        if reading.call_mb is not None:
            self._call_mb = _moved(self._call_mb, reading.call_mb)

    def shortage(self, live: Collection[int | None], now_s: float) -> Shortage | None:
        """What there is too little of for one more call."""
        most = self.limits.max_calls
        if most and len(live) >= most:
            return TooManyCalls(most)
        if self.rtp_calls is not None and len(live) >= self.rtp_calls:
            return PortsShort(self.rtp_calls)
        load = self.load(live, now_s)
        if load is None:
            return None
        cpu = self._cpu.exceeded(load.cpu_with_one_more)
        late = self._late.exceeded(load.late_percent)
        memory = self._memory.exceeded((load.call_mb or 0.0) - load.left_mb)
        if self.limits.cpu_percent and cpu:
            return CpuShort(round(load.cpu_with_one_more), self.limits.cpu_percent)
        if self.limits.cpu_percent and late:
            return AudioLate(round(load.late_percent, 1))
        return MemoryShort(round(max(load.left_mb, 0.0))) if memory else None

    def room(self, live: Collection[int | None], now_s: float) -> int | None:
        """For how many more calls; None where that is not known."""
        if self.shortage(live, now_s):
            return 0
        load = self.load(live, now_s)
        found = [*load.room(self.limits)] if load else []
        found += [most - len(live) for most in (self.limits.max_calls or None, self.rtp_calls) if most is not None]
        return max(math.floor(min(found)), 0) if found else None

    def load(self, live: Collection[int | None], now_s: float) -> Load | None:
        """What is used; None where there are no readings, or not for long enough."""
        if not self._spans_window or now_s - self._readings[-1].at_s > STALE_S:
            return None
        first, last = self._readings[0], self._readings[-1]
        talking = self._talking()
        promised = [pid for pid in live if pid not in talking]
        cost = self._call_cores or 0.0
        lacking = sum(max(cost - self._cores(pid), 0.0) for pid in promised)
        return Load(
            cpu_percent=min(max(100 * (last.busy_s - first.busy_s) / (last.total_s - first.total_s), 0.0), 100.0),
            promised_cpu_percent=100 * lacking / last.processors,
            call_cpu_percent=None if self._call_cores is None else 100 * self._call_cores / last.processors,
            late_percent=self._late_percent(talking),
            free_mb=last.free_mb,
            promised_mb=len(promised) * (self._call_mb or 0.0),
            call_mb=self._call_mb,
        )

    @property
    def _spans_window(self) -> bool:
        if not self._readings:
            return False
        first, last = self._readings[0], self._readings[-1]
        return last.at_s - first.at_s >= WINDOW_S and last.total_s > first.total_s

    def _talking(self) -> set[int]:
        """The processes of the calls that have talked for the whole window."""
        first, last = self._readings[0].media, self._readings[-1].media
        return {pid for pid, its in first.items() if its.talking and pid in last}

    def _cores(self, pid: int | None) -> float:
        """How many processors a media process took, of the whole window."""
        if pid is None:
            return 0.0
        seen = [each.media[pid].cpu_s for each in self._readings if pid in each.media]
        return (seen[-1] - seen[0]) / (self._readings[-1].at_s - self._readings[0].at_s) if seen else 0.0

    def _late_percent(self, talking: Collection[int]) -> float:
        first, last = self._readings[0], self._readings[-1]
        late = [
            max(after - before, 0)  # less, where the process is another call's attempt
            for before, after in ((first.media[pid].ticks_late, last.media[pid].ticks_late) for pid in talking)
            if before is not None and after is not None
        ]
        return 100 * sum(late) / (len(late) * TICKS_PER_S * (last.at_s - first.at_s)) if late else 0.0


class _Threshold:
    """Exceeded above ``limit``, and not any more from ``again`` down: between the two it stays as it was."""

    def __init__(self, limit: float, again: float) -> None:
        self._limit = limit
        self._again = again
        self._exceeded = False

    def exceeded(self, value: float) -> bool:
        """Whether it is, now that the value is this."""
        self._exceeded = value > (self._again if self._exceeded else self._limit)
        return self._exceeded


def _moved(known: float | None, measured: float) -> float:
    """A moving figure, with one more measurement."""
    return measured if known is None else known + WEIGHT * (measured - known)
