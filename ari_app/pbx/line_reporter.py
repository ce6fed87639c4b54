"""Reports the lines to programs, as events: their status lights, and what Telegram limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ari_app.bus import ACCOUNT, RELOAD, EventBus
from ari_app.calls.registry import CallRegistry
from ari_app.lines.health import LineStatus, StatusLight, StatusMonitor
from ari_app.pbx.events import ReportedEvent, TelegramLineRemoved, TelegramLineStatus, TelegramPause
from ari_app.telegram.line import Line

FOLLOWED = frozenset((ACCOUNT, "line", "lines", RELOAD))
"""What there may be to report after."""
SAME_PAUSE_S = 2.0
"""Two ends of a pause that are no farther apart are one: it is the same pause, looked at twice."""


class LineReporter:
    """``put`` takes each event, and never waits; ``clock`` gives Unix time."""

    def __init__(
        self,
        put: Callable[[ReportedEvent], None],
        lines: Mapping[str, Line],
        statuses: StatusMonitor,
        registry: CallRegistry,
        bus: EventBus,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._put = put
        self._lines = lines
        self._statuses = statuses
        self._registry = registry
        self._bus = bus
        self._clock = clock
        self._reported: dict[str, Any] = {}
        self._pauses: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """Report each line now, and each change; until cancelled."""
        with self._bus.subscribe() as changes:
            while True:
                self._report()
                kinds: set[str] = set()
                while not kinds & FOLLOWED:
                    kinds.add((await changes.get()).kind)
                    while not changes.empty():  # what came together is looked at together
                        kinds.add(changes.get_nowait().kind)

    def status(self, line: Line, action_id: str = "") -> TelegramLineStatus:
        """A line now."""
        lights = self._statuses.status(line)
        return TelegramLineStatus(
            event_time=self._clock(),
            line=line.number,
            name=line.name,
            calls=self._registry.calls_per_line()[line.number],
            max_calls=line.max_calls,
            asterisk=lights.asterisk.colour.value,
            asterisk_reason=str(lights.asterisk.sentence),
            account=lights.account.colour.value,
            account_reason=str(lights.account.sentence),
            bot=lights.bot.colour.value,
            bot_reason=str(lights.bot.sentence),
            action_id=action_id,
        )

    def _report(self) -> None:
        for number in self._reported.keys() - self._lines.keys():
            del self._reported[number]
            self._put(TelegramLineRemoved(event_time=self._clock(), line=number))
        for number, line in list(self._lines.items()):
            lights = _said(self._statuses.status(line))
            if self._reported.get(number) != lights:
                self._reported[number] = lights
                self._put(self.status(line))
        self._report_pauses()

    def _report_pauses(self) -> None:
        now = self._clock()
        live = {
            (number, request): (seconds, reason)
            for number, line in self._lines.items()
            for request, (seconds, reason) in line.pauses.items()
        }
        for key, (seconds, reason) in live.items():
            if abs(now + seconds - self._pauses.get(key, 0.0)) > SAME_PAUSE_S:
                self._pauses[key] = now + seconds
                self._put_pause(key, round(seconds), reason)
        for key in self._pauses.keys() - live.keys():
            del self._pauses[key]
            self._put_pause(key, 0, "")

    def _put_pause(self, key: tuple[str, str], seconds: int, reason: str) -> None:
        line, request = key
        self._put(TelegramPause(event_time=self._clock(), line=line, request=request, seconds=seconds, reason=reason))


def _said(status: LineStatus) -> tuple[tuple[str, str], ...]:
    """What a status says, without the numbers in its sentences, which go on by themselves."""

    def said(light: StatusLight) -> tuple[str, str]:
        return light.colour.value, light.sentence.text

    return said(status.asterisk), said(status.account), said(status.bot)
