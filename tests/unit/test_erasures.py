"""A person who is erased on one machine of a cluster is erased on all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ari_app.calls.outcome import Direction, by_administrator
from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.erasures import AGAIN_S, Erasures
from ari_app.cluster.shared_history import SharedHistory
from ari_app.people import orders
from ari_app.people.errors import NotErased
from ari_app.store.calls import CallRepository, Query
from ari_app.store.shared_calls import SharedCallRepository
from tests.fake_stream import StoredStream, WayToStream
from tests.unit.people_rig import ANNA, BORIS, LINE, NOW, TRACES, Rig, put, rig


@dataclass
class Machine:
    its: Rig
    calls: WayToStream
    ordered: WayToStream
    history: SharedHistory
    erasures: Erasures

    async def round(self) -> None:
        await self.erasures.obey(partial(orders.obey, self.its.people, self.its.audit))
        await self.history.exchange()


@asynccontextmanager
async def machine(folder: Path, name: str, calls: StoredStream, ordered: StoredStream) -> AsyncIterator[Machine]:
    (folder / name).mkdir()
    async with rig(folder / name) as its:
        ways = WayToStream(calls), WayToStream(ordered, "erasures")
        repository = SharedCallRepository(its.store)
        history = SharedHistory(ways[0], repository, name, lambda: NOW, lambda: NOW)
        erasures = Erasures(ways[1], repository, name)
        its.people._tell = partial(orders.tell, erasures)
        yield Machine(its, *ways, history, erasures)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[tuple[Machine, Machine]]:
    streams = StoredStream(), StoredStream(one_each=False)
    async with machine(tmp_path, "a", *streams) as a, machine(tmp_path, "b", *streams) as b:
        for each in (a, b):
            await each.round()
        yield a, b


async def kept_of_anna(each: Machine) -> str:
    tables = await each.its.store.run(lambda db: db.table_names())
    rows = str([row for table in tables for row in await each.its.rows(table)])
    by_a_user = ("'who': 'anna_b'", r"anna_b\n192.0.2.1")  # who has the same name
    for text in by_a_user:
        rows = rows.replace(text, "")
    return ", ".join(trace for trace in TRACES if trace in rows)


async def test_all_that_is_kept_goes_on_each_machine(two: tuple[Machine, Machine]) -> None:
    a, b = two
    await put(a.its, ANNA, number=1)
    await put(b.its, ANNA, number=2)
    await put(b.its, BORIS, number=3)
    for each in (a, b, a):
        await each.round()
    assert await kept_of_anna(b)
    assert (await CallRepository(a.its.store).find(Query())).total == 9

    await a.its.people.erase(str(ANNA.id))
    for each in (b, a, b):
        await each.round()
    for each in (a, b):
        assert not await kept_of_anna(each)
        assert (await each.its.people.find("boris")).people
        assert (await CallRepository(each.its.store).find(Query())).total == 9
    assert not any(trace in str(a.calls.stored.messages) for trace in TRACES)
    done = [(row["kind"], row["action"]) for row in await b.its.rows("audit")]
    assert ("program", "person erased") in done


async def test_nothing_is_erased_while_the_others_cannot_be_told(two: tuple[Machine, Machine]) -> None:
    a, _ = two
    await put(a.its, ANNA)
    a.ordered.away = True
    with pytest.raises(NotErased, match="nothing was erased"):
        await a.its.people.erase(str(ANNA.id))
    assert await kept_of_anna(a)
    a.ordered.away = False
    await a.its.people.erase(str(ANNA.id))
    assert not await kept_of_anna(a)


async def test_a_machine_that_was_away_obeys_when_it_is_back(two: tuple[Machine, Machine]) -> None:
    a, b = two
    await put(b.its, ANNA)
    b.ordered.away = b.calls.away = True
    await a.its.people.erase(str(ANNA.id))
    with pytest.raises(EngineAway):
        await b.round()
    b.ordered.away = b.calls.away = False
    await b.round()
    assert not await kept_of_anna(b)


async def test_the_end_of_a_call_is_waited_for(two: tuple[Machine, Machine], caplog: pytest.LogCaptureFixture) -> None:
    a, b = two
    await put(b.its, ANNA)
    async with b.its.registry.admit(Direction.IN, LINE, str(ANNA.id), 9, ANNA) as call:
        await a.its.people.erase(str(ANNA.id))
        await b.round()
        await b.round()
        assert caplog.text.count("can't be erased yet") == 1, "it is not tried each second"
        assert await kept_of_anna(b)
        call.end(by_administrator(call.direction, talking=False))
    b.erasures._waits_until -= AGAIN_S
    await b.round()
    assert not await kept_of_anna(b)


async def test_a_machine_that_joins_obeys_nothing_of_before(tmp_path: Path) -> None:
    streams = StoredStream(), StoredStream(one_each=False)
    async with machine(tmp_path, "a", *streams) as a:
        await a.round()
        await a.its.people.erase(str(ANNA.id))
        await put(a.its, ANNA)  # who calls again
        await a.round()
        async with machine(tmp_path, "b", *streams) as b:
            await b.round()
            await b.round()
            await a.round()
            for each in (a, b):
                (who,) = (await each.its.people.find("ёлкина")).people
                assert who.id == ANNA.id


@pytest.mark.parametrize(
    "order", [b"", b"[]", b'{"id": "1", "machine": "a", "who": {}}', b'{"id": "1", "who": 7}', b"[" * 100_000]
)
async def test_an_order_that_is_not_understood(
    two: tuple[Machine, Machine], order: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = two
    await put(b.its, ANNA)
    message: Any = type("M", (), {"subject": "x", "id": "x", "value": order})()
    a.ordered.stored.store(message)
    await b.round()
    await b.round()
    assert caplog.text.count("is not understood: erase them on this machine") == 1
    assert await kept_of_anna(b)


async def test_an_order_of_an_engine_that_has_lost_everything(two: tuple[Machine, Machine]) -> None:
    a, b = two
    a.ordered.stored.lose_everything()
    await put(b.its, ANNA)
    await a.its.people.erase(str(ANNA.id))
    await b.round()
    assert not await kept_of_anna(b)
