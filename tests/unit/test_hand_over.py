"""Before the program ends and its calls go on: what is brought to its end."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from ari_app.calls import outcome
from ari_app.calls.outcome import Direction
from ari_app.calls.reasons import Stopped
from ari_app.calls.registry import CallRegistry
from ari_app.cli.hand_over import prepare

LINE = "+79990000001"
PASSES_S = 5.0  # a generous limit: what is tested takes milliseconds


class Done:
    """What has to be written, or told."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.queue = self

    async def flush(self, within_s: float) -> None:
        self.done.append("written")

    async def sent(self) -> None:
        self.done.append("told")


async def test_what_rings_ends_and_what_talks_is_left_alone() -> None:
    registry, done = CallRegistry(), Done()
    app = cast(Any, SimpleNamespace(registry=registry, services=SimpleNamespace(ami=done, store=done)))
    async with registry.admit(Direction.OUT, LINE, "@anna", 9) as talks:
        talks.mark_media_up()
        async with registry.admit(Direction.IN, LINE, "boris", 9) as rings:
            preparing = asyncio.create_task(prepare(app))
            async with asyncio.timeout(PASSES_S):
                await rings.ended()
            assert registry.drain.active
            assert not preparing.done(), "that call is still being closed"
            assert done.done == []
        async with asyncio.timeout(PASSES_S):
            assert await preparing == 1
        assert rings.ending
        assert rings.ending.reason == Stopped()
        assert talks.ending is None
        talks.end(outcome.shut_down(talking=True))
    assert done.done == ["told", "written"]


async def test_a_talk_that_is_ending_is_waited_for() -> None:
    registry, done = CallRegistry(), Done()
    app = cast(Any, SimpleNamespace(registry=registry, services=SimpleNamespace(ami=None, store=done)))
    async with registry.admit(Direction.OUT, LINE, "@anna", 9) as call:
        call.mark_media_up()
        call.end(outcome.by_administrator(Direction.OUT, talking=True))
        preparing = asyncio.create_task(prepare(app))
        await asyncio.sleep(0)
        assert not preparing.done()
    async with asyncio.timeout(PASSES_S):
        assert await preparing == 0
    assert done.done == ["written"]
