"""The parts of the bench that calculate: what many measurements come to, when enough calls were tried, gaps, delays."""

import asyncio
import os
import socket
import subprocess
import sys
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from telethon.tl import types

from ari_app.sandbox.bench.echo import echoes_ms, write_talk_of
from ari_app.sandbox.bench.figures import extremes, median, percentile, ratio, spread
from ari_app.sandbox.bench.forwarder import forwarder
from ari_app.sandbox.bench.growth import Growth
from ari_app.sandbox.bench.holes import holes_ms
from ari_app.sandbox.bench.machine import machine
from ari_app.sandbox.bench.many import was_refused
from ari_app.sandbox.bench.sizes import NONE, Impairment
from ari_app.sandbox.bench.usage import Window, cpu_s, own_mb, resident_mb
from ari_app.sandbox.delay import MARK_INTERVALS_S, RATE, mark_positions
from ari_app.sandbox.processes import SandboxError
from ari_app.sandbox.tones import write_tone

WAIT_S = 20.0


# --- figures


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(each) for each in range(1, 101)]
    assert [percentile(values, percent) for percent in (0, 1, 50, 99, 100)] == [1, 1, 50, 99, 100]
    assert percentile([3.0, 1.0], 50) == 1.0
    assert percentile([7.0], 99) == 7.0
    with pytest.raises(ValueError, match="nothing was measured"):
        percentile([], 50)


def test_a_spread_says_of_how_many_it_is() -> None:
    assert spread([1.24, 9.0, 2.0], "ms", 1) == {"of": 3, "p50_ms": 2.0, "p99_ms": 9.0, "max_ms": 9.0}
    assert spread([], "ms") == {"of": 0, "p50_ms": None, "p99_ms": None, "max_ms": None}


def test_extremes_are_of_what_was_measured() -> None:
    assert extremes([3.0, 1.2345, 2.0, 9.0], "s", 2) == {"of": 4, "lowest_s": 1.23, "middle_s": 2.0, "highest_s": 9.0}
    assert extremes([], "s", 2) == {"of": 0, "lowest_s": None, "middle_s": None, "highest_s": None}


def test_medians_and_ratios_of_nothing_are_not_known() -> None:
    assert (median([3.0, 1.0, 2.26], 1), median([], 1)) == (2.3, None)
    assert (ratio(4.05, 3.0), ratio(4.0, 0.0)) == (1.35, None)


# --- growth


def tried(growth: Growth, gaps: dict[int, Sequence[int]]) -> list[int]:
    """The numbers of calls that are tried, where these looks have so many with gaps."""
    sizes = []
    while size := growth.next():
        sizes.append(size)
        growth.looked(size, gaps.get(size, [0]))
    return sizes


def test_growth_goes_by_steps_and_leaves_out_no_measured_number() -> None:
    growth = Growth((1, 5, 10), step=2, most=14)
    assert tried(growth, {}) == [1, 3, 5, 7, 9, 10, 12, 14]
    assert (growth.best, growth.ended) == (14, "no more than 14 were tried")


def test_growth_ends_with_the_first_number_that_has_gaps_again() -> None:
    growth = Growth((1, 5, 10), step=2, most=14)
    assert tried(growth, {5: [1, 0], 7: [2, 3]}) == [1, 3, 5, 7]
    assert (growth.best, growth.ended) == (5, "of 7 calls 3 had gaps, at 2 looks")


def test_growth_ends_with_a_refusal_but_counts_those_who_talk() -> None:
    growth = Growth((1,), step=2, most=99)
    assert growth.next() == 1
    growth.looked(1, [0])
    assert growth.next() == 3
    growth.stop("call 3 was refused after 12 ms")
    growth.looked(2, [0])
    assert growth.next() is None
    assert (growth.best, growth.ended) == (2, "call 3 was refused after 12 ms")


def test_growth_without_a_call_has_none() -> None:
    growth = Growth((1,), step=2, most=99)
    growth.next()
    growth.stop("call 1 was failed after 5 ms")
    growth.looked(0, [])
    assert (growth.best, growth.next()) == (0, None)


@pytest.mark.parametrize(
    ("updates", "refused"),
    [
        ([types.PhoneCallDiscardReasonBusy], True),
        ([types.PhoneCallDiscardReasonDisconnect], False),
        ([], False),
    ],
)
def test_what_a_refusal_is(updates: list[type], refused: bool) -> None:
    ended = [types.PhoneCallDiscarded(id=1, reason=reason()) for reason in updates]
    assert was_refused(ended) is refused
    waiting = types.PhoneCallWaiting(1, 2, None, 3, 4, None, receive_date=None)
    rings = types.PhoneCallWaiting(1, 2, None, 3, 4, None, receive_date=9)
    assert was_refused([waiting, *ended]) is refused
    assert not was_refused([rings, *ended])


# --- sound


def test_holes_in_a_tone(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    write_tone(path, 440.0, 3.0)
    assert holes_ms(path, 0.0, 3.0) == []
    cut(path, [(1.0, 1.05), (2.0, 2.2)])
    assert holes_ms(path, 0.0, 3.0) == [200]
    assert holes_ms(path, 0.0, 1.9) == []
    assert holes_ms(path, 2.1, 3.0) == [100]


def test_what_was_not_recorded_is_a_hole(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    write_tone(path, 440.0, 1.0)
    assert holes_ms(path, 0.5, 1.5) == [500]
    assert holes_ms(path, 2.0, 3.0) == [1000]


def test_the_delay_of_each_mark_of_several_talks(tmp_path: Path) -> None:
    said, heard, seconds, talks = tmp_path / "said.wav", tmp_path / "heard.wav", 4.0, 3
    talk_s = write_talk_of(said, seconds)
    delay_s, began_s = 0.237, 0.61
    samples = np.concatenate([np.zeros(round((began_s + delay_s) * RATE), np.int16), *[samples_of(said)] * talks])
    save(heard, samples)
    found = echoes_ms(said, talk_s, talks, heard, began_s)
    assert len(found) == talks * len(mark_positions(seconds))
    assert len(mark_positions(seconds)) > len(MARK_INTERVALS_S)
    assert found == pytest.approx([delay_s * 1000 + 10] * len(found), abs=4)  # and a frame: it was spoken before


def test_a_talk_that_does_not_come_back_has_no_delay(tmp_path: Path) -> None:
    said, heard = tmp_path / "said.wav", tmp_path / "heard.wav"
    talk_s = write_talk_of(said, 3.0)
    save(heard, np.zeros(RATE, np.int16))
    assert echoes_ms(said, talk_s, 2, heard, 0.0) == []


def samples_of(path: Path) -> Any:
    with wave.open(str(path)) as source:
        return np.frombuffer(source.readframes(source.getnframes()), "<i2").copy()


def save(path: Path, samples: Any) -> None:
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(RATE)
        target.writeframes(samples.astype("<i2").tobytes())


def cut(path: Path, holes: list[tuple[float, float]]) -> None:
    samples = samples_of(path)
    for start, end in holes:
        samples[round(start * RATE) : round(end * RATE)] = 0
    save(path, samples)


# --- what processes use


def test_what_this_process_uses() -> None:
    window = Window([os.getpid()])
    before = cpu_s(os.getpid())
    while cpu_s(os.getpid()) < before + 0.05:
        pass
    used = window.end()
    assert used.of(os.getpid()) > 0
    assert 0 <= round(used.busy_pct) <= 100
    assert 1 < own_mb(os.getpid()) < resident_mb(os.getpid())


def test_a_process_that_has_ended_is_told_so() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        window = Window([os.getpid(), child.pid])
        child.communicate(b"\n")
    used = window.end()
    assert used.busiest([child.pid, os.getpid()], 2) == [os.getpid()]
    with pytest.raises(SandboxError, match=f"process {child.pid} has ended"):
        used.of(child.pid)


def test_the_machine(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Slow: 2\nprocessor\t: 1\nmodel name\t: Other\n")
    (tmp_path / "meminfo").write_text("MemTotal:       2048000 kB\nMemFree: 1 kB\n")
    found = machine(tmp_path / "cpuinfo", tmp_path / "meminfo")
    assert (found["cpu"], found["memory_mb"], found["cores"]) == ("Slow: 2", 2000, os.cpu_count())


# --- the forwarder


async def received(impairment: Impairment, packets: int) -> tuple[list[bytes], list[bytes], int]:
    """What comes out at the media process's side, and at Asterisk's, of so many packets each way; how many went in."""
    with socket.socket(type=socket.SOCK_DGRAM) as asterisk, socket.socket(type=socket.SOCK_DGRAM) as media:
        for each in (asterisk, media):
            each.bind(("127.0.0.1", 0))
            each.setblocking(False)
        async with forwarder(impairment, 1) as network, asyncio.timeout(WAIT_S):
            network.between(asterisk.getsockname(), media.getsockname())
            loop = asyncio.get_running_loop()
            with socket.socket(type=socket.SOCK_DGRAM) as stranger:
                stranger.sendto(b"strange", network.for_asterisk)
            for number in range(packets):
                asterisk.sendto(bytes([number]), network.for_asterisk)
                media.sendto(bytes([number]), network.for_media)
            to_asterisk = [await loop.sock_recv(asterisk, 100) for _ in range(packets)]
            while network.from_asterisk < packets:  # noqa: ASYNC110 - the forwarder tells nobody
                await asyncio.sleep(0.01)
            kept = packets - network.dropped
            return [await loop.sock_recv(media, 100) for _ in range(kept)], to_asterisk, network.from_asterisk


async def test_a_network_that_loses_nothing() -> None:
    packets = [bytes([number]) for number in range(50)]
    assert await received(NONE, 50) == (packets, packets, 50)


async def test_a_network_that_loses_packets_from_asterisk() -> None:
    packets = [bytes([number]) for number in range(200)]
    to_media, to_asterisk, _ = await received(Impairment("20 % loss", loss=0.2), 200)
    assert to_asterisk == packets
    assert set(to_media) < set(packets)
    assert 100 < len(to_media) < 190
    assert (await received(Impairment("the same", loss=0.2), 200))[0] == to_media


async def test_a_network_that_lets_packets_wait() -> None:
    to_media, _, _ = await received(Impairment("jitter", jitter_s=0.02), 100)
    assert sorted(to_media) == [bytes([number]) for number in range(100)]
    assert to_media != sorted(to_media), "some were overtaken"
