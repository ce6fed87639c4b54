"""One call with all that is known of it, also where another machine of a cluster has that."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from ari_app.calls.outcome import Direction
from ari_app.calls.progress import CallState, Milestones
from ari_app.calls.samples import Sample
from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.call_details import CallDetails, NotTold, ToldCall
from ari_app.i18n import Message, message
from ari_app.reports.history import CallRecord, History, details_of, event_of
from ari_app.reports.samples import from_columns
from ari_app.store.calls import Details

LONGEST_NUMBER = 15  # digits of a whole one, which a float has, too

SILENT = message(
    "The call flow and the measurements of this call are on machine {machine}, which does not answer: look again when "
    "it does, or open the call there."
)
NOT_UNDERSTOOD = message(
    "The call flow and the measurements of this call are on machine {machine}, and this one does not understand its "
    "answer: open the call there."
)
GONE = message(
    "Machine {machine}, where this call was, has nothing of it any more: neither call flow nor measurements."
)

_milestones, _samples = TypeAdapter(Milestones), TypeAdapter(tuple[Sample, ...])


@dataclass(frozen=True)
class WholeCalls:
    """``elsewhere``: where to ask for those of other machines; None where there is none."""

    history: History
    elsewhere: CallDetails | None = None

    async def one(self, call_id: str) -> CallRecord | None:
        """One call, a live one as it is now; what another machine tells of it is kept nowhere."""
        record = await self.history.one(call_id)
        if self.elsewhere is None:
            return record
        if record is None:
            return await self._anywhere(self.elsewhere, call_id)
        if machine := record.call.machine:
            return await self._with_details(self.elsewhere, record, machine)
        return record

    async def _anywhere(self, elsewhere: CallDetails, call_id: str) -> CallRecord | None:
        """One that goes on, or has just ended: the history of other machines does not have it yet."""
        if (found := await elsewhere.anywhere(call_id)) is None:
            return None
        machine, told = found
        try:
            return _record(told, machine)
        except NotTold:
            return None

    async def _with_details(self, elsewhere: CallDetails, record: CallRecord, machine: str) -> CallRecord:
        try:
            told = await elsewhere.of(machine, record.call.id)
            found = _record(told, machine) if told else None
        except EngineAway:
            return replace(record, missing=_of(SILENT, machine))
        except NotTold:
            return replace(record, missing=_of(NOT_UNDERSTOOD, machine))
        if found is None:
            return replace(record, missing=_of(GONE, machine))
        # The rest as it is here, where it is found by it.
        return replace(found, call=record.call, state=record.state)


async def told_of(history: History, call_id: str) -> ToldCall | None:
    """A call of this machine, for another one. Raises StoreUnavailable."""
    record = await history.one(call_id)
    if record is None or record.call.machine:
        return None
    return ToldCall(record.call, record.state.value, details_of(record))


def _record(told: ToldCall, machine: str) -> CallRecord:
    """Raises NotTold for what this version can't show."""
    try:
        direction, state = Direction(told.call.direction), CallState(told.state)
        if (state is CallState.ENDED) != (told.call.status is not None):
            raise ValueError("its state")  # noqa: TRY301 - like whatever else is wrong
        return _with(told.details, CallRecord(replace(told.call, machine=machine), state), direction)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotTold(f"call {told.call.id}") from error


def _with(details: Details, record: CallRecord, direction: Direction) -> CallRecord:
    events = tuple(event_of(each) for each in _plain(details.events))
    for each in events:
        _ = str(each.event.sentence), each.event.side, each.event.way.of(direction)  # it can be shown
    samples = _samples.validate_python([vars(each) for each in from_columns(_plain(details.samples))])
    milestones = _milestones.validate_python(_plain(details.milestones))
    return replace(record, events=events, milestones=milestones, samples=samples)


def _of(said: Message, machine: str) -> Message:
    return replace(said, values={"machine": machine})


def _plain(text: str) -> Any:
    """JSON whose numbers can be drawn. Raises ValueError."""
    return json.loads(text, parse_int=_int, parse_float=_float, parse_constant=_float)


def _int(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError("a number")
    return int(digits)


def _float(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError("a number")
    return number
