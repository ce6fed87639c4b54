"""Wav files instead of Asterisk: a scripted person plays one and records what it hears. 48 kHz mono s16."""

import asyncio
import logging
import wave
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from media.codecs import SAMPLE_BYTES, SAMPLE_RATE, SILENCE, TICK_BYTES, TICK_MS
from media.types import FlowStats, MediaError, MediaStats

log = logging.getLogger(__name__)

WRITE_TICKS = 50
"""Ticks written to the recording at once."""


class FilesTransport:
    """Plays from the moment Telegram media is connected, once or over and over; records from the first tick on."""

    name = "files"
    rate = SAMPLE_RATE

    def __init__(self, play: bytes, recording: wave.Wave_write | None, loop: bool = False) -> None:
        self._play = play[: len(play) // TICK_BYTES * TICK_BYTES] if loop else play
        self._loop = loop and bool(self._play)
        self._recording = recording
        self._heard: list[bytes] = []
        # One thread: the disk never holds up the clock, and the blocks stay in order.
        self._writer = ThreadPoolExecutor(1, "recording")
        self._played = 0
        self._silent_ticks = 0
        self._pushed = 0

    @classmethod
    async def open(cls, play: Path | None, record: Path | None, loop: bool = False) -> "FilesTransport":
        """Read one file whole and open the other. Raises MediaError if either cannot be used."""
        try:
            pcm = await asyncio.to_thread(read_wav, play) if play else b""
            recording = await asyncio.to_thread(_open_recording, record) if record else None
        except (OSError, EOFError, wave.Error) as error:
            raise MediaError(f"cannot use {play} and {record} as the call's audio: {error}") from error
        return cls(pcm, recording, loop)

    def start(self) -> None:
        """The first pull starts to play."""

    def push(self, sound: bytes) -> None:
        """Record one tick; a thread writes every ``WRITE_TICKS``, so the file is valid even if the process dies."""
        self._pushed += 1
        if self._recording is None:
            return
        self._heard.append(sound)
        if len(self._heard) >= WRITE_TICKS:
            heard, self._heard = self._heard, []
            self._writer.submit(_write, self._recording, heard).add_done_callback(_complain)

    def pull(self) -> list[bytes]:
        """The next tick of the file; after its end its first one again, or silence."""
        at = self._played % len(self._play) if self._loop else self._played
        tick = self._play[at : at + TICK_BYTES]
        self._played += len(tick)
        if len(tick) == TICK_BYTES:
            return [tick]
        self._silent_ticks += 1
        return [tick + SILENCE[len(tick) :]]

    def stats(self) -> MediaStats:
        """Ticks count as packets."""
        played = self._played // TICK_BYTES
        return MediaStats(
            from_asterisk=FlowStats(packets=played, bytes=played * TICK_BYTES),
            to_asterisk=FlowStats(packets=self._pushed, bytes=self._pushed * TICK_BYTES),
            silence_ms=self._silent_ticks * TICK_MS,
        )

    async def close(self) -> None:
        """Write the rest of the recording and close it."""
        recording, self._recording = self._recording, None
        if recording is not None:
            finished = self._writer.submit(_finish, recording, self._heard)
            finished.add_done_callback(_complain)
            await asyncio.wait([asyncio.wrap_future(finished)])
        self._writer.shutdown()


def read_wav(path: Path) -> bytes:
    """A wav's samples. Raises MediaError if it is not 48 kHz mono s16."""
    with wave.open(str(path), "rb") as file:
        found = (file.getframerate(), file.getnchannels(), file.getsampwidth() * 8)
        if found != (SAMPLE_RATE, 1, 16):
            raise MediaError(
                f"{path} has {found[0]} Hz, {found[1]} channels, {found[2]} bits; a call plays {SAMPLE_RATE} Hz, "
                "1 channel, 16 bits"
            )
        return file.readframes(file.getnframes())


def _open_recording(path: Path) -> wave.Wave_write:
    recording = wave.open(str(path), "wb")  # noqa: SIM115 - closed by FilesTransport.close
    recording.setnchannels(1)
    recording.setsampwidth(SAMPLE_BYTES)
    recording.setframerate(SAMPLE_RATE)
    recording.writeframes(b"")
    return recording


def _write(recording: wave.Wave_write, heard: list[bytes]) -> None:
    recording.writeframes(b"".join(heard))


def _complain(written: Future[None]) -> None:
    if error := written.exception():
        log.error("the recording is not complete: %s", error)


def _finish(recording: wave.Wave_write, heard: list[bytes]) -> None:
    with recording:
        _write(recording, heard)
