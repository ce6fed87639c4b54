"""What the journal has of a call: all that the next run of the program needs to go on with it, or to end it."""

import json
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ari_app.asterisk.legs import PbxChannel
from ari_app.calls.call import Call, CallObserver
from ari_app.calls.events import EventsOmitted, TimedEvent
from ari_app.calls.journal import MOST_BYTES, Journal
from ari_app.calls.outcome import Direction, Ending, Status
from ari_app.calls.parts import CallParts
from ari_app.calls.progress import CallState, Milestones, Progress
from ari_app.calls.reasons import EndReason, Failed
from ari_app.tasks import FAILURES
from ari_app.telegram.peers import Person
from ari_app.telegram.phone import DiscardReason

FORMAT = 1
"""Of a record. Raised when a call can't be gone on with by what an earlier version has written."""
FIRST_EVENTS = 20  # that are kept of a call which has too much to tell for a record, beside the last ones


class UnreadableRecord(Exception):
    """Nothing can be made of a record; the text says why."""


@dataclass(frozen=True)
class JournalledEnding:
    """An `Ending`, by its values."""

    status: Status
    cause: int
    discard: str
    reason: dict[str, Any]

    @classmethod
    def of(cls, ending: Ending) -> "JournalledEnding":
        """From a call's."""
        return cls(ending.status, int(ending.cause), ending.discard.name, ending.reason.as_data())

    def ending(self) -> Ending:
        """The same again; a reason that only a later version knows is shown by its type."""
        reason: EndReason = Failed(str(self.reason.get("type")))
        with suppress(ValueError):
            reason = EndReason.of_data(self.reason)
        return Ending(self.status, self.cause, DiscardReason[self.discard], reason)


@dataclass(frozen=True)
class JournalledCall:
    """One call. ``app``: the Stasis application that its channels are in; empty where that is not known.

    ``trouble`` is why it can't be gone on with: then there is what could be read, to end it by.
    """

    id: str
    direction: Direction
    line: str
    peer: str
    progress: Progress
    parts: CallParts = field(default_factory=CallParts)
    pbx_party: str = ""
    channel: PbxChannel | None = None
    person: str = ""
    events: tuple[dict[str, Any], ...] = ()
    ending: JournalledEnding | None = None
    format: int = FORMAT
    app: str = ""
    trouble: str = ""

    @property
    def talks(self) -> bool:
        """Whether both sides could hear each other, and nothing had ended that."""
        return self.progress.talking_at is not None and self.ending is None

    def restored(self, observer: CallObserver | None) -> Call:
        """The call, as it was."""
        call = Call(self.id, self.direction, self.line, self.peer, watcher=observer)
        call.pbx_party, call.channel, call.parts = self.pbx_party, self.channel, self.parts
        call.person = Person.of_json(self.person) if self.person else None
        events = [TimedEvent.of_data(each) for each in self.events]
        # Its end, too, before it is journalled again: another kill must not make it a call that talks.
        call.resume(self.progress, events, self.ending.ending() if self.ending else None)
        return call


class CallJournal:
    """Keeps the live calls in the journal, each as it is now; never waits, never raises. ``app`` is Stasis()'s."""

    def __init__(self, journal: Journal, app: str = "") -> None:
        self._journal = journal
        self._app = app

    def save(self, call: Call) -> None:
        """A call has one more part, or has come further; nobody has been told yet."""
        try:
            self._journal.write(call.id, record_of(call, self._app))
        except Exception as error:  # noqa: BLE001 - recorded; the call goes on
            FAILURES.add(f"journal of call {call.id}", error)

    def forget(self, call: Call) -> None:
        """A call is over, and kept elsewhere."""
        self._journal.forget(call.id)


_RECORDS: TypeAdapter[JournalledCall] = TypeAdapter(JournalledCall)


def record_of(call: Call, app: str = "") -> bytes:
    """The record of a live call; the middle of its events is left out where it has more than a record holds."""
    record = _RECORDS.dump_json(
        JournalledCall(
            id=call.id,
            direction=call.direction,
            line=call.line,
            peer=call.peer,
            progress=call.progress,
            parts=call.parts,
            pbx_party=call.pbx_party,
            channel=call.channel,
            person=call.person.as_json() if call.person else "",
            ending=JournalledEnding.of(call.ending) if call.ending else None,
            app=app,
        ),
        exclude={"events", "trouble"},
    ).removesuffix(b"}")
    begin, end = b',"events":[', b"]}"
    return record + begin + _encoded(call.events, MOST_BYTES - len(record + begin + end)) + end


def _encoded(events: Sequence[TimedEvent], most: int) -> bytes:
    """Events in JSON, with commas between them, in ``most`` bytes: the first and the last of them, if not all."""
    encoded = [each.json for each in events]
    room = most - sum(len(each) + 1 for each in encoded)
    if room >= 0:
        return b",".join(encoded)
    first = encoded[:FIRST_EVENTS]
    while sum(map(len, first)) > most // 2:
        first.pop()
    last = encoded[len(first) :]
    omitted = TimedEvent(events[len(first)].at_s, EventsOmitted()).json
    room -= len(omitted) + 1
    left_out = 0
    while room < 0:
        room += len(last[left_out]) + 1
        left_out += 1
    return b",".join([*first, omitted, *last[left_out:]])


def read(record: bytes, trouble: str = "") -> JournalledCall:
    """What `record_of` made, or what can be made of it, with the ``trouble``. Raises UnreadableRecord."""
    try:
        data = json.loads(record)
    except ValueError as error:
        raise UnreadableRecord(str(error)) from error
    if not isinstance(data, dict) or not data.keys() & _REQUIRED:
        raise UnreadableRecord("it is no record of a call")
    its_format = data.get("format")
    if its_format != FORMAT:
        trouble = f"its record has format {its_format}, and this version reads {FORMAT}"
    try:
        call = _RECORDS.validate_json(record)
        wrong = next((name for name in _CONTENTS if not _reads(call, name)), "")
    except ValidationError as error:
        wrong = ".".join(map(str, error.errors()[0]["loc"]))
    if wrong and not trouble:
        trouble = f"its record can't be read: {wrong}"
    return replace(_readable(data), trouble=trouble) if trouble else call


_REQUIRED = {each.name for each in fields(JournalledCall) if each.default is each.default_factory is MISSING}
_CONTENTS: dict[str, Any] = {"person": "", "ending": None, "events": ()}
"""What has something in it that the types don't tell, and what stands for one that is wrong."""


def _reads(call: JournalledCall, name: str) -> bool:
    """Whether one of `_CONTENTS` is something."""
    try:
        if name == "person" and call.person:
            Person.of_json(call.person)
        elif name == "ending" and call.ending:
            call.ending.ending()
        elif name == "events":
            [TimedEvent.of_data(each) for each in call.events]
    except (ValueError, AttributeError, TypeError, KeyError):
        return False
    return True


def _readable(data: dict[str, Any]) -> JournalledCall:
    """Whatever is called, and is, as in our records; what is required and lacks is made up."""
    leg = data["parts"].get("leg") if isinstance(data.get("parts"), dict) else None
    made_up = {
        "id": uuid.uuid4().hex[:12],
        "direction": "out" if isinstance(leg, dict) and leg.get("kind") == "incoming" else "in",
        "line": "",
        "peer": "",
        "progress": asdict(Progress(CallState.BEGUN, time.time(), Milestones())),
    }
    while True:
        try:
            call = _RECORDS.validate_python(made_up | data)
        except ValidationError as error:
            name, *inner = error.errors()[0]["loc"]
            if name == "parts" and inner and isinstance(data["parts"], dict):
                data["parts"] = {part: its for part, its in data["parts"].items() if part != inner[0]}
            else:
                del data[str(name)]
        else:
            break
    return replace(call, **{name: empty for name, empty in _CONTENTS.items() if not _reads(call, name)})
