"""The cluster's engine with real NATS servers, and leases in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from telethon.errors import FloodWaitError

from ari_app.cluster.bucket import Conflict, EngineAway, KeyEntry, key_of
from ari_app.cluster.engine import NatsBucket, NatsEngine, connected
from ari_app.cluster.engine_leases import EngineLeases, Owner
from ari_app.cluster.members import address_of
from ari_app.cluster.shared_keypads import EngineKeypads
from ari_app.cluster.shared_limits import EngineLimits
from ari_app.sandbox.nats import USER, PrivateNats
from ari_app.tasks import guarded_tasks
from ari_app.telegram.limits import CALL, Limits, LimitSettings

LINE = "+49301234567"
PATIENCE_S = 90.0
LEASE_S = 6.0
"""A busy machine takes a second or two to renew one, and it is good for 0.7 of that."""


@asynccontextmanager
async def a_machine(nats: PrivateNats, name: str = "a") -> AsyncIterator[NatsEngine]:
    async with connected(nats.urls, name) as engine:
        yield engine


async def eventually(bucket: NatsBucket, key: str) -> KeyEntry | None:
    """Read once the engine answers again."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await bucket.read(key)
            except EngineAway:
                await asyncio.sleep(0.1)


async def test_compare_and_set(one: PrivateNats) -> None:
    async with a_machine(one) as a, a_machine(one, "b") as b:
        ours, theirs = a.bucket("keys"), b.bucket("keys")
        assert await eventually(ours, "1") is None
        first = await ours.write("1", b"a", 0)
        assert await eventually(theirs, "1") == KeyEntry("1", b"a", first)
        with pytest.raises(Conflict):
            await theirs.write("1", b"b", 0)
        second = await theirs.write("1", b"b", first)
        with pytest.raises(Conflict):
            await ours.write("1", b"c", first)
        assert await ours.read("1") == KeyEntry("1", b"b", second)


async def test_a_watch_tells_what_there_is_and_what_changes(one: PrivateNats) -> None:
    async with a_machine(one) as a:
        bucket = a.bucket("keys")
        assert await eventually(bucket, "1") is None
        revision = await bucket.write("1", b"a", 0)
        told = []
        async for entry in bucket.watch(quiet_s=2.0):
            told.append(entry.value)
            if len(told) == 1:
                await bucket.write("1", b"b", revision)
        assert told == [b"a", b"b"]


async def test_a_watch_tells_in_the_order_in_which_it_was_written(one: PrivateNats) -> None:
    """Cards go by it: what was there before a mark is told before it."""
    async with a_machine(one) as a:
        bucket = a.bucket("keys")
        assert await eventually(bucket, "1") is None
        written: dict[str, int] = {}
        for number in range(60):
            key = f"{number * 7 % 20}"  # each of them several times
            written[key] = await bucket.write(key, b"", written.get(key, 0))
        told = [entry async for entry in bucket.watch(quiet_s=2.0)]
        assert {each.key: each.revision for each in told} == written
        assert [each.revision for each in told] == sorted(written.values())


async def test_a_keypad_that_a_dead_machine_has_shown_is_hidden_once(one: PrivateNats) -> None:
    hidden = asyncio.Queue[int]()

    def keypads(engine: NatsEngine, name: str) -> EngineKeypads:
        return EngineKeypads(engine.bucket("keypads"), name, lambda: 0.0, lambda _: True, lambda _: None)

    async with asyncio.timeout(PATIENCE_S), a_machine(one) as a, a_machine(one, "b") as b, guarded_tasks() as tasks:
        dead, other = keypads(a, "a"), keypads(b, "b")

        async def hide(message_id: int) -> bool:
            other.hidden(LINE, message_id)
            hidden.put_nowait(message_id)
            return True

        for message_id in (7, 8):
            dead.shown(LINE, message_id)
        dead.hidden(LINE, 8)
        for work in (dead.send, other.send, other.watch, lambda: other.hide_left(LINE, hide)):
            tasks.supervise(work, "keypads")
        assert await hidden.get() == 7
        bucket = a.bucket("keypads")
        while not (its := await bucket.read(key_of(LINE, 7))) or its.value:  # noqa: ASYNC110 - no event is at hand
            await asyncio.sleep(0.1)
        assert await bucket.read(key_of(LINE, 8)) is None
        assert hidden.empty()


async def test_an_engine_that_is_away_and_comes_back(one: PrivateNats) -> None:
    async with a_machine(one) as a:
        bucket = a.bucket("keys")
        assert await eventually(bucket, "1") is None
        revision = await bucket.write("1", b"a", 0)
        await one.kill(0)
        with pytest.raises(EngineAway):
            await bucket.write("1", b"b", revision)
        with pytest.raises(EngineAway):
            await bucket.read("1")
        await one.start(0)
        assert await eventually(bucket, "1") == KeyEntry("1", b"a", revision), "nothing is written later than asked for"


async def answered(engine: NatsEngine, machine: str, what: str, question: bytes) -> bytes:
    """What a machine answers, once it can be asked."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await engine.ask(address_of(machine), what, question)
            except EngineAway:
                await asyncio.sleep(0.1)


async def test_machines_answer_each_other(one: PrivateNats) -> None:
    asked: list[bytes] = []

    def doubled(question: bytes) -> bytes:
        asked.append(question)
        return 2 * question

    async with a_machine(one) as a, a_machine(one, "b") as b:
        b.serve("double", doubled)
        assert await answered(a, "b", "double", b"x") == b"xx"
        many = [b"%d" % number for number in range(100)]
        answers = await asyncio.gather(*(a.ask(address_of("b"), "double", each) for each in many))
        assert answers == [2 * each for each in many]
        assert asked[-len(many) :] == many, "in their order"
        # Its connection, and the server, come back.
        await one.kill(0)
        with pytest.raises(EngineAway):
            await a.ask(address_of("b"), "double", b"x")
        await one.start(0)
        assert await answered(a, "b", "double", b"y") == b"yy"


async def test_a_machine_that_does_not_answer(one: PrivateNats) -> None:
    def fails(question: bytes) -> bytes:
        raise ValueError(question)

    async with a_machine(one) as a:
        async with a_machine(one, "b") as b:
            b.serve("double", lambda question: 2 * question)
            b.serve("fails", fails)
            assert await answered(a, "b", "double", b"x") == b"xx"
            for what in ("fails", "unknown"):
                with pytest.raises(EngineAway, match=f"does not answer {what}"):
                    await a.ask(address_of("b"), what, b"")
            assert await answered(a, "b", "double", b"x") == b"xx"
        for address in (address_of("b"), address_of("nobody"), ">", "a.*", ""):
            with pytest.raises(EngineAway):
                await a.ask(address, "double", b"x")


async def test_an_engine_that_is_not_there_yet(one: PrivateNats) -> None:
    await one.kill(0)
    async with a_machine(one) as a:
        bucket = a.bucket("keys")
        with pytest.raises(EngineAway):
            await bucket.read("1")
        await one.start(0)
        assert await eventually(bucket, "1") is None


async def test_servers_that_send_it_away_are_asked_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """nats-py gives such a connection up for good."""
    caplog.set_level("DEBUG", logger="ari_app.cluster")
    async with (
        PrivateNats(tmp_path / "nats", servers=1, password="winter") as nats,
        connected(nats.urls, "a", USER, "winter") as engine,
    ):
        bucket = engine.bucket("keys")
        assert await eventually(bucket, "1") is None
        nats.change_password("summer")
        with pytest.raises(EngineAway):
            while True:
                await bucket.read("1")
        nats.change_password("winter")
        assert await eventually(bucket, "1") is None
        assert engine.trouble is None
    assert "winter" not in caplog.text


async def test_watches_leave_nothing_behind(one: PrivateNats) -> None:
    async with a_machine(one) as a:
        bucket = a.bucket("keys")
        assert await eventually(bucket, "1") is None
        await bucket.write("1", b"a", 0)
        assert a.client
        before = len(a.client._subs)
        for _ in range(3):
            assert [entry.value async for entry in bucket.watch(quiet_s=0.1)] == [b"a"]
        watch = bucket.watch(quiet_s=0.1)
        assert (await anext(watch)).value == b"a"
        with one.frozen(0):
            assert [entry async for entry in watch] == []
        assert len(a.client._subs) == before


async def test_a_server_that_answers_nothing(one: PrivateNats) -> None:
    async with a_machine(one) as a:
        bucket = a.bucket("keys")
        assert await eventually(bucket, "1") is None
        with one.frozen(0), pytest.raises(EngineAway):
            await bucket.write("1", b"a", 0)


async def test_servers_that_have_lost_everything(one: PrivateNats) -> None:
    async with a_machine(one) as a:
        bucket = a.bucket("keys")
        assert await eventually(bucket, "1") is None
        revision = await bucket.write("1", b"a", 0)
        await one.kill(0)
        one.forget(0)
        await one.start(0)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    with pytest.raises(Conflict):
                        await bucket.write("1", b"b", revision)
                    break
                except EngineAway:
                    await asyncio.sleep(0.1)
        assert await bucket.write("1", b"b", 0)


async def test_servers_that_have_lost_a_bucket_that_is_only_watched(one: PrivateNats) -> None:
    async with a_machine(one) as a:
        bucket = a.bucket("keys")
        assert await watched(bucket) == []
        await one.kill(0)
        one.forget(0)
        await one.start(0)
        assert await watched(bucket) == []


async def watched(bucket: NatsBucket) -> list[KeyEntry]:
    """What a watch tells, once the engine answers again."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return [each async for each in bucket.watch(0.2)]
            except EngineAway:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def leases(nats: PrivateNats, name: str, lease_s: float) -> AsyncIterator[EngineLeases]:
    async with a_machine(nats, name) as engine, guarded_tasks() as tasks:
        its = EngineLeases(engine.bucket("leases"), Owner(name, "1"), lease_s)
        tasks.supervise(its.watch, f"leases of {name}")
        yield its


async def test_a_lease_goes_to_the_next_machine(one: PrivateNats) -> None:
    async with asyncio.timeout(PATIENCE_S), leases(one, "a", LEASE_S) as a, leases(one, "b", LEASE_S) as b:
        async with AsyncExitStack() as held:
            first = await held.enter_async_context(a.hold(LINE))
            assert not first.lost.is_set()
        async with b.hold(LINE) as second:
            assert second.token > first.token
            assert b.holder(LINE) == "b"


async def test_one_machine_holds_a_line_while_servers_die(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        PrivateNats(tmp_path / "nats") as nats,
        leases(nats, "a", 4.0) as a,
        leases(nats, "b", 4.0) as b,
        guarded_tasks() as tasks,
    ):
        holders = Holders()
        for name, its in (("a", a), ("b", b)):
            tasks.spawn(holders.take(name, its), f"machine {name}")
        for number in range(3):  # one of them leads
            await holders.somebody_holds()
            await nats.kill(number)
            await nats.start(number)
        await holders.somebody_holds()
        assert holders.most == 1


class Holders:
    """Who holds the line: one, or more at the same time."""

    def __init__(self) -> None:
        self.now: set[str] = set()
        self.most = 0
        self._changed = asyncio.Condition()

    async def take(self, name: str, its: EngineLeases) -> None:
        while True:
            async with its.hold(LINE) as held:
                await self._change(self.now | {name})
                await held.lost.wait()
                await self._change(self.now - {name})

    async def _change(self, now: set[str]) -> None:
        async with self._changed:
            self.now, self.most = now, max(self.most, len(now))
            self._changed.notify_all()

    async def somebody_holds(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.now)


class Kept:
    """What a machine keeps of a line's limits."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[float, str]] = {}

    async def pauses(self, now: float) -> dict[str, tuple[float, str]]:
        return self.kept

    def pause(self, request: str, until: float, reason: str) -> None:
        self.kept[request] = until, reason

    async def calls(self, since: float) -> list[float]:
        return []

    def called(self, at: float) -> None:
        """It is counted by the others."""


async def test_what_telegram_limits_is_told_to_the_other_machine(one: PrivateNats) -> None:
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(guarded_tasks())
        told, lines = asyncio.Event(), list[Limits]()
        for name in ("a", "b"):
            engine = await stack.enter_async_context(a_machine(one, name))
            shared = EngineLimits(name, engine.bucket("pauses", 60.0), engine.bucket("calls", 60.0))
            for each in (shared.send, shared.watch_pauses, shared.watch_calls):
                tasks.supervise(each, each.__name__)
            limits = Limits(LINE, LimitSettings(), shared.store(LINE, Kept()), on_change=told.set)
            shared.follow(LINE, limits)
            lines.append(await stack.enter_async_context(limits))
        a, b = lines
        await a.learn("messages.sendMessage", FloodWaitError(None, capture=500))
        await a.admit(CALL)
        async with asyncio.timeout(PATIENCE_S):
            while not (b.pauses and b._calls):
                await told.wait()
                await asyncio.sleep(0.05)
        assert b.pauses["messages.sendMessage"][1] == "FLOOD_WAIT_500"
        assert b._calls == a._calls
