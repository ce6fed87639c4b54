"""Which machine of a cluster answers a text, whatever becomes of the line's holder. By virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ari_app.cluster.text_claims import LOOK_S, EngineTextClaims, EveryText
from ari_app.tasks import GuardedTasks, guarded_tasks
from tests.fake_engine import Engine, WayToEngine
from tests.fast_time import run

LINE = "+49301234567"
PATIENCE_S = 30.0


@dataclass(eq=False)
class Machine:
    name: str
    way: WayToEngine
    tasks: GuardedTasks
    holds: bool = False

    def written(self, message_id: int) -> asyncio.Task[bool | None]:
        """Somebody writes to the line."""
        claims = EngineTextClaims(self.way, self.name, lambda _: self.holds, PATIENCE_S)
        return self.tasks.spawn(claims.is_ours(LINE, message_id), self.name)


@asynccontextmanager
async def machines() -> AsyncIterator[tuple[Machine, Machine]]:
    """The first holds the line."""
    engine = Engine()
    async with guarded_tasks() as tasks:
        yield Machine("a", WayToEngine(engine), tasks, holds=True), Machine("b", WayToEngine(engine), tasks)


def test_the_holder_answers_each_text_once() -> None:
    async def scene() -> None:
        async with machines() as (a, b):
            for message_id in (1, 2):
                theirs = b.written(message_id)
                assert await a.written(message_id)
                assert not await theirs
                assert not await a.written(message_id), "also where Telegram tells it again"

    run(scene)


def test_a_text_in_a_hand_over_is_answered_once() -> None:
    async def scene() -> None:
        async with machines() as (a, b):
            ours, theirs = a.written(1), b.written(1)
            await asyncio.sleep(0)
            a.holds, b.holds = False, True
            assert await ours and not await theirs

            theirs, b.holds = a.written(2), False  # nobody holds it
            again = b.written(2)
            await asyncio.sleep(5)
            b.holds = True
            assert await again and not await theirs

    run(scene)


def test_a_text_to_a_holder_that_is_dead_is_answered_by_the_next_one() -> None:
    async def scene() -> None:
        async with machines() as (_, b):
            theirs = b.written(1)
            await asyncio.sleep(20)
            assert not theirs.done()
            b.holds = True
            began = asyncio.get_running_loop().time()
            assert await theirs
            assert asyncio.get_running_loop().time() - began < 2 * LOOK_S

    run(scene)


def test_with_the_engine_away_the_holder_answers() -> None:
    async def scene() -> None:
        async with machines() as (a, b):
            a.way.away = b.way.away = True
            theirs = b.written(1)
            assert await a.written(1)
            a.holds = False
            assert not await a.written(2)
            assert not await theirs

    run(scene)


def test_an_acknowledgement_that_is_lost_is_no_other_machine() -> None:
    async def scene() -> None:
        async with machines() as (a, b):
            a.way.acknowledges = False
            theirs = b.written(1)
            assert await a.written(1)
            b.holds = True
            assert not await theirs

    run(scene)


def test_one_machine_answers_all() -> None:
    assert asyncio.run(EveryText().is_ours(LINE, 1))
