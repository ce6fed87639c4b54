"""The lifetime of a call: what it has open, its tasks, and whom to tell of its end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from ari_app.asterisk.errors import LegEnded
from ari_app.calls import outcome
from ari_app.calls.call import Call
from ari_app.calls.outcome import Ending
from ari_app.logs import call_log
from ari_app.tasks import FAILURES, finish, was_cancelled
from ari_app.telegram.errors import CallDiscarded
from media.logs import about

REASON_S = 3.0  # between noticing that a side has ended and its reason
CLOSE_S = 5.0  # for telling the parties and closing all that a call has opened
TELLING = 0.7  # of it, for telling the parties and for tasks to end: Telegram's discard may take 3 s (`DISCARD_S`)

log = logging.getLogger(__name__)
T = TypeVar("T")


class Scope:
    """What a call, or one attempt of it, has open; it is closed when the call or the attempt ends."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._on_end: list[Callable[[Ending], Awaitable[Any]]] = []

    async def enter(self, part: AbstractAsyncContextManager[T]) -> T:
        """Enter a context manager that is left at the end."""
        return await self._stack.enter_async_context(part)

    def on_end(self, tell: Callable[[Ending], Awaitable[Any]]) -> None:
        """Have a party told of the ending, before anything is closed; parties do not wait for each other."""
        self._on_end.append(tell)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until the end; its error ends the call."""
        self._start(work)

    def end_when(self, ending: Coroutine[Any, Any, Ending]) -> None:
        """The call is over when this returns, unless it (or the attempt) is already."""
        self._start(ending)

    def _start(self, work: Coroutine[Any, Any, Ending | None], *, must_end: bool = False) -> None:
        # In no TaskGroup: closing waits for each, whatever becomes of the others and of `run`.
        task = asyncio.create_task(self._guarded(work, must_end), name=f"call {self.call.id}")
        task.add_done_callback(lambda _: work.close())  # of one that was cancelled before it began
        self._tasks.append(task)

    async def _guarded(self, work: Coroutine[Any, Any, Ending | None], must_end: bool) -> None:
        try:
            if ending := await work:
                self.call.end(ending)
            elif must_end and self.call.ending is None:
                self._fail(RuntimeError("its handler returned without an ending"))
        except asyncio.CancelledError as error:
            if was_cancelled():
                raise
            self._fail(error)  # of something that it waited for: nobody else would end the call
        except (CallDiscarded, LegEnded) as error:
            # Whoever watches that side is about to learn the reason, which this error does not have.
            try:
                async with asyncio.timeout(REASON_S):
                    await self.call.ended()
            except TimeoutError:
                self.call.end(outcome.failed(error))
        except Exception as error:  # noqa: BLE001 - ends the call
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, tuple(outcome.STATUS_AND_CAUSE)):
            FAILURES.add(f"call {self.call.id}", error)
        self.call.end(outcome.failed(error))

    def wind_down(self, ending: Ending) -> set[asyncio.Task[None]]:
        """Cancel what goes on and begin to tell the parties; the tasks to be waited for."""
        for task in self._tasks:
            task.cancel()
        return {*self._tasks, *(asyncio.create_task(self._tell(tell, ending)) for tell in self._on_end)}

    async def _tell(self, tell: Callable[[Ending], Awaitable[Any]], ending: Ending) -> None:
        try:
            await tell(ending)
        except Exception as error:  # noqa: BLE001 - recorded
            FAILURES.add(f"end of call {self.call.id}", error)

    async def aclose(self) -> None:
        """Close what is open, the last opened first."""
        await self._stack.aclose()


class CallScope(Scope):
    """The whole call's. ``close_s``: the longest that closing may take."""

    def __init__(self, call: Call, close_s: float = CLOSE_S) -> None:
        super().__init__(call)
        self._close_s = close_s
        self._attempts: list[Scope] = []

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[Scope]:
        """For a try that may be repeated: what is opened in its scope is closed on leaving the block."""
        attempt = Scope(self.call)
        self._attempts.append(attempt)
        try:
            yield attempt
        finally:
            if self.call.ending is None:  # else it is closed together with the call
                self._attempts.remove(attempt)
                closing = self._close([attempt], outcome.REDIALLED)
                await finish(closing, f"attempt of call {self.call.id}", self._close_s)

    async def run(
        self, handler: Coroutine[Any, Any, None], first: Coroutine[Any, Any, None] | None = None, first_s: float = 0.0
    ) -> None:
        """Handle the call until it is over, then close all that it opened.

        The first ending cancels the handler; both parties are told of it at the same time, and then all is closed, last
        opened first. Nothing interrupts the closing, nor ``first``, which is done before, within ``first_s``.
        """
        with about(lambda: {"line": self.call.line, "call": self.call.id}):
            await self._run(handler, first, first_s)

    async def _run(
        self, handler: Coroutine[Any, Any, None], first: Coroutine[Any, Any, None] | None, first_s: float
    ) -> None:
        cancelled = None
        try:
            if first:
                await finish(first, f"beginning of call {self.call.id}", first_s)
        except asyncio.CancelledError as error:
            cancelled = error
            self.call.stop()
        self._start(handler, must_end=True)
        try:
            await self.call.ended()
        except asyncio.CancelledError as error:
            cancelled = error
            self.call.stop()
        assert self.call.ending is not None
        closing = self._close([*reversed(self._attempts), self], self.call.ending)
        await finish(closing, f"closing of call {self.call.id}", self._close_s)
        if cancelled:
            raise cancelled

    async def _close(self, scopes: list[Scope], ending: Ending) -> None:
        """Cancel what goes on and tell the parties, together; then close what is open, the first scope first."""
        if waited_for := {task for scope in scopes for task in scope.wind_down(ending)}:
            _, late = await asyncio.wait(waited_for, timeout=self._close_s * TELLING)
            for task in late:
                call_log(log, self.call.id).error("%s takes too long to end, left to itself", task.get_coro())
                task.cancel()
        async with AsyncExitStack() as closing:  # each of them, whatever goes wrong with another
            for scope in reversed(scopes):
                closing.push_async_callback(scope.aclose)
