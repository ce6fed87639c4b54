"""What is done in a soak, and in which order: it follows from the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

Direction = Literal["in", "out", "back"]


@dataclass(frozen=True)
class Row:
    """A call that has to be in the history: its direction, and its TELEGRAM_STATUS."""

    direction: Direction
    status: str


class Kind(Enum):
    """A kind of call: its name, what it leaves in the history, and how often it comes in comparison to the others."""

    IN_CALLER_HANGS_UP = "in, the caller hangs up", (Row("in", "ANSWER"),), 4
    IN_PHONE_HANGS_UP = "in, the phone hangs up", (Row("in", "ANSWER"),), 4
    IN_KEYPAD = "in, a key of the keypad", (Row("in", "ANSWER"),), 3
    IN_TRANSFER = "in, transferred by the phone", (Row("in", "ANSWER"),), 2
    IN_GIVEN_UP = "in, the caller gives up", (Row("in", "CANCEL"),), 2
    IN_DECLINED = "in, the phone declines", (Row("in", "BUSY"),), 2
    IN_NOT_ANSWERED = "in, nobody answers", (Row("in", "NOANSWER"),), 1
    IN_FAILED = "in, the dialplan fails", (Row("in", "ERROR"),), 1
    OUT_CALLEE_HANGS_UP = "out, the person hangs up", (Row("out", "ANSWER"),), 4
    OUT_PHONE_HANGS_UP = "out, the phone hangs up", (Row("out", "ANSWER"),), 4
    OUT_ADMINISTRATOR = "out, an administrator hangs up", (Row("out", "ANSWER"),), 1
    OUT_TRANSFER = "out, transferred by the phone", (Row("out", "ANSWER"),), 2
    OUT_DECLINED = "out, the person declines", (Row("out", "BUSY"),), 2
    OUT_CALLED_BACK = "out, declined, and called back by the card", (Row("out", "BUSY"), Row("back", "ANSWER")), 2
    OUT_NOT_ANSWERED = "out, nobody answers", (Row("out", "NOANSWER"),), 1
    OUT_GIVEN_UP = "out, the phone gives up", (Row("out", "CANCEL"),), 2
    OUT_UNAVAILABLE = "out, the person's app fails", (Row("out", "UNAVAILABLE"),), 1
    OUT_NO_MEDIA = "out, no audio comes up", (Row("out", "ERROR"),), 1
    OUT_NOT_FOUND = "out, nobody has the number", (Row("out", "NOTFOUND"),), 1
    OUT_RESTRICTED = "out, the person takes no calls", (Row("out", "RESTRICTED"),), 1
    OUT_LIMITED = "out, Telegram limits the line", (Row("out", "LIMITED"),), 1

    def __init__(self, title: str, rows: tuple[Row, ...], weight: int) -> None:
        self.title = title
        self.rows = rows
        self.weight = weight

    @property
    def of_the_bot(self) -> bool:
        """Whether its script presses a button that the bot shows."""
        return self in (Kind.IN_KEYPAD, Kind.OUT_CALLED_BACK)

    @property
    def only_talks(self) -> bool:
        """Whether nothing is asked of Asterisk or the bot while they talk, before one of them hangs up."""
        return self in (
            Kind.IN_CALLER_HANGS_UP, Kind.IN_PHONE_HANGS_UP,
            Kind.OUT_CALLEE_HANGS_UP, Kind.OUT_PHONE_HANGS_UP, Kind.OUT_ADMINISTRATOR,
        )  # fmt: skip


class Fault(Enum):
    """A fault: its name, which endings are right besides a call's own while it works, and how often it comes.

    ``endings``: by direction. ``hides``: a call may not be in the history at all, because the line never heard of it.
    """

    ARI_CUT = "ari cut", "ERROR CANCEL", True, 3
    """Calls go on over RTP; one that begins finds no Asterisk, and its dialplan no Astergram."""
    ARI_STALLED = "ari stalled", "ERROR CANCEL", True, 3
    """Requests are answered late, or given up."""
    ASTERISK_KILLED = "asterisk killed", "ERROR CANCEL", True, 1
    """With every leg: who has not talked yet has had an error, and nobody's phone rings any more."""
    MTPROTO_CUT = "mtproto cut", "ERROR UNAVAILABLE CANCEL NOANSWER", True, 3
    """What people do meanwhile is learnt afterwards; a caller may have given up before the line has heard of it."""
    DATABASE_LOCKED = "database locked", "", False, 3
    """In no call's way."""
    DISK_FULL = "disk full", "", False, 3
    """In no call's way."""
    MEDIA_KILLED = "media killed", "ERROR", False, 2
    """Ends the one call that it carries, if it carries one."""
    BOT_429 = "bot api 429", "", False, 2
    """Keypads and cards come late or not at all; calls are not touched."""
    BOT_DOWN = "bot api down", "", False, 2
    """Keypads and cards come late or not at all; calls are not touched."""
    CONTROLLER_KILLED = "controller killed", "ERROR CANCEL UNAVAILABLE", True, 0
    """Who talks goes on talking; what has not come so far ends, and what comes before the line is connected again.
    Not one of the others: `kills` says when it comes."""

    def __init__(self, title: str, endings: str, hides: bool, weight: int) -> None:
        self.title = title
        self.endings = frozenset(endings.split())
        self.hides = hides
        self.weight = weight

    @property
    def of_the_bot(self) -> bool:
        """Whether it keeps the bot from showing and editing messages."""
        return self in (Fault.BOT_429, Fault.BOT_DOWN)

    @property
    def ends_talks(self) -> bool:
        """Whether people who talk may lose each other by it."""
        return self in (Fault.ASTERISK_KILLED, Fault.MEDIA_KILLED)

    @property
    def harms(self) -> bool:
        """Whether a call may end by it in another way than it would."""
        return bool(self.endings)


TALK_S = (0.5, 2.5)
PAUSE_S = (2.0, 5.0)  # between two faults
FAULT_S = (1.0, 5.0)
KILLS_A_MINUTE = 0.6
KILL_WITHIN = (0.2, 0.8)  # of its part of the soak: calls come before it and after it


@dataclass(frozen=True)
class PlannedCall:
    """A call, and how long they talk."""

    number: int
    kind: Kind
    talk_s: float


@dataclass(frozen=True)
class PlannedFault:
    """A fault: how long after the one before it comes, how long it works, and whom of several it hits (0 to 1)."""

    fault: Fault
    after_s: float
    lasts_s: float
    whom: float


def chance_of(seed: int, what: str) -> random.Random:
    """What decides about something; the same again for the same seed."""
    return random.Random(f"{what} {seed}")  # noqa: S311 - to be repeated, not to be secret


def calls(seed: int, count: int) -> Sequence[PlannedCall]:
    """So many calls: every kind as often as its weight says, and each one early."""
    chance = chance_of(seed, "calls")
    kinds: list[Kind] = []
    while len(kinds) < count:
        deck = [kind for kind in Kind for _ in range(kind.weight)]
        if not kinds:  # a short soak has each kind, too
            deck = list(Kind)
        chance.shuffle(deck)
        kinds += deck
    return [PlannedCall(number, kind, chance.uniform(*TALK_S)) for number, kind in enumerate(kinds[:count], start=1)]


def faults(seed: int) -> Iterator[PlannedFault]:
    """Faults without an end, every one as often as its weight says, and each one early."""
    chance = chance_of(seed, "faults")
    deck = [fault for fault in Fault if fault.weight]
    while True:
        chance.shuffle(deck)
        for fault in deck:
            yield PlannedFault(fault, chance.uniform(*PAUSE_S), chance.uniform(*FAULT_S), chance.random())
        deck = [fault for fault in Fault for _ in range(fault.weight)]


def kills(seed: int, calls: int, count: int) -> list[int]:
    """With which call's beginning each of so many kills of the program comes: one in each part of the soak."""
    chance = chance_of(seed, "kills")
    return [max(1, round((part + chance.uniform(*KILL_WITHIN)) * calls / count)) for part in range(count)]
