"""A stream of the cluster's engine with real NATS servers, and histories in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.engine import NatsEngine, connected
from ari_app.cluster.engine_stream import NatsStream
from ari_app.cluster.shared_history import SharedHistory
from ari_app.cluster.stream import OutgoingMessage, StreamMessage, StreamState
from ari_app.sandbox.nats import PrivateNats
from ari_app.store.calls import CallRepository, Details, Query
from ari_app.store.shared_calls import SharedCallRepository
from ari_app.store.store import Store, open_store
from tests.unit.test_shared_history import NOW, a_call

DAY_S = 86400.0
PATIENCE_S = 90.0


def a_stream(engine: NatsEngine, days: float = 10.0) -> NatsStream:
    return NatsStream(engine, "calls", lambda: days * DAY_S, one_each=True)


async def state_of(stream: NatsStream) -> StreamState:
    """Once the engine answers."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await stream.state()
            except EngineAway:
                await asyncio.sleep(0.1)


async def test_messages_have_numbers_and_replace_each_other(engine: NatsEngine) -> None:
    stream = a_stream(engine)
    made = await state_of(stream)
    assert (made.last, bool(made.id)) == (0, True)
    assert await stream.after(0, 10) == []
    said = [OutgoingMessage(f"a.{n}", f"id {n}", b"%d" % n) for n in range(5)]
    assert sorted(filter(None, await stream.publish(said))) == [1, 2, 3, 4, 5]
    assert await stream.publish(said[:1]) == [None], "it is known"
    assert await stream.publish([OutgoingMessage("a.0", "newer", b"newer")]) == [6]
    found = await stream.after(0, 10)
    assert (len(found), found[-1]) == (5, StreamMessage(6, b"newer"))
    assert await stream.after(5, 10) == [StreamMessage(6, b"newer")]
    assert await stream.after(0, 2) == found[:2]
    assert await stream.state() == StreamState(made.id, 6)


async def test_a_period_that_is_changed_holds_from_then_on(engine: NatsEngine) -> None:
    stream = a_stream(engine)
    made = await state_of(stream)
    await stream.publish([OutgoingMessage("a.1", "1", b"1")])
    assert await a_stream(engine, days=5).state() == StreamState(made.id, 1)
    assert engine.client
    info = await engine.client.jetstream().stream_info("calls")
    assert info.config.max_age == 5 * DAY_S
    await stream.state()
    info = await engine.client.jetstream().stream_info("calls")
    assert info.config.max_age == 5 * DAY_S, "machines with different settings do not change it all the time"


async def test_two_machines_make_it_at_the_same_time(one: PrivateNats, engine: NatsEngine) -> None:
    async with connected(one.urls, "b") as other:
        states = await asyncio.gather(*(state_of(a_stream(each)) for each in (engine, other) * 5))
        assert len(set(states)) == 1


async def test_an_engine_that_is_away(one: PrivateNats, engine: NatsEngine) -> None:
    stream = a_stream(engine)
    made = await state_of(stream)
    await stream.publish([OutgoingMessage("a.1", "1", b"1")])
    await one.kill(0)
    for asked in (stream.state(), stream.after(0, 1), stream.publish([OutgoingMessage("a.2", "2", b"2")])):
        with pytest.raises(EngineAway):
            await asked
    await one.start(0)
    assert await state_of(stream) == StreamState(made.id, 1)
    with one.frozen(0), pytest.raises(EngineAway):
        await stream.after(0, 1)


async def test_an_engine_that_has_lost_everything_has_another_stream(one: PrivateNats, engine: NatsEngine) -> None:
    stream = a_stream(engine)
    made = await state_of(stream)
    await stream.publish([OutgoingMessage("a.1", "1", b"1")])
    await one.kill(0)
    one.forget(0)
    await one.start(0)
    now = await state_of(stream)
    assert (now.last, now.id != made.id) == (0, True)


async def test_servers_that_die_one_after_the_other_lose_nothing(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        PrivateNats(tmp_path / "nats") as nats,
        open_store(tmp_path / "a.db") as a,
        open_store(tmp_path / "b.db") as b,
        connected(nats.urls, "a") as to_a,
        connected(nats.urls, "b") as to_b,
    ):
        one = SharedHistory(a_stream(to_a), SharedCallRepository(a), "a", lambda: DAY_S, lambda: NOW)
        other = SharedHistory(a_stream(to_b), SharedCallRepository(b), "b", lambda: DAY_S, lambda: NOW)
        for number in range(3):  # one of them leads
            for name, store in (("a", a), ("b", b)):
                for n in range(150):
                    CallRepository(store).save(a_call(f"{name}{number}-{n}"), Details())
            await nats.kill(number)
            await exchanged(one, other, one)
            await nats.start(number)
        assert await ids(a) == await ids(b)
        assert len(await ids(a)) == 900


async def exchanged(*histories: SharedHistory) -> None:
    """Once the engine answers."""
    for each in histories:
        while True:
            try:
                await each.exchange()
                break
            except EngineAway:
                await asyncio.sleep(0.1)


async def ids(store: Store) -> set[str]:
    return {row.id for row in (await CallRepository(store).find(Query(), limit=10_000)).rows}
