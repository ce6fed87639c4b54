"""What the PBX says from the moment it answers reaches a caller whose media connects later."""

import asyncio
from pathlib import Path

import av
import numpy as np
import pytest

from ari_app.sandbox.stage import ANNA, LINE
from tests.e2e.conftest import WEBSOCKET, Play, PlayMaker, in_context, most_holes

GREETING = "[greeting]\nexten => _X.,1,Answer()\n same => n,Playback(demo-congrats)\n same => n,Hangup()\n"
PROMPT = "usr/share/asterisk/sounds/en/demo-congrats.gsm"
RATE = 8000
PIECE = RATE // 4
SPEECH_DBFS = -30.0
SAID_MEANWHILE_S = 2.0
CLOSE_S = 0.5
LATE_S = 1.5
CAUGHT_UP_MS = 200
CATCH_UP_S = 25.0
NEAR = RATE  # how far from its place in the prompt it is looked for
ALIKE = 0.65  # correlation, of a piece with 10 ms guessed on a busy machine, too; backwards they reach 0.6 at most

Samples = np.ndarray[tuple[int], np.dtype[np.float64]]


def samples(path: Path) -> Samples:
    """A sound file as mono, at a telephone's rate."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(float)


def level_dbfs(sound: Samples) -> float:
    """Root mean square."""
    return float(20 * np.log10(np.sqrt((sound**2).mean()) / 32768 + 1e-9))


def best_match(wanted: Samples, within: Samples) -> tuple[float, float]:
    """The highest correlation of a piece of sound with any part of another, and where that is (s)."""
    energy = np.convolve(within**2, np.ones(len(wanted)), "valid")
    products = np.correlate(within, wanted, "valid") / np.sqrt(np.maximum(energy, 1.0) * (wanted**2).sum())
    at = int(np.argmax(products))
    return float(products[at]), at / RATE


@pytest.mark.parametrize("transport", ["rtp", WEBSOCKET])
async def test_the_first_word_is_heard(play: PlayMaker, transport: str) -> None:
    async with (
        play(dialplan=GREETING, asterisk={"transport": transport}, **in_context("greeting")) as stage,
        stage.person(ANNA) as anna,
    ):
        await listens_at_once(stage)
        call = await anna.call(LINE)
        await call.accepted()
        await asyncio.sleep(LATE_S)  # a slow network between the caller and Telegram
        recording = stage.recording("anna")
        await call.confirm(None, recording)
        await caught_up(stage)
        await call.hang_up()
        await stage.call_over()
        await call.close_audio()

        prompt, spoken = samples(stage.asterisk.tree.root / PROMPT), samples(recording)
        begins = int(np.flatnonzero(np.abs(prompt) > 500)[0])
        heard_at, unlike = [], []
        for start in range(begins, begins + int(SAID_MEANWHILE_S * RATE), PIECE):
            piece = prompt[start : start + PIECE]
            if level_dbfs(piece) > SPEECH_DBFS:
                near = max(0, start - NEAR)
                # In halves: the listener's own jitter buffer may stretch a sound in its middle.
                found = [best_match(half, spoken[near : start + NEAR]) for half in np.split(piece, 2)]
                alike = sum(likeness for likeness, _ in found) / 2
                if alike > ALIKE:
                    heard_at.append(near / RATE + found[0][1])
                else:
                    unlike.append(f"what was said {start / RATE:.2f} s into the prompt is not heard: {alike:.2f}")
        assert len(unlike) <= most_holes(), unlike
        assert heard_at == sorted(heard_at)
        assert heard_at[0] <= begins / RATE + CLOSE_S, "it begins when the media connects, not after the delay"


async def listens_at_once(play: Play) -> None:
    """Have a caller's media process ready, so that it begins to listen when it is meant to."""
    pool = play.stage.people_pool
    pool.use(1, pool.orphan_grace_s)
    async with asyncio.timeout(CATCH_UP_S):
        while not pool.spare_pids():  # noqa: ASYNC110 - it is told to nobody
            await asyncio.sleep(0.05)


async def caught_up(play: Play) -> None:
    """Wait until the delay of the beginning is worked off, which takes pauses in the speech."""
    audio = play.calls[-1].audio
    assert audio is not None
    most = 0
    async with asyncio.timeout(CATCH_UP_S):
        while True:
            backlog_ms = (await audio.stats()).backlog_ms
            most = max(most, backlog_ms)
            if most > LATE_S * 500 and backlog_ms < CAUGHT_UP_MS:
                return
            await asyncio.sleep(0.05)
