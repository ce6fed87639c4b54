"""Which faults come, in which order, and for how long: it follows from the seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from ari_app.sandbox.soak.plan import chance_of


class Fault(Enum):
    """A fault: its name, and for how long it works (seconds, from and to)."""

    PROGRAM_KILLED = "program killed", 0.0, 0.0
    """By SIGKILL; its supervisor starts it again after a second."""
    PROGRAM_STOPPED = "program stopped", 1.0, 15.0
    """By SIGSTOP, and let go on: at times before its leases are over, at times after it."""
    NATS_CUT = "program cut from NATS", 1.0, 15.0
    TELEGRAM_CUT = "program cut from Telegram", 1.0, 12.0
    BOTH_CUT = "program cut from NATS and Telegram", 1.0, 15.0
    SERVER_KILLED = "NATS server killed", 0.5, 8.0
    SERVER_STOPPED = "NATS server stopped", 0.5, 10.0
    SERVER_CUT = "NATS server cut from the programs", 0.5, 8.0
    DATA_LOST = "all data of NATS lost", 0.5, 4.0
    """All three servers are killed, and come back with nothing."""

    def __init__(self, title: str, shortest_s: float, longest_s: float) -> None:
        self.title = title
        self.shortest_s = shortest_s
        self.longest_s = longest_s


OF_TELEGRAM = {Fault.TELEGRAM_CUT, Fault.BOTH_CUT}
PAUSE_S = (0.0, 3.0)  # between two faults


@dataclass(frozen=True)
class PlannedFault:
    """A fault: how long after the one before it comes, how long it works, and whom of several it hits (0 to 1).

    ``hangs``: what is cut off is not told so, and what was sent comes through afterwards; else connections break.
    """

    fault: Fault
    after_s: float
    lasts_s: float
    whom: float
    hangs: bool


def faults(seed: int, count: int) -> Iterator[PlannedFault]:
    """So many, each kind as often as the others."""
    chance = chance_of(seed, "chaos")
    deck: list[Fault] = []
    for _ in range(count):
        if not deck:
            deck = list(Fault)
            chance.shuffle(deck)
        fault = deck.pop()
        lasts_s = chance.uniform(fault.shortest_s, fault.longest_s)
        yield PlannedFault(fault, chance.uniform(*PAUSE_S), lasts_s, chance.random(), chance.random() < 0.5)
