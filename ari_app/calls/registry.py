"""Every live call: new ones are admitted or refused, and what changes is published."""

import asyncio
import time
import uuid
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress

from ari_app.asterisk.legs import PbxChannel
from ari_app.bus import EventBus
from ari_app.calls import line_calls, outcome
from ari_app.calls.admission import Admission
from ari_app.calls.call import Call, CallObserver
from ari_app.calls.capacity import Load
from ari_app.calls.drain import Drain
from ari_app.calls.events import CallEvent
from ari_app.calls.keeper import CallKeeper, Journalist, Recorder
from ari_app.calls.listeners import Listeners
from ari_app.calls.outcome import Direction, Ending
from ari_app.calls.progress import CallState
from ari_app.calls.reasons import Draining, Shortage
from ari_app.calls.samples import Sample
from ari_app.telegram.peers import Person

RECENT = 100  # ended calls that are kept in memory


EndingOf = Callable[[Direction, bool], Ending]
"""Why a call is over, by its direction and whether both sides talk."""


class CallRefused(Exception):
    """There is no room for a new call; carries the ``ending`` that it gets."""

    def __init__(self, said: str, ending: Ending) -> None:
        super().__init__(said)
        self.ending = ending


class LineFull(CallRefused):
    """A line has as many calls as it may."""

    def __init__(self, line: str, calls: int) -> None:
        super().__init__(f"line {line} has {calls} calls already, as many as it may", outcome.line_full(calls))


class NoRoom(CallRefused):
    """No line has room for one more call: another one is of no use."""

    def __init__(self, shortage: Shortage) -> None:
        super().__init__(str(shortage), outcome.no_room(shortage))


class CallRegistry:
    """Every live call by its id, the last that ended, and what has been counted since the start.

    It publishes "call" (key: its id; data: ``state``, ``line`` and ``event``, the type of its last one) whenever a call
    begins, has a new event, or has ended, and "meters" (data: what `Sample` has) when its audio was measured.

    ``elsewhere``: the calls that other machines have on each line, by Telegram's ids; 0 for one that is not known.
    """

    def __init__(
        self,
        bus: EventBus | None = None,
        recorder: Recorder | None = None,
        listeners: Listeners | None = None,
        admission: Admission | None = None,
        drain: Drain | None = None,
        journal: Journalist | None = None,
        clock: Callable[[], float] = time.time,
        elsewhere: Callable[[], Mapping[str, Collection[int]]] = lambda: {},
    ) -> None:
        self.calls: dict[str, Call] = {}
        self.counted: Counter[str] = Counter()
        self.ended: deque[Call] = deque(maxlen=RECENT)
        self.bus = bus or EventBus()
        self.keeper = CallKeeper(recorder, journal)
        self.listeners = listeners or Listeners()
        self.admission = admission or Admission(bus=self.bus)
        self.drain = drain or Drain(self.bus, self.listeners)
        self._clock = clock
        self._elsewhere = elsewhere
        self._idle = asyncio.Event()
        self._idle.set()
        self._left = asyncio.Event()

    async def idle(self) -> None:
        """Wait until no call is live."""
        await self._idle.wait()

    async def end_calls(self, line: str, ending: EndingOf = outcome.by_administrator) -> None:
        """End the live calls of a line, for an administrator if nothing else is said, and wait until they are over."""
        for call in [each for each in self.calls.values() if each.line == line]:
            call.end(ending(call.direction, call.talking))
        await self._until_no(lambda call: call.line == line)

    async def stop_unconnected(self, within_s: float = 0.0) -> None:
        """Stop the live calls in which nobody talks yet, and wait until they, and those that are ending, are over.

        Those in which both parties have answered have ``within_s`` to be connected.
        """
        for call in self.live():
            if not call.talking and not call.connecting:
                call.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                for call in self.live():
                    await call.connected_or_over()
        for call in self.live():
            if not call.talking:
                call.stop()
        await self._until_no(lambda call: call.ending is not None)

    async def _until_no(self, which: Callable[[Call], bool]) -> None:
        while any(which(each) for each in self.calls.values()):
            await self._left.wait()

    def of_linkedid(self, linkedid: str) -> Call | None:
        """The live call that a channel belongs to, by its CHANNEL(linkedid); the latest of several."""
        found = (call for call in reversed(self.calls.values()) if call.channel and call.channel.linkedid == linkedid)
        return next(found, None) if linkedid else None

    def has_leg(self, channel_id: str) -> bool:
        """Whether a live call has a channel for its PBX's side."""
        return any(call.parts.leg and call.parts.leg.channel_id == channel_id for call in self.calls.values())

    def forget(self, which: Callable[[Call], bool]) -> None:
        """Know no more of calls that have ended."""
        self.ended = deque((call for call in self.ended if not which(call)), maxlen=RECENT)

    def count(self, what: str) -> None:
        """One more of something."""
        self.counted[what] += 1

    def calls_per_line(self, offered: int = 0) -> Counter[str]:
        """How many calls each line has, on all machines; one that has ended is none, though it is still being closed.

        Both parties are told before: a dialplan may want the next call at once. ``offered``, by Telegram's id, is none.
        """
        return line_calls.counted(self.live(), self._elsewhere(), offered)

    def live(self) -> list[Call]:
        """The calls that have not ended."""
        return [call for call in self.calls.values() if call.ending is None]

    @property
    def shortage(self) -> Shortage | None:
        """Why one more call, through whichever line, would be refused now."""
        return Draining() if self.drain.active else self.admission.shortage(self.live())

    @property
    def load(self) -> Load | None:
        """What is used of the machine; None where that is not known."""
        return self.admission.load(self.live())

    @property
    def room(self) -> int | None:
        """How many more calls there is room for, all lines together; None where that is not known."""
        return 0 if self.drain.active else self.admission.room(self.live())

    def dtmf_call(self, line: str, person_id: int) -> Call | None:
        """The call of a line in which a person (their Telegram id) can dial digits; the latest where they have two."""
        for call in reversed(self.calls.values()):
            if call.line == line and call.person and call.person.id == person_id and call.dtmf.is_open:
                return call
        return None

    def begin_drain(self) -> None:
        """Take no new calls; those that there are go on."""
        self.drain.begin(len(self.calls))

    def cancel_drain(self) -> None:
        """Take calls again."""
        self.drain.cancel(len(self.calls))

    def hang_up(self, call_id: str) -> bool:
        """End a live call for an administrator; False where no such call is live (any more)."""
        call = self.calls.get(call_id)
        if call is None:
            return False
        call.end(outcome.by_administrator(call.direction, call.talking))
        return True

    @asynccontextmanager
    async def admit(
        self,
        direction: Direction,
        line: str,
        peer: str,
        max_calls: int,
        person: Person | None = None,
        pbx_party: str = "",
        channel: PbxChannel | None = None,
        asked: CallEvent | None = None,
        offered: int = 0,
    ) -> AsyncIterator[Call]:
        """Take a call on; whoever does has to `run` it. Raises CallRefused, and keeps the call as refused.

        ``person``, ``pbx_party`` (who in the PBX) and ``channel`` are what is known of them by now; ``asked`` is kept
        of a call that is refused; ``offered``: Telegram's id of one that comes in.
        """
        if refusal := self._refusal(line, max_calls, offered):
            self.counted["refused"] += 1
            refused = self.new(direction, line, peer, person, pbx_party, channel)
            if asked:
                refused.add_event(asked)
            self.refuse(refused, refusal.ending)
            raise refusal
        async with self.resumed(self.new(direction, line, peer, person, pbx_party, channel, observer=self)) as call:
            yield call

    @asynccontextmanager
    async def resumed(self, call: Call) -> AsyncIterator[Call]:
        """Take on a call that an earlier run of the program has left, whatever room there is; as `admit`."""
        self.calls[call.id] = call
        self._idle.clear()
        self.changed(call)
        try:
            yield call
        finally:
            self.ended.append(call)
            if call.ending:
                self.counted[f"{call.direction.value}.{call.ending.status.value}"] += 1
            self.counted["redials"] += call.redials
            call.state = CallState.ENDED
            self.changed(call)
            self.listeners.ended(call)
            del self.calls[call.id]
            self.keeper.over(call)
            self._left.set()
            self._left = asyncio.Event()
            if not self.calls:
                self._idle.set()
            self.drain.left(len(self.calls))

    def _refusal(self, line: str, max_calls: int, offered: int) -> CallRefused | None:
        if self.drain.active:
            return NoRoom(Draining())
        on_line = self.calls_per_line(offered)[line]
        if on_line >= max_calls:
            return LineFull(line, on_line)
        shortage = self.admission.refusal(self.live())
        return NoRoom(shortage) if shortage else None

    def new(
        self,
        direction: Direction,
        line: str,
        peer: str,
        person: Person | None = None,
        pbx_party: str = "",
        channel: PbxChannel | None = None,
        observer: CallObserver | None = None,
    ) -> Call:
        """A call that nobody has taken on (``line`` is empty where none was found for it)."""
        call = Call(uuid.uuid4().hex[:12], direction, line, peer, watcher=observer, clock=self._clock)
        call.person, call.pbx_party, call.channel = person, pbx_party, channel
        return call

    def refuse(self, call: Call, ending: Ending) -> None:
        """Keep a `new` call as one that was not taken on, and why."""
        call.refused = True
        call.end(ending)
        call.state = CallState.ENDED
        self.keeper.refused(call)
        self._publish(call)
        self.listeners.ended(call)

    def changed(self, call: Call) -> None:
        """A call of ours has one more event, and may have a new state."""
        self.keeper.changed(call, call.id in self.calls)  # else it is over: its keypad goes last
        self._publish(call)

    def opened(self, call: Call) -> None:
        """A call of ours has one more part."""
        self.keeper.opened(call)

    def happened(self, call: Call, event: CallEvent) -> None:
        """A call of ours has one more event."""
        self.listeners.happened(call, event)

    def measured(self, call: Call, sample: Sample) -> None:
        """The audio of a call of ours was measured."""
        self.bus.publish(
            "meters",
            call.id,
            to_telegram_dbfs=sample.to_telegram_dbfs,
            from_telegram_dbfs=sample.from_telegram_dbfs,
            jitter_ms=sample.jitter_ms,
            lost=sample.lost,
            concealed_ms=sample.concealed_ms,
        )

    def _publish(self, call: Call) -> None:
        last = type(call.events[-1].event).__name__ if call.events else ""
        self.bus.publish("call", call.id, state=call.state.value, line=call.line, event=last)
