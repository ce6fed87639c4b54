"""Keypads that machines have shown and can't hide any more. By virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from ari_app.cluster.bucket import AGAIN_S, QUIET_S, key_of
from ari_app.cluster.shared_keypads import HIDE_AGAIN_S, LOOK_S, EngineKeypads, OwnKeypads
from ari_app.tasks import GuardedTasks, guarded_tasks
from tests.fake_engine import Engine, WayToEngine
from tests.fast_time import run

LINE, OTHER = "+79990000001", "+79990000009"
CARRIED_S = 150.0
SOON_S = 1.0


@dataclass
class Machine:
    """One of a cluster; ``hidden``: the messages that it has hidden, ``alive``: when each machine was heard last."""

    name: str
    way: WayToEngine
    alive: dict[str, float]
    holds: bool = False
    can_hide: bool = True
    tried: int = 0
    hidden: list[int] = field(default_factory=list)
    shared: EngineKeypads = field(init=False)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def begin(self, tasks: GuardedTasks) -> None:
        clock = asyncio.get_running_loop().time
        self.shared = EngineKeypads(
            self.way,
            self.name,
            lambda: CARRIED_S,
            lambda line: self.holds and line == LINE,
            lambda machine: clock() - self.alive[machine] if machine in self.alive else None,
            clock,
        )
        work = self.shared.watch, self.shared.send, lambda: self.shared.hide_left(LINE, self._hide), self._lives
        self.tasks = [tasks.supervise(each, self.name) for each in work]

    async def _lives(self) -> None:
        while True:
            if not self.way.away:
                self.alive[self.name] = asyncio.get_running_loop().time()
            await asyncio.sleep(SOON_S)

    async def _hide(self, message_id: int) -> bool:
        self.tried += 1
        if self.can_hide:
            self.hidden.append(message_id)
            self.shared.hidden(LINE, message_id)
        return self.can_hide

    async def dies(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


@asynccontextmanager
async def machines(*names: str) -> AsyncIterator[tuple[GuardedTasks, list[Machine]]]:
    """The first one acts for the line."""
    engine, alive = Engine(), dict[str, float]()
    async with guarded_tasks() as tasks:
        its = [Machine(name, WayToEngine(engine), alive, holds=name == names[0]) for name in names]
        for each in its:
            each.begin(tasks)
        await asyncio.sleep(SOON_S)
        yield tasks, its


def kept(its: Machine) -> list[str]:
    return [key for key, entry in its.way.engine.entries.items() if entry.value]


def test_those_of_a_dead_machine_are_hidden_by_the_one_that_acts_for_the_line() -> None:
    async def scene() -> None:
        async with machines("a", "b", "c") as (_, (a, b, c)):
            a.shared.shown(LINE, 7)
            a.shared.shown(OTHER, 8)
            await asyncio.sleep(SOON_S)
            assert sorted(kept(a)) == [key_of(LINE, 7), key_of(OTHER, 8)]
            await a.dies()
            b.holds = True
            await asyncio.sleep(CARRIED_S - 2 * SOON_S)
            assert not b.hidden, "its calls may go on yet"
            await asyncio.sleep(LOOK_S + 4 * SOON_S)
            assert (b.hidden, c.hidden) == ([7], [])
            assert kept(b) == [key_of(OTHER, 8)]
            await asyncio.sleep(10 * QUIET_S)
            assert (b.hidden, c.hidden) == ([7], []), "once"

    run(scene)


def test_those_of_a_machine_that_comes_back_are_its_own() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (tasks, (a, b)):
            a.shared.shown(LINE, 7)
            await asyncio.sleep(SOON_S)
            await a.dies()
            b.holds = True
            await asyncio.sleep(CARRIED_S - 2 * SOON_S)
            a.holds = False
            a.begin(tasks)
            await asyncio.sleep(10 * CARRIED_S)
            assert not b.hidden
            a.shared.hidden(LINE, 7)
            await asyncio.sleep(SOON_S)
            assert not kept(a)

    run(scene)


def test_a_machine_that_has_just_begun_waits_as_long() -> None:
    """It may be the first to be there again after all were away."""

    async def scene() -> None:
        async with machines("a") as (tasks, (a,)):
            a.shared.shown(LINE, 7)
            await asyncio.sleep(SOON_S)
            await a.dies()
            await asyncio.sleep(10 * CARRIED_S)
            b = Machine("b", WayToEngine(a.way.engine), {}, holds=True)
            b.begin(tasks)
            await asyncio.sleep(CARRIED_S - SOON_S)
            assert not b.hidden
            await asyncio.sleep(LOOK_S + 2 * SOON_S)
            assert b.hidden == [7]

    run(scene)


def test_one_that_is_hidden_in_order_leaves_nothing() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (_, (a, b)):
            for shown_s in (0.0, SOON_S):
                a.shared.shown(LINE, 7)
                await asyncio.sleep(shown_s)
                a.shared.hidden(LINE, 7)
                await asyncio.sleep(SOON_S)
                assert not kept(a)
            await a.dies()
            b.holds = True
            await asyncio.sleep(2 * CARRIED_S)
            assert not b.hidden

    run(scene)


def test_while_nats_is_away_nobody_waits_and_it_is_told_later() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (_, (a, b)):
            a.way.away = True
            for message_id in (7, 8):
                a.shared.shown(LINE, message_id)
            a.shared.hidden(LINE, 8)
            await asyncio.sleep(10 * AGAIN_S)
            assert not kept(a)
            a.way.away = False
            await asyncio.sleep(AGAIN_S + SOON_S)
            assert kept(a) == [key_of(LINE, 7)]
            a.way.acknowledges = False
            a.shared.hidden(LINE, 7)
            await asyncio.sleep(SOON_S)
            a.way.acknowledges = True
            await asyncio.sleep(2 * AGAIN_S)
            assert not kept(a) and not b.hidden

    run(scene)


def test_servers_that_have_lost_everything_are_told_again() -> None:
    async def scene() -> None:
        async with machines("a") as (tasks, (a,)):
            for message_id in (7, 8):
                a.shared.shown(LINE, message_id)
            await asyncio.sleep(SOON_S)
            a.way.engine.lose_everything()
            a.shared.hidden(LINE, 8)
            await asyncio.sleep(2 * QUIET_S)
            b = Machine("b", WayToEngine(a.way.engine), a.alive)
            b.begin(tasks)
            await asyncio.sleep(SOON_S)
            await a.dies()
            b.holds = True
            await asyncio.sleep(CARRIED_S + LOOK_S + SOON_S)
            assert b.hidden == [7]

    run(scene)


def test_one_that_cannot_be_hidden_is_tried_again() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (_, (a, b)):
            a.shared.shown(LINE, 7)
            await asyncio.sleep(SOON_S)
            await a.dies()
            b.holds, b.can_hide = True, False
            await asyncio.sleep(CARRIED_S + LOOK_S + SOON_S)
            assert b.tried == 1
            b.can_hide = True
            await asyncio.sleep(HIDE_AGAIN_S + SOON_S)
            assert b.hidden == [7]

    run(scene)


@pytest.mark.parametrize(
    "value",
    [b"\xff", b"[]", b"{}", b"[" * 100_000, b'{"line": "+79990000001", "message": 1e400, "machine": "z"}'],
)
def test_what_another_version_has_written_is_left_alone(value: bytes) -> None:
    async def scene() -> None:
        async with machines("a") as (_, (a,)):
            a.way.engine.write("1.2", value, 0)
            await asyncio.sleep(2 * CARRIED_S)
            assert not a.hidden and kept(a) == ["1.2"]

    run(scene)


async def test_the_only_machine_tells_nobody() -> None:
    async def hide(message_id: int) -> bool:
        raise AssertionError

    keypads = OwnKeypads()
    keypads.shown(LINE, 7)
    keypads.hidden(LINE, 7)
    await keypads.hide_left(LINE, hide)
