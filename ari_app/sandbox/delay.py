"""One-way delay, mouth to ear, between two recordings of the same talk.

A talk (`write_talk`) is a short hello, a pause, then a tone with marks: dips of 12 dB for 100 ms, at intervals that
differ, so that no mark can be taken for another. `marks` finds them in a recording, to about 2 ms. A `Timeline` tells
at which moment a place in a recording was spoken or heard: it is fed while the call runs. The delay is the time between
a mark's two moments, the median of all marks of a talk.

Mouth means: handed to the codec; ear means: out of the jitter buffer and decoded. The frame's own length (20 ms at the
phone, 10 ms in Telegram) counts as time, as it would with a microphone; sound cards would come on top. Each moment is
known to about 5 ms on an idle machine, so a delay is good to about 10 ms; a busy machine adds its own delays, which are
real and are measured.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import struct
import time
import wave
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ari_app.sandbox.tones import FULL_SCALE, GAP_MS, SILENCE_DBFS
from ari_app.tasks import background_tasks
from media.process import MediaProcess

RATE = 48000
LEVEL_DBFS = -12.0

HELLO_S = 0.4
PAUSE_S = 1.0
"""Long enough to work off what was said while Telegram's media connected (`media.jitter` shortens only pauses)."""
MARK_S = 0.1
MARK_GAIN = 0.25
MARK_INTERVALS_S = (0.5, 0.8, 0.65)
"""From one mark to the next, over and over."""
RAMP_S = 0.005

STEP_S = 0.005
WINDOW_S = 0.01
DIPPED = 0.5
"""Halfway, in dB, between the tone and a mark."""
SHORTEST_MARK_S, LONGEST_MARK_S = 0.06, 0.14
MAX_SPREAD_S = 0.06
"""How far the delay of one mark may be from that of another; the intervals differ by more than twice as much."""
NEAR_S = 0.5
"""How far around a mark a timeline is looked at: a jitter buffer may move the rest."""

ANY_LATER_S = 600.0
"""Longer than any talk: a recording may begin before or after what it is compared with."""

POLL_S = 0.005
TICK_S = 0.01
POLLS_PER_STATS = 10
WAV_HEADER = struct.Struct("<24xI16x")
"""The canonical header of 44 bytes, as libsndfile writes it; only the sample rate is read."""

Samples: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]


def mark_positions(seconds: float) -> list[float]:
    """Where a talk's marks begin, in seconds after its pause."""
    return list(itertools.takewhile(lambda at: at + MARK_S < seconds, itertools.accumulate(_intervals())))


def _intervals() -> Iterator[float]:
    return itertools.cycle(MARK_INTERVALS_S)


def write_talk(path: Path, hz: float, seconds: float) -> None:
    """Write a talk of 48 kHz, mono, 16 bit: ``seconds`` of marked tone after hello and pause."""
    gain = np.ones(round((HELLO_S + PAUSE_S + seconds) * RATE))
    start = HELLO_S + PAUSE_S
    gain[round(HELLO_S * RATE) : round(start * RATE)] = 0.0
    for mark in mark_positions(seconds):
        gain[round((start + mark) * RATE) : round((start + mark + MARK_S) * RATE)] = MARK_GAIN
    ramp = round(RAMP_S * RATE)
    gain = np.convolve(gain, np.full(ramp, 1 / ramp), "same")  # a step would click at every frequency
    time_s = np.arange(len(gain)) / RATE
    amplitude = FULL_SCALE * np.sqrt(2) * 10 ** (LEVEL_DBFS / 20)
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(RATE)
        target.writeframes((gain * amplitude * np.sin(2 * np.pi * hz * time_s)).astype("<i2").tobytes())


def talk_begins(path: Path) -> float:
    """Where the marked tone of a recorded talk begins, in seconds: after the first pause, or at 0 if there is none."""
    envelope = _envelope(path)
    sounding = np.flatnonzero(envelope > 10 ** (SILENCE_DBFS / 20))
    pauses = np.flatnonzero(np.diff(sounding) * STEP_S >= GAP_MS / 1000)
    return float(sounding[pauses[0] + 1] * STEP_S) if len(pauses) else 0.0


def marks(path: Path) -> list[float]:
    """The centres of the marks in a wav, in seconds."""
    envelope = _envelope(path)
    sounding = envelope[envelope > 10 ** (SILENCE_DBFS / 20)]
    if not len(sounding):
        return []
    usual = float(np.median(sounding))
    low = np.concatenate([[False], envelope < usual * DIPPED, [False]])
    edges = np.flatnonzero(np.diff(low.astype(np.int8)))
    found = []
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        long_enough = SHORTEST_MARK_S <= (end - first) * STEP_S <= LONGEST_MARK_S
        silent = envelope[first:end].min() < usual * MARK_GAIN**2
        if long_enough and not silent and first > 0 and end < len(envelope):
            centre = (_crossing(envelope, first, usual) + _crossing(envelope, end, usual)) / 2
            found.append(float(centre * STEP_S + WINDOW_S / 2))
    return found


def _crossing(envelope: Samples, after: int, usual: float) -> float:
    """Where, between two steps, the envelope crosses the threshold."""
    before, behind = envelope[after - 1], envelope[after]
    return float(after - 1 + (before - usual * DIPPED) / (before - behind))


def _envelope(path: Path) -> Samples:
    """RMS in windows of `WINDOW_S`, one each `STEP_S`; full scale is 1."""
    with wave.open(str(path), "rb") as source:
        rate = source.getframerate()
        samples = np.frombuffer(source.readframes(source.getnframes()), "<i2").astype(np.float64) / FULL_SCALE
    step = round(STEP_S * rate)
    powers = (samples[: len(samples) // step * step] ** 2).reshape(-1, step).mean(axis=1)
    envelope: Samples = np.sqrt((powers[1:] + powers[:-1]) / 2)
    return envelope


class Timeline:
    """At which moment (`time.monotonic`) each place of a recording was spoken, or heard."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, float]] = []

    def saw(self, at: float, position_s: float) -> None:
        """At that moment the recording had come so far."""
        self._seen.append((at, position_s))

    def moment(self, position_s: float) -> float | None:
        """When it had come there; None where nobody looked."""
        near = [at - seen for at, seen in self._seen if abs(seen - position_s) <= NEAR_S]
        return position_s + float(np.median(near)) if near else None

    def position(self, moment: float) -> float:
        """How far the recording had come at a moment, as it was seen next to it; 0 where nobody looked."""
        at, seen = min(self._seen, key=lambda each: abs(each[0] - moment), default=(moment, 0.0))
        return max(0.0, seen + moment - at)


def one_way_delay_s(spoken: Sequence[float], heard: Sequence[float]) -> float | None:
    """The delay between the moments of marks as spoken and as heard; None unless at least two fit each other."""
    delays = mark_delays_s(spoken, heard)
    return float(np.median(delays)) if delays else None


def mark_delays_s(spoken: Sequence[float], heard: Sequence[float]) -> list[float]:
    """The delay of each mark that was spoken and heard; none unless at least two fit each other.

    Some may be missing on either side: the intervals tell which mark is which.
    """
    best: list[float] = []
    for candidate in sorted(later - earlier for later in heard for earlier in spoken if later > earlier):
        fitting = [
            later - earlier for later in heard for earlier in spoken if abs(later - earlier - candidate) <= MAX_SPREAD_S
        ]
        if len(fitting) > len(best):
            best = fitting
    return best if len(best) > 1 else []


class Watch:
    """The four timelines of one call between a person on Telegram and a phone."""

    def __init__(self) -> None:
        self.person_spoke = Timeline()
        self.person_heard = Timeline()
        self.phone_spoke = Timeline()
        self.phone_heard = Timeline()


@asynccontextmanager
async def watched(audio: MediaProcess, phone_dumps: Path) -> AsyncIterator[Watch]:
    """Look at a person's media process and at a phone's growing recordings while the call runs.

    ``phone_dumps``: the folder of baresip's dump-*-enc.wav (what it says) and dump-*-dec.wav (what it hears).
    """
    watch = Watch()
    async with background_tasks() as tasks:
        tasks.create_task(_watch_person(watch, audio), name="watch the person's media")
        for kind, timeline in (("enc", watch.phone_spoke), ("dec", watch.phone_heard)):
            tasks.create_task(_watch_dump(timeline, phone_dumps, kind), name=f"watch the phone's {kind}")
        yield watch


async def _watch_person(watch: Watch, audio: MediaProcess) -> None:
    while True:
        asked = time.monotonic()
        stats = await audio.stats()
        at = (asked + time.monotonic()) / 2
        # Ticks are whole, and on average half of one has passed since.
        watch.person_spoke.saw(at, (stats.from_asterisk.packets + 0.5) * TICK_S)
        watch.person_heard.saw(at, (stats.to_asterisk.packets - 0.5) * TICK_S)
        await asyncio.sleep(POLL_S * POLLS_PER_STATS)  # sampling, not waiting


async def _watch_dump(timeline: Timeline, folder: Path, kind: str) -> None:
    sizes: deque[int] = deque(maxlen=2)
    rate = 0
    while True:
        # There is one: a phone of its own for each call.
        for dump in folder.glob(f"dump-*-{kind}.wav"):  # noqa: ASYNC240 - takes microseconds
            at, size = time.monotonic(), dump.stat().st_size
            if not rate and size > WAV_HEADER.size:
                with dump.open("rb") as file:
                    (rate,) = WAV_HEADER.unpack(file.read(WAV_HEADER.size))
            if rate and (not sizes or size != sizes[-1]):
                sizes.append(size)
                # A frame was spoken when its end was; it is heard from its beginning on.
                samples = (sizes[-1 if kind == "enc" else 0] - WAV_HEADER.size) / 2
                timeline.saw(at - POLL_S / 2, samples / rate)
        await asyncio.sleep(POLL_S)  # sampling, not waiting


def delay_ms(
    spoken: Timeline,
    said: Path,
    heard: Timeline,
    recording: Path,
    since: float = -math.inf,
    until: float = math.inf,
) -> int | None:
    """The one-way delay of one direction of a call, in ms; None if it cannot be told from these recordings.

    Of what was spoken and heard between two moments.
    """
    moments = [
        [timeline.moment(mark) for mark in marks(path)] for timeline, path in ((spoken, said), (heard, recording))
    ]
    known = [[moment for moment in each if moment is not None and since <= moment <= until] for each in moments]
    delay = one_way_delay_s(known[0], known[1])
    return None if delay is None else round(delay * 1000)


def lost_ms(said: Path, recording: Path, before_s: float, after_s: float) -> int | None:
    """How much of a talk, in ms, is not in a recording between two places, in seconds.

    What is lost leaves no hole in a phone's recording, but has the marks behind it come earlier. Good to half the time
    after which the marks repeat themselves; None where there are too few of them on either side.
    """
    spoken, found = marks(said), [each + ANY_LATER_S for each in marks(recording)]
    earlier = one_way_delay_s(spoken, [each for each in found if each < before_s + ANY_LATER_S])
    later = one_way_delay_s(spoken, [each for each in found if each > after_s + ANY_LATER_S])
    if earlier is None or later is None:
        return None
    period = sum(MARK_INTERVALS_S)
    return round(((earlier - later + period / 2) % period - period / 2) * 1000)
