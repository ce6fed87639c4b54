"""One call: what ends it, what it has opened, how far it has come, and its ladder."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from ari_app.asterisk.errors import LegEnded
from ari_app.calls import outcome
from ari_app.calls.dialling import Keys
from ari_app.calls.outcome import Direction, Ending
from ari_app.calls.progress import CallState, Milestones
from ari_app.calls.samples import Sample, Samples, sampled
from ari_app.telegram.errors import CallDiscarded
from ari_app.telegram.peers import Person
from media.process import MediaProcess

REASON_S = 3.0  # between noticing that a side has ended and its reason

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One rung of a call's ladder: seconds since the call began, the side it happened on, and what."""

    at_s: float
    side: str
    text: str

    def __str__(self) -> str:
        return f"{self.at_s:8.3f} s  {self.side:<9} {self.text}"


class Watcher(Protocol):
    """Who is told what a call does; never waits, never raises."""

    def changed(self, call: "Call") -> None:
        """It has one more rung on its ladder, and may have a new state."""

    def measured(self, call: "Call", sample: Sample) -> None:
        """Its audio was measured."""


@dataclass
class _Scope:
    """What is open, and who watches it."""

    opened: AsyncExitStack = field(default_factory=AsyncExitStack)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await self.opened.aclose()


class Call:
    """A live call, in either direction; `run` tells its story.

    ``peer``: the person, as dialled or as Telegram's id. ``began_at``: Unix time. The first ending wins: it is kept in
    ``ending``, the story is cancelled, and then everything that the story opened is closed, last opened first. No later
    event can interrupt the closing.
    """

    def __init__(
        self,
        call_id: str,
        direction: Direction,
        line: str,
        peer: str,
        watcher: Watcher | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.id = call_id
        self.direction = direction
        self.line = line
        self.peer = peer
        self.near = ""  # who in the PBX: a phone's number, or the extension that is called
        self.began_at = clock()
        self.state = CallState.BEGUN
        self.milestones = Milestones()
        self.samples = Samples()
        self.person: Person | None = None  # on Telegram, once it is known who
        self.ladder: list[Step] = []
        self.ending: Ending | None = None
        self.redials = 0
        self.rang_s: float | None = None  # of an outgoing call that is over: how long the person's Telegram rang
        self.refused = False  # before it could begin
        self.talked_s = 0.0  # of a call that is over
        self.audio: MediaProcess | None = None
        self.keys = Keys(self.step)
        self._watcher = watcher
        self._began = time.monotonic()
        self._rings_since: float | None = None
        self._talking_since = 0.0
        self._talks = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._ended = asyncio.Event()
        self._root = self._scope = _Scope()

    def __repr__(self) -> str:
        return f"<Call {self.id} {self.direction.value} {self.line} {self.peer}>"

    def step(self, side: str, text: str) -> None:
        """Put a rung on the ladder, and into the log."""
        rung = Step(self.lasted_s, side, text)
        self.ladder.append(rung)
        log.info("call %s %s", self.id, rung)
        if self._watcher:
            self._watcher.changed(self)

    @property
    def lasted_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    @property
    def talking(self) -> bool:
        """Whether both sides have been able to hear each other."""
        return self._talks.is_set()

    async def talks(self) -> None:
        """Wait until they can."""
        await self._talks.wait()

    @property
    def duration_s(self) -> int:
        """Whole seconds of talk so far."""
        return int(time.monotonic() - self._talking_since) if self.talking else 0

    def rings(self) -> None:
        """Telegram knows from now on that it rings."""
        self._rings_since = time.monotonic()
        self._reach(CallState.RINGING, rings_s=self.lasted_s)
        self.step("telegram", "rings")

    def pbx_answered(self) -> None:
        """The PBX's side, which was called, has answered."""
        self._reach(CallState.ANSWERED, pbx_answered_s=self.lasted_s)
        self.step("asterisk", "the dialplan answered")

    def accepted(self) -> None:
        """The Telegram call is accepted, by us or by the person."""
        self._reach(CallState.ANSWERED, accepted_s=self.lasted_s)
        self.step("telegram", "accepted, key agreed")

    def begins_to_talk(self) -> None:
        """Both sides hear each other from now on; how well is measured."""
        self._talking_since = time.monotonic()
        self._talks.set()
        self._reach(CallState.TALKING, talks_s=self.lasted_s)
        self.step("call", "both sides talk")
        if self.audio:
            self.alongside(sampled(self.audio, lambda: self.lasted_s, self._measured))

    def _reach(self, state: CallState, **reached_s: float) -> None:
        """A new state, unless the call is ending; of a milestone, the first time counts."""
        if self.ending is None:
            self.state = CallState.TALKING if self.talking else state
            first = {name: at_s for name, at_s in reached_s.items() if getattr(self.milestones, name) is None}
            self.milestones = replace(self.milestones, **first)

    def _measured(self, sample: Sample) -> None:
        self.samples.add(sample)
        if self._watcher:
            self._watcher.measured(self, sample)

    async def open(self, part: AbstractAsyncContextManager[T]) -> T:
        """Enter a context manager that is left when the call (or its attempt) ends."""
        return await self._scope.opened.enter_async_context(part)

    def at_end(self, close: Callable[[Ending], Awaitable[Any]]) -> None:
        """Have something closed in its turn, with the ending that the call has by then."""

        async def closed() -> None:
            await close(self.ending or outcome.REDIALLED)

        self._scope.opened.push_async_callback(closed)

    def alongside(self, work: Awaitable[Any]) -> None:
        """Run something until the call (or its attempt) ends; its error ends the call."""
        self._scope.tasks.append(self._group.create_task(self._guarded(work)))

    def ends_with(self, ending: Awaitable[Ending]) -> None:
        """The call is over when this returns, unless it (or its attempt) is already."""

        async def watched() -> None:
            self.end(await ending)

        self.alongside(watched())

    def end(self, ending: Ending) -> None:
        """The call is over; only the first ending counts."""
        if self.ending is None:
            self.ending = ending
            self.state = CallState.ENDING
            self.talked_s = time.monotonic() - self._talking_since if self.talking else 0.0
            if self._rings_since is not None:
                self.rang_s = time.monotonic() - self._rings_since
            self.keys.close()
            self.step("call", f"{ending.status.value}, cause {int(ending.cause)}: {ending.detail}")
            self._ended.set()

    async def over(self) -> None:
        """Wait, inside the story, for whatever ends the call."""
        await self._ended.wait()

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """What is opened inside is closed on leaving, so that the story can try once more."""
        outer, self._scope = self._scope, _Scope()
        try:
            yield
        finally:
            # A task of its own: the end of the call cancels the story, never the closing.
            closing = self._group.create_task(self._scope.close())
            self._scope = outer
            await asyncio.shield(closing)

    async def run(self, story: Awaitable[None]) -> None:
        """Tell the story until the call is over, then close all that it opened."""
        cancelled = None
        async with self._group:
            told = self._group.create_task(self._guarded(story))
            try:
                await self._ended.wait()
            except asyncio.CancelledError as error:
                cancelled = error
                self.end(outcome.shut_down(self.talking))
            told.cancel()
            for task in self._root.tasks:
                task.cancel()
        await self._root.close()
        if cancelled:
            raise cancelled

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (CallDiscarded, LegEnded) as error:
            # Whoever watches that side is about to learn the reason, which this error does not have.
            try:
                async with asyncio.timeout(REASON_S):
                    await self._ended.wait()
            except TimeoutError:
                self.end(outcome.failed(error))
        except Exception as error:
            if not isinstance(error, tuple(outcome.STATUS_AND_CAUSE)):
                log.exception("call %s: an error nobody expected", self.id)
            self.end(outcome.failed(error))
