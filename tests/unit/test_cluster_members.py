"""The machines of a cluster: who is there, who holds what, and a line that is moved. By virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest

from ari_app.bus import BusEvent, EventBus
from ari_app.cluster.bucket import Conflict
from ari_app.cluster.control import MOVE_AGAIN_S, MOVE_S, ClusterControl, ForgetRefused, MoveRefused
from ari_app.cluster.devices import GONE_S, SIGNED_IN, WANTED, is_next
from ari_app.cluster.duty import ByLease
from ari_app.cluster.engine import NatsEngine
from ari_app.cluster.engine_leases import EngineLeases, Owner
from ari_app.cluster.members import FRESH_S, SILENT_S, WORD_S, Member, Members
from ari_app.tasks import FAILURES, GuardedTasks, guarded_tasks
from tests.fake_engine import Engine, WayToEngine
from tests.fast_time import run
from tests.other_machines import OtherMachines

LEASE_S = 20.0
LINE = "+49301234567"


@dataclass
class FakeNats:
    """Whether it answers."""

    connected: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: str | None = None


@dataclass(eq=False)
class Machine:
    """A whole one; of its calls there is what it says of them."""

    way: WayToEngine
    control: ClusterControl
    on_lines: dict[str, tuple[int, ...]]
    changed: asyncio.Event
    tasks: list[asyncio.Task[None]]
    calls: int = 0
    reaches: tuple[str, ...] = ()
    ready: bool = True
    devices: dict[str, str] = field(default_factory=lambda: {LINE: SIGNED_IN})

    def has_calls(self, *calls: int) -> None:
        self.on_lines = {LINE: calls}
        self.changed.set()

    def elsewhere(self) -> list[int]:
        return self.control.members.calls_elsewhere(self.control.machine).get(LINE, [])

    async def holds(self) -> None:
        async with asyncio.timeout(10 * LEASE_S):
            while not self.control.duty.holds(LINE):  # noqa: ASYNC110 - nobody else waits for it
                await asyncio.sleep(0.1)

    async def dies(self) -> None:
        self.way.away = cast(WayToEngine, self.control.members.bucket).away = True
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


def machine(name: str, buckets: tuple[Engine, Engine], tasks: GuardedTasks) -> Machine:
    """One that wants the line; ``buckets``: of leases and of members."""
    way, clock = WayToEngine(buckets[0]), asyncio.get_running_loop().time
    leases = EngineLeases(way, Owner(name, "1"), LEASE_S, clock)
    duty = ByLease(leases)
    members = Members(WayToEngine(buckets[1]), duty.hand_over, clock)
    control = ClusterControl(name, cast(NatsEngine, FakeNats()), members, leases, duty, OtherMachines())
    its = Machine(way, control, {}, asyncio.Event(), [])

    def word() -> Member:
        said = (False, False, (LINE,), its.on_lines, its.reaches, its.devices)
        return Member(name, "1.0", duty.lines, its.calls, *said)

    its.tasks = [
        tasks.supervise(leases.watch, "leases"),
        tasks.supervise(members.watch, "members"),
        tasks.supervise(lambda: members.announce(word, its.changed), "word"),
        tasks.supervise(lambda: duty.keep(LINE, lambda: its.ready), "line"),
    ]
    return its


@asynccontextmanager
async def machines(*names: str) -> AsyncIterator[list[Machine]]:
    buckets = Engine(), Engine()
    async with guarded_tasks() as tasks:
        its = [machine(names[0], buckets, tasks)]
        await its[0].holds()
        its += [machine(name, buckets, tasks) for name in names[1:]]
        await asyncio.sleep(2 * WORD_S)
        yield its


def seen(its: Machine) -> dict[str, tuple[tuple[str, ...], bool]]:
    return {member.machine: (member.lines, is_there) for member, _, is_there in its.control.machines()}


def test_each_sees_all() -> None:
    async def scene() -> None:
        async with machines("a", "b") as its:
            for each in its:
                assert seen(each) == {"a": ((LINE,), True), "b": ((), True)}

    run(scene)


def test_this_one_is_there_before_anything_is_heard() -> None:
    async def scene() -> None:
        async with machines("a") as (a,):
            a.control.members._heard.clear()
            assert seen(a) == {"a": ((LINE,), True)}

    run(scene)


def test_one_that_dies_is_seen_to_be_away() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            assert b.control.members.others_take("b", LINE)
            assert not b.control.members.others_take("b", "+1")
            await a.dies()
            await asyncio.sleep(SILENT_S + WORD_S)
            assert seen(b)["a"][1] is False
            assert not b.control.members.others_take("b", LINE)
            silent_s = b.control.members.silent_s("a")
            assert silent_s and silent_s >= SILENT_S and b.control.members.silent_s("z") is None
            await b.holds()

    run(scene)


def test_where_a_line_is_signed_in_is_known_to_all() -> None:
    async def scene() -> None:
        async with machines("a", "b", "c") as (a, b, c):
            a.devices, b.devices, c.devices = {LINE: SIGNED_IN}, {LINE: WANTED}, {LINE: SIGNED_IN, "+1": SIGNED_IN}
            await asyncio.sleep(2 * WORD_S)
            assert b.control.signed_in(LINE) == ["a", "c"]
            assert not is_next(LINE, "b", b.control.members.all(), 2)
            await c.dies()
            await asyncio.sleep(GONE_S + WORD_S)
            assert b.control.signed_in(LINE) == ["a"] and b.control.signed_in("+1") == []
            assert is_next(LINE, "b", b.control.members.all(), 2)

    run(scene)


def test_a_line_is_moved_from_any_machine() -> None:
    async def scene() -> None:
        async with machines("a", "b", "c") as (a, b, c):
            await b.control.move(LINE, "c")
            await c.holds()
            assert not a.control.duty.holds(LINE)
            await asyncio.sleep(5 * LEASE_S)
            assert c.control.duty.holds(LINE), "it is asked for once"
            await b.control.move(LINE, "c")
            await c.control.move(LINE, "a")
            await a.holds()

    run(scene)


def test_a_line_is_moved_to_a_machine_that_is_ready_for_it_a_moment_later() -> None:
    async def scene() -> None:
        async with machines("a") as (a,), guarded_tasks() as tasks:
            buckets = (a.way.engine, cast(WayToEngine, a.control.members.bucket).engine)
            b = machine("b", buckets, tasks)
            b.ready = False
            await asyncio.sleep(2 * WORD_S)
            tasks.spawn(a.control.move(LINE, "b"), "move")
            await asyncio.sleep(2 * MOVE_AGAIN_S)  # by then the holder has it again
            b.ready = True
            async with asyncio.timeout(MOVE_S):
                await b.control.leases.held_by(LINE, "b")

    run(scene)


def test_a_line_is_not_moved_to_who_is_not_there() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            with pytest.raises(MoveRefused, match="no machine z in the cluster now; there are: a, b"):
                await a.control.move(LINE, "z")
            for task in b.tasks[3:]:  # it does not have the line
                task.cancel()
            with pytest.raises(MoveRefused, match="see whether it is set up"):
                await a.control.move(LINE, "b")
            await a.holds()

    run(scene)


def test_a_line_that_can_not_be_moved_stays_where_it_is() -> None:
    async def scene() -> None:
        async with machines("a", "b", "c") as (a, b, c):
            b.devices = {LINE: WANTED}
            await asyncio.sleep(2 * WORD_S)
            for each in (a, c):
                with pytest.raises(
                    MoveRefused, match="is still held by a: see whether it is set up and signed in on b"
                ):
                    await each.control.move(LINE, "b")
                assert a.control.duty.holds(LINE)

    run(scene)


def test_a_machine_that_rests_holds_nothing_until_it_is_asked_to_again() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            a.control.duty.rest()
            await b.holds()
            await b.dies()
            await asyncio.sleep(3 * LEASE_S)
            assert not a.control.duty.holds(LINE)
            a.control.duty.resume()
            await a.holds()

    run(scene)


def test_the_calls_of_a_line_are_known_to_the_others_at_once() -> None:
    async def scene() -> None:
        async with machines("a", "b", "c") as (a, b, c):
            a.has_calls(7, 0)
            c.has_calls(8)
            await asyncio.sleep(WORD_S / 10)
            assert [sorted(each.elsewhere()) for each in (a, b, c)] == [[8], [0, 7, 8], [0, 7]]
            known = b.control.members
            assert known.has_calls("a", LINE) and not known.has_calls("a", "+1") and not known.has_calls("x", LINE)
            a.has_calls()
            await asyncio.sleep(WORD_S / 10)
            assert b.elsewhere() == [8] and not known.has_calls("a", LINE)
            before = a.way.engine.revision
            a.changed.set()  # by something else
            await asyncio.sleep(WORD_S / 10)
            assert a.way.engine.revision == before
            await asyncio.sleep(10 * WORD_S)
            assert b.elsewhere() == [8]
            await c.dies()
            await asyncio.sleep(FRESH_S + WORD_S / 10)
            assert b.elsewhere() == [], "its line's next caller is not refused"

    run(scene)


def test_calls_are_placed_by_who_has_the_line_and_reaches_the_asterisk() -> None:
    async def scene() -> None:
        async with machines("a", "b", "c", "d") as (a, b, c, d):

            def that_place(line: str | None) -> list[str]:
                return a.control.members.that_place("a", line)

            b.reaches, b.calls = ("a", "c"), 3
            c.reaches = ("a",)
            d.reaches = ("b",)
            await asyncio.sleep(2 * WORD_S)
            assert that_place(LINE) == that_place(None) == ["c", "b"], "the least busy one first"
            assert that_place("+79990000009") == []
            await c.dies()
            await asyncio.sleep(FRESH_S)
            assert that_place(LINE) == ["b"]
            assert b.control.members.that_place("b", LINE) == ["d"]

    run(scene)


def test_what_another_version_says_is_left_alone() -> None:
    async def scene() -> None:
        async with machines("a") as (a,):
            way = cast(WayToEngine, a.control.members.bucket)
            earlier = b'{"machine": "y", "version": "1", "lines": [], "calls": 0, "draining": false}'
            wrong = earlier.replace(b"{", b'{"on_lines": [1], ').replace(b'"y"', b'"w"')
            others: tuple[tuple[str, bytes], ...] = (
                ("machine.z", b'{"machine": "z"}'),
                ("machine.w", wrong),
                ("move.1", b"[]"),
                ("machine.u", b"[" * 100_000),
                ("machine.t", earlier.replace(b'"calls": 0', b'"calls": Infinity').replace(b'"y"', b'"t"')),
                ("other", b'{"x": 1}'),
            )
            others += (("machine.v", earlier.replace(b"{", b'{"devices": [1], ').replace(b'"y"', b'"v"')),)
            for key, value in (("machine.y", earlier), *others):
                await way.write(key, value, 0)
            await asyncio.sleep(2 * WORD_S)
            assert set(seen(a)) == {"a", "y"} and not FAILURES.count
            assert not a.control.members.others_take("a", LINE), "y does not say so"
            assert not is_next(LINE, "a", [*a.control.members.all(), (Member("b", devices={LINE: SIGNED_IN}), 0.0)], 2)

    run(scene)


def test_a_machine_that_is_gone_for_good_is_forgotten_by_all_until_it_is_back() -> None:
    async def scene() -> None:
        async with machines("a", "b", "c") as (a, b, c), guarded_tasks() as tasks:
            c.devices = {LINE: SIGNED_IN}
            await asyncio.sleep(2 * WORD_S)
            await c.dies()
            await asyncio.sleep(SILENT_S + WORD_S)
            await a.control.forget("c")
            assert "c" not in seen(a), "at once"
            await asyncio.sleep(WORD_S)
            assert set(seen(b)) == {"a", "b"}
            assert cast(OtherMachines, a.control.asterisks).told == [("c", None)]
            buckets = (a.way.engine, cast(WayToEngine, a.control.members.bucket).engine)
            d = machine("d", buckets, tasks)
            await asyncio.sleep(2 * WORD_S)
            assert set(seen(d)) == {"a", "b", "d"}, "who joins later hears nothing of it"
            again = machine("c", buckets, tasks)
            await asyncio.sleep(2 * WORD_S)
            for each in (a, b, d, again):
                assert seen(each)["c"] == ((), True)

    run(scene)


def test_a_machine_that_is_at_work_or_unknown_is_not_forgotten() -> None:
    async def scene() -> None:
        async with machines("a", "b", "c") as (a, b, c):
            for name in ("a", "b"):
                with pytest.raises(ForgetRefused, match=f"Machine {name} is at work"):
                    await a.control.forget(name)
            await c.dies()
            await asyncio.sleep(SILENT_S + WORD_S)
            with pytest.raises(ForgetRefused, match="knows of no machine z; silent are: c"):
                await a.control.forget("z")
            bucket = cast(WayToEngine, b.control.members.bucket)
            known = bucket.engine.entries["machine.c"]
            bucket.engine.write("machine.c", known.value or b"", known.revision)  # it is back, this very moment
            with pytest.raises(ForgetRefused, match="Machine c is at work"):
                await a.control.forget("c")
            assert cast(OtherMachines, a.control.asterisks).told == [("c", None)], "which it corrects itself"

    run(scene)


def test_of_two_who_forget_it_neither_forgets_one_that_is_back() -> None:
    async def scene() -> None:
        async with machines("a", "b", "c") as (a, b, c):
            await c.dies()
            await asyncio.sleep(SILENT_S + WORD_S)
            bucket = cast(WayToEngine, b.control.members.bucket)
            said = bucket.engine.entries["machine.c"].value or b""
            await b.control.forget("c")
            a.control.members._heard.pop("c", None)  # it hears of that while it is about to do so itself
            bucket.engine.write("machine.c", said, bucket.engine.entries["machine.c"].revision)
            with pytest.raises(Conflict):
                await a.control.members.forget("c")

    run(scene)


def test_while_nats_is_away_nothing_is_forgotten() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            await b.dies()
            await asyncio.sleep(SILENT_S + WORD_S)
            others, way = cast(OtherMachines, a.control.asterisks), cast(WayToEngine, a.control.members.bucket)
            others.away = True
            with pytest.raises(ForgetRefused, match=r"Away\."):
                await a.control.forget("b")
            others.away, way.away = False, True
            with pytest.raises(ForgetRefused, match="NATS servers do not answer"):
                await a.control.forget("b")
            assert "b" in seen(a), "so it can be asked for again"
            way.away = False
            way.engine.lose_everything()
            await a.control.forget("b")
            assert set(seen(a)) == {"a"}

    run(scene)


def test_while_nats_is_away_a_machine_does_not_take_itself_for_silent() -> None:
    async def scene() -> None:
        async with machines("a", "b") as (a, b):
            for each in (a, b):
                each.way.away = cast(WayToEngine, each.control.members.bucket).away = True
                cast(FakeNats, each.control.engine).trouble = "no answer in time"
            await asyncio.sleep(LEASE_S + SILENT_S)
            assert seen(a) == {"a": ((), True), "b": ((), False)}, "its lease is over"
            assert seen(b) == {"a": ((LINE,), False), "b": ((), True)}
            with pytest.raises(ForgetRefused, match="Machine a is at work"):
                await a.control.forget("a")
            for target in ("a", "b"):
                with pytest.raises(MoveRefused, match="NATS servers do not answer: no answer in time"):
                    await a.control.move(LINE, target)

    run(scene)


def test_pages_are_told_of_what_has_changed_and_of_nothing_else() -> None:
    async def scene() -> None:
        bus, told = EventBus(), list[str]()

        def news(queue: asyncio.Queue[BusEvent]) -> int:
            told[:] = []
            while not queue.empty():
                told.append(queue.get_nowait().kind)
            return told.count("cluster")

        async with machines("a", "b") as (a, b), guarded_tasks() as tasks:
            with bus.subscribe() as queue:
                tasks.supervise(lambda: b.control.tell(bus), "tell")
                await asyncio.sleep(10 * WORD_S)
                assert news(queue) == 1
                b.control.engine.trouble = "away"
                await asyncio.sleep(10 * WORD_S)
                assert news(queue) == 1
                await a.dies()
                await asyncio.sleep(SILENT_S + 2 * WORD_S)
                assert news(queue) == 1

    run(scene)
