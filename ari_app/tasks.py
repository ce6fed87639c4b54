"""A TaskGroup for tasks that go on until somebody leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


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
