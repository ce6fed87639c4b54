"""Reports calls, cards and messages to programs, as events."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ari_app.calls import events
from ari_app.calls.call import Call
from ari_app.calls.drain import DrainState
from ari_app.calls.journalled import JournalledCall
from ari_app.calls.outcome import Direction
from ari_app.calls.reasons import Crashed
from ari_app.pbx.events import (
    ReportedEvent,
    TelegramCallAnswered,
    TelegramCallbackEnded,
    TelegramCallbackRequested,
    TelegramCallEnded,
    TelegramCallOffered,
    TelegramCallRinging,
    TelegramCallStatus,
    TelegramCallTransferred,
    TelegramCardSent,
    TelegramDrain,
    TelegramKeypad,
    TelegramMessage,
)
from ari_app.reports.history import end_reason
from ari_app.store.calls import CallRow
from ari_app.telegram.peers import Person
from ari_app.telegram.profile import CardReason

BEGINNINGS = (events.CallOffered, events.Dialled, events.ClickToCall, events.CallBackRequested)
"""The first event of a call that somebody has begun to handle."""


class CallReporter:
    """A `LineListener`; ``put`` takes each event, and never waits. ``clock`` gives Unix time."""

    def __init__(self, put: Callable[[ReportedEvent], None], clock: Callable[[], float] = time.time) -> None:
        self._put = put
        self._clock = clock

    def happened(self, call: Call, event: events.CallEvent) -> None:
        """A call has one more event."""
        about = self._about(call)
        match event:
            case events.CallOffered():
                self._put(TelegramCallOffered(**about))
            case events.Dialled() | events.ClickToCall():
                self._put(TelegramCallOffered(**about, destination=event.destination))
            case events.CallBackRequested():
                self._put(TelegramCallbackRequested(**about))
                self._put(TelegramCallOffered(**about, destination=event.person))
            case events.PbxRinging():
                self._put(TelegramCallRinging(**about, side=event.side.name.title()))
            case events.TelegramRinging() if call.direction is not Direction.IN:
                self._put(TelegramCallRinging(**about, side=event.side.name.title()))
            case events.Connected():
                self._put(TelegramCallAnswered(**about, setup_ms=_setup_ms(call)))
            case events.Transferred():
                self._put(TelegramCallTransferred(**about))
            case events.KeypadShown():
                self._put(TelegramKeypad(**about, keypad="Shown"))
            case events.KeypadHidden():
                self._put(TelegramKeypad(**about, keypad="Hidden"))
            case events.DigitsDialled():
                self._put(TelegramKeypad(**about, keypad="Dialled", count=event.count))
            case events.DigitsLost():
                self._put(TelegramKeypad(**about, keypad="Lost", count=event.count))

    def ended(self, call: Call) -> None:
        """A call is over, or was refused."""
        about, ending, last = self._about(call), call.ending, call.samples.last
        if ending is None:
            return
        begun = [each.event for each in call.events if isinstance(each.event, BEGINNINGS)]
        if call.refused:
            for event in begun:
                self.happened(call, event)
        if not begun:  # it was refused, or was over at once
            self._put(TelegramCallOffered(**about, destination="" if call.direction is Direction.IN else call.peer))
        self._put(
            TelegramCallEnded(
                **about,
                status=ending.status.value,
                cause=int(ending.cause),
                ended_by=ending.reason.by.value,
                reason=ending.detail,
                setup_ms=_setup_ms(call),
                duration=call.talked_s,
                jitter_ms=call.samples.jitter_ms if last else None,
                lost=last.lost if last else None,
                concealed_ms=last.concealed_ms if last else None,
            )
        )
        if any(isinstance(each.event, events.CallBackRequested) for each in call.events):
            self._put(TelegramCallbackEnded(**about, status=ending.status.value))

    def crashed(self, row: CallRow) -> None:
        """A call that a killed program left open is over; how it went is not known."""
        person = Person(row.person_id, row.phone, row.username, row.name) if row.person_id else None
        self._put(
            TelegramCallEnded(
                **self._somebody(row.line, person),
                call_id=row.id,
                direction=row.direction,
                pbx_party=row.pbx_party,
                status=row.status or "",
                cause=row.cause or 0,
                ended_by=Crashed.by.value,
                reason=str(end_reason(row) or ""),
            )
        )

    def card_sent(self, line: str, person: Person, reason: CardReason) -> None:
        """A person was sent the business card."""
        self._put(TelegramCardSent(**self._somebody(line, person), reason=reason.value))

    def message_received(self, line: str, person: Person, text: str) -> None:
        """A person has written."""
        self._put(TelegramMessage(**self._somebody(line, person), text=text))

    def drained(self, state: DrainState, calls: int) -> None:
        """New calls are no longer taken on, or are again; or the last one is over meanwhile."""
        self._put(TelegramDrain(event_time=self._clock(), state=state.value, calls=calls))

    def status(self, call: Call, action_id: str) -> TelegramCallStatus:
        """A live call, for somebody who asks."""
        return TelegramCallStatus(
            **self._about(call),
            state=call.state.value,
            began_at=call.began_at,
            duration=float(call.duration_s),
            action_id=action_id,
        )

    def _about(self, call: Call) -> dict[str, Any]:
        channel = call.channel
        return self._somebody(call.line, call.person) | {
            "call_id": call.id,
            "direction": call.direction.value,
            "pbx_party": call.pbx_party,
            "channel": channel.name if channel else "",
            "uniqueid": channel.uniqueid if channel else "",
            "linkedid": channel.linkedid if channel else "",
        }

    def _somebody(self, line: str, person: Person | None) -> dict[str, Any]:
        about = {"event_time": self._clock(), "line": line}
        if person is None:
            return about
        return about | {
            "telegram_id": person.id,
            "phone": person.phone,
            "username": person.username,
            "name": person.name,
        }


def offered(left: JournalledCall) -> TelegramCallOffered | None:
    """How it was told, or was to be told, that a call begins; None where that had not come yet."""
    told: list[ReportedEvent] = []
    call = left.restored(None)
    reporter = CallReporter(told.append, clock=lambda: call.began_at)
    for each in call.events:
        if isinstance(each.event, BEGINNINGS):
            reporter.happened(call, each.event)
    return next((each for each in told if isinstance(each, TelegramCallOffered)), None)


def _setup_ms(call: Call) -> int | None:
    talks_s = call.milestones.talks_s
    return None if talks_s is None else round(talks_s * 1000)
