"""What programs are told by AMI, as types with fields: docs/events.md is made of them.

An event is `Event: UserEvent` with `UserEvent: <its name>` and its fields as headers; a field without a value is there,
and empty. https://docs.asterisk.org/Latest_API/API_Documentation/AMI_Actions/UserEvent/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import Field, dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar

from ari_app.calls.drain import DrainState
from ari_app.calls.progress import CallState
from ari_app.calls.reasons import EndedBy
from ari_app.telegram.profile import CardReason

LONGEST_LINE = 1000
"""Bytes of one header: Asterisk refuses a longer line of AMI (1024, measured on 16.28 and 22.10)."""
CUT = "…"


def header(name: str, about: str, example: str = "", default: Any = "") -> Any:
    """A field of an event: its header's name, what it holds, and an example."""
    return field(default=default, metadata={"header": name, "about": about, "example": example})


def _one_of(values: Iterable[Enum]) -> str:
    """What a header may be, for its description."""
    *first, last = (each.value for each in values)
    return f"{', '.join(first)} or {last}"


@dataclass(frozen=True, kw_only=True)
class ReportedEvent:
    """What every event has; ``event`` is its UserEvent."""

    event: ClassVar[str] = ""
    event_time: float = header("EventTime", "When it happened: Unix time, s", "1790000000.123", 0.0)

    def headers(self) -> dict[str, str]:
        """As they go over AMI: each on one line that Asterisk takes."""
        return {name: _on_one_line(name, getattr(self, each.name)) for name, each in headers_of(type(self))}


@dataclass(frozen=True, kw_only=True)
class _Somebody(ReportedEvent):
    """An event about a person on Telegram and one of the lines."""

    line: str = header("Line", "The line's number; empty where a call found none", "+79990000001")
    telegram_id: int | None = header("TelegramID", "The person's Telegram id, once it is known", "5000000002", None)
    phone: str = header("Phone", "Their phone number, where their privacy shows it", "+79990000002")
    username: str = header("Username", "Their username", "anna")
    name: str = header("Name", "Their name, as a phone's display shows it", "Anna Petrova")


@dataclass(frozen=True, kw_only=True)
class ReportedCallEvent(_Somebody):
    """An event of a call."""

    call_id: str = header("CallID", "The call; TELEGRAM_CALL in the dialplan", "3f2a9c71d0b4")
    direction: str = header("Direction", "in; out; or back: the PBX's side is called first", "in")
    pbx_party: str = header("PbxParty", "Who in the PBX: a phone's number, or the extension that is called", "101")
    channel: str = header("Channel", "The PBX's channel, once there is one", "Local/79990000001@pbx-0000;2")
    uniqueid: str = header("Uniqueid", "That channel's", "astergram-telegram-9b1c-far")
    linkedid: str = header("Linkedid", "That channel's; AMI's other events of the call have it", "1790000000.7")


@dataclass(frozen=True, kw_only=True)
class TelegramCallOffered(ReportedCallEvent):
    """A call begins: a person calls a line, the dialplan calls a person, or somebody is to be called back."""

    event: ClassVar = "TelegramCallOffered"
    destination: str = header("Destination", "What was dialled; of an incoming call, empty", "@anna")


@dataclass(frozen=True, kw_only=True)
class TelegramCallRinging(ReportedCallEvent):
    """The side that is called rings: of a call back first the PBX, then Telegram. A redialled call rings again."""

    event: ClassVar = "TelegramCallRinging"
    side: str = header("Side", "Where it rings: Telegram or Asterisk", "Asterisk")


@dataclass(frozen=True, kw_only=True)
class TelegramCallAnswered(ReportedCallEvent):
    """Both parties hear each other."""

    event: ClassVar = "TelegramCallAnswered"
    setup_ms: int | None = header("SetupMs", "From the offer until then, ms", "5320", None)


@dataclass(frozen=True, kw_only=True)
class TelegramCallTransferred(ReportedCallEvent):
    """Another channel has taken the place of the PBX's; Channel, Uniqueid and Linkedid are those of the new one."""

    event: ClassVar = "TelegramCallTransferred"


@dataclass(frozen=True, kw_only=True)
class TelegramCallEnded(ReportedCallEvent):
    """A call is over, and both sides were told."""

    event: ClassVar = "TelegramCallEnded"
    status: str = header("Status", "TELEGRAM_STATUS: ANSWER, BUSY, NOANSWER...", "ANSWER")
    cause: int = header("Cause", "Q.850 cause", "16", 0)
    ended_by: str = header("EndedBy", _one_of(EndedBy), "Telegram")
    reason: str = header("Reason", "Why, in a sentence", "Ended on Telegram: hung up.")
    setup_ms: int | None = header("SetupMs", "From the offer until both heard each other, ms", "5320", None)
    duration: float = header("Duration", "How long they talked, s", "62.418", 0.0)
    jitter_ms: float | None = header(
        "JitterMs", "The most jitter of the audio from Asterisk (RFC 3550), ms", "1.200", None
    )
    lost: int | None = header("Lost", "Packets from Asterisk that came too late or never", "0", None)
    concealed_ms: int | None = header(
        "ConcealedMs", "Sound towards Telegram that was guessed in their place, ms", "0", None
    )


@dataclass(frozen=True, kw_only=True)
class TelegramCallStatus(ReportedCallEvent):
    """A call that is not over, in answer to TelegramStatus."""

    event: ClassVar = "TelegramCallStatus"
    state: str = header("State", _one_of(each for each in CallState if each is not CallState.ENDED), "talking")
    began_at: float = header("BeganAt", "When it began: Unix time, s", "1790000000.123", 0.0)
    duration: float = header("Duration", "How long they have talked, s", "12.000", 0.0)
    action_id: str = header("ActionID", "Of the question", "42")


@dataclass(frozen=True, kw_only=True)
class TelegramKeypad(ReportedCallEvent):
    """Digits were dialled on the keypad or in the chat, or the keypad came or went. Which digits is told nowhere."""

    event: ClassVar = "TelegramKeypad"
    keypad: str = header("Keypad", "Shown, Hidden, Dialled or Lost (Asterisk did not take them)", "Dialled")
    count: int = header("Count", "How many digits", "3", 0)


@dataclass(frozen=True, kw_only=True)
class TelegramCallbackRequested(ReportedCallEvent):
    """A person has pressed the button of their business card."""

    event: ClassVar = "TelegramCallbackRequested"


@dataclass(frozen=True, kw_only=True)
class TelegramCallbackEnded(ReportedCallEvent):
    """A call back is over."""

    event: ClassVar = "TelegramCallbackEnded"
    status: str = header("Status", "TELEGRAM_STATUS; ANSWER if they have talked", "NOANSWER")


@dataclass(frozen=True, kw_only=True)
class TelegramCardSent(_Somebody):
    """A person was sent the business card."""

    event: ClassVar = "TelegramCardSent"
    reason: str = header("Reason", f"What for: {_one_of(CardReason)} (by a program or the dialplan)", "no_answer")


@dataclass(frozen=True, kw_only=True)
class TelegramMessage(_Somebody):
    """A person has written to a line what was not dialled."""

    event: ClassVar = "TelegramMessage"
    text: str = header(
        "Text", "Only where message_text is on; by AMI, line breaks are spaces", "Call me tomorrow, please"
    )


@dataclass(frozen=True, kw_only=True)
class TelegramStarted(ReportedEvent):
    """Astergram has started. If an earlier run was killed, calls in which both sides talk go on, and are reported on as
    if nothing had been; of each other one comes a TelegramCallEnded, before or after, with Status ERROR and EndedBy
    Astergram. A call that had just ended may be among them.
    """

    event: ClassVar = "TelegramStarted"
    version: str = header("Version", "Astergram's", "0.2.0")


@dataclass(frozen=True, kw_only=True)
class TelegramLineStatus(ReportedEvent):
    """The three status lights of a line: all of them whenever one has changed, and in answer to TelegramStatus."""

    event: ClassVar = "TelegramLineStatus"
    line: str = header("Line", "The line's number", "+79990000001")
    name: str = header("Name", "The line's name", "Sales")
    calls: int = header("Calls", "How many it has now", "1", 0)
    max_calls: int = header("MaxCalls", "How many it may have", "2", 0)
    asterisk: str = header("Asterisk", "green, orange (waits), red (needs somebody) or grey (off)", "green")
    asterisk_reason: str = header("AsteriskReason", "Why, in a sentence", "Connected to Asterisk.")
    account: str = header("Account", "The Telegram account's, likewise", "green")
    account_reason: str = header("AccountReason", "Why", "Connected to Telegram.")
    bot: str = header("Bot", "The bot's, likewise", "grey")
    bot_reason: str = header("BotReason", "Why", "There is no bot.")
    action_id: str = header("ActionID", "Of the question, if it answers one", "42")


@dataclass(frozen=True, kw_only=True)
class TelegramLineRemoved(ReportedEvent):
    """A line is at work no more: removed, or stopped by an administrator."""

    event: ClassVar = "TelegramLineRemoved"
    line: str = header("Line", "The line's number", "+79990000001")


@dataclass(frozen=True, kw_only=True)
class TelegramPause(ReportedEvent):
    """Telegram limits a line: requests of one kind are not made for a time. Or that time is over."""

    event: ClassVar = "TelegramPause"
    line: str = header("Line", "The line's number", "+79990000001")
    request: str = header("Request", "The request's TL name; phone.requestCall: no call is placed", "phone.requestCall")
    seconds: int = header("Seconds", "How long from now on, s; 0: it is over", "330", 0)
    reason: str = header("Reason", "Telegram's word", "FLOOD_WAIT_300")


@dataclass(frozen=True, kw_only=True)
class TelegramDrain(ReportedEvent):
    """An administrator has stopped new calls, before Astergram is to be stopped; or what came of it."""

    event: ClassVar = "TelegramDrain"
    state: str = header("State", f"{_one_of(DrainState)}: no call is left for now", "begun")
    calls: int = header("Calls", "How many calls there are", "3", 0)


class AlertState(Enum):
    """What is told of an alert."""

    OPEN = "open"
    OVER = "over"
    TEST = "test"


@dataclass(frozen=True, kw_only=True)
class TelegramAlert(ReportedEvent):
    """Something needs an administrator, for as long as is set under Settings → Alerts; or it is over."""

    event: ClassVar = "TelegramAlert"
    alert_id: str = header("AlertID", "The alert; the same when it is over", "3f2a9c71d0b4")
    state: str = header("State", f"{_one_of(AlertState)}: somebody has pressed the button", "open")
    kind: str = header("Kind", "light, pause, frozen, disk, failed_calls, backup or cluster; of a test, empty", "light")
    line: str = header("Line", "The line's number; empty where it is about all of them", "+79990000001")
    since: float = header("Since", "Since when it is so: Unix time, s", "1790000000.123", 0.0)
    duration: float = header("Duration", "How long it was so, once it is over, s", "0.000", 0.0)
    message: str = header("Message", "What it is, in a sentence", "Sales: The session was ended from another device.")


@dataclass(frozen=True, kw_only=True)
class TelegramStatusComplete(ReportedEvent):
    """The end of the answer to TelegramStatus."""

    event: ClassVar = "TelegramStatusComplete"
    lines: int = header("Lines", "How many TelegramLineStatus came", "3", 0)
    calls: int = header("Calls", "How many TelegramCallStatus came", "1", 0)
    action_id: str = header("ActionID", "Of the question", "42")


@dataclass(frozen=True, kw_only=True)
class TelegramResponse(ReportedEvent):
    """The answer to TelegramSend, TelegramCall and TelegramHangup."""

    event: ClassVar = "TelegramResponse"
    action_id: str = header("ActionID", "Of the request", "42")
    result: str = header("Result", "Success or Error", "Success")
    message: str = header("Message", "What was done; or what went wrong, and what to do", "Text sent.")
    call_id: str = header("CallID", "TelegramCall: the call that has begun", "3f2a9c71d0b4")


@dataclass(frozen=True, kw_only=True)
class TelegramEventsLost(ReportedEvent):
    """In place of events that there was no room for, as AMI had taken none for too long."""

    event: ClassVar = "TelegramEventsLost"
    count: int = header("Count", "How many", "12", 0)


def kinds() -> Iterator[type[ReportedEvent]]:
    """All of them, in the order of the page."""
    waiting: list[type[ReportedEvent]] = [ReportedEvent]
    found = []
    while waiting:
        kind = waiting.pop()
        found += [kind] if kind.event else []
        waiting += kind.__subclasses__()
    yield from sorted(found, key=lambda kind: list(globals()).index(kind.__name__))


def headers_of(kind: type[ReportedEvent]) -> Iterator[tuple[str, Field[Any]]]:
    """The headers of a kind of event, each with its field; what all events have comes first."""
    for each in fields(kind):
        yield each.metadata["header"], each


def _on_one_line(name: str, value: Any) -> str:
    text = "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
    text = "".join(character if character.isprintable() else " " for character in text)
    room = LONGEST_LINE - len(f"{name}: ")
    if len(text.encode()) <= room:
        return text
    return text.encode()[: room - len(CUT.encode())].decode(errors="ignore") + CUT
