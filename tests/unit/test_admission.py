"""The machine is read while calls come and go: which are refused, and who is told."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ari_app.bus import EventBus
from ari_app.calls import admission as admission_module
from ari_app.calls import outcome
from ari_app.calls.admission import Admission
from ari_app.calls.call import Call
from ari_app.calls.capacity import WINDOW_S, AdmissionLimits, MachineReading, MediaReading
from ari_app.calls.outcome import Direction
from ari_app.calls.reasons import CpuShort, PortsShort
from ari_app.calls.registry import CallRegistry, NoRoom
from media.types import MediaStats
from tests.unit.fake_ari import eventually

LINE = "+79990000001"
LIMITS = AdmissionLimits(cpu_percent=90)
PASSES_S = 10.0


class Machine:
    """Reads as it is told to. Each reading is half a window after the last."""

    def __init__(self) -> None:
        self.now = 0.0
        self.busy_s = 0.0
        self.cpu_percent = 50.0
        self.rtp_calls: int | None = None
        self.error: Exception | None = None
        self.asked: list[tuple[Mapping[int, MediaReading], int | None]] = []

    def __call__(self, media: Mapping[int, MediaReading], weighed: int | None = None) -> MachineReading:
        self.asked.append((media, weighed))
        if self.error:
            raise self.error
        self.now += WINDOW_S / 2
        self.busy_s += WINDOW_S / 2 * self.cpu_percent / 100
        return MachineReading(self.now, self.busy_s, self.now, 1, 4000.0, media)

    async def read(self, times: int = 4) -> None:
        """Wait until it was read so often again."""
        wanted = len(self.asked) + times
        await eventually(lambda: len(self.asked) >= wanted)


@asynccontextmanager
async def watched(machine: Machine, bus: EventBus | None = None) -> AsyncIterator[CallRegistry]:
    """Calls on a machine that is read again and again."""
    bus = bus or EventBus()
    admission = Admission(LIMITS, bus, lambda: machine.rtp_calls, machine, lambda: machine.now)
    registry = CallRegistry(bus, admission=admission)
    running = asyncio.create_task(admission.run(registry.live))
    try:
        async with asyncio.timeout(PASSES_S):
            yield registry
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.wait({running})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_module, "EVERY_S", 0.0)


async def refused(registry: CallRegistry) -> outcome.Ending | None:
    """How one more call ends that is refused; None: it was taken on."""
    try:
        async with registry.admit(Direction.OUT, LINE, "@anna", 9) as call:
            call.end(outcome.not_answered(1.0))
    except NoRoom as refusal:
        return refusal.ending
    return None


async def test_calls_are_refused_while_the_machine_is_full(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ari_app.calls.admission")
    machine, bus = Machine(), EventBus()
    with bus.subscribe() as published:
        async with watched(machine, bus) as registry:
            await machine.read()
            assert await refused(registry) is None
            machine.cpu_percent = 97.0
            await machine.read()
            for _ in range(2):
                ending = await refused(registry)
                assert ending
                assert ending.reason == CpuShort(97, 90)
            machine.cpu_percent = 20.0
            await machine.read()
            assert await refused(registry) is None
        kinds = [published.get_nowait().kind for _ in range(published.qsize())]
    assert kinds.count("admission") == 2
    levels = [(each.levelname, each.message) for each in caplog.records if each.name == admission_module.__name__]
    assert levels == [
        (
            "WARNING",
            "calls are refused: The processors have no room for one more call: 97 % would be in use, and 90 % may be. "
            "Have other programs on the machine do less, give it more processors, or raise cpu_percent in [calls] of "
            "the configuration file.",
        ),
        ("INFO", "calls are taken on again"),
    ]


async def test_a_machine_that_can_not_be_read_takes_calls_on_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    machine.error = FileNotFoundError(2, "No such file or directory", "/proc/stat")
    async with watched(machine) as registry:
        await machine.read()
        assert await refused(registry) is None
        assert [each.levelname for each in caplog.records if each.name == admission_module.__name__] == ["WARNING"]
        assert "/proc/stat" in caplog.text
        machine.error, machine.cpu_percent = None, 97.0
        await machine.read()
        assert await refused(registry), "it may be read again"
        machine.error = ValueError("nothing like Linux")
        await machine.read()
    assert len([each for each in caplog.records if "can't be read" in each.message]) == 1


async def test_asterisks_ports() -> None:
    machine = Machine()
    async with watched(machine) as registry:
        for known, room in ((None, None), (1, 1)):
            machine.rtp_calls = known
            await machine.read()
            assert (await refused(registry), registry.room) == (None, room)
        async with registry.admit(Direction.OUT, LINE, "@anna", 9) as call:
            ending = await refused(registry)
            assert ending
            assert ending.reason == PortsShort(1)
            call.end(outcome.not_answered(1.0))


async def test_what_is_read_of_the_calls() -> None:
    """Each process that a call has; those that talk are weighed in turn."""
    machine = Machine()
    async with watched(machine) as registry, registry.admit(Direction.OUT, LINE, "@anna", 9) as rings:
        assert rings.audio is None
        async with talking(registry, 41) as first, talking(registry, 42), talking(registry, 43) as ended:
            ended.end(outcome.not_answered(1.0))
            first.measured(MediaStats(ticks_late=7))
            await machine.read(6)
            media, _ = machine.asked[-1]
            assert media == {41: MediaReading(0.0, True, 7), 42: MediaReading(0.0, True, None)}
            assert {weighed for _, weighed in machine.asked[-4:]} == {41, 42}


@asynccontextmanager
async def talking(registry: CallRegistry, pid: int) -> AsyncIterator[Call]:
    async with registry.admit(Direction.IN, LINE, "@anna", 9) as call:
        call.audio = cast(Any, SimpleNamespace(pid=pid))
        call.mark_media_up()
        yield call
