"""What holds of leases of either kind: those of one machine's programs, and a cluster's. By virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from ari_app.cluster.engine_leases import EngineLeases, Owner
from ari_app.cluster.file_leases import HAND_OVER_S, FileLeases
from ari_app.cluster.leases import HeldLine, Leases
from ari_app.tasks import GuardedTasks, guarded_tasks
from tests.fake_engine import Engine, WayToEngine
from tests.fast_time import run

LEASE_S = 20.0
LINE, OTHER = "+49301234567", "+79990000001"
AT_ONCE_S = 2.1
"""Both kinds look more often; a renewal of a cluster's may be waited for."""
PATIENCE_S = 3 * LEASE_S

MakeLeases = Callable[[str], Leases]
Scene = Callable[[MakeLeases, GuardedTasks], Any]


@pytest.fixture(params=["files", "engine"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scene], None]:
    """Plays a scene with one kind of leases, of which each program asks for its own."""

    async def with_files(scene: Scene) -> None:
        async with guarded_tasks() as tasks:
            await scene(lambda name: FileLeases(tmp_path, name), tasks)

    async def with_engine(scene: Scene) -> None:
        engine = Engine()
        async with guarded_tasks() as tasks:

            def make(name: str) -> Leases:
                clock = asyncio.get_running_loop().time
                its = EngineLeases(WayToEngine(engine), Owner(name, "1"), LEASE_S, clock)
                tasks.spawn(its.watch(), f"watch of {name}")
                return its

            await scene(make, tasks)

    return lambda scene: run(lambda: (with_files if request.param == "files" else with_engine)(scene))


async def taken(stack: AsyncExitStack, leases: Leases, line: str = LINE, within_s: float = PATIENCE_S) -> HeldLine:
    async with asyncio.timeout(within_s):
        return await stack.enter_async_context(leases.hold(line))


async def stays_away(leases: Leases, line: str = LINE) -> None:
    """It waits, and does not get the line."""
    with pytest.raises(TimeoutError):
        async with AsyncExitStack() as stack:
            await taken(stack, leases, line)


def test_one_has_it_at_a_time(play: Callable[[Scene], None]) -> None:
    async def scene(make: MakeLeases, tasks: GuardedTasks) -> None:
        async with AsyncExitStack() as stack:
            held = await taken(stack, make("a"))
            assert held.line == LINE and held.is_valid
            await stays_away(make("b"))
            assert held.is_valid

    play(scene)


def test_lines_are_held_each_by_itself(play: Callable[[Scene], None]) -> None:
    async def scene(make: MakeLeases, tasks: GuardedTasks) -> None:
        async with AsyncExitStack() as stack:
            await taken(stack, make("a"))
            await taken(stack, make("b"), OTHER)

    play(scene)


def test_whoever_lets_go_is_followed_at_once_with_a_higher_token(play: Callable[[Scene], None]) -> None:
    async def scene(make: MakeLeases, tasks: GuardedTasks) -> None:
        tokens = []
        async with AsyncExitStack() as stack:
            tokens.append((await taken(stack, make("a"))).token)
        for name in ("b", "a", "b"):
            async with AsyncExitStack() as stack:
                tokens.append((await taken(stack, make(name), within_s=AT_ONCE_S)).token)
        assert tokens == sorted(set(tokens))

    play(scene)


def test_who_waits_gets_it_as_soon_as_it_is_let_go_of(play: Callable[[Scene], None]) -> None:
    async def scene(make: MakeLeases, tasks: GuardedTasks) -> None:
        async with AsyncExitStack() as waiting:
            async with AsyncExitStack() as stack:
                await taken(stack, make("a"))
                next_one = tasks.spawn(taken(waiting, make("b")), "the next one")
                await asyncio.sleep(LEASE_S)
                assert not next_one.done()
            async with asyncio.timeout(AT_ONCE_S):
                await next_one

    play(scene)


@pytest.mark.parametrize("error", [None, RuntimeError("what was done with it has failed")])
def test_what_was_held_is_lost_afterwards(error: Exception | None, play: Callable[[Scene], None]) -> None:
    async def scene(make: MakeLeases, tasks: GuardedTasks) -> None:
        hold = make("a").hold(LINE)
        held = await hold.__aenter__()
        assert not await hold.__aexit__(type(error) if error else None, error, None)
        assert held.lost.is_set() and not held.is_valid
        async with AsyncExitStack() as stack:
            await taken(stack, make("b"), within_s=AT_ONCE_S)

    play(scene)


def test_a_hand_over_is_for_whom_it_names(play: Callable[[Scene], None]) -> None:
    async def scene(make: MakeLeases, tasks: GuardedTasks) -> None:
        got: list[str] = []

        async def hold(name: str, leases: Leases) -> None:
            async with leases.hold(LINE):
                got.append(name)
                await asyncio.Event().wait()

        a = make("a")
        async with a.hold(LINE) as held:
            for name in "bc":
                tasks.spawn(hold(name, make(name)), name)
            await asyncio.sleep(LEASE_S)
            assert not got
            held.hand_over_to("c")
            assert held.lost.is_set()
        tasks.spawn(hold("a", a), "the giver")
        await asyncio.sleep(LEASE_S)
        assert got == ["c"]

    play(scene)


def test_a_hand_over_to_nobody_is_anybodys_soon(play: Callable[[Scene], None]) -> None:
    async def scene(make: MakeLeases, tasks: GuardedTasks) -> None:
        async with make("a").hold(LINE) as held:
            held.hand_over_to("z")
        async with AsyncExitStack() as stack:
            await taken(stack, make("b"), within_s=2 * HAND_OVER_S)
        async with AsyncExitStack() as stack:  # and a hand-over that is done with is none for the next one
            await taken(stack, make("a"), within_s=AT_ONCE_S)

    play(scene)


def test_a_wait_that_is_cancelled_leaves_nothing(play: Callable[[Scene], None]) -> None:
    async def scene(make: MakeLeases, tasks: GuardedTasks) -> None:
        async with AsyncExitStack() as stack:
            await taken(stack, make("a"))
            await stays_away(make("b"))
        async with AsyncExitStack() as stack:
            await taken(stack, make("c"), within_s=AT_ONCE_S)

    play(scene)
