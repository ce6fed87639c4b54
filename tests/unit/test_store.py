"""The program's database: what it keeps, for whom, and what it says when it can't be used."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from ari_app.store.limits import LimitRepository
from ari_app.store.migrations import MIGRATIONS
from ari_app.store.peers import PeerRepository
from ari_app.store.store import StoreError, StoreUnavailable, open_store

LINE, OTHER = "+79990000001", "+79990000009"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "astergram.db"


def put_there(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.touch(mode=0o644)
    path.write_text(content)


async def test_only_its_owner_can_read_it(path: Path) -> None:
    put_there(path, "")
    async with open_store(path) as store:
        PeerRepository(store, LINE).save("+79990000002", "{}", 0.0, 10.0)
        await store.written()
        files = sorted(path.parent.iterdir())
        assert [each.name for each in files] == ["astergram.db", "astergram.db-shm", "astergram.db-wal"]
        assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}


async def test_work_is_kept_as_a_whole_or_not_at_all(path: Path) -> None:
    def half(db: Database) -> None:
        db.table("outgoing").insert({"line": LINE, "at": 1.0})
        raise ZeroDivisionError

    async with open_store(path) as store:
        with pytest.raises(ZeroDivisionError):
            await store.run(half)
        assert await LimitRepository(store, LINE).calls(0.0) == []


async def test_the_loop_goes_on_while_the_database_works(path: Path) -> None:
    loop = asyncio.get_running_loop()
    ran = asyncio.Event()

    def wait_for_the_loop(_: Database) -> None:
        asyncio.run_coroutine_threadsafe(set_ran(), loop).result(10.0)

    async def set_ran() -> None:
        ran.set()

    async with open_store(path) as store:
        await store.run(wait_for_the_loop)
        assert ran.is_set()


async def test_what_is_kept_outlives_the_program(path: Path) -> None:
    async with open_store(path) as store:
        limits = LimitRepository(store, LINE)
        limits.pause("phone.requestCall", 130.0, "FLOOD_WAIT_30")
        limits.pause("phone.requestCall", 160.0, "FLOOD_WAIT_60")
        limits.pause("contacts.resolvePhone", 90.0, "FLOOD_WAIT_5")
        for at in (10.0, 50.0, 40.0):
            limits.called(at)
    async with open_store(path) as store:
        limits = LimitRepository(store, LINE)
        assert await limits.pauses(now=100.0) == {"phone.requestCall": (160.0, "FLOOD_WAIT_60")}
        assert await limits.calls(since=10.0) == [40.0, 50.0]
        assert await LimitRepository(store, OTHER).pauses(now=100.0) == {}
        assert await LimitRepository(store, OTHER).calls(since=0.0) == []


async def test_an_answer_is_kept_for_its_line_and_its_time(path: Path) -> None:
    async with open_store(path) as store:
        peers = PeerRepository(store, LINE)
        peers.save("+79990000002", "first", now=0.0, until=10.0)
        peers.save("+79990000002", "second", now=0.0, until=20.0)
        assert await peers.all(now=19.0) == {"+79990000002": ("second", 20.0)}
        assert await peers.all(now=20.0) == {}
        assert await PeerRepository(store, OTHER).all(now=0.0) == {}
        peers.delete("+79990000002")
        assert await peers.all(now=0.0) == {}


async def test_migrations_run_once_each_and_in_order(path: Path) -> None:
    def first(db: Database) -> None:
        db.table("notes").insert({"text": "first"})

    def second(db: Database) -> None:
        db.table("notes").insert({"text": "second"})

    for migrations in ((first,), (first, second), (first, second)):
        async with open_store(path, migrations) as store:
            notes = await store.run(lambda db: [row["text"] for row in db.table("notes").rows])
    assert notes == ["first", "second"]


# As the program wrote them with the version that made the table; a table without any gets a row of its column types.
ROWS: dict[str, dict[str, Any]] = {
    "pauses": {"line": LINE, "request": "phone.requestCall", "until": 2e9, "reason": "FLOOD_WAIT_30"},
    "outgoing": {"line": LINE, "at": 1.5},
    "resolved": {"line": LINE, "destination": "+79990000002", "until": 2e9, "answer": '{"id": 7}'},
    "keypads": {"line": LINE, "message_id": 9},
    "cards": {
        "id": "AbC", "line": LINE, "person": '{"id": 7}', "text": "Анна", "button": "", "secret": "00", "person_id": 7,
        "sent_at": 1.5,
    },
    "lines": {"number": LINE, "settings": "{}"},
    "installation": {"name": "company", "value": "Ромашка"},
    "calls": {"id": "c1", "began_at": 1.5, "direction": "in", "line": LINE, "status": "ANSWER", "search": "анна"},
    "call_details": {"id": "c1", "ladder": "[]", "milestones": "{}", "samples": "{}"},
}  # fmt: skip
RENAMED = {
    ("calls", "near"): "pbx_party", ("calls", "detail"): "reason", ("call_details", "ladder"): "events",
    ("web_tokens", "right"): "scope",
}  # fmt: skip
MOVED = {"web_password": "users", "web_link": "web_links"}
GONE = {("web_password", "id"), ("web_link", "id")}
"""Of what belongs to the first administrator now."""
SAMPLES = {"INTEGER": 7, "FLOAT": 1.5}


def filled(db: Database) -> dict[str, dict[str, Any]]:
    """Put a row into each table."""
    rows = {}
    for name in db.table_names():
        table = db.table(name)
        known = {each.name for each in table.columns}
        rows[name] = {
            column if column in known else RENAMED[name, column]: value for column, value in ROWS.get(name, {}).items()
        } or {each.name: SAMPLES.get(each.type, "Анна") for each in table.columns}
        table.insert(rows[name])
    return rows


@pytest.mark.parametrize("version", range(len(MIGRATIONS) + 1))
async def test_rows_of_each_earlier_version_survive(path: Path, version: int) -> None:
    async with open_store(path, MIGRATIONS[:version]) as store:
        kept = await store.run(filled)
    async with open_store(path) as store:
        now = await store.run(lambda db: {name: list(db.table(name).rows) for name in db.table_names()})
        assert await store.run(lambda db: db.execute("PRAGMA user_version").fetchone()[0]) == len(MIGRATIONS)
    assert set(ROWS) <= set(now), "each version ends with all tables"
    for table, row in kept.items():
        expected = {RENAMED.get((table, name), name): value for name, value in row.items() if (table, name) not in GONE}
        found = [{name: each[name] for name in expected} for each in now[MOVED.get(table, table)]]
        assert expected in found


async def test_a_migration_that_fails_leaves_nothing(path: Path) -> None:
    def broken(db: Database) -> None:
        db.table("notes").insert({"text": "half"})
        db.execute("SELECT * FROM nowhere")

    with pytest.raises(StoreError, match="nowhere"):
        async with open_store(path, (broken,)):
            pass
    async with open_store(path, ()) as store:
        assert await store.run(lambda db: db.table_names()) == []


async def test_a_database_of_a_newer_program(path: Path) -> None:
    async with open_store(path, (*MIGRATIONS, lambda _: None)):
        pass
    with pytest.raises(StoreError, match="made by a newer Astergram"):
        async with open_store(path):
            pass


async def test_a_file_that_is_no_database(path: Path) -> None:
    put_there(path, "something else altogether, and long enough to be looked at" * 100)
    with pytest.raises(StoreError, match=r"astergram\.db can't be used: file is not a database"):
        async with open_store(path):
            pass


async def test_a_start_while_another_program_has_locked_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that it may be damaged: somebody would move it away."""
    async with open_store(path):
        pass
    monkeypatch.setattr("ari_app.store.store.OPEN_S", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match=r"Another program has locked .*: stop that program\.$"):
            async with open_store(path):
                pass


async def test_the_log_is_forgotten_once_no_other_program_reads_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_store(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM calls").fetchone()
            PeerRepository(store, LINE).save("+79990000002", "{}", 0.0, 10.0)
            await store.written()
            once = store._in_thread

            async def then_the_reader_ends(work: Any) -> Any:
                done = await once(work)
                reader.rollback()
                return done

            monkeypatch.setattr(store, "_in_thread", then_the_reader_ends)
            assert await store.forget_log()
        assert (path.parent / f"{path.name}-wal").stat().st_size == 0
