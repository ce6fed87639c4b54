"""Which alerts are open: each is opened once its condition has lasted, and closed once it is over."""

import math
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from ari_app.i18n import Message

OVER_S = 60.0
"""How long a condition is over before its alert is closed: what comes and goes is one alert, not many."""
NEVER_S = math.inf
"""A condition that lasts that long opens no alert, but one that is open stays so."""


class AlertKind(Enum):
    """What an alert is about."""

    LIGHT = "light"
    PAUSE = "pause"
    FROZEN = "frozen"
    DISK = "disk"
    FAILED_CALLS = "failed_calls"
    BACKUP = "backup"
    CLUSTER = "cluster"


Key = tuple[AlertKind, str]


@dataclass(frozen=True)
class AlertCondition:
    """Something that is so now.

    ``subject``: of what, empty for the program itself; ``line``: the number of the line that it is about, if it is
    one. ``hold_s``: how long it lasts before somebody is told.
    """

    kind: AlertKind
    subject: str
    sentence: Message
    line: str = ""
    hold_s: float = 0.0

    @property
    def key(self) -> Key:
        """Two with the same are the same alert, however they are put into words."""
        return self.kind, self.subject


@dataclass(frozen=True)
class Alert:
    """One that is open, or is over (``closed_at``); times are Unix times. ``since``: when its condition began.

    ``told``: somebody was told, or would have been, were anybody to be; not while it was muted.
    """

    id: str
    condition: AlertCondition
    since: float
    closed_at: float | None = None
    told: bool = False


class AlertBook:
    """The open alerts, by their keys."""

    def __init__(self) -> None:
        self.open: dict[Key, Alert] = {}
        self._since: dict[Key, float] = {}
        self._over_since: dict[Key, float] = {}
        self._looked_at = math.inf

    def load(self, alerts: Iterable[Alert]) -> None:
        """Those that an earlier run has left open; before anything else."""
        self.open = {each.condition.key: each for each in alerts}

    def look(
        self, conditions: Iterable[AlertCondition], now: float, unknown: Collection[AlertKind] = ()
    ) -> tuple[list[Alert], list[Alert]]:
        """Which alerts open now, and which are over.

        ``unknown``: what could not be looked at; it stays as it is, and that time counts neither for nor against it.
        """
        since_last_s = max(0.0, now - self._looked_at)
        self._looked_at = now
        live = {each.key: each for each in conditions}
        closed = []
        for key in self.open.keys() - live.keys():
            if key[0] in unknown:
                self._over_since.pop(key, None)
                continue
            over_since = min(self._over_since.setdefault(key, now), now)  # the clock may have been set back
            if now - over_since >= OVER_S:
                closed.append(replace(self.open.pop(key), closed_at=over_since))
        self._over_since = {key: min(at, now) for key, at in self._over_since.items() if key in self.open.keys() - live}
        for key in self.open.keys() & live.keys():
            self.open[key] = replace(self.open[key], condition=live[key])
        waiting = {key: at + since_last_s for key, at in self._since.items() if key not in live and key[0] in unknown}
        self._since = {key: min(self._since.get(key, now), now) for key in live} | waiting
        opened = []
        for key, condition in live.items():
            if key not in self.open and now - self._since[key] >= condition.hold_s:
                opened.append(Alert(uuid.uuid4().hex[:12], condition, self._since[key]))
        self.open |= {each.condition.key: each for each in opened}
        return opened, closed

    def told(self, alert: Alert) -> Alert:
        """Somebody was told of it."""
        its = self.open[alert.condition.key] = replace(alert, told=True)
        return its
