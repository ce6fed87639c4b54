"""One call: what ends it, what it has opened, how far it has come, and its events."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from ari_app.asterisk.errors import LegEnded
from ari_app.calls import events, outcome
from ari_app.calls.dtmf import DtmfQueue
from ari_app.calls.events import CallEvent, TimedEvent
from ari_app.calls.outcome import Direction, Ending, Status
from ari_app.calls.progress import CallState, Milestones
from ari_app.calls.samples import Sample, Samples, sampled
from ari_app.tasks import FAILURES, finish, was_cancelled
from ari_app.telegram.errors import CallDiscarded
from ari_app.telegram.peers import Person
from media.process import MediaProcess

REASON_S = 3.0  # between noticing that a side has ended and its reason
CLOSE_S = 5.0  # for telling the parties and closing all that a call has opened
TELLING = 0.7  # of it, for telling the parties and for tasks to end: Telegram's discard may take 3 s (`DISCARD_S`)

MAX_EVENTS = 300  # of a call, without its end; one with everything has thirty, and what is dialled

log = logging.getLogger(__name__)
T = TypeVar("T")


class CallObserver(Protocol):
    """Who is told what a call does; never waits, never raises."""

    def changed(self, call: "Call") -> None:
        """It has one more event, and may have a new state."""

    def measured(self, call: "Call", sample: Sample) -> None:
        """Its audio was measured."""


@dataclass
class _Scope:
    """What the call, or an attempt of it, has open: context managers, tasks, and whom to tell of its end."""

    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    on_end: list[Callable[[Ending], Awaitable[Any]]] = field(default_factory=list)


class Call:
    """A live call, in either direction; `run` tells its story.

    ``peer``: the person, as dialled or as Telegram's id. ``began_at``: Unix time. The first ending wins: it is kept in
    ``ending``, the story is cancelled, both parties are told at the same time, and then everything that the story
    opened is closed, last opened first. Nothing interrupts the closing, which takes ``close_s`` at most.
    """

    def __init__(
        self,
        call_id: str,
        direction: Direction,
        line: str,
        peer: str,
        watcher: CallObserver | None = None,
        clock: Callable[[], float] = time.time,
        close_s: float = CLOSE_S,
    ) -> None:
        self.id = call_id
        self.direction = direction
        self.line = line
        self.peer = peer
        self.pbx_party = ""  # who in the PBX: a phone's number, or the extension that is called
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
        self.audio: MediaProcess | None = None
        self.dtmf = DtmfQueue(self.add_event)
        self._observer = watcher
        self._began = time.monotonic()
        self._ringing_since: float | None = None
        self._talking_since = 0.0
        self._media_up = asyncio.Event()
        self._close_s = close_s
        self._over = asyncio.Event()
        self._scopes = [_Scope()]

    def __repr__(self) -> str:
        return f"<Call {self.id} {self.direction.value} {self.line} {self.peer}>"

    def add_event(self, event: CallEvent) -> None:
        """Something has happened to it, which goes into the log, too; after `MAX_EVENTS` into the log only."""
        timed = TimedEvent(self.lasted_s, event)
        log.info("call %s %s", self.id, timed)
        if self.ending is None and len(self.events) >= MAX_EVENTS:
            if len(self.events) > MAX_EVENTS:
                return
            timed = TimedEvent(timed.at_s, events.EventsOmitted())
        self.events.append(timed)
        if self._observer:
            self._observer.changed(self)

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
        if self.ending is not None:  # by something alongside, at the same moment
            return
        self._talking_since = time.monotonic()
        self._media_up.set()
        self._reach(CallState.TALKING, talks_s=self.lasted_s)
        self.add_event(events.Connected())
        if self.audio:
            self.spawn(sampled(self.audio, lambda: self.lasted_s, self._measured))

    def _reach(self, state: CallState, **reached_s: float) -> None:
        """A new state, unless the call is ending; of a milestone, the first time counts."""
        if self.ending is None:
            self.state = CallState.TALKING if self.talking else state
            first = {name: at_s for name, at_s in reached_s.items() if getattr(self.milestones, name) is None}
            self.milestones = replace(self.milestones, **first)

    def _measured(self, sample: Sample) -> None:
        self.samples.add(sample)
        if self._observer:
            self._observer.measured(self, sample)

    async def enter(self, part: AbstractAsyncContextManager[T]) -> T:
        """Enter a context manager that is left when the call (or its attempt) ends."""
        return await self._scopes[-1].stack.enter_async_context(part)

    def on_end(self, tell: Callable[[Ending], Awaitable[Any]]) -> None:
        """Have a party told of the ending, before anything is closed; parties do not wait for each other."""
        self._scopes[-1].on_end.append(tell)

    def spawn(self, work: Awaitable[Any]) -> None:
        """Run something until the call (or its attempt) ends; its error ends the call."""
        self._start(self._guarded(work))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        # In no TaskGroup: `_close` waits for each, whatever becomes of the others and of `run`.
        self._scopes[-1].tasks.append(asyncio.create_task(work, name=f"call {self.id}"))

    def end_when(self, ending: Awaitable[Ending]) -> None:
        """The call is over when this returns, unless it (or its attempt) is already."""

        async def watched() -> None:
            self.end(await ending)

        self.spawn(watched())

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
            self.add_event(events.CallEnded.of(ending))

    async def ended(self) -> None:
        """Wait, inside the story, for whatever ends the call."""
        await self._over.wait()

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """What is opened inside is closed on leaving, so that the story can try once more."""
        scope = _Scope()
        self._scopes.append(scope)
        try:
            yield
        finally:
            if self.ending is None:  # else it is closed together with the call
                self._scopes.remove(scope)
                await finish(self._close([scope], outcome.REDIALLED), f"attempt of call {self.id}", self._close_s)

    async def run(self, story: Coroutine[Any, Any, None]) -> None:
        """Tell the story until the call is over, then close all that it opened."""
        cancelled = None
        self._start(self._handled(story))
        try:
            await self._over.wait()
        except asyncio.CancelledError as error:
            cancelled = error
            self.end(outcome.shut_down(self.talking))
        assert self.ending is not None
        await finish(self._close(self._scopes[::-1], self.ending), f"closing of call {self.id}", self._close_s)
        if cancelled:
            raise cancelled

    async def _close(self, scopes: Sequence[_Scope], ending: Ending) -> None:
        """Cancel what goes on and tell the parties, together; then close what is open, the innermost scope first."""
        ending_tasks = [task for scope in scopes for task in scope.tasks]
        for task in ending_tasks:
            task.cancel()
        telling = [asyncio.create_task(self._tell(tell, ending)) for scope in scopes for tell in scope.on_end]
        if waited_for := {*ending_tasks, *telling}:
            _, late = await asyncio.wait(waited_for, timeout=self._close_s * TELLING)
            for task in late:
                log.error("call %s: %s takes too long to end, left to itself", self.id, task.get_coro())
                task.cancel()
        async with AsyncExitStack() as closing:  # each of them, whatever goes wrong with another
            for scope in reversed(scopes):
                closing.push_async_callback(scope.stack.aclose)

    async def _tell(self, tell: Callable[[Ending], Awaitable[Any]], ending: Ending) -> None:
        try:
            await tell(ending)
        except Exception as error:  # noqa: BLE001 - recorded
            FAILURES.add(f"end of call {self.id}", error)

    async def _handled(self, story: Coroutine[Any, Any, None]) -> None:
        await self._guarded(story)
        if self.ending is None:
            self._fail(RuntimeError("its story returned without an ending"))

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except asyncio.CancelledError as error:
            if was_cancelled():
                raise
            self._fail(error)  # of something that it waited for: nobody else would end the call
        except (CallDiscarded, LegEnded) as error:
            # Whoever watches that side is about to learn the reason, which this error does not have.
            try:
                async with asyncio.timeout(REASON_S):
                    await self._over.wait()
            except TimeoutError:
                self.end(outcome.failed(error))
        except Exception as error:  # noqa: BLE001 - ends the call
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, tuple(outcome.STATUS_AND_CAUSE)):
            FAILURES.add(f"call {self.id}", error)
        self.end(outcome.failed(error))
