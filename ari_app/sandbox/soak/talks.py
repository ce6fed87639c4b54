"""Who talks in a soak, and what they hear when the program is killed meanwhile."""

from __future__ import annotations

import asyncio
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ari_app.sandbox.tones import longest_gap_ms, measure

GAP_MOST_MS = 500
"""Six calls with their phones and people, and a program that starts, leave a machine of two cores no time at moments.
Without the program a call is for over a second, so that a longer gap would be the kill's."""
CONNECTED_S = 1.0
"""From the first packet at the phone until the program has noted for certain that both talk."""
STAYS_S = 1.5
"""Whoever talks when a kill is due stays at least so long, and until the program is there again."""
TALKERS_S = 60.0
"""For somebody to stay; then the program is killed whatever goes on."""


@dataclass(eq=False)
class Talk:
    """One, from the first packet that the phone heard until somebody hangs up; ``killed_at``: when the program was,
    if it was meanwhile. By time.monotonic()."""

    began_at: float
    ended_at: float = 0.0
    killed_at: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether the program knew of it when it was killed."""
        return self.killed_at is None or self.killed_at - self.began_at > CONNECTED_S

    @property
    def survives(self) -> bool:
        """Whether the program was killed, and it goes on."""
        return self.killed_at is not None and self.is_known

    def gap_ms(self, by_person: Path, by_phone: Path) -> int:
        """The longest gap that either heard. What was not sent leaves no hole in a phone's recording: it is shorter."""
        lasted_s = self.ended_at - self.began_at
        lasted_ms = round(lasted_s * 1000)
        gaps = []
        for recording in (by_person, by_phone):
            # What comes after the talk, such as a transfer, has gaps of its own.
            first_s = measure(recording).first_sound_s
            gaps.append(lasted_ms if first_s is None else longest_gap_ms(recording, first_s, first_s + lasted_s) or 0)
        with wave.open(str(by_phone), "rb") as phone:
            lost_ms = lasted_ms - round(phone.getnframes() / phone.getframerate() * 1000)
        return max(lost_ms, *gaps)


class Talks:
    """All that go on."""

    def __init__(self) -> None:
        self._now: set[Talk] = set()
        self._one_stays = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._killed_at = -CONNECTED_S

    async def talk(self, began_at: float, seconds: float, *, stays: bool = True) -> Talk:
        """Let both talk for so long, or, where one ``stays`` and a kill is due at its end, until that is over."""
        talk = Talk(began_at, killed_at=self._killed_at if self._killed_at > began_at - CONNECTED_S else None)
        self._now.add(talk)
        try:
            await asyncio.sleep(seconds)
            if stays and not self._free.is_set():
                await asyncio.sleep(STAYS_S - seconds)
                self._one_stays.set()
                await self._free.wait()
        finally:
            talk.ended_at = time.monotonic()
            self._now.discard(talk)
        return talk

    @asynccontextmanager
    async def kill_is_due(self) -> AsyncIterator[None]:
        """Wait until somebody stays; whoever talks when the block begins has the kill in their talk."""
        self._one_stays.clear()
        self._free.clear()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(TALKERS_S):
                    await self._one_stays.wait()
            self._killed_at = time.monotonic()
            for talk in self._now:
                talk.killed_at = self._killed_at
            yield
        finally:
            self._free.set()
