"""What calls are in words: their directions, states, statuses and ends."""

from ari_app.calls.outcome import STATUSES, Direction, Status
from ari_app.calls.progress import CallState
from ari_app.i18n import Message, message
from ari_app.reports.history import end_reason
from ari_app.store.calls import CallRow

DIRECTIONS: dict[Direction, Message] = {
    Direction.IN: message("Inbound"),
    Direction.OUT: message("Outbound"),
    Direction.BACK: message("Call back"),
}

STATES: dict[CallState, Message] = {
    CallState.BEGUN: message("Begins"),
    CallState.RINGING: message("Rings"),
    CallState.ANSWERED: message("Answered, connects"),
    CallState.TALKING: message("Talking"),
    CallState.ENDING: message("Ends"),
    CallState.ENDED: message("Ended"),
}


def ending(row: CallRow) -> Message:
    """Why a call ended; nothing for one that has not."""
    reason = end_reason(row)
    return reason.sentence if reason else Message("")


def direction(word: str) -> Message | str:
    """A call's direction, as it is kept, or as another machine says it, which may be of another version."""
    try:
        return DIRECTIONS[Direction(word)]
    except ValueError:
        return word


def state(word: str) -> Message | str:
    """How far a call is, as another machine says it, which may be of another version."""
    try:
        return STATES[CallState(word)]
    except ValueError:
        return word


def status(word: str | None) -> Message:
    """TELEGRAM_STATUS, as it is kept; nothing for a call that goes on."""
    try:
        return STATUSES[Status(word)]
    except ValueError:
        return _as_it_is(word or "")


def _as_it_is(text: str) -> Message:
    return Message("{text}", {"text": text})
