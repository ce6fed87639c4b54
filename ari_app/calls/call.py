"""One call: how far it has come, its events, and what has ended it."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from ari_app.asterisk.legs import PbxChannel
from ari_app.calls import events, outcome
from ari_app.calls.dtmf import DtmfQueue
from ari_app.calls.events import CallEvent, TimedEvent
from ari_app.calls.outcome import Direction, Ending, Status
from ari_app.calls.parts import CallParts
from ari_app.calls.progress import CallState, Milestones, Progress
from ari_app.calls.samples import Sample, Samples
from ari_app.telegram.peers import Person
from media.process import MediaProcess
from media.types import MediaStats

MAX_EVENTS = 300  # of a call, without its end; one with everything has thirty, and what is dialled

log = logging.getLogger(__name__)
T = TypeVar("T")


class CallObserver(Protocol):
    """Who is told what a call does; never waits, never raises."""

    def changed(self, call: "Call") -> None:
        """It has one more event, and may have a new state."""

    def happened(self, call: "Call", event: CallEvent) -> None:
        """It has one more event, also where that is not kept."""

    def opened(self, call: "Call") -> None:
        """It has one more part, or another one in its place."""

    def measured(self, call: "Call", sample: Sample) -> None:
        """Its audio was measured."""


class Call:
    """A live call, in either direction; its lifetime is its `CallScope`'s.

    ``peer``: the person, as dialled or as Telegram's id. ``began_at``: Unix time. The first ``ending`` wins.
    """

    def __init__(
        self,
        call_id: str,
        direction: Direction,
        line: str,
        peer: str,
        watcher: CallObserver | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.id = call_id
        self.direction = direction
        self.line = line
        self.peer = peer
        self.pbx_party = ""  # who in the PBX: a phone's number, or the extension that is called
        self.channel: PbxChannel | None = None  # of the PBX's side, once there is one
        self.began_at = clock()
        self.state = CallState.BEGUN
        self.milestones = Milestones()
        self.samples = Samples()
        self.person: Person | None = None  # on Telegram, once it is known who
        self.events: list[TimedEvent] = []
        self.ending: Ending | None = None
        self.redials = 0
        self.rang_s: float | None = None  # of an outgoing call that is over: how long the person's Telegram rang
        self.refused = False  # before it could begin
        self.talked_s = 0.0  # of a call that is over
        self.leave: Callable[[], bool] = lambda: False  # to another machine, see `claims.Claim`
        self.parts = CallParts()
        self.audio: MediaProcess | None = None
        self.stats: MediaStats | None = None  # of its audio, as it was measured last
        self.dtmf = DtmfQueue(self.add_event)
        self._observer = watcher
        self._clock = clock
        self._began = time.monotonic()
        self._ringing_since: float | None = None
        self._talking_since = 0.0
        self._media_up = asyncio.Event()
        self._over = asyncio.Event()
        self._connected_or_over = asyncio.Event()  # one of the two

    def __repr__(self) -> str:
        return f"<Call {self.id} {self.direction.value} {self.line} {self.peer}>"

    @property
    def progress(self) -> Progress:
        """For the next run of the program, should it go on there."""
        return Progress(
            state=self.state,
            began_at=self.began_at,
            milestones=self.milestones,
            ringing_at=self._unix(self._ringing_since),
            talking_at=self._unix(self._talking_since) if self.talking else None,
            redials=self.redials,
            rang_s=self.rang_s,
            talked_s=self.talked_s,
        )

    def _unix(self, since: float | None) -> float | None:
        return None if since is None else self._clock() - (time.monotonic() - since)

    def resume(self, then: Progress, happened: Sequence[TimedEvent], ending: Ending | None = None) -> None:
        """Go on from where an earlier run of the program has left it; nobody is told what they were told then.

        ``ending``: it had ended, and what it opened is still to be closed.
        """

        def since(at: float) -> float:
            return time.monotonic() - max(0.0, self._clock() - at)

        self.began_at, self._began = then.began_at, since(then.began_at)
        self.state, self.milestones, self.redials = then.state, then.milestones, then.redials
        self.events = list(happened)
        if then.ringing_at is not None:
            self._ringing_since = since(then.ringing_at)
        if then.talking_at is not None:
            self._talking_since = since(then.talking_at)
            self._media_up.set()
            self._connected_or_over.set()
        if ending:
            self.ending, self.rang_s, self.talked_s = ending, then.rang_s, then.talked_s
            self._over.set()
            self._connected_or_over.set()

    def opened(self, **parts: Any) -> None:
        """One of its `parts` is there now, in place of an earlier one."""
        self.parts = replace(self.parts, **parts)
        if self._observer:
            self._observer.opened(self)

    def add_event(self, event: CallEvent) -> None:
        """Something has happened to it, which goes into the log, too; after `MAX_EVENTS` into the log only."""
        timed = TimedEvent(self.lasted_s, event)
        self._keep(timed)  # first: the next run of the program knows whatever the log tells
        log.info("call %s %s", self.id, timed, extra={"call": self.id, "line": self.line})
        if self._observer:
            self._observer.happened(self, event)

    def _keep(self, timed: TimedEvent) -> None:
        if self.ending is None and len(self.events) >= MAX_EVENTS:
            if len(self.events) > MAX_EVENTS:
                return
            timed = TimedEvent(timed.at_s, events.EventsOmitted())
        self.events.append(timed)
        if self._observer:
            self._observer.changed(self)

    def variables(self) -> dict[str, str]:
        """What its channel in the PBX has as channel variables, as far as it is known."""
        about_person = self.person.variables() if self.person else {}
        return {
            **about_person,
            "TELEGRAM_LINE": self.line,
            "TELEGRAM_CALL": self.id,
            "TELEGRAM_DIRECTION": self.direction.value,
        }

    @property
    def lasted_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    @property
    def talking(self) -> bool:
        """Whether both sides have been able to hear each other."""
        return self._media_up.is_set()

    async def connected(self) -> None:
        """Wait until they can."""
        await self._media_up.wait()

    @property
    def connecting(self) -> bool:
        """Whether both parties have answered, and can't hear each other yet."""
        both = self.direction is not Direction.BACK or self.milestones.accepted_s is not None
        return self.state is CallState.ANSWERED and both

    async def connected_or_over(self) -> None:
        """Wait until both sides can hear each other, or the call is over."""
        await self._connected_or_over.wait()

    @property
    def duration_s(self) -> int:
        """Whole seconds of talk so far."""
        return int(time.monotonic() - self._talking_since) if self.talking else 0

    def mark_ringing(self) -> None:
        """Telegram knows from now on that it rings."""
        self._ringing_since = time.monotonic()
        self._reach(CallState.RINGING, rings_s=self.lasted_s)
        self.add_event(events.TelegramRinging())

    def mark_pbx_answered(self, extension: str, context: str) -> None:
        """The PBX's side, which was called, has answered."""
        self._reach(CallState.ANSWERED, pbx_answered_s=self.lasted_s)
        self.add_event(events.PbxAnswered(extension, context))

    def mark_accepted(self) -> None:
        """The Telegram call is accepted, by us or by the person."""
        self._reach(CallState.ANSWERED, accepted_s=self.lasted_s)
        self.add_event(events.TelegramAnswered())

    def mark_media_up(self) -> None:
        """Both sides hear each other from now on; how well is measured."""
        if self.ending is not None:  # by something else, at the same moment
            return
        self._talking_since = time.monotonic()
        self._media_up.set()
        self._connected_or_over.set()
        self._reach(CallState.TALKING, talks_s=self.lasted_s)
        self.add_event(events.Connected())

    def _reach(self, state: CallState, **reached_s: float) -> None:
        """A new state, unless the call is ending; of a milestone, the first time counts."""
        if self.ending is None:
            self.state = CallState.TALKING if self.talking else state
            first = {name: at_s for name, at_s in reached_s.items() if getattr(self.milestones, name) is None}
            self.milestones = replace(self.milestones, **first)

    def measured(self, stats: MediaStats) -> None:
        """Its audio was measured."""
        self.stats = stats
        sample = Sample.of(self.lasted_s, stats)
        self.samples.add(sample)
        if self._observer:
            self._observer.measured(self, sample)

    def end(self, ending: Ending) -> None:
        """The call is over; only the first ending counts."""
        if self.ending is None:
            if self.talking and ending.status is not Status.ANSWER:
                ending = replace(ending, status=Status.ANSWER)  # else a dialplan would call the person once more
            self.ending = ending
            self.state = CallState.ENDING
            self.talked_s = time.monotonic() - self._talking_since if self.talking else 0.0
            if self._ringing_since is not None:
                self.rang_s = time.monotonic() - self._ringing_since
            self.dtmf.close()
            self._over.set()
            self._connected_or_over.set()
            self.add_event(events.CallEnded.of(ending))

    def stop(self) -> None:
        """Astergram itself stops: a call that rings is left to another machine, where there is one; or it ends."""
        if self.ending is None:
            self.end(outcome.left_to_machine() if self.leave() else outcome.shut_down(self.talking))

    async def ended(self) -> None:
        """Wait for whatever ends the call."""
        await self._over.wait()
