"""The delay measurement, on wavs whose delay is known."""

import wave
from pathlib import Path

import numpy as np
import pytest

from ari_app.sandbox.delay import (
    HELLO_S,
    MARK_S,
    PAUSE_S,
    RATE,
    Timeline,
    delay_ms,
    lost_ms,
    mark_positions,
    marks,
    one_way_delay_s,
    talk_begins,
    write_talk,
)
from ari_app.sandbox.tones import longest_gap_ms, measure

SECONDS = 4.0


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    write_talk(path, 440.0, SECONDS)
    return path


def heard(talk: Path, *, late_s: float, rate: int = RATE, noise: float = 0.0) -> Path:
    """What somebody recorded who began ``late_s`` before the talk."""
    with wave.open(str(talk)) as source:
        samples = np.frombuffer(source.readframes(source.getnframes()), "<i2").astype(np.float64)
    samples = np.concatenate([np.zeros(round(late_s * RATE)), samples])[:: RATE // rate]
    samples += np.random.default_rng(1).normal(0, 32768 * noise, len(samples))
    path = talk.with_name("heard.wav")
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(samples.astype("<i2").tobytes())
    return path


def clock(began: float, frame_s: float = 0.02) -> Timeline:
    """Of a recording that began then and grew by frames."""
    timeline = Timeline()
    for frame in range(500):
        timeline.saw(began + frame * frame_s, frame * frame_s)
    return timeline


def test_marks_are_where_they_were_put(talk: Path) -> None:
    expected = [HELLO_S + PAUSE_S + at + MARK_S / 2 for at in mark_positions(SECONDS)]
    assert len(expected) >= 4
    assert marks(talk) == pytest.approx(expected, abs=0.003)


def test_the_marks_are_no_gaps_and_the_tone_keeps_its_level(talk: Path) -> None:
    begins = talk_begins(talk)
    assert begins == pytest.approx(HELLO_S + PAUSE_S, abs=0.02)
    found = measure(talk, start_s=begins)
    assert (found.gaps, round(found.hz)) == (0, 440)
    assert -13 < found.level_dbfs < -12


@pytest.mark.parametrize("delay_s", [0.030, 0.137, 0.480, 1.900])
@pytest.mark.parametrize("rate", [48000, 8000])
def test_a_known_delay_is_found(talk: Path, delay_s: float, rate: int) -> None:
    # Two time bases: the talk began at 100 s, the recording half a second before it could be heard.
    recording = heard(talk, late_s=0.5, rate=rate, noise=0.0005)
    found = delay_ms(clock(100.0), talk, clock(100.0 + delay_s - 0.5), recording)
    assert found == pytest.approx(delay_s * 1000, abs=10)


def test_a_recording_that_lacks_the_beginning_still_has_its_delay(talk: Path, tmp_path: Path) -> None:
    said = marks(talk)
    assert one_way_delay_s(said, [mark + 0.2 for mark in said[2:]]) == pytest.approx(0.2)
    assert one_way_delay_s(said[1:], [mark + 0.2 for mark in said[:-1]]) == pytest.approx(0.2)


@pytest.mark.parametrize("heard_at", [[], [3.0], [3.0, 3.2]])
def test_what_cannot_be_told_is_not_invented(talk: Path, heard_at: list[float]) -> None:
    assert one_way_delay_s(marks(talk), heard_at) is None


def test_a_recording_that_nobody_looked_at_has_no_delay(talk: Path) -> None:
    assert delay_ms(clock(100.0), talk, Timeline(), heard(talk, late_s=0.5)) is None


def test_silence_has_no_marks(talk: Path) -> None:
    with wave.open(str(talk), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(RATE)
        target.writeframes(bytes(RATE))
    assert marks(talk) == []
    assert talk_begins(talk) == 0.0


def test_a_timeline_follows_the_place_it_is_asked_about() -> None:
    """The other side fell silent for a second, which the recording does not hold."""
    timeline = Timeline()
    for position in np.arange(0, 10, 0.02):
        timeline.saw(50 + position + (1.0 if position > 5 else 0.0), position)
    assert timeline.moment(2.0) == pytest.approx(52.0, abs=0.001)
    assert timeline.moment(8.0) == pytest.approx(59.0, abs=0.001)


def cut(talk: Path, from_s: float, lost_s: float, silence_s: float = 0.0) -> Path:
    """A recording in which some of the talk is not there, or silent."""
    with wave.open(str(talk)) as source:
        samples = np.frombuffer(source.readframes(source.getnframes()), "<i2")
    silence = np.zeros(round(silence_s * RATE), "<i2")
    first = round(from_s * RATE)
    path = talk.with_name("cut.wav")
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(RATE)
        parts = (samples[:first], silence, samples[first + round((silence_s + lost_s) * RATE) :])
        target.writeframes(np.concatenate(parts).tobytes())
    return path


@pytest.mark.parametrize(
    ("lost_s", "silence_s"), [(0.0, 0.0), (0.02, 0.0), (0.3, 0.0), (0.9, 0.0), (0.0, 0.2), (0.1, 0.2)]
)
def test_what_is_lost_of_a_talk_or_silent_in_it(tmp_path: Path, lost_s: float, silence_s: float) -> None:
    talk = tmp_path / "talk.wav"
    write_talk(talk, 440.0, 8.0)
    at = HELLO_S + PAUSE_S + 3.33
    recording = cut(talk, at, lost_s, silence_s)
    assert lost_ms(talk, recording, at, at + silence_s) == pytest.approx(lost_s * 1000, abs=5)
    gap = longest_gap_ms(recording, talk_begins(recording))
    assert gap == pytest.approx(silence_s * 1000, abs=10)


def test_a_recording_with_too_few_marks_tells_nothing_of_what_is_lost(talk: Path) -> None:
    assert lost_ms(talk, talk, 0.5, 1.0) is None
    assert longest_gap_ms(talk, HELLO_S + 0.1, HELLO_S + 0.5) is None


def test_a_place_in_a_recording_is_where_it_was_seen_next() -> None:
    timeline = clock(100.0)
    assert timeline.position(103.01) == pytest.approx(3.01, abs=0.02)
    assert timeline.position(90.0) == 0.0
    assert Timeline().position(1.0) == 0.0


def test_the_delay_between_two_moments(talk: Path) -> None:
    said = clock(100.0)
    assert delay_ms(said, talk, clock(100.2), talk, since=102.0) == pytest.approx(200, abs=10)
    assert delay_ms(said, talk, clock(100.2), talk, until=101.0) is None
