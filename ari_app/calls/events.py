"""What happens to a call, as types with fields: the page, the log, the history and whatever reports calls read them.

An event says on which side it happened and which way it went, seen from Astergram, and has its words for people.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar, Self

from ari_app.calls.facts import Fact
from ari_app.calls.outcome import STATUSES, Direction, Ending, Status
from ari_app.calls.reasons import EndReason
from ari_app.i18n import Message, message


class Side(Enum):
    """Where an event happened."""

    TELEGRAM = "telegram"
    ASTERGRAM = "astergram"
    ASTERISK = "asterisk"


class Way(Enum):
    """Between Astergram and that side; CALLED: it comes from whichever side is called, or goes to who calls."""

    NONE = ""
    TO = "to"
    FROM = "from"
    CALLED = "called"

    def of(self, direction: Direction) -> "Way":
        """In a call of this direction: NONE, TO or FROM."""
        if self is Way.CALLED:
            return Way.TO if direction is Direction.IN else Way.FROM
        return self


class CallEvent(Fact):
    """Something that happened to a call."""

    side: ClassVar[Side]
    way: ClassVar[Way] = Way.NONE


@dataclass(frozen=True)
class TimedEvent:
    """An event, and when: seconds since the call began."""

    at_s: float
    event: CallEvent

    def __str__(self) -> str:
        return f"{self.at_s:8.3f} s  {self.event.side.value:<9} {self.event}"

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {"at_s": round(self.at_s, 3)} | self.event.as_data()

    @cached_property
    def json(self) -> bytes:
        """`as_data`, encoded once: whenever a call has one more event, the journal writes all that it has."""
        return json.dumps(self.as_data(), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Self:
        """What `as_data` made; an event of a later version is shown by its type."""
        try:
            event = CallEvent.of_data(data)
        except ValueError:
            event = Note(Side.ASTERGRAM.value, str(data.get("type")))
        return cls(float(data["at_s"]), event)


# A call begins


@dataclass(frozen=True)
class CallOffered(CallEvent):
    """A caller on Telegram calls the line (phoneCallRequested)."""

    caller: str
    side: ClassVar = Side.TELEGRAM
    way: ClassVar = Way.FROM
    template: ClassVar = message("{caller} calls")


@dataclass(frozen=True)
class Dialled(CallEvent):
    """A channel of the dialplan asks for a call; ``caller`` is its caller id, or empty."""

    caller: str
    destination: str
    side: ClassVar = Side.ASTERISK
    way: ClassVar = Way.FROM
    template: ClassVar = message("{caller} dials {destination}")
    _unknown: ClassVar = message("Somebody dials {destination}")

    def _wording(self) -> Message:
        return self.template if self.caller else self._unknown


@dataclass(frozen=True)
class CallBackRequested(CallEvent):
    """A person pressed the button of their card."""

    person: str
    side: ClassVar = Side.TELEGRAM
    way: ClassVar = Way.FROM
    template: ClassVar = message("{person} is to be called back")


@dataclass(frozen=True)
class ClickToCall(CallEvent):
    """An administrator or a program has somebody called; the PBX's side rings first."""

    destination: str
    side: ClassVar = Side.ASTERGRAM
    template: ClassVar = message("A call to {destination} was requested")


# Two parties get to talk


@dataclass(frozen=True)
class CalleeFound(CallEvent):
    """Telegram knows who was dialled, and the line may call them."""

    person: str
    line: str
    side: ClassVar = Side.TELEGRAM
    way: ClassVar = Way.TO
    template: ClassVar = message("Found {person}, calls through {line}")


@dataclass(frozen=True)
class CalleeOutdated(CallEvent):
    """Who was found earlier is not there any more; Telegram is asked again."""

    side: ClassVar = Side.TELEGRAM
    way: ClassVar = Way.TO
    template: ClassVar = message("The cached contact is out of date: looked up again")


@dataclass(frozen=True)
class LineRefused(CallEvent):
    """One line of the route can't place the call; the next one is tried."""

    reason: EndReason
    side: ClassVar = Side.TELEGRAM
    template: ClassVar = Message("{reason}")


@dataclass(frozen=True)
class CallRequested(CallEvent):
    """phone.requestCall was taken."""

    side: ClassVar = Side.TELEGRAM
    way: ClassVar = Way.TO
    template: ClassVar = message("Call requested")


@dataclass(frozen=True)
class TelegramRinging(CallEvent):
    """The callee's app rings, or the caller's app was told that it rings here."""

    side: ClassVar = Side.TELEGRAM
    way: ClassVar = Way.CALLED
    template: ClassVar = message("Ringing")


@dataclass(frozen=True)
class PbxRinging(CallEvent):
    """The dialplan was called; without a context, an endpoint (PJSIP/101)."""

    extension: str
    context: str
    side: ClassVar = Side.ASTERISK
    way: ClassVar = Way.TO
    template: ClassVar = message("Ringing {extension}@{context}")
    _endpoint: ClassVar = message("Ringing {extension}")

    def _wording(self) -> Message:
        return self.template if self.context else self._endpoint


@dataclass(frozen=True)
class PbxAnswered(CallEvent):
    """The dialplan, or the endpoint, which was called, has answered."""

    extension: str
    context: str
    side: ClassVar = Side.ASTERISK
    way: ClassVar = Way.FROM
    template: ClassVar = message("The dialplan answered")
    _endpoint: ClassVar = message("{extension} answered")

    def _wording(self) -> Message:
        return self.template if self.context or not self.extension else self._endpoint


@dataclass(frozen=True)
class TelegramAnswered(CallEvent):
    """The Telegram call is accepted, by us or by the callee, and its key agreed."""

    side: ClassVar = Side.TELEGRAM
    way: ClassVar = Way.CALLED
    template: ClassVar = message("Accepted, key agreed")


@dataclass(frozen=True)
class Bridged(CallEvent):
    """The PBX's channel and the media channel are in one bridge."""

    transport: str
    from_asterisk: str = ""
    to_asterisk: str = ""
    side: ClassVar = Side.ASTERISK
    way: ClassVar = Way.TO
    template: ClassVar = message("Added to the bridge, audio over {transport}")
    _codecs: ClassVar = message(
        "Added to the bridge, audio over {transport}: {from_asterisk} from Asterisk, {to_asterisk} to it"
    )

    def _wording(self) -> Message:
        return self._codecs if self.from_asterisk else self.template


@dataclass(frozen=True)
class MediaConnected(CallEvent):
    """Telegram's audio path is up."""

    side: ClassVar = Side.ASTERGRAM
    template: ClassVar = message("Telegram media connected")


@dataclass(frozen=True)
class MediaTimedOut(CallEvent):
    """Telegram's audio path did not come up."""

    seconds: float
    side: ClassVar = Side.ASTERGRAM
    template: ClassVar = message("Telegram media did not connect within {seconds} s.")


@dataclass(frozen=True)
class Connected(CallEvent):
    """Both parties can hear each other."""

    side: ClassVar = Side.ASTERGRAM
    template: ClassVar = message("Two-way audio")


# They talk


@dataclass(frozen=True)
class KeypadShown(CallEvent):
    """In the caller's chat."""

    side: ClassVar = Side.TELEGRAM
    way: ClassVar = Way.TO
    template: ClassVar = message("Keypad shown")


@dataclass(frozen=True)
class KeypadHintSent(CallEvent):
    """In place of a keypad, how to write the extension."""

    side: ClassVar = Side.TELEGRAM
    way: ClassVar = Way.TO
    template: ClassVar = message("Keypad not shown; a hint was sent")


@dataclass(frozen=True)
class KeypadHidden(CallEvent):
    """It is gone from the chat."""

    side: ClassVar = Side.TELEGRAM
    way: ClassVar = Way.TO
    template: ClassVar = message("Keypad hidden")


@dataclass(frozen=True)
class DigitsDialled(CallEvent):
    """So many digits went to the PBX as DTMF, without a pause between them; which ones is told nowhere."""

    count: int
    side: ClassVar = Side.TELEGRAM
    way: ClassVar = Way.FROM
    template: ClassVar = message("Digits dialled: {count}")
    _one: ClassVar = message("A digit was dialled")

    def _wording(self) -> Message:
        return self._one if self.count == 1 else self.template


@dataclass(frozen=True)
class DigitsLost(CallEvent):
    """Asterisk did not take so many digits."""

    count: int
    error: str
    side: ClassVar = Side.TELEGRAM
    way: ClassVar = Way.FROM
    template: ClassVar = message("Digits lost: {count}, {error}")
    _one: ClassVar = message("A digit was lost: {error}")

    def _wording(self) -> Message:
        return self._one if self.count == 1 else self.template


@dataclass(frozen=True)
class Transferred(CallEvent):
    """Another channel has taken the place of the PBX's."""

    channel: str
    side: ClassVar = Side.ASTERISK
    way: ClassVar = Way.FROM
    template: ClassVar = message("Transferred to {channel}")


@dataclass(frozen=True)
class Resumed(CallEvent):
    """Astergram was started again, and has found all that the call is made of."""

    side: ClassVar = Side.ASTERGRAM
    template: ClassVar = message("Astergram was started again: the call goes on")


@dataclass(frozen=True)
class AsteriskAwayWithAudio(CallEvent):
    """ARI is away, and the call's audio still comes from Asterisk."""

    side: ClassVar = Side.ASTERISK
    template: ClassVar = message("Asterisk is unreachable, but its audio arrives: the call goes on")


@dataclass(frozen=True)
class _Placed(CallEvent):
    """It may happen on any side: ``where`` is the value of it."""

    where: str

    @property
    def side(self) -> Side:  # type: ignore[override]  # the others have one each
        """Where it happened."""
        return Side(self.where)


@dataclass(frozen=True)
class SignallingFailed(_Placed):
    """A message between the media engines was not taken by Telegram, or by ours; the call goes on."""

    error: str
    template: ClassVar = message("Media signalling fails, the call goes on: {error}")


@dataclass(frozen=True)
class SignallingRestored(_Placed):
    """They are taken again."""

    template: ClassVar = message("Media signalling works again")


# It ends


@dataclass(frozen=True)
class CallEnded(CallEvent):
    """It is over: TELEGRAM_STATUS, the Q.850 cause, and why."""

    status: str
    cause: int
    reason: EndReason
    side: ClassVar = Side.ASTERGRAM
    template: ClassVar = message("{status}, cause {cause}: {reason}")

    def __str__(self) -> str:
        return f"{self.status}, cause {self.cause}: {self.reason}"  # a log is searched for the dialplan's own word

    @classmethod
    def of(cls, ending: Ending) -> Self:
        """With a call's ending."""
        return cls(ending.status.value, int(ending.cause), ending.reason)

    def _values(self) -> dict[str, object]:
        return super()._values() | {"status": STATUSES[Status(self.status)]}


@dataclass(frozen=True)
class EventsOmitted(CallEvent):
    """There are more events than are kept."""

    side: ClassVar = Side.ASTERGRAM
    template: ClassVar = message("More events than are recorded here: see the log")


@dataclass(frozen=True)
class Note(_Placed):
    """What is known as a text only: of a call that was kept before events had types, or by a later version."""

    text: str
    template: ClassVar = Message("{text}")
