"""What an earlier run of the program has left: the journal is read at the start, and each of its calls is handled."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from ari_app.calls.adoption import Adoption
from ari_app.calls.call import Call
from ari_app.calls.card import Cards
from ari_app.calls.conversation import discard_is_told
from ari_app.calls.journal import Journal, Left
from ari_app.calls.journalled import JournalledCall, UnreadableRecord, read
from ari_app.calls.keypad import Keypads
from ari_app.calls.parts import OwedDiscard
from ari_app.calls.registry import CallRegistry
from ari_app.calls.resources import CallResources
from ari_app.calls.scope import CallScope
from ari_app.cluster.claims import Claims
from ari_app.logs import call_log
from ari_app.store.errors import StoreUnavailable
from ari_app.tasks import GuardedTasks
from ari_app.telegram.line import Line
from ari_app.telegram.phone import DiscardReason

RECONCILED_S = 10.0
"""For what calls that nobody knows have in Asterisk to be removed, which takes a second. Then they end all the same."""

ELSEWHERE_S = 5.0
"""For how another machine's Asterisk is reached, which NATS tells; both sides talk on meanwhile."""

log = logging.getLogger(__name__)


class LeftCalls:
    """The calls that were in the journal when the program was started; made by `read_left`."""

    def __init__(self, calls: Iterable[JournalledCall]) -> None:
        self._calls = {call.id: call for call in calls}
        self._to_go_on = {call.id for call in self._calls.values() if call.talks}
        self._all_go_on = asyncio.Event()
        self._tell()

    @property
    def ids(self) -> frozenset[str]:
        """Of those whose end is still to come, or to be told."""
        return frozenset(self._calls)

    def all(self) -> list[JournalledCall]:
        """Each of them."""
        return list(self._calls.values())

    def media_sockets(self) -> list[Path]:
        """Where their media processes listen."""
        return [Path(its.path) for call in self.all() if (its := call.parts.process)]

    def kept(self) -> Collection[str]:
        """What they have in Asterisk, until each has been adopted, or closed."""
        return frozenset().union(*(each.parts.asterisk_ids for each in self._calls.values()))

    def adopted(self, call_id: str) -> None:
        """One of them goes on."""
        self._to_go_on.discard(call_id)
        self._tell()

    def _tell(self) -> None:
        if not self._to_go_on:
            self._all_go_on.set()

    async def go_on(self) -> None:
        """Wait until each in which both sides talked goes on, or is over."""
        await self._all_go_on.wait()

    def done(self, call_id: str) -> None:
        """One of them is over."""
        self._calls.pop(call_id, None)
        self.adopted(call_id)


def read_left(journal: Journal) -> LeftCalls:
    """Read the journal; a record that can't be read loses its own call, and no other one."""
    calls = []
    for left in journal.left:
        try:
            call = _read(left)
        except UnreadableRecord as error:
            log.error(  # noqa: TRY400
                "a record of the journal can't be read (%s): its call, if there was one, ends in Asterisk; Telegram is "
                "not told, and ends it once the person's app misses its audio",
                error,
            )
            journal.drop(left)
            continue
        if call.trouble:
            call_log(log, call.id).error("it is ended, as %s", call.trouble)
        journal.hold(call.id, left)
        calls.append(call)
    return LeftCalls(calls)


def _read(left: Left) -> JournalledCall:
    """Raises UnreadableRecord."""
    if left.record is not None:
        return read(left.record)
    for each in left.damaged:
        with suppress(UnreadableRecord):
            return read(each, "its record is damaged")
    raise UnreadableRecord("it is damaged")


class Closings(Protocol):
    """Who knows whether the end of a call is kept."""

    async def is_closed(self, call_id: str) -> bool:
        """Raises StoreUnavailable."""


@dataclass(frozen=True)
class LeftCallHandler:
    """Goes on with calls that were left; has what calls are made of.

    ``reconciled`` is set once nothing is in Asterisk of calls that nobody knows. ``elsewhere`` gives what calls at
    another machine's Asterisk are made of, None where that is not known within so many seconds.
    """

    left: LeftCalls
    journal: Journal
    lines: Mapping[str, Line]
    registry: CallRegistry
    resources: CallResources
    keypads: Keypads
    cards: Cards
    history: Closings
    tasks: GuardedTasks
    reconciled: asyncio.Event
    claims: Claims
    elsewhere: Callable[[str, float], Awaitable[CallResources | None]]

    def begin(self) -> None:
        """Handle each in a task of its own; the lines are not connected yet."""
        known = {path.name for path in self.left.media_sockets()}
        self.tasks.spawn(self._end_unknown(known), "media processes of calls that are not known")
        for call in self.left.all():
            if call.parts.card_id and call.progress.talking_at is not None:
                self.cards.known.reached(call.parts.card_id)  # before the line's cards are put right
            self.tasks.spawn(self._handle(call), f"call {call.id}, which was left")

    async def _handle(self, left: JournalledCall) -> None:
        line, resources = self.lines.get(left.line), self.resources
        try:
            if (leg := left.parts.leg) and leg.machine:
                if found := await self.elsewhere(leg.machine, ELSEWHERE_S):
                    resources = found
                else:
                    unknown = f"machine {leg.machine} does not say how its Asterisk is reached"
                    left = replace(left, trouble=left.trouble or unknown)
            over = left.ending or left.trouble
            if over and await self._is_closed(left.id):
                self.left.done(left.id)  # all else of it is done
                for owed in left.parts.undiscarded:
                    await _tell_discard(left.id, line, owed)
                return self.journal.forget(left.id)
            call = left.restored(self.registry)
            async with self.registry.resumed(call):
                until = self.journal.written_until
                adopted = partial(self.left.adopted, call.id)
                await Adoption(CallScope(call), left, until, line, resources, self.keypads, self.claims, adopted).run()
            self.tasks.spawn(self._discard_earlier(call, line), f"end of call {call.id} on Telegram")
            if line:
                await self.cards.send_after(call, line, left.parts.card_asked)
        finally:
            self.left.done(left.id)
            resources.ari.to_reconcile.set()
        return None

    async def _discard_earlier(self, call: Call, line: Line | None) -> None:
        """What the earlier run owed Telegram of other attempts: the end of this one was told by `Adoption`."""
        its = call.parts.telegram if line else None
        for owed in [each for each in call.parts.undiscarded if each.telegram != its]:
            await _tell_discard(call.id, line, owed)
            discard_is_told(call, owed)

    async def _end_unknown(self, known: Collection[str]) -> None:
        """Not before their phones have gone on in the dialplan: a media process would hang them up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RECONCILED_S):
                await self.reconciled.wait()
        await self.resources.audio.pool.end_unknown(known)

    async def _is_closed(self, call_id: str) -> bool:
        with suppress(StoreUnavailable):
            return await self.history.is_closed(call_id)
        return False


async def _tell_discard(call_id: str, line: Line | None, owed: OwedDiscard) -> None:
    """Tell Telegram what an earlier run could not; returns when it knows, or could not be told for too long."""
    if line is None:
        return call_log(log, call_id).warning("Telegram is not told that it ended: its line is gone")
    its = owed.telegram
    reason = DiscardReason.__members__.get(owed.reason, DiscardReason.DISCONNECT)
    async with line.adopted(its.peer_id, its.call_id, its.access_hash, its.date) as phone_call:
        await phone_call.discard(reason, owed.duration_s)
        await phone_call.discard_told()
