"""Which machine of a cluster answers a call, whatever becomes of the line's holder. By virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from ari_app.cluster.bucket import key_of
from ari_app.cluster.claims import FOLLOW_UP_S, LEFT_S, NOBODY_S, SILENT_S, WORD_S, Claim, EngineClaims, OnlyMachine
from ari_app.tasks import GuardedTasks, guarded_tasks
from tests.fake_engine import Engine, WayToEngine
from tests.fast_time import run

LINE = "+49301234567"
CALL = 4711
KEY = key_of(LINE, CALL)


@dataclass(eq=False)
class Call:
    """As one machine sees it."""

    id: int = CALL
    over: asyncio.Event = field(default_factory=asyncio.Event)
    left: bool = False
    is_being_answered: bool = False

    async def rings_no_more(self) -> None:
        await self.over.wait()

    def leave_to_other_devices(self) -> bool:
        if self.is_being_answered:
            return False
        self.left = True
        self.over.set()
        return True


@dataclass(eq=False)
class Machine:
    """One to which the call is offered; ``ours``: what came of its claim."""

    name: str
    way: WayToEngine
    tasks: GuardedTasks
    holds: bool = False
    call: Call = field(default_factory=Call)
    ours: bool | None = None
    said: asyncio.Event = field(default_factory=asyncio.Event)
    took_s: float = 0.0
    is_online: bool = True
    has_room: bool = True
    others_hold_until: float = 0.0
    others_take: bool = True
    claim: Claim | None = None

    def offered(self) -> None:
        self.task = self.tasks.spawn(self._handle(), self.name)

    async def _handle(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        claims = EngineClaims(
            self.way,
            self.name,
            lambda _: self.holds,
            lambda _: self.others_hold_until - loop.time(),
            lambda _: self.others_take,
        )
        async with claims.claimed(LINE, self.call, lambda: self.is_online, lambda: self.has_room) as self.claim:
            self.ours = self.claim is not None
            self.took_s = loop.time() - began
            self.said.set()
            if self.claim:
                await self.call.over.wait()
                await self.claim.told()

    async def leaves(self) -> float:
        """Stop in order; for how many seconds the others are being told."""
        assert self.claim is not None and self.claim.leave()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.claim.told()
        return loop.time() - began

    async def hears_the_end(self) -> None:
        """The call is over, as far as Telegram tells this machine."""
        if self.claim:
            self.claim.ended()
        self.call.over.set()
        await asyncio.wait({self.task})

    async def dies(self) -> None:
        self.way.away = True
        self.task.cancel()
        await asyncio.wait({self.task})


@asynccontextmanager
async def offered(*names: str, holder: str = "a", full: str = "") -> AsyncIterator[list[Machine]]:
    """A call that is offered to machines at the same time; those whose names are in ``full`` have no room."""
    engine = Engine()
    async with guarded_tasks() as tasks:
        its = [Machine(name, WayToEngine(engine), tasks, name == holder, has_room=name not in full) for name in names]
        for each in its:
            each.offered()
        await asyncio.sleep(0)
        yield its


def test_the_holder_answers_at_once_and_the_others_wait() -> None:
    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            await a.said.wait()
            assert a.ours and a.took_s == 0
            await asyncio.sleep(60)
            assert b.ours is None
            for each in (a, b):
                each.call.over.set()
            await b.said.wait()
            assert b.ours is False and not b.call.left

    run(scene)


def test_nobody_says_a_word() -> None:
    async def scene() -> None:
        async with offered("b", holder="a") as (b,):
            await b.said.wait()
            assert b.ours and SILENT_S <= b.took_s < SILENT_S + WORD_S

    run(scene)


def test_the_holder_dies_while_it_rings() -> None:
    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            await asyncio.sleep(5)
            await a.dies()
            await b.said.wait()
            assert b.ours and b.took_s - 5 <= SILENT_S + WORD_S + 0.1

    run(scene)


def test_one_of_two_takes_it() -> None:
    async def scene() -> None:
        async with offered("b", "c", holder="a") as its:
            await asyncio.sleep(30)
            assert sum(bool(each.ours) for each in its) == 1
            assert [each.ours for each in its].count(None) == 1

    run(scene)


def test_a_second_one_follows_the_first() -> None:
    async def scene() -> None:
        async with offered("a", "b", "c") as (a, b, c):
            await a.dies()
            await asyncio.sleep(5)
            first, second = (b, c) if b.ours else (c, b)
            assert first.ours and second.ours is None
            await first.dies()
            await second.said.wait()
            assert second.ours

    run(scene)


def test_with_the_engine_away_the_holder_answers_as_long_as_its_lease_may_last() -> None:
    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            a.way.away = b.way.away = True
            b.others_hold_until = asyncio.get_running_loop().time() + 12
            await b.said.wait()
            assert a.ours and b.ours and 12 <= b.took_s < 12 + 2 * WORD_S
            assert not a.call.left and not b.call.left
            a.call.over.set()
            b.call.over.set()

    run(scene)


def test_a_holder_of_whom_nothing_was_heard_leaves_it() -> None:
    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            a.way.away = True
            await b.said.wait()
            assert b.ours
            a.way.away = False
            await asyncio.sleep(SILENT_S + WORD_S)
            assert a.call.left and not b.call.left

    run(scene)


def test_whoever_is_cut_off_from_telegram_says_nothing() -> None:
    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            await asyncio.sleep(3)
            a.is_online = False
            await b.said.wait()
            assert b.ours and b.took_s < 3 + SILENT_S + 2 * WORD_S

    run(scene)


def test_a_holder_without_room_leaves_it_to_the_others() -> None:
    async def scene() -> None:
        async with offered("a", "b", "c", full="a") as (a, b, c):
            await asyncio.sleep(NOBODY_S + 5)
            first, second = (b, c) if b.ours else (c, b)
            assert first.ours and SILENT_S <= first.took_s < SILENT_S + WORD_S + 0.1
            assert a.ours is None and second.ours is None
            first.has_room = False  # this very call has taken it
            await asyncio.sleep(60)
            assert not first.call.left and a.ours is None

    run(scene)


def test_a_call_that_no_machine_has_room_for_is_refused_by_one_of_them() -> None:
    async def scene() -> None:
        async with offered("a", "b", full="ab") as its:
            await asyncio.sleep(NOBODY_S - WORD_S)
            assert [each.ours for each in its] == [None, None]
            await asyncio.sleep(2 * WORD_S)
            assert sum(bool(each.ours) for each in its) == 1

    run(scene)


def test_a_holder_without_room_is_alone() -> None:
    async def scene() -> None:
        async with offered("a", full="a") as (a,):
            a.way.away = True
            await a.said.wait()
            assert a.ours and NOBODY_S <= a.took_s < NOBODY_S + 2 * WORD_S

    run(scene)


def test_a_holder_that_has_room_again_takes_it() -> None:
    async def scene() -> None:
        async with offered("a", "b", full="ab") as (a, b):
            await asyncio.sleep(2.0)
            a.has_room = True
            await a.said.wait()
            assert a.ours and a.took_s < 2.0 + 2 * WORD_S
            assert b.ours is None

    run(scene)


def test_a_machine_that_stops_leaves_the_call_to_the_others() -> None:
    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            await asyncio.sleep(3)
            await b.dies()
            assert b.call.left
            assert a.ours and not a.call.left

    run(scene)


def test_a_call_that_rings_on_a_machine_that_stops_is_taken_by_another_one_at_once() -> None:
    async def scene() -> None:
        async with offered("a", "b", "c") as (a, b, c):
            await asyncio.sleep(3)
            assert await a.leaves() < 0.1
            assert a.call.left
            await asyncio.sleep(WORD_S + 0.1)
            first, second = (b, c) if b.ours else (c, b)
            assert first.ours and first.took_s <= 3 + WORD_S + 0.1 and second.ours is None
            await asyncio.sleep(30)
            assert not first.call.left and second.ours is None

    run(scene)


def test_one_after_the_other_stops() -> None:
    async def scene() -> None:
        async with offered("a", "b", "c") as (a, b, c):
            await a.leaves()
            await asyncio.sleep(WORD_S + 0.1)
            first, second = (b, c) if b.ours else (c, b)
            await first.leaves()
            await second.said.wait()
            assert second.ours and second.took_s <= 2 * WORD_S + 0.2

    run(scene)


def test_a_call_is_not_left_where_nobody_could_take_it() -> None:
    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            await asyncio.sleep(3)
            a.others_take = False
            assert a.claim and not a.claim.leave() and not a.call.left
            await a.claim.told()
            a.others_take, a.call.is_being_answered = True, True
            assert not a.claim.leave()
            await asyncio.sleep(30)
            assert b.ours is None

    run(scene)


def test_a_call_is_left_while_the_engine_is_away() -> None:
    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            await asyncio.sleep(3)
            a.way.away = True
            assert await a.leaves() <= SILENT_S + LEFT_S
            await b.said.wait()
            assert b.ours and b.took_s <= 3 + SILENT_S + WORD_S + 0.1

    run(scene)


def test_an_acknowledgement_that_is_lost_keeps_no_call_here() -> None:
    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            await asyncio.sleep(3)
            a.way.acknowledges = False
            await asyncio.sleep(2 * WORD_S)
            a.way.acknowledges = True
            began = asyncio.get_running_loop().time()
            await a.leaves()
            await b.said.wait()
            assert b.ours and asyncio.get_running_loop().time() - began <= WORD_S + 0.1

    run(scene)


def test_a_call_that_was_left_is_refused_where_the_others_are_full_by_now() -> None:
    async def scene() -> None:
        async with offered("a", "b", full="b") as (a, b):
            await asyncio.sleep(3)
            await a.leaves()
            await b.said.wait()
            assert b.ours and NOBODY_S <= b.took_s - 3 <= NOBODY_S + 2 * WORD_S

    run(scene)


def test_what_was_left_is_ended_by_the_next_run_only_where_nobody_has_taken_it() -> None:
    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            await a.leaves()
            again = EngineClaims(a.way, "a", lambda _: False, lambda _: 0.0, lambda _: True)
            assert not await again.is_ours(LINE, CALL)
            assert b.ours
        async with offered("a") as (a,):
            await a.leaves()
            again = EngineClaims(a.way, "a", lambda _: False, lambda _: 0.0, lambda _: True)
            assert await again.is_ours(LINE, CALL)

    run(scene)


async def test_the_only_machine_leaves_nothing() -> None:
    call = Call()
    async with OnlyMachine().claimed(LINE, call, lambda: True, lambda: True) as claim:
        assert claim and not claim.leave() and not call.left
        await claim.told()


def test_a_run_that_was_killed_ends_only_what_nobody_has_taken() -> None:
    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            await asyncio.sleep(3)
            await a.dies()
            a.way.away = False
            again = EngineClaims(a.way, "a", lambda _: False, lambda _: 0.0, lambda _: True)
            assert not await again.is_ours(LINE, CALL)
            assert b.ours
            assert await again.is_ours(LINE, CALL + 1)
            a.way.away = True
            assert not await again.is_ours(LINE, CALL)

    run(scene)


def test_a_call_that_is_over_is_not_taken_by_a_machine_that_has_not_heard_of_it() -> None:
    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            await asyncio.sleep(3)
            await a.hears_the_end()
            await asyncio.sleep(60)
            assert b.ours is None
            await b.hears_the_end()
            assert b.ours is False

    run(scene)


def test_with_the_engine_away_the_end_of_a_call_waits_for_nobody() -> None:
    async def scene() -> None:
        async with offered("a") as (a,):
            await asyncio.sleep(3)
            a.way.away = True
            ended_at = asyncio.get_running_loop().time()
            await a.hears_the_end()
            assert asyncio.get_running_loop().time() - ended_at <= 2 * WORD_S

    run(scene)


def test_whoever_hears_late_of_a_call_that_another_machine_had_does_not_follow_it_up() -> None:
    async def scene() -> None:
        async with offered("b", holder="a") as (b,):
            await b.said.wait()
            b.call.over.set()
            assert not await claims(b.way, "a").follows_up(LINE, CALL)
            assert await claims(b.way, "b").follows_up(LINE, CALL)
            assert await claims(b.way, "a").follows_up(LINE, CALL + 1)

    run(scene)


def claims(way: WayToEngine, name: str) -> EngineClaims:
    """Of a machine."""
    return EngineClaims(way, name, lambda _: True, lambda _: 0.0, lambda _: True)


@pytest.mark.parametrize("lost", [False, True])
def test_one_of_two_that_could_not_agree_follows_a_call_up(lost: bool) -> None:
    """Also where the engine has lost all that was said of the call."""

    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            await asyncio.sleep(3)
            await a.hears_the_end()
            await b.hears_the_end()
            if lost:
                a.way.engine.lose_everything()
            say = [claims(each.way, each.name).follows_up(LINE, CALL) for each in (a, b)]
            assert sorted(await asyncio.gather(*say)) == [False, True]

    run(scene)


def test_a_machine_that_is_cut_off_asks_later_whether_it_follows_a_call_up() -> None:
    async def scene() -> None:
        engine = Engine()
        cut, other = WayToEngine(engine, away=True), WayToEngine(engine)
        async with guarded_tasks() as tasks:
            asking = tasks.spawn(claims(cut, "a").follows_up(LINE, CALL), "a")
            assert await claims(other, "b").follows_up(LINE, CALL)
            await asyncio.sleep(FOLLOW_UP_S / 2)
            cut.away = False
            assert not await asking

    run(scene)


def test_a_machine_that_is_cut_off_for_long_follows_a_call_up_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        assert await claims(WayToEngine(Engine(), away=True), "a").follows_up(LINE, CALL)
        assert asyncio.get_running_loop().time() == pytest.approx(FOLLOW_UP_S, abs=2 * SILENT_S)

    run(scene)
    assert "perhaps by another machine, too" in caplog.text


def test_an_acknowledgement_that_is_lost_keeps_no_card_back() -> None:
    async def scene() -> None:
        way = WayToEngine(Engine(), acknowledges=False)
        async with guarded_tasks() as tasks:
            asking = tasks.spawn(claims(way, "a").follows_up(LINE, CALL), "a")
            await asyncio.sleep(SILENT_S)
            way.acknowledges = True
            assert await asking

    run(scene)


def test_an_acknowledgement_that_is_lost_is_no_other_machine() -> None:
    async def scene() -> None:
        async with offered("a", "b") as (a, b):
            a.way.acknowledges = False
            await asyncio.sleep(1.0)
            a.way.acknowledges = True
            await asyncio.sleep(20)
            assert a.ours and not a.call.left and b.ours is None

    run(scene)


def test_it_is_quiet_once_the_call_is_answered() -> None:
    async def scene() -> None:
        async with offered("a") as (a,):
            await asyncio.sleep(5)
            a.call.over.set()
            await asyncio.sleep(WORD_S)
            before = a.way.engine.revision
            await asyncio.sleep(60)
            assert a.way.engine.revision == before

    run(scene)


def test_a_claim_that_cannot_be_read_is_somebodys() -> None:
    async def scene() -> None:
        engine = Engine()
        engine.write(KEY, b"\xff", 0)
        async with guarded_tasks() as tasks:
            a = Machine("a", WayToEngine(engine), tasks, holds=True)
            a.offered()
            await asyncio.sleep(WORD_S)
            assert a.call.left

    run(scene)
