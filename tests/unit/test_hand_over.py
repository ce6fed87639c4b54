"""Before the program ends and its calls go on: what is brought to its end."""

import asyncio
from typing import Any, NoReturn, cast

import pytest

from ari_app.app import HandedOver
from ari_app.calls import outcome
from ari_app.calls.outcome import Direction, Status
from ari_app.calls.reasons import Stopped
from ari_app.calls.registry import CallRegistry
from ari_app.cli import hand_over
from ari_app.cli.hand_over import handing_over_on_failure, prepare
from ari_app.telegram.phone import DiscardReason

LINE = "+79990000001"
PASSES_S = 5.0  # a generous limit: what is tested takes milliseconds


class Done:
    """What has to be written, or told."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.queue = self
        self.hidden = asyncio.Event()
        self.hidden.set()

    async def flush(self, within_s: float) -> None:
        self.done.append("written")

    async def wait_hidden(self) -> None:
        await self.hidden.wait()
        self.done.append("hidden")

    async def sent(self) -> None:
        self.done.append("told")


def handed_over(registry: CallRegistry, done: Done, ami: bool = False) -> HandedOver:
    return HandedOver(registry, cast(Any, done), cast(Any, done) if ami else None, cast(Any, done))


async def test_what_rings_ends_and_what_talks_is_left_alone() -> None:
    registry, done = CallRegistry(), Done()
    its = handed_over(registry, done, ami=True)
    async with registry.admit(Direction.OUT, LINE, "@anna", 9) as talks:
        talks.mark_media_up()
        async with registry.admit(Direction.IN, LINE, "boris", 9) as rings:
            preparing = asyncio.create_task(prepare(its))
            async with asyncio.timeout(PASSES_S):
                await rings.ended()
            assert registry.drain.active
            assert not preparing.done(), "that call is still being closed"
            assert done.done == []
        async with asyncio.timeout(PASSES_S):
            assert await preparing == 1
        assert rings.ending
        its_ending = (rings.ending.status, rings.ending.cause, rings.ending.discard, rings.ending.reason)
        assert its_ending == (Status.ERROR, 41, DiscardReason.DISCONNECT, Stopped())
        assert talks.ending is None
        talks.end(outcome.shut_down(talking=True))
    assert done.done == ["hidden", "told", "written"]


async def test_keypads_that_cannot_be_removed_are_left_to_the_next_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_over, "KEYPADS_S", 0.02)
    done = Done()
    done.hidden.clear()
    async with asyncio.timeout(PASSES_S):
        assert await prepare(handed_over(CallRegistry(), done)) == 0
    assert done.done == ["written"]


async def test_what_rings_is_left_to_another_machine_where_there_is_one() -> None:
    registry = CallRegistry()
    async with registry.admit(Direction.IN, LINE, "boris", 9) as call:
        call.leave = lambda: True
        preparing = asyncio.create_task(prepare(handed_over(registry, Done())))
        async with asyncio.timeout(PASSES_S):
            await call.ended()
    await preparing
    assert call.ending == outcome.left_to_machine()


@pytest.mark.parametrize("direction", [Direction.IN, Direction.OUT, Direction.BACK], ids=lambda each: each.value)
@pytest.mark.parametrize("connects", [True, False])
async def test_who_has_just_answered_may_still_be_connected(
    direction: Direction, connects: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not connects:
        monkeypatch.setattr(hand_over, "CONNECTING_S", 0.02)
    registry, done = CallRegistry(), Done()
    async with registry.admit(direction, LINE, "@anna", 9) as other:
        other.mark_media_up()
        async with registry.admit(direction, LINE, "boris", 9) as call:
            if direction is not Direction.OUT:
                call.mark_pbx_answered("1", "c")
            if direction is not Direction.IN:
                call.mark_ringing()
                call.mark_accepted()
            preparing = asyncio.create_task(prepare(handed_over(registry, done)))
            await asyncio.sleep(0)
            assert call.ending is None
            if connects:
                call.mark_media_up()
                async with asyncio.timeout(PASSES_S):
                    assert await preparing == 2
                assert call.ending is None
                call.end(outcome.shut_down(talking=True))
            else:
                async with asyncio.timeout(PASSES_S):
                    await call.ended()
                assert call.ending == outcome.shut_down(talking=False)
        if not connects:
            assert await preparing == 1
        other.end(outcome.shut_down(talking=True))


async def test_whom_an_agent_waits_for_is_not_called_any_more() -> None:
    registry = CallRegistry()
    async with registry.admit(Direction.BACK, LINE, "boris", 9) as call:
        call.mark_pbx_answered("1", "c")
        preparing = asyncio.create_task(prepare(handed_over(registry, Done())))
        async with asyncio.timeout(PASSES_S):
            await call.ended()
    await preparing


async def test_a_talk_that_is_ending_is_waited_for() -> None:
    registry, done = CallRegistry(), Done()
    its = handed_over(registry, done)
    async with registry.admit(Direction.OUT, LINE, "@anna", 9) as call:
        call.mark_media_up()
        call.end(outcome.by_administrator(Direction.OUT, talking=True))
        preparing = asyncio.create_task(prepare(its))
        await asyncio.sleep(0)
        assert not preparing.done()
    async with asyncio.timeout(PASSES_S):
        assert await preparing == 0
    assert done.done == ["hidden", "written"]


class Left(BaseException):
    """This process would have ended."""


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The exit status with which it ends."""
    statuses: list[int] = []

    def leave(status: int = 0) -> NoReturn:
        statuses.append(status)
        raise Left

    monkeypatch.setattr(hand_over, "leave", leave)
    return statuses


async def test_a_start_that_fails_leaves_the_calls_that_it_has_taken_up(left: list[int]) -> None:
    registry, done, told = CallRegistry(), Done(), list[Exception]()

    def tell(error: Exception) -> int:
        told.append(error)
        return 7

    wrong = RuntimeError("no page")
    async with registry.admit(Direction.OUT, LINE, "@anna", 9) as talks:
        talks.mark_media_up()
        with pytest.raises(Left):
            async with handing_over_on_failure(handed_over(registry, done), tell):
                raise wrong
        assert talks.ending is None
        talks.end(outcome.shut_down(talking=True))
    assert (left, told, done.done) == ([7], [wrong], ["hidden", "written"])


async def test_a_start_that_fails_without_calls_ends_as_any(left: list[int]) -> None:
    with pytest.raises(RuntimeError):
        async with handing_over_on_failure(handed_over(CallRegistry(), Done()), lambda error: 1):
            raise RuntimeError("no page")
    assert left == []
