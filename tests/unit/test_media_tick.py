"""The tick of a call, the port that it reads and writes, and the direct way to ntgcalls."""

import asyncio
import socket
import threading
import time
from types import SimpleNamespace
from typing import Any

import ntgcalls
import numpy as np
import pytest

from media import arrival, direct, tick
from media.codecs import SAMPLE_RATE, TICK_SAMPLES
from media.silence import METERED
from media.tick import Tick
from media.types import MediaStats
from media.udp import UdpPort

FRAME = (np.ones(TICK_SAMPLES, "<i2") * 1000).tobytes()
SOON_S = 5.0


class Echo:
    """A transport that gives what it took."""

    name = "echo"
    rate = SAMPLE_RATE

    def __init__(self) -> None:
        self.started = 0
        self.taken: list[bytes] = []
        self.at_once = 1
        self.inside = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def start(self) -> None:
        self.started += 1

    def push(self, sound: bytes) -> None:
        self.inside.set()
        assert self.go_on.wait(SOON_S)
        self.taken.append(sound)

    def pull(self) -> list[bytes]:
        return [self.taken[-1]] * self.at_once

    def stats(self) -> MediaStats:
        return MediaStats(overflows=3)

    async def close(self) -> None: ...


def test_sound_goes_both_ways_from_when_telegram_can_hear() -> None:
    its, echo = Tick(), Echo()
    assert its.take(FRAME) == []
    its.use(echo)
    assert its.take(FRAME) == []
    assert (len(echo.taken), echo.started) == (1, 0)
    its.begin()
    assert its.take(FRAME) == [FRAME]
    assert echo.started == 1
    its.use(None)
    assert its.take(FRAME) == []
    assert len(echo.taken) == 2


def test_a_transport_that_comes_later_begins_at_once() -> None:
    its, echo = Tick(), Echo()
    its.begin()
    its.use(echo)
    assert echo.started == 1
    assert its.take(FRAME) == [FRAME]


def test_two_ticks_at_once_are_followed_by_none() -> None:
    its, echo = Tick(), Echo()
    its.begin()
    its.use(echo)
    echo.at_once = 2
    assert [len(its.take(FRAME)) for _ in range(5)] == [2, 0, 2, 0, 2]
    assert len(echo.taken) == 5, "what the person says goes out with each"
    echo.at_once = 1
    assert [len(its.take(FRAME)) for _ in range(4)] == [0, 1, 1, 1]


def test_a_quiet_tick_is_left_out_where_first_halves_complete_telegrams_packets() -> None:
    its, echo = Tick(), Echo()
    its.begin()
    its.use(echo)
    assert len(its.take(FRAME)) == 1
    echo.at_once = 2
    quiet = bytes(len(FRAME))
    assert [len(its.take(frame)) for frame in (FRAME, FRAME, FRAME, quiet)] == [2, 0, 2, 0], "never of speech"
    assert [len(its.take(quiet)) for _ in range(6)] == [1, 0, 2, 0, 2, 0]


def test_a_transport_may_have_nothing_to_say_yet() -> None:
    its, echo = Tick(), Echo()
    its.begin()
    its.use(echo)
    echo.at_once = 0
    assert [its.take(FRAME) for _ in range(METERED)] == [[]] * METERED
    echo.at_once = 1
    assert its.take(FRAME) == [FRAME]


def test_a_frame_that_is_none_is_silence() -> None:
    its, echo = Tick(), Echo()
    its.use(echo)
    its.take(FRAME[:-2])
    assert echo.taken == [bytes(len(FRAME))]


def test_a_transport_is_let_go_of_between_ticks() -> None:
    """Whoever takes it away closes it next."""
    its, echo = Tick(), Echo()
    its.use(echo)
    echo.go_on.clear()
    ticking = threading.Thread(target=its.take, args=(FRAME,))
    ticking.start()
    assert echo.inside.wait(SOON_S)
    letting_go = threading.Thread(target=its.use, args=(None,))
    letting_go.start()
    letting_go.join(0.05)
    assert letting_go.is_alive()
    echo.go_on.set()
    for thread in (ticking, letting_go):
        thread.join(SOON_S)
    assert len(echo.taken) == 1


def test_late_ticks_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(tick, "time", SimpleNamespace(monotonic=lambda: clock.now))
    its = Tick()
    its.use(Echo())
    for step in (0.01, 0.012, 0.05, 0.01, 0.3):
        its.take(FRAME)
        clock.now += step
    its.take(FRAME)
    stats = its.stats()
    assert (stats.ticks_late, stats.overflows, stats.transport) == (2, 3, "echo")


def test_a_port_tells_when_each_datagram_came() -> None:
    """Though it is read later, and all at once."""
    port, other = UdpPort("127.0.0.1"), UdpPort("127.0.0.1")
    try:
        assert list(iter(port.receive, None)) == []
        time.sleep(0.1)  # the kernel begins to note times a moment after the first port has asked for them
        for number in range(3):
            other.send(b"%d" % number, port.address)
            time.sleep(0.05)
        came = list(iter(port.receive, None))
        data, sources, times = zip(*came, strict=True)
        assert data == (b"0", b"1", b"2")
        assert set(sources) == {other.address}
        assert times[2] - times[0] > 0.05
        assert time.monotonic() - times[2] > 0.025
    finally:
        port.close()
        other.close()


def test_a_wall_clock_that_is_set_tells_no_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    port = UdpPort("127.0.0.1")
    try:
        for shift in (-3600.0, 3600.0):
            port.send(b"x", port.address)
            now = time.time()
            monkeypatch.setattr(arrival, "time", SimpleNamespace(time=lambda now=now, shift=shift: now + shift))
            [(_, _, at)] = iter(port.receive, None)
            assert 0 <= time.monotonic() - at <= arrival.LONGEST_WAIT_S + 1
    finally:
        port.close()


def test_what_cannot_be_sent_is_lost() -> None:
    port = UdpPort("127.0.0.1")
    try:
        port.send(bytes(70_000), ("127.0.0.1", 9))
        port.send(b"x", ("127.0.0.1", 9))
        assert list(iter(port.receive, None)) == []
    finally:
        port.close()


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(OSError, match="assign"):
        UdpPort("203.0.113.1")
    with pytest.raises(socket.gaierror):
        UdpPort("localhost.")


async def test_ntgcalls_works_without_asyncio_in_this_python() -> None:
    """Where a new Python or ntgcalls ends that, calls go on by the event loop, for more of the processor."""
    native = ntgcalls.NTgCalls()
    loop = asyncio.get_running_loop()
    assert direct.works(native)
    assert asyncio.get_running_loop() is loop
    assert await asyncio.to_thread(direct.works, native)


def test_what_does_not_fail_at_once_does_not_work() -> None:
    class Futures:
        def send_external_frame(self, *_: Any) -> object:
            return object()

    class Other:
        def send_external_frame(self, *_: Any) -> object:
            raise TypeError("another signature")

    assert not direct.works(Futures())
    assert not direct.works(Other())


def test_the_loop_is_as_it_was_after_an_error() -> None:
    with pytest.raises(ntgcalls.ConnectionNotFound):
        direct.at_once(
            ntgcalls.NTgCalls().send_external_frame,
            7,
            ntgcalls.StreamDevice.MICROPHONE,
            b"",
            ntgcalls.FrameData(0, ntgcalls.VideoRotation.VIDEO_ROTATION_0, 0, 0),
        )
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
