"""The call history: each call is kept from its beginning, found again, and exported.

What is to be kept is written by the store in its own time, so that keeping a call neither holds it up nor ends it.
"""

import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import asdict, dataclass, replace
from datetime import tzinfo
from typing import Any

from ari_app import zones
from ari_app.calls.call import Call
from ari_app.calls.events import TimedEvent
from ari_app.calls.outcome import Cause, Direction, Status, failed
from ari_app.calls.progress import CallState, Milestones
from ari_app.calls.reasons import Crashed, EndReason, Failed
from ari_app.calls.samples import Sample
from ari_app.i18n import Message
from ari_app.reports import legacy_events
from ari_app.reports.export import BOM, COLUMNS, Export, as_csv
from ari_app.reports.samples import as_columns, from_columns
from ari_app.store.calls import CallRepository, CallRow, Details, Page, Query
from ari_app.store.store import Store, StoreUnavailable

MOST_CALLS = 1_000_000
"""That are kept, however young they are."""
EXPORTED = 500  # rows read at a time

UNKNOWN = Milestones()
UNBEGUN = failed(RuntimeError("the call was taken on, and its handling never began"))

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CallRecord:
    """All that is known of one call; ``state`` is ENDED where it is not live."""

    call: CallRow
    state: CallState
    events: tuple[TimedEvent, ...] = ()
    milestones: Milestones = UNKNOWN
    samples: tuple[Sample, ...] = ()
    missing: Message | None = None
    """Why there are no events and no measurements, where the machine that has them did not tell them."""

    @property
    def post_dial_delay_s(self) -> float | None:
        """From dialling until it rang."""
        return self.milestones.post_dial_delay_s(Direction(self.call.direction))

    @property
    def to_answer_s(self) -> float | None:
        """From the first ring until the answer."""
        found = self.milestones.to_answer_s(Direction(self.call.direction))
        return self.call.to_answer_s if found is None and self.call.machine else found  # whose milestones may be there

    @property
    def to_audio_s(self) -> float | None:
        """From the answer until both sides heard each other."""
        return self.milestones.to_audio_s(Direction(self.call.direction))


class History:
    """The calls of all lines, ``most`` of them; made by `open_history(...)`, and the registry's recorder."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time, most: int = MOST_CALLS) -> None:
        self._repository = CallRepository(store)
        self._clock = clock
        self._most = most
        self._emptied: tuple[float, str] = (0.0, "")
        """Up to which call, by its beginning and its id, nothing is left of the details that are too old."""
        self.crashed: tuple[CallRow, ...] = ()
        """What a killed program left open, as it is kept now."""
        self._live: dict[str, Call] = {}  # and those whose end is not written yet

    def save(self, call: Call, done: Callable[[], None] = lambda: None) -> None:
        """Have a call written as it is now; ``done`` is called when it is, or never will be."""
        record = _record(call, self._clock())
        self._live[call.id] = call

        def written(kept: bool) -> None:
            if record.state is CallState.ENDED:
                self._live.pop(call.id, None)
            done()

        self._repository.save(record.call, details_of(record), written)

    def live(self) -> list[CallRecord]:
        """The calls now, the newest first."""
        live = [call for call in reversed(self._live.values()) if call.state is not CallState.ENDED]
        return [_record(call, self._clock()) for call in live]

    async def one(self, call_id: str) -> CallRecord | None:
        """One call; a live one as it is now."""
        if live := self._live.get(call_id):
            return _record(live, self._clock())
        if (found := await self._repository.one(call_id)) is None:
            return None
        call, details = found
        return CallRecord(
            call,
            CallState.ENDED,
            tuple(event_of(each) for each in json.loads(details.events)),
            Milestones(**json.loads(details.milestones)),
            from_columns(json.loads(details.samples)),
        )

    async def find(self, query: Query, offset: int = 0, limit: int = 50) -> Page:
        """A page of the calls that fit, the newest first."""
        page = await self._repository.find(query, offset, limit)
        return replace(page, rows=tuple(map(self._as_it_is_now, page.rows)))

    async def export_csv(self, query: Query, zone: tzinfo = zones.MACHINE) -> AsyncIterator[str]:
        """All calls that fit, the newest first, as CSV in pieces; times are ISO 8601 in ``zone``."""
        yield BOM + as_csv([tuple(COLUMNS)])
        last: CallRow | None = None
        while rows := await self._repository.before(query, last, EXPORTED):
            yield as_csv([_exported(self._as_it_is_now(row), zone) for row in rows])
            last = rows[-1]

    def _as_it_is_now(self, row: CallRow) -> CallRow:
        """What is kept of a live call is from when it last changed; how long they talk goes on."""
        live = self._live.get(row.id)
        return _record(live, self._clock()).call if live and row.status is None else row

    async def prune(self, before: float) -> int:
        """Remove some calls that began before that Unix time, or are more than are kept; 0 when none is left."""
        return await self._repository.prune(before, self._most)

    async def prune_details(self, before: float) -> AsyncIterator[int]:
        """Empty the details of all calls that began before that Unix time: of how many, piece by piece."""
        last: tuple[float, str] | None = self._emptied
        while last:
            self._emptied = last
            emptied, last = await self._repository.prune_details(before, last)
            yield emptied

    async def is_closed(self, call_id: str) -> bool:
        """Whether the end of a call is kept. Raises StoreUnavailable."""
        found = await self._repository.one(call_id)
        return found is not None and found[0].status is not None

    async def close_open(self, but: Collection[str] = ()) -> None:
        """Have the calls closed that a killed program left open, ``but`` those that have not ended with it."""
        status, cause, reason = Status.ERROR.value, Cause.TEMPORARY_FAILURE.value, _written(Crashed())
        try:
            left = await self._repository.left_open()
        except StoreUnavailable as error:
            log.warning("calls that were open when the program last stopped can't be reported: %s", error)
        else:
            over = (row for row in left if row.id not in but)
            self.crashed = tuple(replace(row, status=status, cause=cause, reason=reason) for row in over)
        self._repository.close_open(status, cause, reason, but)


async def open_history(store: Store, clock: Callable[[], float] = time.time, but: Collection[str] = ()) -> History:
    """The history; what a killed program left open is closed first, ``but`` calls that have not ended yet."""
    history = History(store, clock)
    await history.close_open(but)
    return history


def end_reason(row: CallRow) -> EndReason | None:
    """Why a call ended; None for one that has not."""
    if not row.reason.startswith("{"):
        return legacy_events.end_reason(row.reason) if row.reason else None
    try:
        return EndReason.of_data(json.loads(row.reason))
    except ValueError:  # of a later version
        return Failed(row.reason)


def _written(reason: EndReason) -> str:
    return json.dumps(reason.as_data(), ensure_ascii=False)


def event_of(kept: Any) -> TimedEvent:
    """What `details_of` has made JSON of, or an earlier version."""
    if isinstance(kept, list):
        at_s, side, text = kept
        return TimedEvent(at_s, legacy_events.event(side, text))
    return TimedEvent.of_data(kept)


def _exported(row: CallRow, zone: tzinfo) -> tuple[str, ...]:
    return Export(row, str(end_reason(row) or ""), zone).row()


def _record(call: Call, now: float) -> CallRecord:
    person, over = call.person, call.state is CallState.ENDED
    ending = (call.ending or UNBEGUN) if over else None
    kept = CallRow(
        id=call.id,
        began_at=call.began_at,
        ended_at=now if over else None,
        direction=call.direction.value,
        line=call.line,
        peer=call.peer,
        pbx_party=call.pbx_party,
        person_id=person.id if person else None,
        name=person.name if person else "",
        phone=person.phone if person else "",
        username=person.username if person else "",
        status=ending.status.value if ending else None,
        cause=int(ending.cause) if ending else None,
        reason=_written(ending.reason) if ending else "",
        answered=call.talking,
        refused=call.refused,
        to_answer_s=call.milestones.to_answer_s(call.direction) if call.talking else None,
        talked_s=call.talked_s if call.ending else float(call.duration_s),
    )
    return CallRecord(kept, call.state, tuple(call.events), call.milestones, tuple(call.samples.kept))


def details_of(record: CallRecord) -> Details:
    """What is kept beside the call's row."""
    return Details(
        events=json.dumps([each.as_data() for each in record.events], ensure_ascii=False),
        milestones=json.dumps(asdict(record.milestones)),
        samples=json.dumps(as_columns(record.samples)),
    )
