"""What has happened lately, for the overview: lights, pauses, starts, drains. Kept in memory; what people do is in the
audit log, and what needed somebody among the alerts.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ari_app.bus import ACCOUNT, ASTERISK, BOT, RELOAD, EventBus
from ari_app.calls.drain import DrainState
from ari_app.i18n import Message, message
from ari_app.lines.health import Colour, StatusMonitor
from ari_app.pbx.events import ReportedEvent, TelegramDrain, TelegramPause, TelegramStarted
from ari_app.telegram.line import Line

REMEMBERED = 200
"""Of each kind: some days of a quiet installation, and no more than a look at a bad hour of a large one."""
FOLLOWED = frozenset((ACCOUNT, ASTERISK, BOT, "line", "lines", RELOAD))
DRAINS: Mapping[str, Message] = {
    DrainState.BEGUN.value: message("New calls were stopped"),
    DrainState.CANCELLED.value: message("New calls are taken again"),
}

ActivityKind = Literal["light", "pause", "program"]


@dataclass(frozen=True)
class Activity:
    """Something that has happened: when (a Unix time), what, and how it is since."""

    at: float
    kind: ActivityKind
    sentence: Message
    colour: Colour


class RecentActivity:
    """Reads the events, and follows the lights. ``clock`` gives Unix time."""

    def __init__(
        self,
        lines: Mapping[str, Line],
        statuses: StatusMonitor,
        bus: EventBus,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lines = lines
        self._statuses = statuses
        self._bus = bus
        self._clock = clock
        self._colours: dict[tuple[str, str], Colour] = {}
        self._worked: set[tuple[str, str]] = set()
        self._kept: dict[str, deque[Activity]] = {}

    @property
    def all(self) -> list[Activity]:
        """The newest first."""
        return sorted((each for kept in self._kept.values() for each in kept), key=lambda each: each.at, reverse=True)

    def put(self, event: ReportedEvent) -> None:
        """One more event; never waits."""
        match event:
            case TelegramPause(line=number, request=request, seconds=seconds, reason=reason):
                line = self._lines.get(number)
                name = line.name if line else number
                if seconds:
                    word = f"{reason} ({request})"
                    said = message("{line}: paused, Telegram said {word}", line=name, word=word)
                    self._add("pause", said, Colour.ORANGE)
                else:
                    self._add("pause", message("{line}: {request} is no longer paused", line=name, request=request))
            case TelegramStarted(version=version):
                self._add("program", message("Astergram {version} was started", version=version))
            case TelegramDrain(state=state) if state in DRAINS:
                self._add("program", DRAINS[state], Colour.ORANGE if state == DrainState.BEGUN.value else Colour.GREEN)

    async def run(self) -> None:
        """Look at the lights now and after each change, until cancelled."""
        with self._bus.subscribe() as changes:
            while True:
                self.look()
                kinds: set[str] = set()
                while not kinds & FOLLOWED:
                    kinds.add((await changes.get()).kind)
                    while not changes.empty():  # what came together is looked at together
                        kinds.add(changes.get_nowait().kind)

    def look(self) -> None:
        """Keep what has changed its colour, once it has been green: a start is no news."""
        now = {("", name): ("", light) for name, light in self._statuses.shared().items()} if self._lines else {}
        for number, line in self._lines.items():
            now |= {(number, name): (line.name, light) for name, light in self._statuses.of_line(line).items()}
        for key, (line_name, light) in now.items():
            before, self._colours[key] = self._colours.get(key), light.colour
            if light.colour is not before and key in self._worked:
                said = (
                    message("{line}: {sentence}", line=line_name, sentence=light.sentence)
                    if line_name
                    else light.sentence
                )
                self._add("light", said, light.colour)
            if light.colour is Colour.GREEN:
                self._worked.add(key)
        for key in self._colours.keys() - now.keys():  # a line is gone, or its chat with the bot is well again
            del self._colours[key]

    def _add(self, kind: ActivityKind, sentence: Message, colour: Colour = Colour.GREEN) -> None:
        kept = self._kept.setdefault(kind, deque(maxlen=REMEMBERED))
        kept.append(Activity(self._clock(), kind, sentence, colour))
