"""Holes in a tone that should have none."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from ari_app.sandbox.tones import FULL_SCALE, GAP_MS, SILENCE_DBFS, WINDOW_MS


def holes_ms(path: Path, start_s: float, end_s: float) -> list[int]:
    """How long each silence is in a part of a wav (mono, 16 bit); shorter ones than `GAP_MS` are not heard as a hole.

    What the file does not have of that part is silence, too.
    """
    with wave.open(str(path), "rb") as source:
        rate = source.getframerate()
        start, end = (min(round(at * rate), source.getnframes()) for at in (start_s, end_s))
        source.setpos(start)
        samples = np.frombuffer(source.readframes(end - start), "<i2").astype(np.float64) / FULL_SCALE
    width = rate * WINDOW_MS // 1000
    silent = np.ones(round((end_s - start_s) * 1000) // WINDOW_MS, bool)
    windows = samples[: len(samples) // width * width].reshape(-1, width)[: len(silent)]
    silent[: len(windows)] = np.sqrt((windows**2).mean(axis=1)) <= 10 ** (SILENCE_DBFS / 20)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(np.int8)))
    lengths = ((end - first) * WINDOW_MS for first, end in zip(edges[::2], edges[1::2], strict=True))
    return [int(each) for each in lengths if each >= GAP_MS]
