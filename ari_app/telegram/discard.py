"""Why a call was discarded: TL PhoneCallDiscardReason."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from telethon.tl import types


class DiscardReason(Enum):
    """The reasons that a call of ours may be discarded with; values are the TL classes."""

    MISSED = types.PhoneCallDiscardReasonMissed
    BUSY = types.PhoneCallDiscardReasonBusy
    HANGUP = types.PhoneCallDiscardReasonHangup
    DISCONNECT = types.PhoneCallDiscardReasonDisconnect


REASONS = {reason.value: reason for reason in DiscardReason}
GROUP_CALL = types.PhoneCallDiscardReasonMigrateConferenceCall
WORDS: dict[type, str] = {GROUP_CALL: "moved on to a group call"}


@dataclass(frozen=True)
class Discarded:
    """Why the other side or Telegram ended a call.

    ``reason`` is None where none was given, which is what Telegram tells the devices of a callee who has taken the call
    on another one. A reason that can't be ours counts as a hang-up; ``said`` says what it was, or how it was learnt.
    ``moved``: the person goes on in a group call. ``counted_s``: the talk by Telegram's count, where it was learnt from
    the message in the chat. ``expired_s``: after so long it was given up, as neither side had taken or ended it.
    """

    reason: DiscardReason | None
    duration_s: int
    said: str = ""
    moved: bool = False
    counted_s: int | None = None
    expired_s: float | None = None

    @classmethod
    def of(cls, reason: Any, duration_s: int | None) -> Self:
        """From TL: a PhoneCallDiscardReason of any kind or None, and the seconds of talk."""
        kind = type(reason)
        if reason is None or kind in REASONS:
            return cls(REASONS.get(kind), duration_s or 0)
        return cls(DiscardReason.HANGUP, duration_s or 0, WORDS.get(kind, kind.__name__), kind is GROUP_CALL)

    @property
    def word(self) -> str:
        """What the call flow calls it."""
        return self.said or (self.reason.name.lower() if self.reason else "no reason")
