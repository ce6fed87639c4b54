"""How a call ended, as each side calls it: Telegram's discard reason, the Q.850 cause and TELEGRAM_STATUS.

The causes are chosen by the SIP answer that chan_pjsip makes of them: 17 is 486, 19 and 20 are 480, 1 is 404, 16
is 603, 21 is 403, 28 is 484, 38 is 500, 42 is 503, 58 is 488.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum

from ari_app.asterisk.errors import AriError
from ari_app.asterisk.media_codecs import NoMediaCodec
from ari_app.calls import reasons
from ari_app.calls.reasons import EndReason, Shortage
from ari_app.i18n import Message, message
from ari_app.telegram import errors as telegram
from ari_app.telegram.lists import Denied, ListRefusal, Rule
from ari_app.telegram.peers import MalformedDestination
from ari_app.telegram.phone import Discarded, DiscardReason
from media.types import MediaError


class Direction(Enum):
    """Seen from the PBX; BACK: the PBX's side was called first, as the person or a program had asked for it."""

    IN = "in"
    OUT = "out"
    BACK = "back"


class Status(Enum):
    """TELEGRAM_STATUS in the dialplan."""

    ANSWER = "ANSWER"
    BUSY = "BUSY"
    NOANSWER = "NOANSWER"
    UNAVAILABLE = "UNAVAILABLE"
    NOTFOUND = "NOTFOUND"
    RESTRICTED = "RESTRICTED"
    LIMITED = "LIMITED"
    CANCEL = "CANCEL"
    ERROR = "ERROR"


STATUSES: dict[Status, Message] = {
    Status.ANSWER: message("Answered"),
    Status.BUSY: message("Busy"),
    Status.NOANSWER: message("No answer"),
    Status.UNAVAILABLE: message("Unavailable"),
    Status.NOTFOUND: message("Not found"),
    Status.RESTRICTED: message("Not allowed"),
    Status.LIMITED: message("Limited"),
    Status.CANCEL: message("Cancelled"),
    Status.ERROR: message("Failed"),
}


class Cause(IntEnum):
    """Q.850 causes (ITU-T Q.850, as Asterisk's causes.h names them)."""

    UNALLOCATED = 1
    NORMAL_CLEARING = 16
    USER_BUSY = 17
    NO_USER_RESPONSE = 18
    NO_ANSWER = 19
    SUBSCRIBER_ABSENT = 20
    CALL_REJECTED = 21
    ANSWERED_ELSEWHERE = 26
    INVALID_NUMBER_FORMAT = 28
    NETWORK_OUT_OF_ORDER = 38
    TEMPORARY_FAILURE = 41
    SWITCH_CONGESTION = 42
    BEARER_CAPABILITY_NOT_AVAILABLE = 58


@dataclass(frozen=True)
class Ending:
    """Why a call is over: for the dialplan, for the SIP side, for Telegram, and for people."""

    status: Status
    cause: int
    discard: DiscardReason
    reason: EndReason

    @property
    def detail(self) -> str:
        """The reason in English, for the log."""
        return str(self.reason)


STATUS_AND_CAUSE: dict[type[Exception], tuple[Status, Cause]] = {
    MalformedDestination: (Status.NOTFOUND, Cause.INVALID_NUMBER_FORMAT),
    telegram.NotFound: (Status.NOTFOUND, Cause.UNALLOCATED),
    telegram.Restricted: (Status.RESTRICTED, Cause.CALL_REJECTED),
    telegram.Frozen: (Status.RESTRICTED, Cause.CALL_REJECTED),  # of the line's own account
    telegram.Limited: (Status.LIMITED, Cause.SWITCH_CONGESTION),
    telegram.Unavailable: (Status.UNAVAILABLE, Cause.SUBSCRIBER_ABSENT),
    telegram.NotReady: (Status.UNAVAILABLE, Cause.NETWORK_OUT_OF_ORDER),
    telegram.SignedOut: (Status.UNAVAILABLE, Cause.NETWORK_OUT_OF_ORDER),
    telegram.Busy: (Status.BUSY, Cause.USER_BUSY),
    telegram.TelegramError: (Status.ERROR, Cause.NETWORK_OUT_OF_ORDER),
    MediaError: (Status.ERROR, Cause.NETWORK_OUT_OF_ORDER),
    NoMediaCodec: (Status.ERROR, Cause.BEARER_CAPABILITY_NOT_AVAILABLE),
    AriError: (Status.ERROR, Cause.NETWORK_OUT_OF_ORDER),
}


def failed(error: BaseException) -> Ending:
    """What an exception that ends a call means for both sides."""
    for kind, (status, cause) in STATUS_AND_CAUSE.items():
        if isinstance(error, kind):
            return Ending(status, cause, DiscardReason.DISCONNECT, _reason(error))
    said = reasons.Failed(f"{type(error).__name__}: {error}")
    return Ending(Status.ERROR, Cause.NETWORK_OUT_OF_ORDER, DiscardReason.DISCONNECT, said)


def _reason(error: BaseException) -> EndReason:
    match error:
        case Denied(refusal=refusal) if refusal:
            return _on_lists(refusal)
        case telegram.IncompatibleVersions():
            return reasons.IncompatibleApp(error.theirs, error.ours)
        case NoMediaCodec():
            return reasons.NoCodec()
    return reasons.Failed(str(error))


def shut_down(talking: bool) -> Ending:
    """Astergram itself stops."""
    return Ending(
        Status.ANSWER if talking else Status.ERROR,
        Cause.NORMAL_CLEARING if talking else Cause.TEMPORARY_FAILURE,
        DiscardReason.HANGUP if talking else DiscardReason.DISCONNECT,
        reasons.Stopped(),
    )


def left_to_machine() -> Ending:
    """Astergram itself stops, and another machine of the cluster takes the call, which rings on for the caller."""
    return Ending(Status.CANCEL, Cause.ANSWERED_ELSEWHERE, DiscardReason.HANGUP, reasons.LeftToMachine())


def not_resumed(why: str, talking: bool) -> Ending:
    """An earlier run of Astergram has left the call, and this one can't go on with it."""
    status = Status.ANSWER if talking else Status.ERROR
    return Ending(status, Cause.TEMPORARY_FAILURE, DiscardReason.DISCONNECT, reasons.NotResumed(why))


def left_before_talking() -> Ending:
    """An earlier run of Astergram has left the call before its parties could talk."""
    return Ending(Status.ERROR, Cause.TEMPORARY_FAILURE, DiscardReason.DISCONNECT, reasons.Crashed())


def pbx_hung_up_meanwhile() -> Ending:
    """The PBX's side of a call was hung up while no Astergram was there to see it."""
    return Ending(Status.ANSWER, Cause.NORMAL_CLEARING, DiscardReason.HANGUP, reasons.EndedByPbxMeanwhile())


def audio_lost(detail: str, talking: bool) -> Ending:
    """The audio went away: Telegram's path, the media process, or Asterisk's external media channel."""
    status = Status.ANSWER if talking else Status.ERROR
    return Ending(status, Cause.NETWORK_OUT_OF_ORDER, DiscardReason.DISCONNECT, reasons.AudioLost(detail))


def not_translated(codec: str, talking: bool) -> Ending:
    """Asterisk has no way from the PBX party's codec to that of the media channel."""
    status = Status.ANSWER if talking else Status.ERROR
    cause = Cause.BEARER_CAPABILITY_NOT_AVAILABLE
    return Ending(status, cause, DiscardReason.DISCONNECT, reasons.NotTranslated(codec))


def asterisk_away(seconds: float, talking: bool) -> Ending:
    """Asterisk is not there any more: nobody can hear the person, and its side can't be told."""
    status = Status.ANSWER if talking else Status.ERROR
    return Ending(status, Cause.NETWORK_OUT_OF_ORDER, DiscardReason.DISCONNECT, reasons.AsteriskAway(seconds))


def no_media(seconds: float) -> Ending:
    """Both sides agreed to talk and no audio path came up."""
    return Ending(Status.ERROR, Cause.NETWORK_OUT_OF_ORDER, DiscardReason.DISCONNECT, reasons.NoMedia(seconds))


REDIALLED = Ending(Status.ERROR, Cause.NETWORK_OUT_OF_ORDER, DiscardReason.DISCONNECT, reasons.Redialled())


def not_answered(seconds: float) -> Ending:
    """An outgoing call rang for as long as it may."""
    return Ending(Status.NOANSWER, Cause.NO_ANSWER, DiscardReason.MISSED, reasons.NotAnswered(seconds))


def by_administrator(direction: Direction, talking: bool) -> Ending:
    """An administrator ended the call."""
    reason = reasons.EndedByAdministrator()
    if talking:
        return Ending(Status.ANSWER, Cause.NORMAL_CLEARING, DiscardReason.HANGUP, reason)
    if direction is Direction.IN:
        return Ending(Status.BUSY, Cause.USER_BUSY, DiscardReason.BUSY, reason)
    return Ending(Status.CANCEL, Cause.NORMAL_CLEARING, DiscardReason.MISSED, reason)


def session_ended(direction: Direction, talking: bool) -> Ending:
    """Telegram has ended the session that the call belongs to."""
    status = Status.ANSWER if talking else Status.UNAVAILABLE
    return Ending(status, Cause.NETWORK_OUT_OF_ORDER, DiscardReason.DISCONNECT, reasons.SessionEnded())


RULES: dict[Rule, Callable[[str], EndReason]] = {
    Rule.DENY: reasons.OnDenyList,
    Rule.ALLOW: reasons.NotOnAllowList,
    Rule.ONLY_CONTACTS: reasons.NotAContact,
}


def denied(refusal: ListRefusal) -> Ending:
    """The line's lists refuse the person."""
    return Ending(Status.RESTRICTED, Cause.CALL_REJECTED, DiscardReason.BUSY, _on_lists(refusal))


def _on_lists(refusal: ListRefusal) -> EndReason:
    return RULES[refusal.rule](refusal.person)


def line_full(calls: int) -> Ending:
    """The line has no room for one more call."""
    return Ending(Status.BUSY, Cause.USER_BUSY, DiscardReason.BUSY, reasons.LineBusy(calls))


def no_room(shortage: Shortage) -> Ending:
    """There is no room for one more call, through whichever line: a dialplan may fail over at once."""
    return Ending(Status.LIMITED, Cause.SWITCH_CONGESTION, DiscardReason.BUSY, shortage)


# Before the answer. Telegram says Busy for a decline too; a plain hang-up of the callee is a refusal as well.
REFUSALS: dict[DiscardReason | None, tuple[Status, Cause]] = {
    DiscardReason.BUSY: (Status.BUSY, Cause.USER_BUSY),
    DiscardReason.HANGUP: (Status.BUSY, Cause.NORMAL_CLEARING),
    DiscardReason.MISSED: (Status.NOANSWER, Cause.NO_ANSWER),
    DiscardReason.DISCONNECT: (Status.UNAVAILABLE, Cause.SUBSCRIBER_ABSENT),
    None: (Status.NOANSWER, Cause.NO_ANSWER),
}


def telegram_ended(discarded: Discarded, direction: Direction, talking: bool) -> Ending:
    """The person, or Telegram, ended the call."""
    reason = discarded.reason
    word = discarded.word
    if talking or discarded.moved:  # who has moved on must not be called once more
        lost = reason is DiscardReason.DISCONNECT
        cause = Cause.NETWORK_OUT_OF_ORDER if lost else Cause.NORMAL_CLEARING
        counted_s = discarded.counted_s
        return Ending(Status.ANSWER, cause, DiscardReason.HANGUP, reasons.EndedOnTelegram(word, counted_s))
    if direction is not Direction.IN:
        status, cause = REFUSALS[reason]
        return Ending(status, cause, DiscardReason.HANGUP, reasons.NotTaken(word))
    if reason is None:
        return Ending(Status.CANCEL, Cause.ANSWERED_ELSEWHERE, DiscardReason.HANGUP, reasons.AnsweredElsewhere())
    gave_up = reasons.OfferExpired(discarded.expired_s) if discarded.expired_s else reasons.CallerGaveUp(word)
    return Ending(Status.CANCEL, Cause.NORMAL_CLEARING, DiscardReason.HANGUP, gave_up)


# What the caller on Telegram is told when the dialplan does not answer.
MISSED_CAUSES = {Cause.NO_USER_RESPONSE, Cause.NO_ANSWER, Cause.SUBSCRIBER_ABSENT}
FAILED_CAUSES = {27, 34, 38, 41, 42, 44, 47, 58}


def asterisk_ended(cause: int, direction: Direction, talking: bool) -> Ending:
    """The PBX's side ended the call with a Q.850 cause; 0, where Asterisk tells none, is a phone's plain BYE."""
    cause = cause or Cause.NORMAL_CLEARING.value
    reason = reasons.EndedByPbx(cause)
    if talking:
        return Ending(Status.ANSWER, cause, DiscardReason.HANGUP, reason)
    if direction is not Direction.IN:
        return Ending(Status.CANCEL, cause, DiscardReason.MISSED, reasons.PbxCallerGaveUp(cause))
    if cause in MISSED_CAUSES:
        return Ending(Status.NOANSWER, cause, DiscardReason.MISSED, reason)
    if cause in FAILED_CAUSES:
        return Ending(Status.ERROR, cause, DiscardReason.DISCONNECT, reason)
    return Ending(Status.BUSY, cause, DiscardReason.BUSY, reason)
