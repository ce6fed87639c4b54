"""What calls are in words: their directions, states, statuses and ends."""

from ari_app.calls.history import end_reason
from ari_app.calls.outcome import STATUSES, Direction, Status
from ari_app.calls.progress import CallState
from ari_app.sentence import Sentence, say
from ari_app.store.calls import CallRow

DIRECTIONS: dict[Direction, Sentence] = {
    Direction.IN: say("From Telegram"),
    Direction.OUT: say("To Telegram"),
    Direction.BACK: say("Call back"),
}

STATES: dict[CallState, Sentence] = {
    CallState.BEGUN: say("Begins"),
    CallState.RINGING: say("Rings"),
    CallState.ANSWERED: say("Answered, connects"),
    CallState.TALKING: say("Talking"),
    CallState.ENDING: say("Ends"),
    CallState.ENDED: say("Ended"),
}


def ending(row: CallRow) -> Sentence:
    """Why a call ended; nothing for one that has not."""
    reason = end_reason(row)
    return reason.sentence if reason else Sentence("")


def direction(word: str) -> Sentence:
    """A call's direction, as it is kept."""
    return DIRECTIONS[Direction(word)]


def status(word: str | None) -> Sentence:
    """TELEGRAM_STATUS, as it is kept; nothing for a call that goes on."""
    try:
        return STATUSES[Status(word)]
    except ValueError:
        return _as_it_is(word or "")


def _as_it_is(text: str) -> Sentence:
    return Sentence("{text}", {"text": text})
