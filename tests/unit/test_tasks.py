"""Background tasks end when their block is left, however that happens."""

import asyncio

import pytest

from ari_app.tasks import background_tasks


async def forever() -> None:
    await asyncio.Event().wait()


async def slowly(cancelled: asyncio.Event, go: asyncio.Event) -> None:
    """Takes its time over being cancelled."""
    try:
        await forever()
    finally:
        cancelled.set()
        await go.wait()


async def test_they_are_cancelled_when_the_block_is_left() -> None:
    async with background_tasks() as tasks:
        task = tasks.create_task(forever())
    assert task.cancelled()


async def test_the_blocks_own_error_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError):
        async with background_tasks() as tasks:
            tasks.create_task(forever())
            raise KeyError


async def test_a_tasks_error_comes_out_in_a_group() -> None:
    async def fail() -> None:
        raise KeyError

    with pytest.raises(ExceptionGroup) as raised:
        async with background_tasks() as tasks:
            tasks.create_task(fail())
            await forever()
    assert raised.group_contains(KeyError)


async def test_a_cancellation_that_comes_while_it_is_left_counts() -> None:
    cancelled, go = asyncio.Event(), asyncio.Event()
    after = []

    async def work() -> None:
        async with background_tasks() as tasks:
            tasks.create_task(slowly(cancelled, go))
            await asyncio.sleep(0)
        after.append("went on")

    task = asyncio.create_task(work())
    await cancelled.wait()
    task.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert after == []


async def test_a_timeout_that_strikes_while_it_is_left_counts() -> None:
    cancelled, go = asyncio.Event(), asyncio.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60) as limit:
            async with background_tasks() as tasks:
                tasks.create_task(slowly(cancelled, go))
                await asyncio.sleep(0)
                limit.reschedule(asyncio.get_running_loop().time())
                asyncio.get_running_loop().call_later(0.05, go.set)
