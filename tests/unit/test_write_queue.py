"""The queue in which writes wait for the database: their order, their bound, and what is said of them."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from ari_app.backoff import Backoff
from ari_app.store import store as store_module
from ari_app.store import write_queue
from ari_app.store.errors import StoreUnavailable, unavailable
from ari_app.store.store import Store, StoreError, open_store
from ari_app.store.write_queue import Write, WriteQueue
from ari_app.tasks import FAILURES, guarded_tasks
from tests.unit.storage_trouble import full, locked

PATIENCE_S = 30.0
SLOW_S = 0.05


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_queue, "RETRY", Backoff(0.02, 0.1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "astergram.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with open_store(path) as opened:
        yield opened


def number(value: int) -> Write:
    return lambda db: db.table("numbers").insert({"value": value})


async def numbers(store: Store) -> list[int]:
    return await store.run(lambda db: [row["value"] for row in db.table("numbers").rows])


class Disk:
    """Carries writes out, unless it is out of order; notes what it was asked."""

    def __init__(self) -> None:
        self.works = asyncio.Event()
        self.works.set()
        self.asked = asyncio.Event()
        self.written: list[Write] = []

    async def execute(self, write: Write) -> None:
        self.asked.set()
        if not self.works.is_set():
            refusal = unavailable(sqlite3.OperationalError("out of order"), "x.db")
            assert refusal
            raise refusal
        self.written.append(write)


@pytest.fixture
async def disk() -> Disk:
    return Disk()


@pytest.fixture
async def queue(disk: Disk) -> AsyncIterator[WriteQueue]:
    made = WriteQueue(disk.execute, "astergram.db", most=3)
    async with guarded_tasks() as tasks:
        tasks.supervise(made.run, "database")
        yield made


async def in_trouble(disk: Disk, queue: WriteQueue) -> None:
    disk.works.clear()
    queue.put(("first",), number(0))
    assert not await queue.written()


async def test_writes_are_carried_out_in_their_order(store: Store) -> None:
    for value in range(5):
        store.later(("number", value), number(value))
    assert await store.written()
    assert await numbers(store) == [0, 1, 2, 3, 4]


async def test_a_newer_write_replaces_one_that_waits(disk: Disk, queue: WriteQueue) -> None:
    await in_trouble(disk, queue)
    told: list[tuple[str, bool]] = []
    older, newer = number(1), number(2)
    queue.put(("call", "a"), older, lambda kept: told.append(("older", kept)))
    queue.put(("call", "a"), newer, lambda kept: told.append(("newer", kept)))
    assert len(queue) == 2
    disk.works.set()
    await queue.flush(PATIENCE_S)
    assert disk.written[-1] is newer
    assert older not in disk.written
    assert told == [("newer", True)]


async def test_a_write_that_is_replaced_while_it_is_carried_out(path: Path) -> None:
    release, begun = threading.Event(), threading.Event()

    def slow(db: Database) -> None:
        begun.set()
        release.wait(PATIENCE_S)
        number(1)(db)

    async with open_store(path) as store:
        store.later(("call", "a"), slow)
        await asyncio.to_thread(begun.wait, PATIENCE_S)
        store.later(("call", "a"), number(2))
        release.set()
        assert await store.written()
        assert await numbers(store) == [1, 2]


async def test_what_comes_with_the_last_one_is_waited_for(store: Store) -> None:
    store.later(("first",), number(1), lambda kept: store.later(("second",), number(2)))
    assert await store.written()
    assert await numbers(store) == [1, 2]


async def test_more_than_the_bound_is_counted_and_logged(
    disk: Disk, queue: WriteQueue, caplog: pytest.LogCaptureFixture
) -> None:
    await in_trouble(disk, queue)
    kept: list[bool] = []
    for value in range(1, 5):
        queue.put(("call", value), number(value), kept.append)
    queue.put(("call", 2), number(2), kept.append)  # which has its place
    assert (len(queue), queue.lost, kept) == (3, 2, [False, False])
    assert "not kept: call 4 (2 changes are lost by now): 3 changes wait for the database already" in caplog.text
    disk.works.set()
    await queue.flush(PATIENCE_S)
    assert (len(queue), queue.lost, kept) == (0, 2, [False, False, True, True])


async def test_trouble_is_told_and_its_end(
    disk: Disk, queue: WriteQueue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    changes: list[bool] = []
    monkeypatch.setattr(queue, "_on_change", lambda: changes.append(queue.trouble is not None))
    await in_trouble(disk, queue)
    assert queue.trouble is not None
    assert str(queue.trouble.sentence) == "x.db can't be used: out of order. Check its disk."
    for _ in range(2):  # the tries that follow say nothing new
        disk.asked.clear()
        await asyncio.wait_for(disk.asked.wait(), PATIENCE_S)
    disk.works.set()
    await queue.flush(PATIENCE_S)
    assert queue.trouble is None
    assert changes == [True, False]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_a_write_that_is_wrong_keeps_no_other_one(store: Store) -> None:
    failures, kept = FAILURES.count, list[bool]()
    store.later(("wrong",), lambda db: db.execute("INSERT INTO nowhere VALUES (1)"), kept.append)
    store.later(("wrong", 2), lambda db: 1 / 0, kept.append)
    store.later(("right",), number(1), kept.append)
    assert await store.written()
    assert await numbers(store) == [1]
    assert kept == [False, False, True]
    assert (store.queue.lost, FAILURES.count) == (2, failures + 2)
    assert store.queue.trouble is None


async def test_a_disk_that_does_not_answer_is_trouble(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    async with open_store(path) as store:
        store.queue._slow_s = SLOW_S
        monkeypatch.setattr(store_module, "RUN_S", SLOW_S)
        store.later(("slow",), lambda db: release.wait(PATIENCE_S))
        assert not await store.written()
        assert store.queue.trouble is not None
        assert "does not answer within 0.05 s" in str(store.queue.trouble.sentence)
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await numbers(store)
        release.set()
        await store.queue.flush(PATIENCE_S)
        assert store.queue.trouble is None


async def test_what_waits_at_the_end_is_written(path: Path) -> None:
    async with open_store(path) as store, locked(store, path):
        store.later(("number",), number(7))
        assert not await store.written()
    async with open_store(path) as store:
        assert await numbers(store) == [7]


async def test_the_end_does_not_wait_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_module, "FLUSH_S", SLOW_S)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        async with open_store(path) as store:
            other.execute("BEGIN EXCLUSIVE")
            store.later(("number",), number(7))
        assert "1 of what was to be kept are not in the database" in caplog.text


async def test_a_page_is_told_why_it_has_to_wait(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "RUN_S", 0.3)
    async with locked(store, path):
        with pytest.raises(StoreUnavailable, match=r"Another program has locked .*astergram\.db"):
            await store.run(number(1))
        assert await store.run(lambda db: db.table("pauses").count) == 0  # whose readers wait for no writer
    await store.run(number(1))
    async with full(store, path):
        with pytest.raises(StoreError, match=r"No space left for .*astergram\.db"):
            await store.run(lambda db: db.table("numbers").insert_all({"value": "x" * 900} for _ in range(50)))
    assert await numbers(store) == [1]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("disk I/O error", "x.db can't be used: disk I/O error. Check its disk."),  # raised by a test, without a code
        (
            sqlite3.SQLITE_READONLY,
            "x.db can't be written: file and folder must belong to the user that Astergram runs as.",
        ),
        (sqlite3.SQLITE_IOERR | 3 << 8, "x.db can't be used: of SQLite. Check its disk."),
        (sqlite3.SQLITE_ERROR, None),
        (sqlite3.SQLITE_CONSTRAINT, None),
    ],
)
def test_the_database_or_what_was_asked_of_it(error: str | int, said: str | None) -> None:
    raised = sqlite3.OperationalError(error if isinstance(error, str) else "of SQLite")
    if isinstance(error, int):
        raised.sqlite_errorcode = error
    refusal = unavailable(raised, "x.db")
    assert (str(refusal) if refusal else None) == said
