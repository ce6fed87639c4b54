"""The lifetime of a call: it always ends, its closing too, and the parties are told first."""

import asyncio
import gc
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
from ari_app.calls.scope import CallScope

ENDED_S = 5.0  # a generous limit: what is tested takes milliseconds
BY_CALLER = outcome.asterisk_ended(16, Direction.OUT, talking=False)


def new_scope(close_s: float = 1.0) -> CallScope:
    return CallScope(Call("42", Direction.OUT, "+79990000001", "anna"), close_s)


async def run(scope: CallScope, handler: Coroutine[Any, Any, None]) -> Ending:
    async with asyncio.timeout(ENDED_S):
        await scope.run(handler)
    assert scope.call.ending is not None
    return scope.call.ending


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
@pytest.mark.parametrize("where", ["handler", "spawn", "end_when"])
async def test_a_fault_in_any_of_its_tasks_ends_the_call(
    fault: Callable[[], Coroutine[Any, Any, None]], where: str
) -> None:
    scope = new_scope()
    closed: list[str] = []

    async def ending() -> Ending:
        await fault()
        raise AssertionError

    async def handler() -> None:
        await scope.enter(part("leg", closed))
        if where == "spawn":
            scope.spawn(fault())
        elif where == "end_when":
            scope.end_when(ending())
        else:
            await fault()
        await scope.call.ended()

    assert (await run(scope, handler())).status is Status.ERROR
    assert closed == ["leg"]


async def test_a_handler_that_returns_without_an_ending_ends_the_call() -> None:
    assert (await run(new_scope(), asyncio.sleep(0))).status is Status.ERROR


async def test_a_call_that_has_talked_ends_as_answered_whatever_ends_it() -> None:
    scope = new_scope()

    async def handler() -> None:
        scope.call.mark_media_up()
        raise ValueError

    ending = await run(scope, handler())
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
    scope = new_scope()
    order: list[str] = []
    asterisk_told = asyncio.Event()

    async def give_back(ending: Ending) -> None:
        order.append(f"asterisk: {ending.status.value}")
        asterisk_told.set()

    async def discard(ending: Ending) -> None:
        await asterisk_told.wait()  # neither waits for the other
        order.append(f"telegram: {ending.status.value}")

    async def handler() -> None:
        scope.on_end(give_back)
        await scope.enter(part("audio", order))
        async with scope.attempt() as attempt:
            await attempt.enter(part("bridge", order))
            attempt.on_end(discard)
            scope.call.end(BY_CALLER)
            await scope.call.ended()

    await run(scope, handler())
    assert order == ["asterisk: CANCEL", "telegram: CANCEL", "bridge", "audio"]


async def test_a_party_that_cannot_be_told_keeps_nobody_from_being_told() -> None:
    scope = new_scope()
    told: list[str] = []

    async def fails(ending: Ending) -> None:
        raise OSError

    async def works(ending: Ending) -> None:
        told.append("works")

    async def handler() -> None:
        scope.on_end(works)
        scope.on_end(fails)
        scope.on_end(works)
        await scope.enter(part("audio", told))
        scope.call.end(BY_CALLER)
        await scope.call.ended()

    assert await run(scope, handler()) == BY_CALLER
    assert told == ["works", "works", "audio"]


async def test_closing_has_a_longest_time_and_every_part_is_closed() -> None:
    scope = new_scope(close_s=0.05)
    closed: list[str] = []

    async def stalls(ending: Ending) -> None:
        closed.append("told")
        await forever()

    async def handler() -> None:
        await scope.enter(part("audio", closed))
        await scope.enter(part("leg", closed, forever))
        await scope.enter(part("bridge", closed, forever))
        scope.on_end(stalls)
        scope.call.end(BY_CALLER)
        await scope.call.ended()

    await run(scope, handler())
    assert closed == ["told", "bridge", "leg", "audio"]


@pytest.mark.parametrize("fault", ["fails", "stalls"])
async def test_what_is_open_around_an_attempt_is_closed_whatever_becomes_of_the_attempt(fault: str) -> None:
    """As the agent's leg of a call back is."""
    scope = new_scope(close_s=0.2)
    closed: list[str] = []

    async def fails() -> None:
        raise OSError("no room")

    async def handler() -> None:
        await scope.enter(part("agent", closed))
        async with scope.attempt() as attempt:
            await attempt.enter(part("audio", closed, fails if fault == "fails" else forever))
            scope.call.end(BY_CALLER)
            await scope.call.ended()

    await run(scope, handler())
    assert closed == ["audio", "agent"]


async def test_no_talk_begins_in_a_call_that_has_just_failed() -> None:
    scope = new_scope()

    async def handler() -> None:
        scope.call.end(outcome.failed(OSError("no room")))
        scope.call.mark_media_up()
        await scope.call.ended()

    ending = await run(scope, handler())
    assert not scope.call.talking
    assert ending.status is Status.ERROR


async def test_a_task_that_does_not_end_does_not_keep_the_call() -> None:
    scope = new_scope(close_s=0.05)
    release = asyncio.Event()
    closed: list[str] = []

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async def handler() -> None:
        await scope.enter(part("leg", closed))
        scope.spawn(stubborn())
        await asyncio.sleep(0)
        scope.call.end(BY_CALLER)
        await scope.call.ended()

    await run(scope, handler())
    assert closed == ["leg"]
    release.set()


async def test_closing_goes_on_though_the_call_is_cancelled_again_and_again() -> None:
    scope = new_scope()
    closed: list[str] = []
    closing, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        closing.set()
        await go_on.wait()
        closed.append("slowly")

    async def handler() -> None:
        await scope.enter(part("audio", closed))
        await scope.enter(part("leg", closed, slowly))
        await scope.call.ended()

    running = asyncio.create_task(scope.run(handler()))
    while scope.call.state is CallState.BEGUN and not closing.is_set():
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
    assert scope.call.ending == outcome.shut_down(talking=False)


async def test_an_attempt_is_closed_before_the_next_and_told_that_it_failed() -> None:
    scope = new_scope()
    order: list[str] = []

    async def discard(ending: Ending) -> None:
        order.append(ending.detail)

    async def handler() -> None:
        for each in ("first", "second"):
            async with scope.attempt() as attempt:
                await attempt.enter(part(each, order))
                attempt.on_end(discard)
        scope.call.end(BY_CALLER)
        await scope.call.ended()

    await run(scope, handler())
    assert order == [outcome.REDIALLED.detail, "first", outcome.REDIALLED.detail, "second"]


async def test_an_attempt_that_fails_is_closed_before_the_next_line_is_tried() -> None:
    scope = new_scope()
    order: list[str] = []

    async def handler() -> None:
        with pytest.raises(KeyError):
            async with scope.attempt() as attempt:
                await attempt.enter(part("attempt", order))
                raise KeyError
        order.append("next")
        scope.call.end(BY_CALLER)
        await scope.call.ended()

    await run(scope, handler())
    assert order == ["attempt", "next"]


async def test_a_call_that_ends_while_an_attempt_is_closed_closes_it_once() -> None:
    scope = new_scope()
    closed: list[str] = []

    async def end_it() -> None:
        scope.call.end(BY_CALLER)
        await asyncio.sleep(0.01)

    async def handler() -> None:
        async with scope.attempt() as attempt:
            await attempt.enter(part("attempt", closed, end_it))
        await scope.call.ended()

    assert await run(scope, handler()) == BY_CALLER
    assert closed == ["attempt"]


def test_the_events_have_a_bound_and_their_end() -> None:
    scope = new_scope()
    for number in range(3 * MAX_EVENTS):
        scope.call.add_event(DigitsDialled(number))
    scope.call.end(BY_CALLER)
    assert len(scope.call.events) == MAX_EVENTS + 2
    assert scope.call.events[MAX_EVENTS - 1].event == DigitsDialled(MAX_EVENTS - 1)
    assert [each.event for each in scope.call.events[-2:]] == [EventsOmitted(), CallEnded.of(BY_CALLER)]


async def test_a_call_that_is_over_before_it_began_leaves_no_coroutine_behind(recwarn: pytest.WarningsRecorder) -> None:
    scope = new_scope()

    async def ending() -> Ending:
        raise AssertionError

    scope.end_when(ending())
    scope.spawn(forever())
    scope.call.end(BY_CALLER)
    await run(scope, forever())
    gc.collect()
    assert [str(each.message) for each in recwarn] == []
