"""The histories of a cluster's machines agree, whatever becomes of the engine and of the machines meanwhile."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.shared_history import SharedHistory
from ari_app.cluster.stream import OutgoingMessage
from ari_app.reports.figures import Figures
from ari_app.reports.history import History, open_history
from ari_app.store.calls import CallRepository, CallRow, Details, Query
from ari_app.store.people import CALL, anonymise
from ari_app.store.shared_calls import SharedCallRepository
from ari_app.store.store import Store, open_store
from tests.fake_stream import StoredStream, WayToStream

NOW = 1_790_000_000.0
DAY_S = 86400.0
ANNA: dict[str, Any] = {"person_id": 7, "name": "Anna", "phone": "+79990000002", "username": "anna_b", "peer": "7"}
NOBODY = {"person_id": None, "name": "", "phone": "", "username": "", "peer": ""}


def a_call(id: str, at: float = NOW, **known: Any) -> CallRow:
    basics: dict[str, Any] = {
        "id": id, "began_at": at, "ended_at": at + 60, "direction": "in", "line": "+79990000001", "pbx_party": "101",
        "status": "ANSWER", "cause": 16, "reason": "", "answered": True, "refused": False, "to_answer_s": 4.0,
        "talked_s": 50.0,
    }  # fmt: skip
    return CallRow(**basics | ANNA | known)


@dataclass
class Machine:
    """One, with a database of its own, which a restart leaves."""

    name: str
    folder: Path
    way: WayToStream
    stack: AsyncExitStack
    store: Store = None  # type: ignore[assignment]
    period_s: float = 400 * DAY_S

    async def start(self) -> None:
        await self.stack.aclose()
        self.store = await self.stack.enter_async_context(open_store(self.folder / f"{self.name}.db"))
        self.shared = SharedHistory(
            self.way, SharedCallRepository(self.store), self.name, lambda: self.period_s, lambda: NOW
        )

    async def had(self, *calls: CallRow, **details: str) -> None:
        for call in calls:
            CallRepository(self.store).save(call, Details(**details))
        assert await self.store.written()

    async def erase(self, id: str) -> None:
        def write(db: Any) -> None:
            (row,) = db.query(f"SELECT rowid, {', '.join(CALL)} FROM calls WHERE id = ?", [id])  # noqa: S608
            anonymise(db, row, **NOBODY)

        await self.store.run(write)

    async def rows(self) -> dict[str, CallRow]:
        """Each call as every machine has to have it."""
        found = (await CallRepository(self.store).find(Query(), limit=10_000)).rows
        return {row.id: replace(row, machine=row.machine or self.name) for row in found if row.status}


@pytest.fixture
async def stored() -> StoredStream:
    return StoredStream()


@asynccontextmanager
async def cluster(folder: Path, stored: StoredStream, names: str) -> AsyncIterator[list[Machine]]:
    async with AsyncExitStack() as stack:
        made = []
        for name in names:
            its = await stack.enter_async_context(AsyncExitStack())
            made.append(Machine(name, folder, WayToStream(stored), its))
            await made[-1].start()
        yield made


@pytest.fixture
async def two(tmp_path: Path, stored: StoredStream) -> AsyncIterator[list[Machine]]:
    async with cluster(tmp_path, stored, "ab") as made:
        yield made


async def exchanged(*machines: Machine) -> None:
    """As often as it takes: what is sent is read the next time."""
    for _ in range(3):
        for each in machines:
            await each.shared.exchange()


async def agree(*machines: Machine) -> dict[str, CallRow]:
    first, *others = [await each.rows() for each in machines]
    for other in others:
        assert other == first
    return first


async def test_each_has_the_calls_of_both(two: list[Machine]) -> None:
    a, b = two
    await a.had(a_call("a1", name="Анна Ёлкина"))
    await b.had(a_call("b1", NOW + 1, name="Boris", person_id=9))
    await exchanged(a, b)
    rows = await agree(a, b)
    assert {id: row.machine for id, row in rows.items()} == {"a1": "a", "b1": "b"}
    history = await open_history(b.store)
    (found,) = (await history.find(Query(text="ёлк"))).rows
    assert (found.id, found.machine) == ("a1", "a")
    assert (await history.find(Query())).total == 2
    assert [line async for line in history.export_csv(Query())][1].count(',"a"') == 1
    assert (await Figures(b.store).today(NOW + 10)).incoming.all == 2


async def test_details_stay_where_the_call_was(two: list[Machine]) -> None:
    a, b = two
    await a.had(a_call("a1"), events='[{"type": "Connected", "at_s": 1.0}]')
    await exchanged(a, b)
    record = await History(b.store).one("a1")
    assert record is not None
    assert (record.call.machine, record.events, record.samples, record.to_answer_s) == ("a", (), (), 4.0)
    record = await History(a.store).one("a1")
    assert record is not None
    assert len(record.events) == 1


async def test_a_call_that_goes_on_is_not_sent_and_not_closed_elsewhere(two: list[Machine]) -> None:
    a, b = two
    going_on = a_call("a1", status=None, cause=None, ended_at=None, answered=False, to_answer_s=None)
    await a.had(going_on)
    await exchanged(a, b)
    assert (await b.rows(), (await CallRepository(b.store).find(Query())).total) == ({}, 0)
    await open_history(b.store)
    await a.had(a_call("a1"))
    await exchanged(a, b)
    assert set(await agree(a, b)) == {"a1"}


async def test_what_a_killed_program_left_open_is_sent_once_it_is_closed(two: list[Machine]) -> None:
    a, b = two
    await a.had(*(a_call(f"a{n}", status=None, cause=None, ended_at=None, answered=False) for n in range(250)))
    await exchanged(a, b)
    await open_history(a.store)
    await exchanged(a, b)
    rows = await agree(a, b)
    assert {row.status for row in rows.values()} == {"ERROR"}
    assert len(rows) == 250


async def test_calls_of_before_the_cluster_are_shared_too(two: list[Machine]) -> None:
    a, b = two
    await a.had(*(a_call(f"a{n}", NOW - n) for n in range(250)))
    await a.store.run(lambda db: db.execute("UPDATE calls SET version = 0, change = 0"))  # as the migration leaves them
    await exchanged(a, b)
    assert len(await agree(a, b)) == 250


async def test_a_restart_and_a_long_absence_lose_nothing(two: list[Machine], stored: StoredStream) -> None:
    a, b = two
    await a.had(a_call("a1"))
    a.way.away = True
    with pytest.raises(EngineAway):
        await a.shared.exchange()
    await a.start()
    await a.had(a_call("a2"))
    await b.had(a_call("b1"))
    await exchanged(b)
    a.way.away = False
    await exchanged(a, b)
    assert set(await agree(a, b)) == {"a1", "a2", "b1"}
    number = stored.last
    await a.start()
    await exchanged(a, b)
    assert stored.last == number, "nothing is sent twice"


async def test_an_acknowledgement_is_lost(two: list[Machine]) -> None:
    a, b = two
    await a.had(a_call("a1"))
    a.way.acknowledges = False
    with pytest.raises(EngineAway):
        await a.shared.exchange()
    a.way.acknowledges = True
    await exchanged(a, b)
    assert set(await agree(a, b)) == {"a1"}


async def test_an_older_state_that_arrives_late_changes_nothing(two: list[Machine]) -> None:
    a, b = two
    await a.had(a_call("a1"))
    a.way.arrive = 0
    with pytest.raises(EngineAway):
        await a.shared.exchange()
    a.way.arrive = None
    await a.erase("a1")
    await exchanged(a, b)
    assert a.way.late == []
    assert (await agree(a, b))["a1"].name == ""


@pytest.mark.parametrize("read_before", [True, False])
async def test_an_engine_that_has_lost_everything(two: list[Machine], stored: StoredStream, read_before: bool) -> None:
    a, b = two
    await a.had(a_call("a1"))
    await b.had(a_call("b1"))
    await a.shared.exchange()
    if read_before:
        await exchanged(a, b)
    stored.lose_everything()
    await a.had(a_call("a2"))
    await exchanged(b, a)
    assert set(await agree(a, b)) == {"a1", "a2", "b1"}


async def test_an_engine_that_has_lost_the_end(two: list[Machine], stored: StoredStream) -> None:
    a, b = two
    await a.had(a_call("a1"))
    await exchanged(a, b)
    await a.had(a_call("a2"))
    await a.shared.exchange()
    await a.shared.exchange()
    stored.lose_end(1)
    await exchanged(a, b)
    assert set(await agree(a, b)) == {"a1", "a2"}


async def test_an_engine_that_has_lost_the_end_and_has_got_more_at_once(
    two: list[Machine], stored: StoredStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = two
    await a.had(a_call("a1"), a_call("a2"))
    await exchanged(a, b)
    await a.had(a_call("a3"))
    state = await a.way.state()

    async def as_before() -> Any:
        stored.lose_end(1)
        monkeypatch.undo()
        return state

    monkeypatch.setattr(a.way, "state", as_before)
    await exchanged(a, b)
    assert set(await agree(a, b)) == {"a1", "a2", "a3"}


async def test_a_machine_that_has_lost_its_database_has_its_calls_again(two: list[Machine], tmp_path: Path) -> None:
    a, b = two
    await a.had(a_call("a1"))
    await b.had(a_call("b1"))
    await exchanged(a, b)
    await a.stack.aclose()
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f"a.db{ending}").unlink(missing_ok=True)
    await a.start()
    await a.had(a_call("a2"))
    await exchanged(a, b)
    rows = await agree(a, b)
    assert {id: row.machine for id, row in rows.items()} == {"a1": "a", "a2": "a", "b1": "b"}


async def test_an_erased_person_goes_from_all_machines(two: list[Machine], stored: StoredStream) -> None:
    a, b = two
    await a.had(a_call("a1"), events='[{"type": "Dialled", "at_s": 0}]')
    await b.had(a_call("b1"), a_call("b2", **ANNA | {"name": "Boris"}))
    await exchanged(a, b)
    for id in ("a1", "b1"):
        await b.erase(id)  # also of a machine that is away for good
    await exchanged(b, a)
    rows = await agree(a, b)
    assert {id: row.name for id, row in rows.items()} == {"a1": "", "b1": "", "b2": "Boris"}
    assert "Anna" not in str(stored.messages), "only the last state of a call stays in the stream"
    record = await History(a.store).one("a1")
    assert record is not None
    assert record.events == ()
    async with open_store(a.folder / "c.db") as store:
        c = SharedHistory(WayToStream(stored), SharedCallRepository(store), "c", lambda: DAY_S, lambda: NOW)
        await c.exchange()
        assert {row.name for row in (await CallRepository(store).find(Query())).rows} == {"", "Boris"}


async def test_periods_hold_for_the_calls_of_others(two: list[Machine]) -> None:
    a, b = two
    b.period_s = 10 * DAY_S
    await a.had(a_call("a1", NOW - 11 * DAY_S), a_call("a2", NOW - 9 * DAY_S))
    await exchanged(a, b)
    assert set(await b.rows()) == {"a2"}
    assert await History(b.store).prune(NOW - 8 * DAY_S) == 1
    await exchanged(a, b)
    assert set(await b.rows()) == set()
    assert set(await a.rows()) == {"a1", "a2"}


async def test_changes_go_on_after_the_last_ones_were_removed(two: list[Machine]) -> None:
    a, b = two
    await a.had(a_call("a1", NOW - 20), a_call("a2", NOW - 10))
    await exchanged(a, b)
    await History(a.store).prune(NOW - 5)
    await a.had(a_call("a3"))
    await exchanged(a, b)
    assert set(await b.rows()) == {"a1", "a2", "a3"}


@pytest.mark.parametrize(
    "value",
    [
        b"", b"[]", b"{}", b'{"version": 1, "call": {}}', b"\xff", b"[" * 100_000,
        json.dumps({"version": 1, "call": {**vars(a_call("x")), "machine": "b", "name": ["Anna"]}}).encode(),
        json.dumps({"version": 1, "call": {**vars(a_call("x")), "machine": "b.*"}}).encode(),
        json.dumps({"version": "1", "call": {**vars(a_call("x")), "machine": "b"}}).encode(),
        json.dumps({"version": 1, "call": {**vars(a_call("x", status=None)), "machine": "b"}}).encode(),
        json.dumps({"version": 1, "call": {**vars(a_call("x", cause=2**70)), "machine": "b"}}).encode(),
        json.dumps({"version": 2**70, "call": {**vars(a_call("x")), "machine": "b"}}).encode(),
    ],
)  # fmt: skip
async def test_what_is_not_understood_is_left_out(
    two: list[Machine], stored: StoredStream, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = two
    stored.store(OutgoingMessage("b.x", "x", value))
    await a.had(a_call("a1"))
    await exchanged(a, b)
    assert set(await agree(a, b)) == {"a1"}
    assert "is not understood" in caplog.text
    assert "Anna" not in caplog.text


async def test_a_later_version_may_tell_more(two: list[Machine], stored: StoredStream) -> None:
    a, b = two
    said = {**vars(a_call("c1")), "machine": "c", "mood": "good"}
    stored.store(OutgoingMessage("c.c1", "c1", json.dumps({"version": 1, "call": said, "more": 1}).encode()))
    await exchanged(a, b)
    assert set(await agree(a, b)) == {"c1"}


async def test_an_id_that_two_machines_have_given(two: list[Machine]) -> None:
    a, b = two
    await a.had(a_call("same", name="Anna"))
    await b.had(a_call("same", name="Boris"))
    await exchanged(a, b)
    assert [row.name for row in (await a.rows()).values()] == ["Anna"]
    assert [row.name for row in (await b.rows()).values()] == ["Boris"]


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_the_histories_agree(seed: int, tmp_path: Path, stored: StoredStream) -> None:
    dice = random.Random(seed)  # noqa: S311 - nothing secret
    had: dict[str, str] = {}
    erased: set[str] = set()
    async with cluster(tmp_path, stored, "abc") as machines:
        for number in range(120):
            its = dice.choice(machines)
            match dice.randrange(12):
                case 0 | 1 | 2 | 3:
                    for extra in range(dice.choice([1, 1, 3, 120 if number % 40 == 0 else 2])):
                        id = f"{its.name}{number}-{extra}"
                        await its.had(a_call(id, NOW + number))
                        had[id] = its.name
                case 4:
                    its.way.away = not its.way.away
                case 5:
                    its.way.acknowledges = not its.way.acknowledges
                case 6:
                    its.way.arrive = dice.choice([None, 0, 1])
                case 7:
                    its.way.arranged = lambda messages: dice.sample(messages, len(messages))
                case 8:
                    await its.start()
                case 9:
                    if known := list(await its.rows()):
                        erased.add(id := dice.choice(known))
                        await its.erase(id)
                case 10 if number % 3 == 0:
                    stored.lose_end(dice.randrange(stored.last + 1))
                case 11 if number % 3 == 0:
                    stored.lose_everything()
                case _:
                    pass
            with suppress(EngineAway):
                await dice.choice(machines).shared.exchange()
        for each in machines:
            each.way.away, each.way.acknowledges, each.way.arrive = False, True, None
        await exchanged(*machines, *machines)
        rows = await agree(*machines)
        assert {id: row.machine for id, row in rows.items()} == had
        assert {id for id, row in rows.items() if not row.name} == erased
