"""Whether the machine can carry one more call, by scripted readings of it."""

from collections.abc import Iterable

import pytest

from ari_app.calls.capacity import (
    RESERVE_AGAIN_MB,
    RESERVE_MB,
    STALE_S,
    WINDOW_S,
    AdmissionLimits,
    Capacity,
    MachineReading,
    MediaReading,
)
from ari_app.calls.reasons import AudioLate, CpuShort, MemoryShort, TooManyCalls

PROCESSORS = 2
PLENTY_MB = 4000.0


class Machine:
    """A machine of two processors that goes on as it is told; its calls' processes are numbered from 1."""

    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self.now = 1000.0
        self.busy_s = 5000.0
        self.total_s = 50000.0
        self.free_mb = PLENTY_MB
        self.call_mb: float | None = None
        self.media: dict[int, MediaReading] = {}

    def goes_on(
        self, seconds: int, cpu_percent: float, talking: Iterable[int] = (), call_cores: float = 0.0, late: int = 0
    ) -> None:
        """Readings, one a second. Each call that talks takes ``call_cores``; ``late``: its late ticks a second."""
        for _ in range(seconds):
            self.now += 1
            self.busy_s += PROCESSORS * cpu_percent / 100
            self.total_s += PROCESSORS
            ringing = {pid: its for pid, its in self.media.items() if not its.talking and pid not in talking}
            known = {pid: self.media.get(pid, MediaReading(0.1, talking=True, ticks_late=0)) for pid in talking}
            self.media = {
                pid: MediaReading(its.cpu_s + call_cores, talking=True, ticks_late=(its.ticks_late or 0) + late)
                for pid, its in known.items()
            } | ringing
            self.capacity.take(
                MachineReading(
                    self.now, self.busy_s, self.total_s, PROCESSORS, self.free_mb, dict(self.media), self.call_mb
                )
            )

    def shortage(self, *live: int | None) -> object:
        """Of one more call beside these."""
        return self.capacity.shortage(live, self.now)

    def room(self, *live: int | None) -> int | None:
        """Beside these."""
        return self.capacity.room(live, self.now)


def machine(max_calls: int = 0, cpu_percent: int = 90) -> Machine:
    return Machine(Capacity(AdmissionLimits(max_calls, cpu_percent)))


FEW = (1, 2, 3, 4)


def test_without_readings_calls_are_taken_on() -> None:
    its = machine()
    assert (its.shortage(), its.room()) == (None, None)
    its.goes_on(int(WINDOW_S), 100)  # the program's own start
    assert (its.shortage(), its.room()) == (None, None)


def test_a_machine_with_no_room_for_one_more_call() -> None:
    its = machine()
    its.goes_on(10, 79, FEW, call_cores=0.1)
    assert its.shortage(*FEW) is None
    assert its.room(*FEW) == 2, "5 % each"
    its.goes_on(10, 86, FEW, call_cores=0.1)
    assert its.shortage(*FEW) == CpuShort(91, 90)
    assert its.room(*FEW) == 0


def test_what_was_taken_on_counts_before_it_talks() -> None:
    its = machine()
    its.goes_on(10, 74, FEW, call_cores=0.1)
    assert its.room(*FEW) == 3
    assert its.shortage(*FEW, None, 99) is None
    assert its.room(*FEW, None, 99) == 1
    assert its.shortage(*FEW, None, 99, None) == CpuShort(94, 90)


def test_a_call_that_begins_to_talk_counts_once() -> None:
    """While it enters the figures, what it is taken to need beside them becomes less."""
    its = machine()
    its.goes_on(10, 59, FEW, call_cores=0.1)
    its.media[5] = MediaReading(0.1, talking=False)
    its.goes_on(10, 59, FEW, call_cores=0.1)
    rooms = [its.room(*FEW, 5)]
    for _ in range(10):
        its.goes_on(1, 64, (*FEW, 5), call_cores=0.1)
        rooms.append(its.room(*FEW, 5))
    assert set(rooms) == {5}


def test_the_cost_of_those_who_talked_last_is_known() -> None:
    its = machine()
    its.goes_on(10, 50, FEW, call_cores=0.1)
    its.goes_on(60, 29)
    assert its.room() == 12
    load = its.capacity.load((), its.now)
    assert load
    assert load.call_cpu_percent == pytest.approx(5)


def test_what_a_call_costs_follows_the_calls() -> None:
    its = machine()
    its.goes_on(10, 30, FEW, call_cores=0.1)
    its.goes_on(60, 30, FEW, call_cores=0.2)
    load = its.capacity.load(FEW, its.now)
    assert load
    assert load.call_cpu_percent == pytest.approx(10, abs=0.1)


def test_what_a_call_costs_is_not_known_before_the_first() -> None:
    its = machine()
    its.goes_on(10, 89)
    assert (its.shortage(), its.room()) == (None, None)
    its.goes_on(10, 95)
    assert its.shortage() == CpuShort(95, 90), "of other programs"


def test_a_moment_of_work_refuses_nobody() -> None:
    its = machine()
    its.goes_on(10, 40, FEW, call_cores=0.1)
    its.goes_on(2, 100, FEW, call_cores=0.1)
    assert its.shortage(*FEW) is None


def test_it_does_not_flap() -> None:
    """Calls are taken on again when there is room for several."""
    its = machine()
    its.goes_on(10, 88, FEW, call_cores=0.1)
    assert its.shortage(*FEW) == CpuShort(93, 90)
    for percent in (84, 85, 83, 84.5):
        its.goes_on(10, percent, FEW, call_cores=0.1)
        assert isinstance(its.shortage(*FEW), CpuShort)
    its.goes_on(10, 80, FEW, call_cores=0.1)
    assert its.shortage(*FEW) is None
    its.goes_on(10, 84, FEW, call_cores=0.1)
    assert its.shortage(*FEW) is None


def test_late_audio_refuses_one_more_call_until_it_is_in_time_again() -> None:
    its = machine()
    its.goes_on(10, 40, FEW, call_cores=0.1, late=1)
    assert its.shortage(*FEW) is None, "a second's pause, in each call"
    its.goes_on(10, 40, FEW, call_cores=0.1, late=3)
    assert its.shortage(*FEW) == AudioLate(3.0)
    its.goes_on(10, 40, FEW, call_cores=0.1, late=1)
    assert its.shortage(*FEW) == AudioLate(1.0)
    its.goes_on(10, 40, FEW, call_cores=0.1)
    assert its.shortage(*FEW) is None


def test_what_was_late_before_the_talk_does_not_count() -> None:
    its = machine()
    its.media[5] = MediaReading(0.0, talking=True, ticks_late=400)  # while it was connected
    its.goes_on(10, 40, (5,), call_cores=0.1)
    assert its.shortage(5) is None


def test_with_cpu_percent_0_neither_cpu_nor_late_audio_is_looked_at() -> None:
    its = machine(cpu_percent=0)
    its.goes_on(10, 100, FEW, call_cores=0.4, late=50)
    assert (its.shortage(*FEW), its.room(*FEW)) == (None, None)


def test_memory() -> None:
    its = machine()
    its.call_mb = 10.0
    its.free_mb = RESERVE_MB + 25
    its.goes_on(10, 40, FEW, call_cores=0.1)
    assert (its.shortage(*FEW), its.room(*FEW)) == (None, 2)
    assert its.shortage(*FEW, None) is None
    assert its.shortage(*FEW, None, None) == MemoryShort(int(RESERVE_MB) + 5)
    its.free_mb = RESERVE_AGAIN_MB
    its.goes_on(1, 40, FEW, call_cores=0.1)
    assert isinstance(its.shortage(*FEW), MemoryShort)
    its.free_mb = RESERVE_AGAIN_MB + 10
    its.goes_on(1, 40, FEW, call_cores=0.1)
    assert its.shortage(*FEW) is None


def test_a_limit_set_by_hand() -> None:
    its = machine(max_calls=4)
    assert its.room() == 4
    assert its.shortage(*FEW) == TooManyCalls(4)
    its.goes_on(10, 79, FEW[:1], call_cores=0.1)
    assert its.room(1) == 2, "the processors have less room"


def test_readings_that_no_longer_come_refuse_nobody() -> None:
    its = machine()
    its.goes_on(10, 100, FEW, call_cores=0.4)
    assert its.shortage(*FEW)
    its.now += STALE_S + 1
    assert (its.shortage(*FEW), its.room(*FEW)) == (None, None)


def test_a_clock_of_the_kernels_that_goes_backwards() -> None:
    its = machine()
    its.goes_on(10, 50)
    its.total_s = its.busy_s = 0.0
    its.goes_on(1, 50)
    assert its.shortage() is None
    its.goes_on(20, 95)
    assert its.shortage() == CpuShort(95, 90)
