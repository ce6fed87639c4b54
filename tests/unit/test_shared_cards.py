"""Cards that several machines have. By virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pytest
from sqlite_utils import Database

from ari_app.calls.known_cards import LIFE_S, KnownCards
from ari_app.cluster.bucket import AGAIN_S, QUIET_S
from ari_app.cluster.engine_cards import LOOK_S, MARK, MARK_EVERY_S, EngineCards
from ari_app.cluster.members import SILENT_S
from ari_app.cluster.shared_cards import OwnCards
from ari_app.cluster.shared_limits import CLOCKS_APART_S
from ari_app.cluster.shared_settings import Cipher
from ari_app.store.cards import CardRow
from ari_app.store.migrations import MIGRATIONS
from ari_app.tasks import FAILURES, GuardedTasks, guarded_tasks
from tests.fake_engine import Engine, WayToEngine
from tests.fast_time import run

LINE, OTHER = "+79990000001", "+79990000009"
ANNA, BORIS = 5, 6
MESSAGE = "inline message"
ONE, ANOTHER = "one", "another"  # secrets
SOON_S = 1.0
ANEW_S = QUIET_S + 2 * AGAIN_S + SOON_S
"""By then a watch has begun anew."""
CARRIED_S = 150.0
BEGAN_AT = 1_790_000_000.0


class StoreInMemory:
    """Does at once what it is asked to."""

    def __init__(self) -> None:
        self.db = Database(memory=True)
        for migrate in MIGRATIONS:
            migrate(self.db)

    def later(self, _: Any, work: Callable[[Database], Any]) -> None:
        work(self.db)

    async def run(self, work: Callable[[Database], Any]) -> Any:
        return work(self.db)


@dataclass
class Machine:
    """One of a cluster; ``alive``: when each was heard last, by all."""

    name: str
    engine: Engine
    alive: dict[str, float]
    tasks: GuardedTasks
    secret: str = ONE
    life_s: float = LIFE_S
    holds: bool = False
    stopped_s: float = 0.0
    calling: set[str] = field(default_factory=set)
    """The machines that say that they have calls to the line."""
    store: StoreInMemory = field(default_factory=StoreInMemory)
    way: WayToEngine = field(init=False)
    shared: EngineCards = field(init=False)
    cards: KnownCards = field(init=False)
    requests: list[int] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    work: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.way = WayToEngine(self.engine)

    async def start(self) -> None:
        clock = asyncio.get_running_loop().time
        self.shared = EngineCards(
            self.way,
            Cipher(self.secret),
            self.name,
            lambda line: self.holds and line == LINE,
            lambda machine: clock() - self.alive[machine] + self.stopped_s if machine in self.alive else None,
            lambda: CARRIED_S,
            lambda machine, line: line == LINE and machine in self.calling,
            clock,
        )
        self.cards = KnownCards(cast(Any, self.store), now, lambda: self.life_s, self.shared)
        await self.cards.load()
        self.cards.on_request = self.requests.append
        work = self.shared.send, lambda: self.shared.run(self.cards), self._repairs, self._lives
        self.work = [self.tasks.supervise(each, self.name) for each in work]
        await asyncio.sleep(SOON_S)

    async def _lives(self) -> None:
        while True:
            if not self.way.away:
                self.alive[self.name] = asyncio.get_running_loop().time()
            await asyncio.sleep(SOON_S)

    async def _repairs(self) -> None:
        async def repair(is_left: Any) -> None:
            for card in self.cards.telling(LINE, is_left):
                self.repaired.append(card.id)
                self.cards.told(card)

        await self.cards.repair_left(LINE, repair)

    async def dies(self) -> None:
        for task in self.work:
            task.cancel()
        await asyncio.wait(self.work)

    def sends(self, card_id: str = "card", person_id: int = ANNA, **other: Any) -> CardRow:
        """A card, and its word to the others."""
        own = {"sent_at": now(), **other}
        self.cards.save(CardRow(card_id, LINE, person_id, "{}", "Hello, Anna", "Call me", "00ff", **own))
        (card,) = [each for each in self.cards.all() if each.id == card_id]
        return card

    def has(self, card_id: str = "card") -> CardRow | None:
        """What it knows of a card, and would know after a restart."""
        kept = [CardRow(**row) for row in self.store.db.table("cards").rows_where("id = ?", [card_id])]
        known = [each for each in self.cards.all() if each.id == card_id]
        assert kept == known
        return known[0] if known else None

    def in_nats(self, card_id: str = "card") -> dict[str, Any] | None:
        cipher = Cipher(self.secret)
        entry = self.engine.entries.get(cipher.hidden(card_id))
        return dict(json.loads(cipher.open(entry.key, entry.value or b""))) if entry else None


def now() -> float:
    return BEGAN_AT + asyncio.get_running_loop().time()


@asynccontextmanager
async def machines(*names: str, **options: Any) -> AsyncIterator[list[Machine]]:
    engine, alive = Engine(), dict[str, float]()
    async with guarded_tasks() as tasks:
        its = [Machine(name, engine, alive, tasks, **options) for name in names]
        for each in its:
            await each.start()
        yield its
    assert FAILURES.count == 0


def test_all_machines_know_a_card_and_nobody_gets_a_second_one() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            card = a.sends()
            assert a.has() == card, "at once"
            await asyncio.sleep(SOON_S)
            assert b.has() == b.cards.find("card") == card
            assert b.cards.last_sent_at(ANNA) == card.sent_at and not b.cards.last_sent_at(BORIS)
            assert not [each for each in a.engine.entries.values() if b"Anna" in (each.value or b"")]
            assert not [key for key in a.engine.entries if "card" in key]
            a.cards.retire(card)
            await asyncio.sleep(SOON_S)
            assert b.has() == a.has() and b.cards.find("card") is None
            assert b.cards.last_sent_at(ANNA) == card.sent_at, "they have got it all the same"
            failed = b.sends("failed", BORIS)
            await asyncio.sleep(SOON_S)
            assert a.has("failed")
            b.cards.drop(failed)
            await asyncio.sleep(SOON_S)
            assert a.has("failed") is None and not a.cards.last_sent_at(BORIS)

    run(scene)


def test_one_machine_serves_a_request() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            card = a.sends()
            await asyncio.sleep(SOON_S)
            served = await asyncio.gather(*(each.cards.claim(card, each.name) for each in (a, b)))
            assert sorted(served) == [False, True]
            server, other = (a, b) if served[0] else (b, a)
            await asyncio.sleep(SOON_S)
            assert a.has() == b.has()
            assert other.cards.is_asked_elsewhere(ANNA) and not other.cards.is_asked_elsewhere(BORIS)
            assert not server.cards.is_asked_elsewhere(ANNA)
            assert (other.requests, server.requests) == ([ANNA], [])
            server.cards.told(card)
            server.cards.retire(card)
            await asyncio.sleep(SOON_S)
            assert not other.cards.is_asked_elsewhere(ANNA)
            assert not await other.cards.claim(card, MESSAGE), "its button has done its work"

    run(scene)


def test_the_request_of_a_machine_that_is_away_keeps_nobody_waiting() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            card = a.sends()
            assert await a.cards.claim(card, MESSAGE)
            await asyncio.sleep(SOON_S)
            await a.dies()
            assert not await b.cards.claim(card, "another")
            await asyncio.sleep(SILENT_S + SOON_S)
            assert not b.cards.is_asked_elsewhere(ANNA)
            assert await b.cards.claim(card, "another")
            b.cards.told(card)
            # What a comes back with is older.
            await a.start()
            assert a.has() == b.has() and not a.cards.telling(LINE)

    run(scene)


def test_the_request_of_a_machine_that_is_back_without_the_line_keeps_nobody_waiting() -> None:
    """Only where the line is ready again can that machine put its card right."""

    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            card = a.sends()
            assert await a.cards.claim(card, MESSAGE)
            b.calling.add("a")
            await asyncio.sleep(2 * SILENT_S)
            assert b.cards.is_asked_elsewhere(ANNA), "it calls"
            await a.dies()
            await a.start()
            b.calling.clear()
            await asyncio.sleep(SILENT_S)
            assert not b.cards.is_asked_elsewhere(ANNA)
            assert await b.cards.claim(card, "another")

    run(scene)


@pytest.mark.parametrize("stopped_s", [SILENT_S, CARRIED_S - 2 * SOON_S])
def test_a_machine_that_was_stopped_does_not_take_the_others_for_dead(stopped_s: float) -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            card = a.sends()
            await asyncio.sleep(SOON_S)
            a.way.tells = False
            assert await b.cards.claim(card, MESSAGE)
            a.stopped_s = stopped_s
            assert not await a.cards.claim(card, "another"), "what it was asked long ago"

    run(scene)


def test_while_nats_is_away_each_does_what_it_is_asked_and_tells_it_later() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            card = a.sends()
            await asyncio.sleep(SOON_S)
            b.way.away = True
            later = b.sends("later", BORIS)
            assert await b.cards.claim(card, MESSAGE)
            b.cards.told(card)
            b.cards.retire(card)
            a.cards.drop(a.sends("dropped"))
            await asyncio.sleep(10 * AGAIN_S)
            assert a.has() == card and a.has("later") is None
            b.way.away = False
            await asyncio.sleep(AGAIN_S + SOON_S)
            assert a.has() == b.has() and a.cards.find("card") is None
            assert a.has("later") == later

    run(scene)


@pytest.mark.parametrize("acknowledges", [True, False])
def test_a_restart_forgets_nothing(acknowledges: bool) -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            card = a.sends()
            await asyncio.sleep(SOON_S)
            a.way.away = True
            a.cards.retire(card)
            unsent = a.sends("unsent")
            await a.dies()
            b_sent = b.sends("of b")
            await asyncio.sleep(SOON_S)
            a.way.away, a.way.acknowledges = False, acknowledges
            await a.start()
            a.way.acknowledges = True
            await asyncio.sleep(2 * AGAIN_S)
            assert b.cards.find("card") is None and b.has("unsent") == unsent
            assert a.has("of b") == b_sent and a.has() == b.has()

    run(scene)


def test_an_older_value_changes_nothing() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            card = a.sends()
            await asyncio.sleep(SOON_S)
            key = Cipher(ONE).hidden("card")
            old = a.engine.entries[key].value
            assert await a.cards.claim(card, MESSAGE)
            a.cards.told(card)
            a.cards.retire(card)
            await asyncio.sleep(SOON_S)
            known = b.has()
            a.engine.write(key, old or b"", a.engine.entries[key].revision)
            await asyncio.sleep(ANEW_S)
            assert a.has() == b.has() == known and b.cards.find("card") is None
            assert (a.in_nats() or {})["secret"] == "", "and NATS is put right"

    run(scene)


@pytest.mark.parametrize("first", [False, True])
def test_two_changes_at_once_are_the_same_on_both(first: bool) -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            card = a.sends()
            await asyncio.sleep(SOON_S)
            a.way.away, b.way.away = first, not first
            a.cards.retire(card)
            assert await b.cards.claim(card, MESSAGE), "neither knows of the other"
            await asyncio.sleep(SOON_S)
            a.way.away = b.way.away = False
            await asyncio.sleep(ANEW_S)
            assert a.has() == b.has() and b.cards.find("card") is None

    run(scene)


def test_all_is_read_again_only_where_something_may_have_been_missed() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            began: list[str] = []
            for each in (a, b):
                each.way.watch = partial(counted, began, each.name, each.way.watch)  # type: ignore[method-assign]
            await asyncio.sleep(10 * QUIET_S)
            assert not began
            b.way.away = True
            a.sends()
            await asyncio.sleep(MARK_EVERY_S + SOON_S)
            b.way.away = False
            await asyncio.sleep(MARK_EVERY_S + 2 * AGAIN_S)
            assert began == ["b"] and b.has()
            a.way.tells = False
            b.sends("another")
            await asyncio.sleep(QUIET_S + AGAIN_S)
            a.way.tells = True
            await asyncio.sleep(AGAIN_S)
            assert began == ["b", "a"] and a.has("another")

    run(scene)


async def counted(began: list[str], name: str, watch: Any, quiet_s: float) -> AsyncGenerator[Any, None]:
    began.append(name)
    async for entry in watch(quiet_s):
        yield entry


@pytest.mark.parametrize("later_s", [0.0, ANEW_S])
def test_servers_that_have_lost_everything_are_told_again(later_s: float) -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            a.sends("one")
            b.sends("two", BORIS)
            await asyncio.sleep(SOON_S)
            a.engine.lose_everything()
            await asyncio.sleep(later_s)
            for each in (a, b):
                assert each.has("one") and each.has("two")
            a.cards.retire(b.sends("three"))
            await asyncio.sleep(2 * ANEW_S)
            assert a.in_nats("one") and a.in_nats("two") and a.in_nats("three")
            assert a.has("three") == b.has("three")

    run(scene)


def test_a_person_who_is_erased_stays_so() -> None:
    async def scene() -> None:
        async with machines("a", "b", "c") as (a, b, c):
            a.sends(), b.sends("other", BORIS)
            await asyncio.sleep(SOON_S)
            await b.dies()
            erases(a)
            erases(c)
            await asyncio.sleep(SOON_S)
            assert a.in_nats() == {"gone": "card"}
            assert b.store.db.table("cards").count == 2
            await b.start()
            assert b.has() is None and b.has("other"), "whoever was away does not bring them back"
            await asyncio.sleep(ANEW_S)
            assert a.has() is c.has() is None
            again = b.sends("again")
            await asyncio.sleep(SOON_S)
            assert a.has("again") == again

    run(scene)


def erases(its: Machine) -> None:
    """As an administrator does, or an order."""
    its.cards.forget(ANNA)
    its.store.db.table("cards").delete_where("person_id = ?", [ANNA])


def test_a_person_is_erased_while_their_card_is_on_its_way() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            a.way.acknowledges = False
            a.sends()
            await asyncio.sleep(0)
            erases(a)
            a.way.acknowledges = True
            await asyncio.sleep(ANEW_S)
            assert a.has() is b.has() is None
            card = b.sends("next")
            await asyncio.sleep(SOON_S)
            assert await b.cards.claim(card, MESSAGE)
            erases(a)
            b.cards.told(card)
            erases(b)
            b.cards.retire(card)
            await asyncio.sleep(ANEW_S)
            assert a.has("next") is b.has("next") is None and a.in_nats("next") == {"gone": "next"}
            assert not await b.cards.claim(card, MESSAGE)

    run(scene)


def test_what_is_too_old_goes_from_nats_too() -> None:
    async def scene() -> None:
        async with machines("a", "b", life_s=1000.0) as (a, b):
            a.sends("old")
            await asyncio.sleep(900)
            a.sends("new")
            await asyncio.sleep(101)
            for each in (a, b):
                assert each.cards.find("old") is None
                await each.cards.prune(now() - 1000)
                assert each.has("old") is None and each.has("new")
            await asyncio.sleep(SOON_S)
            assert a.in_nats("old") == {"gone": "old"}
            # One that nobody has pruned as no machine was there is read once more, by the first that is.
            await a.dies()
            await b.dies()
            await asyncio.sleep(1000)
            await b.start()
            await asyncio.sleep(SOON_S)
            assert b.has("new") is None and a.in_nats("new") == {"gone": "new"}

    run(scene)


def test_a_line_that_is_removed_takes_its_cards_with_it() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            a.sends()
            await asyncio.sleep(SOON_S)
            b.cards.forget_line(OTHER)
            assert b.has()
            b.cards.forget_line(LINE)
            await asyncio.sleep(SOON_S)
            assert a.has() is b.has() is None

    run(scene)


def test_a_card_of_a_machine_whose_clock_is_wrong_keeps_nobody_waiting() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            a.sends(sent_at=now() + 2 * CLOCKS_APART_S)
            await asyncio.sleep(SOON_S)
            assert not b.cards.last_sent_at(ANNA)
            assert a.has(), "its own machine has it"

    run(scene)


def test_machines_with_another_secret_know_nothing_of_each_other(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            c = Machine("c", a.engine, a.alive, a.tasks, secret=ANOTHER)
            await c.start()
            card = a.sends()
            theirs = c.sends("theirs", BORIS)
            await asyncio.sleep(ANEW_S)
            assert (b.has(), b.has("theirs"), c.has()) == (card, None, None)
            assert c.has("theirs") == theirs

    run(scene)
    said = [each.message for each in caplog.records if "see that `secret` under [cluster]" in each.message]
    assert len(said) == 3, "once each"
    assert ONE not in "".join(said).split()


@pytest.mark.parametrize("value", [b"", b"\xff", b"{}", b"[" * 10_000])
def test_what_nobody_can_read_is_written_over(value: bytes) -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            card = a.sends()
            await asyncio.sleep(SOON_S)
            key = Cipher(ONE).hidden("card")
            a.engine.write(key, value, a.engine.entries[key].revision)
            a.engine.write("nobody", value, 0)
            a.engine.write(f"{MARK}nobody", value, 0)
            await asyncio.sleep(ANEW_S)
            assert a.has() == b.has() == card
            assert await b.cards.claim(card, MESSAGE)
            await asyncio.sleep(ANEW_S)
            assert (a.in_nats() or {})["tells_in"] == MESSAGE

    run(scene)


def test_what_a_dead_machine_has_left_is_put_right_by_the_one_that_acts_for_the_line() -> None:
    async def scene() -> None:
        async with machines("a", "b", "c") as (a, b, c):
            assert await a.cards.claim(a.sends(), MESSAGE)
            await asyncio.sleep(SOON_S)
            b.holds = True
            await asyncio.sleep(2 * CARRIED_S)
            assert not b.repaired, "a is there"
            await a.dies()
            await asyncio.sleep(CARRIED_S - 2 * SOON_S)
            assert not b.repaired, "its call may go on yet"
            await asyncio.sleep(LOOK_S + 4 * SOON_S)
            assert (b.repaired, c.repaired) == (["card"], [])
            await a.start()
            assert not a.cards.telling(LINE)
            await asyncio.sleep(2 * CARRIED_S)
            assert (b.repaired, c.repaired) == (["card"], []), "once"

    run(scene)


def test_a_machine_that_has_just_begun_gives_the_others_time_to_come_back() -> None:
    async def scene() -> None:
        async with machines("a") as (a,):
            assert await a.cards.claim(a.sends(), MESSAGE)
            await asyncio.sleep(SOON_S)
            await a.dies()
            await asyncio.sleep(10 * CARRIED_S)
            b = Machine("b", a.engine, {}, a.tasks, holds=True)
            await b.start()
            await asyncio.sleep(CARRIED_S - 2 * SOON_S)
            assert not b.repaired
            await asyncio.sleep(LOOK_S + 2 * SOON_S)
            assert b.repaired == ["card"]

    run(scene)


def test_those_of_an_earlier_version_are_told_to_the_others() -> None:
    async def scene() -> None:
        async with machines("a") as (a,):
            alone = KnownCards(cast(Any, a.store), now)
            card = CardRow("early", LINE, ANNA, "{}", "Hello", "Call me", "00ff", now())
            alone.save(card)
            assert await alone.claim(card, MESSAGE)
            await a.dies()
            await a.start()
            b = Machine("b", a.engine, a.alive, a.tasks)
            await b.start()
            assert b.cards.find("early") and b.cards.is_asked_elsewhere(ANNA)
            assert [each.id for each in a.cards.telling(LINE)] == ["early"], "a puts it right"
            again = KnownCards(cast(Any, b.store), now)
            await again.load()
            assert [each.id for each in again.telling(LINE)] == ["early"], "who leaves the cluster has nobody to do so"

    run(scene)


async def test_the_only_machine_tells_nobody() -> None:
    cards = OwnCards()
    card = CardRow("card", LINE, ANNA, "{}", "Hello", "Call me", "00ff", 1.0)
    cards.changed(card)
    cards.forgotten(card.id)
    cards.expired(card.id)
    assert not cards.is_served(card)
    assert await cards.claimed(card, MESSAGE) == card.changed("", tells_in=MESSAGE)
    await cards.run(cast(Any, None))
    await cards.repair_left(LINE, cast(Any, None))
