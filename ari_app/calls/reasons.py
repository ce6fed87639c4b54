"""Why calls end, as types: the page, the log, the history and the dialplan's reports say it in their own words."""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from ari_app.calls.facts import Fact
from ari_app.i18n import Message, message

DISCARDED: dict[str, Message] = {
    "hangup": message("hung up"),
    "busy": message("busy or declined"),
    "missed": message("not answered"),
    "disconnect": message("connection lost"),
    "no reason": message("no reason given"),
    "moved on to a group call": message("it went on as a group call"),
    "before it could be taken": message("before the call could be taken"),
}
"""What Telegram says of a call that it discards (`Discarded.word`); a word that is not here is shown as it is."""


class EndedBy(Enum):
    """Whose doing an end was."""

    TELEGRAM = "Telegram"  # the person's, or Telegram's own
    ASTERISK = "Asterisk"
    ADMINISTRATOR = "Administrator"
    ASTERGRAM = "Astergram"


class EndReason(Fact):
    """Why a call is over."""

    by: ClassVar = EndedBy.ASTERGRAM


class _Discarded(EndReason):
    """Telegram discarded it, and gave a ``reason``."""

    by: ClassVar = EndedBy.TELEGRAM

    def _values(self) -> dict[str, object]:
        values = super()._values()
        return values | {"reason": DISCARDED.get(str(values["reason"]), values["reason"])}


@dataclass(frozen=True)
class Stopped(EndReason):
    """Astergram itself was stopped."""

    template: ClassVar = message("Astergram was stopped.")


@dataclass(frozen=True)
class LeftToMachine(EndReason):
    """Astergram itself was stopped while the call rang, and another machine of the cluster has it."""

    template: ClassVar = message("Astergram was stopped; left to another machine.")


@dataclass(frozen=True)
class Crashed(EndReason):
    """Astergram was killed, and found the call open when it was started again."""

    template: ClassVar = message("The program stopped during the call.")


@dataclass(frozen=True)
class NotResumed(EndReason):
    """Astergram was started again during the call, and could not go on with it."""

    why: str
    template: ClassVar = message("Astergram was started again, and could not go on with the call: {why}")


@dataclass(frozen=True)
class EndedByPbxMeanwhile(EndReason):
    """The PBX's side hung up while Astergram was not running."""

    by: ClassVar = EndedBy.ASTERISK
    template: ClassVar = message("The PBX hung up while Astergram was not running.")


@dataclass(frozen=True)
class AudioLost(EndReason):
    """The audio went away: Telegram's path, the media process, or Asterisk's external media channel."""

    detail: str
    template: ClassVar = message("The audio was lost: {detail}")


@dataclass(frozen=True)
class AsteriskAway(EndReason):
    """Asterisk was away, and no audio came from it."""

    seconds: float
    template: ClassVar = message("Asterisk was unreachable for {seconds} s.")


@dataclass(frozen=True)
class NoMedia(EndReason):
    """Both sides agreed to talk, and no audio path came up."""

    seconds: float
    template: ClassVar = message("Telegram media did not connect within {seconds} s.")


@dataclass(frozen=True)
class Redialled(EndReason):
    """An attempt came to nothing, and is repeated."""

    template: ClassVar = message("Accepted, but there was no audio: redialled.")


@dataclass(frozen=True)
class NotAnswered(EndReason):
    """It rang for as long as it may."""

    seconds: float
    template: ClassVar = message("No answer within {seconds} s.")


@dataclass(frozen=True)
class EndedByAdministrator(EndReason):
    """By the page, the API or the command line."""

    by: ClassVar = EndedBy.ADMINISTRATOR
    template: ClassVar = message("Ended by the administrator.")


@dataclass(frozen=True)
class SessionEnded(EndReason):
    """Telegram has ended the session that the call belonged to."""

    by: ClassVar = EndedBy.TELEGRAM
    template: ClassVar = message("The line's session on Telegram has ended.")


@dataclass(frozen=True)
class LineBusy(EndReason):
    """The line had as many calls as it may."""

    calls: int
    template: ClassVar = message("The line has reached its limit of calls: {calls}.")


class Shortage(EndReason):
    """There was no room for one more call; ``remedy`` says what to do."""

    remedy: ClassVar[Message]


@dataclass(frozen=True)
class TooManyCalls(Shortage):
    """All lines together had as many calls as they may."""

    most: int
    template: ClassVar = message("Astergram has reached its limit of calls: {most}.")
    remedy: ClassVar = message("Raise max_calls in [calls] of the configuration file, if the machine can carry more.")


@dataclass(frozen=True)
class Draining(Shortage):
    """An administrator has stopped new calls."""

    by: ClassVar = EndedBy.ADMINISTRATOR
    template: ClassVar = message("Astergram takes no new calls: it is being drained.")
    remedy: ClassVar = message("`astergram drain --cancel`, or the button on the overview, takes calls again.")


@dataclass(frozen=True)
class PortsShort(Shortage):
    """Asterisk has RTP ports for so many ``calls``, and no more."""

    calls: int
    template: ClassVar = message("Asterisk has no RTP ports for one more call, but for so many: {calls}.")
    remedy: ClassVar = message("Widen rtpstart to rtpend in rtp.conf: other calls of Asterisk's need ports, too.")


@dataclass(frozen=True)
class CpuShort(Shortage):
    """With one more call, more than ``limit`` percent of all processors would be in use: ``percent``."""

    percent: int
    limit: int
    template: ClassVar = message(
        "The processors have no room for one more call: {percent} % would be in use, and {limit} % may be."
    )
    remedy: ClassVar = message(
        "Have other programs on the machine do less, give it more processors, or raise cpu_percent in [calls] of the "
        "configuration file."
    )


@dataclass(frozen=True)
class AudioLate(Shortage):
    """Of the ticks of all calls, ``percent`` came late."""

    percent: float
    template: ClassVar = message("The machine is too busy for one more call. Audio that comes late: {percent} %.")
    remedy: ClassVar = message(
        "Have other programs on the machine do less, give it more processors, or lower cpu_percent in [calls] of the "
        "configuration file, so that calls are refused before their audio comes late."
    )


@dataclass(frozen=True)
class MemoryShort(Shortage):
    """Only ``free_mb`` are left for all that the machine does."""

    free_mb: int
    template: ClassVar = message("There is not enough memory for one more call: {free_mb} MB are free.")
    remedy: ClassVar = message("Give the machine more memory, or have other programs use less of it.")


@dataclass(frozen=True)
class EndedOnTelegram(_Discarded):
    """The other party hung up after talking; ``seconds`` is Telegram's own count of the talk, where it told one."""

    reason: str
    seconds: int | None = None
    template: ClassVar = message("Ended on Telegram: {reason}.")
    _counted: ClassVar = message("Ended on Telegram: {reason}. By Telegram's count they talked for {seconds} s.")

    def _wording(self) -> Message:
        return self.template if self.seconds is None else self._counted


@dataclass(frozen=True)
class NotTaken(_Discarded):
    """The callee declined, was busy, or did not answer."""

    reason: str
    template: ClassVar = message("Not answered on Telegram: {reason}.")


@dataclass(frozen=True)
class AnsweredElsewhere(EndReason):
    """Another device of the line's account has taken it."""

    by: ClassVar = EndedBy.TELEGRAM
    template: ClassVar = message("Answered on another device of the line.")


@dataclass(frozen=True)
class CallerGaveUp(_Discarded):
    """The caller on Telegram hung up before the answer."""

    reason: str
    template: ClassVar = message("The caller on Telegram hung up before the answer: {reason}.")


@dataclass(frozen=True)
class OfferExpired(EndReason):
    """Nobody took the call in time, and Telegram did not end it."""

    seconds: float
    template: ClassVar = message("The call was not taken within {seconds} s, and Telegram did not end it.")


@dataclass(frozen=True)
class PbxCallerGaveUp(EndReason):
    """The phone that dialled hung up before the answer."""

    cause: int
    by: ClassVar = EndedBy.ASTERISK
    template: ClassVar = message("The caller in the PBX hung up before the answer (cause {cause}).")


@dataclass(frozen=True)
class EndedByPbx(EndReason):
    """The PBX's side hung up, or refused the call."""

    cause: int
    by: ClassVar = EndedBy.ASTERISK
    template: ClassVar = message("Ended by the PBX (cause {cause}).")


@dataclass(frozen=True)
class OnDenyList(EndReason):
    """The line's ``deny`` has them."""

    person: str
    template: ClassVar = message("{person} is in the line's deny list.")


@dataclass(frozen=True)
class NotOnAllowList(EndReason):
    """The line's ``allow`` does not have them."""

    person: str
    template: ClassVar = message("{person} is not in the line's allow list.")


@dataclass(frozen=True)
class NotAContact(EndReason):
    """The line has ``only_contacts``."""

    person: str
    template: ClassVar = message(
        "{person} is no contact of the line's, which takes and makes calls with its contacts only."
    )


@dataclass(frozen=True)
class IncompatibleApp(EndReason):
    """No version of Telegram's calls (library_versions) is common to both sides."""

    theirs: str
    ours: str
    template: ClassVar = message(
        "The Telegram app of the person can't talk to Astergram: it has versions {theirs} of Telegram's calls, "
        "Astergram {ours}. Ask them to update it."
    )


@dataclass(frozen=True)
class NoCodec(EndReason):
    """Asterisk can translate none of the codecs that Astergram has."""

    template: ClassVar = message("Asterisk has no codec for the audio: run diagnostics.")


@dataclass(frozen=True)
class NotTranslated(EndReason):
    """Asterisk has put the media channel out of the bridge."""

    codec: str
    template: ClassVar = message(
        "Asterisk can't translate between {codec} and the phone's codec: load an Opus codec, or give the phone another."
    )


@dataclass(frozen=True)
class Failed(EndReason):
    """Something went wrong; in the words of whatever said it."""

    error: str
    template: ClassVar = Message("{error}")
