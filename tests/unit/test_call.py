"""The lifetime of a call: it always ends, its closing too, and the parties are told first."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from telethon.errors import RPCError

from ari_app.calls import outcome
from ari_app.calls.call import MAX_EVENTS, Call
from ari_app.calls.events import CallEnded, DigitsDialled, EventsOmitted
from ari_app.calls.outcome import Direction, Ending, Status
from ari_app.calls.progress import CallState

ENDED_S = 5.0  # a generous limit: what is tested takes milliseconds
BY_CALLER = outcome.asterisk_ended(16, Direction.OUT, talking=False)


def new_call(close_s: float = 1.0) -> Call:
    return Call("42", Direction.OUT, "+79990000001", "anna", close_s=close_s)


async def run(call: Call, story: Coroutine[Any, Any, None]) -> Ending:
    async with asyncio.timeout(ENDED_S):
        await call.run(story)
    assert call.ending is not None
    return call.ending


async def forever() -> None:
    await asyncio.Event().wait()


async def cancelled_inside() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


def raising(error: Exception) -> Callable[[], Coroutine[Any, Any, None]]:
    async def fail() -> None:
        raise error

    return fail


FAULTS: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
    "full database": raising(sqlite3.OperationalError("database or disk is full")),
    "OSError": raising(OSError("no buffer space available")),
    "ValueError": raising(ValueError("no such thing")),
    "RPCError": raising(RPCError(None, "RPC_CALL_FAIL", 500)),
    "cancelled inside": cancelled_inside,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("where", ["story", "spawn", "end_when"])
async def test_a_fault_in_any_of_its_tasks_ends_the_call(
    fault: Callable[[], Coroutine[Any, Any, None]], where: str
) -> None:
    call = new_call()
    closed: list[str] = []

    async def ending() -> Ending:
        await fault()
        raise AssertionError

    async def story() -> None:
        await call.enter(part("leg", closed))
        if where == "spawn":
            call.spawn(fault())
        elif where == "end_when":
            call.end_when(ending())
        else:
            await fault()
        await call.ended()

    assert (await run(call, story())).status is Status.ERROR
    assert closed == ["leg"]


async def test_a_story_that_returns_without_an_ending_ends_the_call() -> None:
    assert (await run(new_call(), asyncio.sleep(0))).status is Status.ERROR


async def test_a_call_that_has_talked_ends_as_answered_whatever_ends_it() -> None:
    call = new_call()

    async def story() -> None:
        call.mark_media_up()
        raise ValueError

    ending = await run(call, story())
    assert (ending.status, int(ending.cause)) == (Status.ANSWER, 38)


@asynccontextmanager
async def part(
    name: str, closed: list[str], closing: Callable[[], Awaitable[Any]] | None = None
) -> AsyncIterator[None]:
    try:
        yield
    finally:
        closed.append(name)
        if closing:
            await closing()


async def test_both_parties_are_told_before_anything_is_closed() -> None:
    call = new_call()
    order: list[str] = []
    asterisk_told = asyncio.Event()

    async def give_back(ending: Ending) -> None:
        order.append(f"asterisk: {ending.status.value}")
        asterisk_told.set()

    async def discard(ending: Ending) -> None:
        await asterisk_told.wait()  # neither waits for the other
        order.append(f"telegram: {ending.status.value}")

    async def story() -> None:
        call.on_end(give_back)
        await call.enter(part("audio", order))
        async with call.attempt():
            await call.enter(part("bridge", order))
            call.on_end(discard)
            call.end(BY_CALLER)
            await call.ended()

    await run(call, story())
    assert order == ["asterisk: CANCEL", "telegram: CANCEL", "bridge", "audio"]


async def test_a_party_that_cannot_be_told_keeps_nobody_from_being_told() -> None:
    call = new_call()
    told: list[str] = []

    async def fails(ending: Ending) -> None:
        raise OSError

    async def works(ending: Ending) -> None:
        told.append("works")

    async def story() -> None:
        call.on_end(works)
        call.on_end(fails)
        call.on_end(works)
        await call.enter(part("audio", told))
        call.end(BY_CALLER)
        await call.ended()

    assert await run(call, story()) == BY_CALLER
    assert told == ["works", "works", "audio"]


async def test_closing_has_a_longest_time_and_every_part_is_closed() -> None:
    call = new_call(close_s=0.05)
    closed: list[str] = []

    async def stalls(ending: Ending) -> None:
        closed.append("told")
        await forever()

    async def story() -> None:
        await call.enter(part("audio", closed))
        await call.enter(part("leg", closed, forever))
        await call.enter(part("bridge", closed, forever))
        call.on_end(stalls)
        call.end(BY_CALLER)
        await call.ended()

    await run(call, story())
    assert closed == ["told", "bridge", "leg", "audio"]


@pytest.mark.parametrize("fault", ["fails", "stalls"])
async def test_what_is_open_around_an_attempt_is_closed_whatever_becomes_of_the_attempt(fault: str) -> None:
    """As the agent's leg of a call back is."""
    call = new_call(close_s=0.2)
    closed: list[str] = []

    async def fails() -> None:
        raise OSError("no room")

    async def story() -> None:
        await call.enter(part("agent", closed))
        async with call.attempt():
            await call.enter(part("audio", closed, fails if fault == "fails" else forever))
            call.end(BY_CALLER)
            await call.ended()

    await run(call, story())
    assert closed == ["audio", "agent"]


async def test_no_talk_begins_in_a_call_that_has_just_failed() -> None:
    call = new_call()

    async def story() -> None:
        call.end(outcome.failed(OSError("no room")))
        call.mark_media_up()
        await call.ended()

    ending = await run(call, story())
    assert not call.talking
    assert ending.status is Status.ERROR


async def test_a_task_that_does_not_end_does_not_keep_the_call() -> None:
    call = new_call(close_s=0.05)
    release = asyncio.Event()
    closed: list[str] = []

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async def story() -> None:
        await call.enter(part("leg", closed))
        call.spawn(stubborn())
        await asyncio.sleep(0)
        call.end(BY_CALLER)
        await call.ended()

    await run(call, story())
    assert closed == ["leg"]
    release.set()


async def test_closing_goes_on_though_the_call_is_cancelled_again_and_again() -> None:
    call = new_call()
    closed: list[str] = []
    closing, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        closing.set()
        await go_on.wait()
        closed.append("slowly")

    async def story() -> None:
        await call.enter(part("audio", closed))
        await call.enter(part("leg", closed, slowly))
        await call.ended()

    running = asyncio.create_task(call.run(story()))
    while call.state is CallState.BEGUN and not closing.is_set():
        await asyncio.sleep(0)
        running.cancel()
    await closing.wait()
    running.cancel()
    await asyncio.sleep(0)
    running.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert closed == ["leg", "slowly", "audio"]
    assert call.ending == outcome.shut_down(talking=False)


async def test_an_attempt_is_closed_before_the_next_and_told_that_it_failed() -> None:
    call = new_call()
    order: list[str] = []

    async def discard(ending: Ending) -> None:
        order.append(ending.detail)

    async def story() -> None:
        for each in ("first", "second"):
            async with call.attempt():
                await call.enter(part(each, order))
                call.on_end(discard)
        call.end(BY_CALLER)
        await call.ended()

    await run(call, story())
    assert order == [outcome.REDIALLED.detail, "first", outcome.REDIALLED.detail, "second"]


async def test_an_attempt_that_fails_is_closed_before_the_next_line_is_tried() -> None:
    call = new_call()
    order: list[str] = []

    async def story() -> None:
        with pytest.raises(KeyError):
            async with call.attempt():
                await call.enter(part("attempt", order))
                raise KeyError
        order.append("next")
        call.end(BY_CALLER)
        await call.ended()

    await run(call, story())
    assert order == ["attempt", "next"]


async def test_a_call_that_ends_while_an_attempt_is_closed_closes_it_once() -> None:
    call = new_call()
    closed: list[str] = []

    async def end_it() -> None:
        call.end(BY_CALLER)
        await asyncio.sleep(0.01)

    async def story() -> None:
        async with call.attempt():
            await call.enter(part("attempt", closed, end_it))
        await call.ended()

    assert await run(call, story()) == BY_CALLER
    assert closed == ["attempt"]


def test_the_events_have_a_bound_and_their_end() -> None:
    call = new_call()
    for number in range(3 * MAX_EVENTS):
        call.add_event(DigitsDialled(number))
    call.end(BY_CALLER)
    assert len(call.events) == MAX_EVENTS + 2
    assert call.events[MAX_EVENTS - 1].event == DigitsDialled(MAX_EVENTS - 1)
    assert [each.event for each in call.events[-2:]] == [EventsOmitted(), CallEnded.of(BY_CALLER)]
