"""Which lines this machine acts for: all of them where it is alone, in a cluster those whose lease it holds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from ari_app.cluster.leases import HeldLine, Leases
from ari_app.logs import line_log

LOOK_EVERY_S = 1.0
UNFIT_S = 5.0
"""Without Telegram or Asterisk, until a line is left to another machine; connecting again takes a second or two."""

log = logging.getLogger(__name__)


class Duty(Protocol):
    """Says for which lines this machine acts."""

    async def keep(self, line: str, is_ready: Callable[[], bool]) -> None:
        """Act for a line whenever it ``is_ready`` and nobody else does, until cancelled."""


class Alone:
    """Where no other machine has its lines: it acts for each as long as it holds it, ready or not."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    async def keep(self, line: str, is_ready: Callable[[], bool]) -> None:
        """Hold its lease."""
        while True:
            async with self._leases.hold(line) as held:
                await held.lost.wait()


class ByLease:
    """In a cluster. ``is_able``: whether this machine can take calls at all; without it, it holds no line for long."""

    BEGUN = "this machine acts for it now (lease %d)"
    OVER = "this machine acts for it no more"
    UNFIT = "it, or Asterisk, has been away for %g s: another machine may act for it"

    def __init__(self, leases: Leases, is_able: Callable[[], bool] = lambda: True) -> None:
        self._leases = leases
        self._is_able = is_able
        self._held: dict[str, HeldLine] = {}
        self._at_work = asyncio.Event()
        self._at_work.set()

    @property
    def lines(self) -> tuple[str, ...]:
        """Those that it acts for."""
        return tuple(line for line in self._held if self.holds(line))

    @property
    def is_able(self) -> bool:
        """Whether this machine can take calls at all."""
        return self._is_able()

    def holds(self, line: str) -> bool:
        """Whether its lease is ours."""
        held = self._held.get(line)
        return held is not None and held.is_valid

    def answers_calls(self, line: str) -> bool:
        """Whether it is the first to answer a call to a line."""
        return self.holds(line) and self.is_able

    async def keep(
        self,
        line: str,
        is_ready: Callable[[], bool],
        at_work: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Hold its lease, and again once it was lost or handed over; it is inside ``at_work`` meanwhile."""
        while True:
            await self._at_work.wait()
            while not (is_ready() and self.is_able):  # noqa: ASYNC110 - of many things, each with events of its own
                await asyncio.sleep(LOOK_EVERY_S)
            async with self._leases.hold(line) as held:
                if not self._at_work.is_set():
                    continue
                self._held[line], fit = held, True
                self._log(line).info(self.BEGUN, held.token)
                try:
                    with at_work():
                        fit = await self._while_fit(held, is_ready)
                finally:
                    del self._held[line]
                    self._log(line).info(self.OVER)
            if not fit:  # which may not show any more now: another machine is to have it first
                await asyncio.sleep(UNFIT_S)

    async def _while_fit(self, held: HeldLine, is_ready: Callable[[], bool]) -> bool:
        """Wait until a lease is lost, or this machine has not been able to use it for a while: False then."""
        loop = asyncio.get_running_loop()
        fit_at = loop.time()
        while not await held.is_lost_within(LOOK_EVERY_S):
            if is_ready() and self.is_able:
                fit_at = loop.time()
            elif loop.time() - fit_at >= UNFIT_S:
                self._log(held.line).warning(self.UNFIT, UNFIT_S)
                return False
        return True

    def _log(self, line: str) -> logging.LoggerAdapter[logging.Logger]:
        return line_log(log, line)

    def hand_over(self, line: str, machine: str) -> bool:
        """Give a line to another machine; whether it was ours to give."""
        if not self.holds(line):
            return False
        self._held[line].hand_over_to(machine)
        return True

    def rest(self) -> None:
        """Let go of all lines, and act for none."""
        self._at_work.clear()
        for held in self._held.values():
            held.lost.set()

    def resume(self) -> None:
        """Act for lines again."""
        self._at_work.set()
