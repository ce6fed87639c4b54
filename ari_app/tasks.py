"""Guarded tasks: an error ends the task in which it was raised, and nothing else.

Every task of the controller is started here: `GuardedTasks.spawn` for a piece of work, `GuardedTasks.supervise` for
what has to go on for as long as the program does. What fails is logged under its name and recorded in `FAILURES`.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ari_app.backoff import Backoff

RESTART = Backoff(first_s=1.0, last_s=30.0)
"""Before a supervised task is begun again; one that has run for longer than the longest pause begins with the first."""
HURRY_S = 0.05
"""What is late may take this long for each of its remaining steps, which are `HURRIES` at most."""
HURRIES = 100
REMEMBERED = 50  # failures; enough to see what it is that fails

log = logging.getLogger(__name__)
T = TypeVar("T")

OnFailure = Callable[[BaseException], None]
"""Told what ended a task that nobody had cancelled; must not wait."""


@dataclass(frozen=True)
class Failure:
    """An unexpected error: when (a Unix time), in which task, and what it was."""

    at: float
    task: str
    error: str


@dataclass
class Failures:
    """The unexpected errors of this process since its start: how many, and the last of them."""

    count: int = 0
    last: deque[Failure] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def add(self, task: str, error: BaseException) -> None:
        """Log an error that ended a task, and record it."""
        self.count += 1
        self.last.append(Failure(time.time(), task, repr(error)))
        log.error("%s: unexpected error", task, exc_info=error)


FAILURES = Failures()


class GuardedTasks:
    """Tasks that end together, and cannot end each other; made by `guarded_tasks()`."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group

    def spawn(
        self, work: Coroutine[Any, Any, T], name: str, on_failure: OnFailure | None = None
    ) -> asyncio.Task[T | None]:
        """Run something; ``name`` says whose it is, for the log. The task's result is None where it failed."""
        guarded = _guarded(work, name, on_failure)
        try:
            task = self._group.create_task(guarded, name=name)
        except RuntimeError:  # the group is ending
            guarded.close()
            work.close()
            raise
        task.add_done_callback(lambda _: work.close())  # one that was cancelled before it began
        return task

    def supervise(
        self, work: Callable[[], Coroutine[Any, Any, None]], name: str, on_failure: OnFailure | None = None
    ) -> asyncio.Task[None]:
        """Run something that has to go on: where it fails it is begun again, with backoff; it ends by returning."""
        return self._group.create_task(_supervised(work, name, on_failure), name=name)


async def _guarded(work: Coroutine[Any, Any, T], name: str, on_failure: OnFailure | None) -> T | None:
    try:
        return await work
    except asyncio.CancelledError as error:
        if was_cancelled():
            raise
        failed: BaseException = error  # of a future that this task waited for
    except Exception as error:  # noqa: BLE001 - recorded below
        failed = error
    FAILURES.add(name, failed)
    if on_failure:
        try:
            on_failure(failed)
        except Exception as error:  # noqa: BLE001 - recorded here
            FAILURES.add(name, error)
    return None


async def _supervised(work: Callable[[], Coroutine[Any, Any, None]], name: str, on_failure: OnFailure | None) -> None:
    loop = asyncio.get_running_loop()
    failures = 0
    while True:
        failed = False

        def failing(error: BaseException) -> None:
            nonlocal failed
            failed = True
            if on_failure:
                on_failure(error)

        began = loop.time()
        await _guarded(work(), name, failing)
        if was_cancelled():  # it has failed while it was ending
            raise asyncio.CancelledError
        if not failed:
            return
        failures = 1 if loop.time() - began > RESTART.last_s else failures + 1
        wait_s = RESTART.pause_s(failures)
        log.warning("%s: restarts in %g s", name, wait_s)
        await asyncio.sleep(wait_s)


async def finish(work: Coroutine[Any, Any, None], name: str, within_s: float) -> None:
    """Run something to its end although its caller is cancelled meanwhile; that is raised afterwards.

    What takes longer is cancelled wherever it waits, again and again, so that each of its steps is at least begun.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(_guarded(work, name, None), name=name)
    cancelled: asyncio.CancelledError | None = None
    until, hurried = loop.time() + within_s, 0
    while not task.done() and hurried < HURRIES:
        try:
            await asyncio.wait({task}, timeout=max(until - loop.time(), HURRY_S))
        except asyncio.CancelledError as error:
            cancelled = error
        if not task.done() and loop.time() >= until:
            if not hurried:
                log.error("%s: not finished within %g s, cut short", name, within_s)
            hurried += 1
            task.cancel()
    if not task.done():
        log.error("%s: does not end, and is left behind", name)
    if cancelled:
        raise cancelled


def was_cancelled(before: int = 0) -> bool:
    """Whether somebody has cancelled this task: a CancelledError may also be that of a future it waits for.

    ``before``: how often that had been done (`cancellations`) before what is being asked about.
    """
    return cancellations() > before


def cancellations() -> int:
    """How often this task has been cancelled."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """For a library that waits by `asyncio.wait_for`: in Python 3.11 that swallows a cancellation which comes together
    with what it waits for (github.com/python/cpython/issues/86296). Here it comes out of the block.
    """
    before = cancellations()
    try:
        yield
    finally:
        if was_cancelled(before):
            raise asyncio.CancelledError


class _Left(Exception):
    """Makes a TaskGroup cancel what is left in it."""


@asynccontextmanager
async def background_tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """A TaskGroup whose tasks are cancelled, and waited for, when the block is left.

    The block's own exception comes out as it is; a task's comes out in an ExceptionGroup.
    """
    raised: BaseException | None = None
    task = asyncio.current_task()
    assert task is not None
    cancellations = task.cancelling()
    try:
        async with asyncio.TaskGroup() as group:
            try:
                yield group
            except BaseException as error:  # noqa: BLE001 - raised below, when the tasks have ended
                raised = error
            raise _Left  # noqa: TRY301 - a TaskGroup cancels its tasks only for an exception
    except* _Left:
        pass
    if raised is not None:
        raise raised
    if task.cancelling() > cancellations:
        raise asyncio.CancelledError  # a TaskGroup that is ending already keeps it to itself


@asynccontextmanager
async def guarded_tasks() -> AsyncIterator[GuardedTasks]:
    """Guarded tasks that are cancelled, and waited for, when the block is left."""
    async with background_tasks() as group:
        yield GuardedTasks(group)
