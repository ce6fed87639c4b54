"""Which machine of a cluster fetches what is meant for the bot. By virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import pytest

from ari_app.cluster.duty import UNFIT_S
from ari_app.cluster.engine_leases import RENEWALS, EngineLeases, Owner
from ari_app.cluster.members import WORD_S, Member, Members, address_of
from ari_app.cluster.shared_bot import BotDuty, SharedBot
from ari_app.tasks import GuardedTasks, guarded_tasks
from ari_app.telegram.bot_machines import MachineAway
from tests.fake_engine import Engine, WayToEngine
from tests.fake_messenger import FakeMessenger
from tests.fast_time import run

LEASE_S = 20.0


@dataclass(eq=False)
class Polls:
    """Whoever fetches now; Telegram lets one do so."""

    now: set[str] = field(default_factory=set)
    most: int = 0


@dataclass(eq=False)
class Bot:
    name: str
    polls: Polls
    is_connected: bool = True
    polls_hang: bool = False

    @property
    def can_fetch(self) -> bool:
        """Whoever does not fetch does not see that it would not work."""
        return self.is_connected and not (self.polls_hang and self.name in self.polls.now)

    @contextmanager
    def fetching(self) -> Iterator[None]:
        self.polls.now.add(self.name)
        self.polls.most = max(self.polls.most, len(self.polls.now))
        try:
            yield
        finally:
            self.polls.now.discard(self.name)


@dataclass(eq=False)
class Machine:
    way: WayToEngine
    shared: SharedBot
    bot: Bot
    tasks: list[asyncio.Task[None]]

    async def fetches(self) -> None:
        async with asyncio.timeout(5 * LEASE_S):
            while self.bot.polls.now != {self.bot.name}:  # noqa: ASYNC110 - nobody else waits for it
                await asyncio.sleep(0.1)
        assert self.shared.fetches()

    async def dies(self) -> None:
        self.way.away = True
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


def machine(name: str, buckets: tuple[Engine, Engine], polls: Polls, tasks: GuardedTasks) -> Machine:
    way, clock = WayToEngine(buckets[0]), asyncio.get_running_loop().time
    leases = EngineLeases(way, Owner(name, "1"), LEASE_S, clock)
    members = Members(WayToEngine(buckets[1]), lambda *_: False, clock)
    shared, bot = SharedBot(name, FakeMessenger({}, name), BotDuty(leases), members), Bot(name, polls)
    return Machine(
        way,
        shared,
        bot,
        [
            tasks.supervise(leases.watch, "leases"),
            tasks.supervise(members.watch, "members"),
            tasks.supervise(lambda: members.announce(lambda: Member(name, "1.0"), asyncio.Event()), "word"),
            tasks.supervise(lambda: shared.keep(bot), "bot"),
        ],
    )


@asynccontextmanager
async def machines(*names: str) -> AsyncIterator[list[Machine]]:
    """The first of them fetches."""
    buckets, polls = (Engine(), Engine()), Polls()
    async with guarded_tasks() as tasks:
        its = [machine(names[0], buckets, polls, tasks)]
        await its[0].fetches()
        its += [machine(name, buckets, polls, tasks) for name in names[1:]]
        await asyncio.sleep(2 * WORD_S)
        yield its
    assert polls.most == 1, "Telegram answers 409 to two"


def test_another_machine_fetches_when_the_first_has_died() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            await asyncio.sleep(5 * LEASE_S)
            assert b.bot.polls.now == {"a"} and not b.shared.fetches()
            await a.dies()
            await b.fetches()

    run(scene)


def test_a_machine_that_is_cut_off_from_the_engine_stops_before_another_one_begins() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            a.way.away = True
            await b.fetches()
            a.way.away = False
            await asyncio.sleep(5 * LEASE_S)
            assert b.bot.polls.now == {"b"}

    run(scene)


def test_with_the_engine_away_nobody_fetches_after_a_while() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            a.way.away = b.way.away = True
            await asyncio.sleep(5 * LEASE_S)
            assert not a.bot.polls.now
            a.way.away = b.way.away = False
            await asyncio.sleep(2 * LEASE_S)
            assert len(a.bot.polls.now) == 1

    run(scene)


def test_a_machine_that_cannot_fetch_leaves_it_to_another_one() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            a.bot.is_connected = False
            await asyncio.sleep(UNFIT_S + LEASE_S / RENEWALS + 2)
            assert a.bot.polls.now == {"b"}
            b.bot.is_connected = False
            await asyncio.sleep(UNFIT_S + 2)
            assert not a.bot.polls.now
            a.bot.is_connected = True
            await a.fetches()

    run(scene)


def test_a_machine_whose_polls_hang_leaves_it_to_another_one() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            a.bot.polls_hang = True
            await b.fetches()
            await asyncio.sleep(5 * LEASE_S)
            assert a.bot.polls.now == {"b"}

    run(scene)


def test_a_machine_that_is_drained_leaves_it_to_one_that_is_there() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            a.shared.leave()
            await b.fetches()
            assert [address_of("b")] == a.shared.others()
            await a.dies()
            await asyncio.sleep(10 * WORD_S)
            b.shared.leave()
            assert b.shared.fetches(), "there is nobody else"

    run(scene)


def test_a_machine_does_not_answer() -> None:
    async def scene() -> None:
        async with machines("a") as (a,):
            with pytest.raises(MachineAway):
                await a.shared.ask(address_of("b"), "bot-press", b"")
            assert a.shared.address == address_of("a")

    run(scene)
