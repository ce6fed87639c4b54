"""How a call's audio has been: measured each second, and kept in a bounded number of samples."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from media.types import MediaError, MediaLost, MediaStats

EVERY_S = 1.0
MOST = 240  # samples of a call; one more, and each two become one

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """The audio at one moment.

    ``at_s``: since the call began. ``jitter_ms``: of what comes from Asterisk (RFC 3550). ``lost``: packets from
    Asterisk that came too late or never, since the audio began. ``concealed_ms``: sound towards Telegram that was
    guessed, since then. Levels in dBFS over the last second, -99 is silence.
    """

    at_s: float
    jitter_ms: float
    lost: int
    concealed_ms: int
    to_telegram_dbfs: float
    from_telegram_dbfs: float

    @classmethod
    def of(cls, at_s: float, stats: MediaStats) -> "Sample":
        """From what a media process measures."""
        return cls(
            at_s=round(at_s, 1),
            jitter_ms=round(stats.jitter_ms, 1),
            lost=stats.from_asterisk.lost + stats.from_asterisk.late,
            concealed_ms=stats.concealed_ms,
            to_telegram_dbfs=round(stats.level_to_telegram_dbfs, 1),
            from_telegram_dbfs=round(stats.level_from_telegram_dbfs, 1),
        )

    def joined(self, later: "Sample") -> "Sample":
        """Both as one, in which the peaks of either are seen."""
        return Sample(
            later.at_s,
            max(self.jitter_ms, later.jitter_ms),
            later.lost,
            later.concealed_ms,
            max(self.to_telegram_dbfs, later.to_telegram_dbfs),
            max(self.from_telegram_dbfs, later.from_telegram_dbfs),
        )


class Samples:
    """The samples of one call, at most ``most``: a longer call has them at a coarser step."""

    def __init__(self, most: int = MOST) -> None:
        self.kept: list[Sample] = []
        self.last: Sample | None = None
        self.jitter_ms = 0.0
        """The most that was measured."""
        self._most = most
        self._step = 1
        self._joining: Sample | None = None
        self._joined = 0

    def add(self, sample: Sample) -> None:
        """One more, a second after the last."""
        self.last, self.jitter_ms = sample, max(self.jitter_ms, sample.jitter_ms)
        self._joining = self._joining.joined(sample) if self._joining else sample
        self._joined += 1
        if self._joined < self._step:
            return
        self.kept.append(self._joining)
        self._joining, self._joined = None, 0
        if len(self.kept) >= self._most:
            pairs = zip(self.kept[::2], self.kept[1::2], strict=False)
            self.kept = [first.joined(second) for first, second in pairs]
            self._step *= 2


class Measured(Protocol):
    """What has audio to measure: a media process."""

    async def stats(self) -> MediaStats:
        """Its audio at this moment; raises MediaError, and MediaLost where it is gone."""


async def sampled(audio: Measured, take: Callable[[MediaStats], None], every_s: float = EVERY_S) -> None:
    """Measure until cancelled, or until the audio is gone; what goes wrong here never ends a call."""
    while True:
        await asyncio.sleep(every_s)
        try:
            take(await audio.stats())
        except MediaLost:
            return  # whoever watches the audio says so
        except MediaError as error:
            log.info("audio was not measured: %s", error)
        except Exception:
            log.exception("audio is not measured any more: unexpected error")
            return
