"""The doctor's findings, kept for a short time: every page and program that asks then sees the same examination."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from ari_app.bus import EventBus
from ari_app.doctor import Doctor, Finding, Grade

KEPT_S = 300.0


@dataclass(frozen=True)
class Examined:
    """What was found; ``at`` is the Unix time when the examination began."""

    at: float
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> int:
        """How many findings have to be repaired."""
        return sum(finding.grade is Grade.PROBLEM for finding in self.findings)


class Checkup:
    """Sends for the doctor, one examination at a time; publishes "doctor" after each."""

    def __init__(self, doctor: Doctor, bus: EventBus, clock: Callable[[], float]) -> None:
        self._doctor = doctor
        self._bus = bus
        self._clock = clock
        self._latest: Examined | None = None
        self._examining = asyncio.Lock()

    @property
    def recent(self) -> Examined | None:
        """The last examination, unless it is too old to be true."""
        latest = self._latest
        return latest if latest and self._clock() - latest.at < KEPT_S else None

    async def examined(self, anew: bool = False) -> Examined:
        """A recent examination, or, ``anew``, one that begins no earlier than now."""
        asked_at = self._clock()
        async with self._examining:
            recent = self.recent
            if recent and (not anew or recent.at > asked_at):
                return recent
            began_at = self._clock()
            self._latest = examined = Examined(began_at, tuple(await self._doctor.examine()))
        self._bus.publish("doctor")
        return examined


CHECKUP = web.AppKey("checkup", Checkup)


def checkup_of(request: web.Request) -> Checkup:
    """That of the page."""
    return request.config_dict[CHECKUP]
