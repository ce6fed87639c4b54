"""How a channel ended: Q.850 causes as Asterisk uses them (causes.h)."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN = 0
NORMAL_CLEARING = 16
NETWORK_OUT_OF_ORDER = 38

_TEXTS = {
    0: "Unknown",
    1: "Unallocated (unassigned) number",
    3: "No route to destination",
    16: "Normal Clearing",
    17: "User busy",
    18: "No user responding",
    19: "User alerting, no answer",
    20: "Subscriber absent",
    21: "Call Rejected",
    22: "Number changed",
    27: "Destination out of order",
    28: "Invalid number format",
    31: "Normal, unspecified",
    34: "Circuit/channel congestion",
    38: "Network out of order",
    41: "Temporary failure",
    42: "Switch congestion",
    58: "Bearer capability not available",
    127: "Interworking, unspecified",
}

REASONS = {
    1: "unallocated",
    16: "normal",
    17: "busy",
    18: "timeout",
    19: "no_answer",
    21: "rejected",
    26: "answered_elsewhere",
    28: "number_incomplete",
    31: "normal_unspecified",
    34: "congestion",
    38: "failure",
    58: "codec_mismatch",
    127: "interworking",
}
"""ARI's words for causes: every Asterisk knows them, and one too old for a ``reason_code`` (16.28) ignores that."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """A channel's end: the Q.850 cause (0: Asterisk knows none) and its text."""

    cause: int
    cause_text: str

    @classmethod
    def with_cause(cls, cause: int, text: str = "") -> Hangup:
        """Make a hangup from a cause, with Asterisk's text for it unless one is given."""
        return cls(cause, text or _TEXTS.get(cause, f"Cause {cause}"))

    def __str__(self) -> str:
        return f"{self.cause} {self.cause_text}"
