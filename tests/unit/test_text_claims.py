"""Which machine of a cluster answers a text, whatever becomes of the line's holder. By virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from ari_app.cluster.bucket import AGAIN_S
from ari_app.cluster.text_claims import KEYS_S, LOOK_S, NEW_HOLDER_S, EngineTextClaims, EveryText
from ari_app.tasks import GuardedTasks, guarded_tasks
from tests.fake_engine import Engine, WayToEngine
from tests.fast_time import run

LINE = "+79990000001"
TEXT, KEYS = "Hello?", "101"
PATIENCE_S = 30.0
SLACK_S = LOOK_S + 0.1


@dataclass(eq=False)
class Machine:
    name: str
    way: WayToEngine
    tasks: GuardedTasks
    holds: bool = False
    owner: object = "first run of a"
    """What it knows of who holds the line."""
    others_talk: bool = False

    def __post_init__(self) -> None:
        self.claims = EngineTextClaims(
            self.way,
            self.name,
            lambda _: self.holds,
            lambda _: self.owner,
            lambda _, text: self.others_talk and text == KEYS,
            PATIENCE_S,
        )

    def written(self, message_id: int, text: str = TEXT) -> asyncio.Task[bool | None]:
        """Somebody writes to the line."""
        return self.tasks.spawn(self.claims.is_ours(LINE, message_id, text), self.name)

    def dialled(self, message_id: int) -> asyncio.Task[None]:
        """It was keys for a call of this machine's."""
        return self.tasks.spawn(self.claims.was_dialled(LINE, message_id), self.name)


@asynccontextmanager
async def machines() -> AsyncIterator[tuple[Machine, Machine, Machine]]:
    """The first holds the line."""
    engine = Engine()
    async with guarded_tasks() as tasks:
        a, b, c = (Machine(name, WayToEngine(engine), tasks) for name in "abc")
        a.holds = True
        yield a, b, c


def now() -> float:
    return asyncio.get_running_loop().time()


def test_the_holder_answers_each_text_once() -> None:
    async def scene() -> None:
        async with machines() as (a, b, _):
            for message_id in (1, 2):
                theirs = b.written(message_id)
                began = now()
                assert await a.written(message_id)
                assert now() - began < LOOK_S
                assert not await theirs
                assert not await a.written(message_id), "also where Telegram tells it again"

    run(scene)


def test_a_text_in_a_hand_over_is_answered_once() -> None:
    async def scene() -> None:
        async with machines() as (a, b, _):
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
        async with machines() as (_, b, _c):
            theirs = b.written(1)
            await asyncio.sleep(20)
            assert not theirs.done()
            b.holds = True
            began = now()
            assert await theirs
            assert now() - began < 2 * LOOK_S

    run(scene)


def test_a_text_that_a_next_run_of_the_holder_knows_nothing_of_is_answered_by_another_machine() -> None:
    async def scene() -> None:
        async with machines() as (_, b, c):
            tasks = [b.written(1), c.written(1)]
            await asyncio.sleep(5)
            b.owner = c.owner = None  # as far as is known just then
            await asyncio.sleep(5)
            assert not any(each.done() for each in tasks)
            b.owner = c.owner = "second run of a"
            began = now()
            assert [await each for each in tasks].count(True) == 1
            assert NEW_HOLDER_S <= now() - began < NEW_HOLDER_S + 2 * SLACK_S

    run(scene)


def test_a_next_run_of_the_holder_that_is_told_of_the_text_answers_it() -> None:
    async def scene() -> None:
        async with machines() as (a, b, _):
            theirs = b.written(1)
            await asyncio.sleep(5)
            b.owner, ours = "second run of a", a.written(1)
            assert await ours and not await theirs
            # Also once the other machine has answered.
            assert await b.written(2) and not await a.written(2)

    run(scene)


def test_a_text_that_nobody_else_has_claimed_is_answered_at_last_by_one_of_the_others() -> None:
    """Telegram has not told the holder, or no machine holds the line."""

    async def scene() -> None:
        async with machines() as (_, b, c):
            began = now()
            assert [await each for each in (b.written(1), c.written(1))].count(True) == 1
            assert PATIENCE_S <= now() - began < PATIENCE_S + SLACK_S

    run(scene)


def test_who_is_cancelled_while_it_waits_has_claimed_nothing() -> None:
    async def scene() -> None:
        async with machines() as (a, b, _):
            for text, wait_s in ((TEXT, PATIENCE_S), (KEYS, KEYS_S)):
                b.others_talk = text == KEYS
                theirs = b.written(1, text)
                await asyncio.sleep(wait_s - 0.1)
                theirs.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await theirs
            await asyncio.sleep(2 * PATIENCE_S)
            assert not b.way.engine.entries
            assert await a.written(1)

    run(scene)


def test_with_the_engine_away_the_holder_answers() -> None:
    async def scene() -> None:
        async with machines() as (a, b, _):
            a.way.away = b.way.away = True
            theirs = b.written(1)
            assert await a.written(1)
            a.holds = False
            assert not await a.written(2)
            assert not await theirs

    run(scene)


def test_an_engine_that_is_away_at_the_end_is_asked_again() -> None:
    async def scene() -> None:
        async with machines() as (_, b, _c):
            theirs = b.written(1)
            await asyncio.sleep(PATIENCE_S - 1)
            b.way.away = True
            await asyncio.sleep(PATIENCE_S / 2)
            assert not theirs.done()
            b.way.away = False
            assert await theirs

            theirs = b.written(2)
            b.way.away = True
            await asyncio.sleep(PATIENCE_S + AGAIN_S)
            b.holds = True  # as far as it knew a moment ago
            assert await theirs

    run(scene)


def test_a_claim_of_one_that_was_away_meanwhile_is_another_machines() -> None:
    async def scene() -> None:
        async with machines() as (a, b, _):
            theirs = b.written(1)
            b.way.away = True
            await asyncio.sleep(PATIENCE_S + 1)
            assert await a.written(1)
            b.way.away = False
            assert not await theirs

    run(scene)


def test_an_acknowledgement_that_is_lost_is_no_other_machine() -> None:
    async def scene() -> None:
        async with machines() as (a, b, _):
            a.way.acknowledges = False
            theirs = b.written(1)
            assert await a.written(1)
            b.holds = True
            assert not await theirs

            b.holds, b.way.acknowledges = False, False
            assert await b.written(2), "its own claim is there"
            assert not await b.written(2)

    run(scene)


def test_keys_are_claimed_by_the_machine_that_dials_them() -> None:
    async def scene() -> None:
        async with machines() as (a, b, c):
            a.others_talk = c.others_talk = True
            ours, others = a.written(1, KEYS), c.written(1, KEYS)
            await asyncio.sleep(KEYS_S / 2)  # Telegram tells it a moment later
            began = now()
            await b.dialled(1)
            assert now() - began < LOOK_S
            assert not await ours and not await others
            # What is no keys does not wait for anybody.
            began = now()
            assert await a.written(2)
            assert now() - began < LOOK_S

    run(scene)


def test_keys_of_who_has_no_call_are_answered_as_a_text() -> None:
    async def scene() -> None:
        async with machines() as (a, b, _):
            assert await a.written(1, KEYS)
            a.others_talk, theirs = True, b.written(2, KEYS)
            began = now()
            assert await a.written(2, KEYS), "somebody else talks"
            assert KEYS_S <= now() - began < KEYS_S + SLACK_S
            assert not await theirs

    run(scene)


def test_keys_that_the_holder_has_answered_already(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with machines() as (a, b, _):
            assert await a.written(1, KEYS)
            await b.dialled(1)

    caplog.set_level("INFO")
    run(scene)
    assert "dialled, and claimed before" in caplog.text


def test_with_the_engine_away_keys_that_may_have_been_dialled_are_not_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> None:
        async with machines() as (a, b, c):
            for each in (a, b, c):
                each.way.away, each.others_talk = True, each is not b
            dialled, theirs = b.dialled(1), c.written(1, KEYS)
            assert not await a.written(1, KEYS)
            await asyncio.sleep(PATIENCE_S / 2)
            assert not dialled.done()
            for each in (a, b, c):
                each.way.away = False
            await dialled
            assert not await theirs and not caplog.text.count("dialled; the engine is away")

            b.way.away = True
            began = now()
            await b.dialled(2)
            assert now() - began < PATIENCE_S + 2 * AGAIN_S

    run(scene)
    assert "dialled; the engine is away, so another machine may answer it, too" in caplog.text


def test_one_machine_answers_all() -> None:
    async def scene() -> None:
        assert await EveryText().is_ours(LINE, 1, TEXT)
        await EveryText().was_dialled(LINE, 1)

    asyncio.run(scene())
