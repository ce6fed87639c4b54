"""Wav files in Asterisk's place."""

from pathlib import Path

import pytest

from ari_app.sandbox.tones import write_tone
from media.codecs import SILENCE, TICK_BYTES
from media.files import FilesTransport, read_wav
from media.types import MediaError


async def pulled(play: Path | None, ticks: int, *, loop: bool) -> list[bool]:
    """Whether each tick has sound."""
    transport = await FilesTransport.open(play, None, loop)
    sound = [transport.pull()[0] != SILENCE for _ in range(ticks)]
    await transport.close()
    return sound


async def test_a_file_is_played_once_or_over_and_over(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    write_tone(path, 440.0, 0.035)
    assert await pulled(path, 8, loop=False) == [True] * 4 + [False] * 4
    assert await pulled(path, 8, loop=True) == [True] * 8
    assert await pulled(None, 3, loop=True) == [False] * 3


async def test_over_and_over_the_file_begins_where_it_began(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    write_tone(path, 440.0, 0.035)
    transport = await FilesTransport.open(path, None, True)
    heard = b"".join(tick for _ in range(6) for tick in transport.pull())
    once = read_wav(path)[: 3 * TICK_BYTES]
    assert heard == once + once, "without what is no whole tick"
    assert transport.stats().from_asterisk.packets == 6
    assert transport.stats().silence_ms == 0
    await transport.close()


async def test_a_file_of_another_rate_is_refused(tmp_path: Path) -> None:
    write_tone(tmp_path / "tone.wav", 440.0, 0.1, rate=8000)
    with pytest.raises(MediaError, match="has 8000 Hz"):
        await FilesTransport.open(tmp_path / "tone.wav", None)
