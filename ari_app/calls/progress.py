"""How far a call has come, and how long it took to get there."""

from dataclasses import dataclass
from enum import Enum

from ari_app.calls.outcome import Direction


class CallState(Enum):
    """What a live call does now."""

    BEGUN = "begun"  # nothing rings yet
    RINGING = "ringing"
    ANSWERED = "answered"  # by one side; a call back rings again after it
    TALKING = "talking"
    ENDING = "ending"  # why is known, and what it opened is being closed
    ENDED = "ended"


@dataclass(frozen=True)
class Milestones:
    """When a call first came that far, in seconds since it began; None where it did not.

    ``rings_s``: Telegram knows that it rings. ``pbx_answered_s``: the PBX's side has answered (of an outgoing call it
    is who dials, and this stays None). ``accepted_s``: the Telegram call was accepted, by us or by the person.
    ``talks_s``: both sides hear each other.
    """

    rings_s: float | None = None
    pbx_answered_s: float | None = None
    accepted_s: float | None = None
    talks_s: float | None = None

    def answered_s(self, direction: Direction) -> float | None:
        """When whoever is called answered: the PBX's side of an incoming call, else the person."""
        return self.pbx_answered_s if direction is Direction.IN else self.accepted_s

    def post_dial_delay_s(self, direction: Direction) -> float | None:
        """From dialling until it rings; a call back dials the person when the PBX's side has answered."""
        dialled_s = self.pbx_answered_s if direction is Direction.BACK else 0.0
        return _between(dialled_s, self.rings_s)

    def to_answer_s(self, direction: Direction) -> float | None:
        """From the first ring until whoever is called answered."""
        return _between(self.rings_s, self.answered_s(direction))

    def to_audio_s(self, direction: Direction) -> float | None:
        """From the answer until both sides hear each other."""
        return _between(self.answered_s(direction), self.talks_s)


@dataclass(frozen=True)
class Progress:
    """How far a call has come, as it is kept for the next run of the program; times are Unix times.

    ``began_at``, ``ringing_at`` and ``talking_at``: since when, None where it does not (yet). ``rang_s`` and
    ``talked_s`` are of a call that is over.
    """

    state: CallState
    began_at: float
    milestones: Milestones
    ringing_at: float | None = None
    talking_at: float | None = None
    redials: int = 0
    rang_s: float | None = None
    talked_s: float = 0.0


def _between(start_s: float | None, end_s: float | None) -> float | None:
    return None if start_s is None or end_s is None else max(0.0, end_s - start_s)
