"""The program's own database: one SQLite file, used from one thread so that the event loop never waits for a disk.

What a call has to keep is put into a queue (`Store.later`), so that the database is in no call's way.
"""

import asyncio
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

from sqlite_utils import Database

from ari_app.store.errors import StoreError, StoreUnavailable, is_busy, not_opened, too_slow, unavailable
from ari_app.store.migrations import MIGRATIONS, Migration
from ari_app.store.write_queue import Done, Key, Write, WriteQueue
from ari_app.tasks import guarded_tasks

__all__ = ["Changes", "Store", "StoreError", "StoreUnavailable", "open_store"]

BUSY_MS = 200
"""How long the thread waits for a lock of somebody else's: what comes after it waits, too."""
OPEN_S = 10.0  # at the start, for a lock of somebody else's
RUN_S = 5.0  # for what somebody waits for: a page, a start
FRESH_S = 1.0  # of it, for what was to be written before
FORGET_S = 5.0  # for another program that reads what was deleted
RETRY_S = 0.1  # between two tries while the database is locked
FLUSH_S = 10.0  # at the end of the program, for what still waits

log = logging.getLogger(__name__)
T = TypeVar("T")


class Changes(Protocol):
    """Carries work with the database out that other machines may have to be told of before; a `Store` tells nobody."""

    async def run(self, work: Callable[[Database], T]) -> T:
        """As `Store.run` does. What is done has to depend on nothing but the database: it may be tried out first."""


class Store:
    """An open database; made by `open_store(...)`. ``queue`` is what `later` fills."""

    def __init__(
        self, database: Database, thread: ThreadPoolExecutor, path: Path, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._database = database
        self._thread = thread
        self._path = path
        self.queue = WriteQueue(self._once, path, on_change=on_change)

    def later(self, key: Key, write: Write, done: Done = lambda kept: None) -> None:
        """Have something written, as one transaction, when the database lets it; see `WriteQueue.put`."""
        self.queue.put(key, write, done)

    async def written(self) -> bool:
        """Wait until what was to be written `later` is, or can't be at the moment; whether it is."""
        return await self.queue.written()

    async def run(self, work: Callable[[Database], T]) -> T:
        """Do some work with the database now, as one transaction: all of it is kept, or, when it raises, nothing.

        What was to be written `later` is written before, if it can be. Raises StoreUnavailable, after RUN_S at the
        latest. A caller who is cancelled meanwhile does not stop the work.
        """
        last: StoreUnavailable | None = None
        try:
            async with asyncio.timeout(RUN_S):
                with suppress(TimeoutError):
                    async with asyncio.timeout(FRESH_S):
                        await self.written()
                while True:
                    try:
                        return await self._once(work)
                    except StoreUnavailable as error:
                        if not (isinstance(error.__cause__, sqlite3.Error) and is_busy(error.__cause__)):
                            raise
                        last = error
                    await asyncio.sleep(RETRY_S)
        except TimeoutError:
            raise last or too_slow(RUN_S, self._path) from None

    async def forget_log(self) -> bool:
        """Have the write-ahead log emptied, where what was deleted still stands.

        False where another program reads it for longer than FORGET_S. Raises StoreUnavailable.
        """

        def truncate() -> bool:
            return not self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

        with suppress(TimeoutError):
            async with asyncio.timeout(FORGET_S):
                while True:
                    if await self._in_thread(truncate):
                        return True
                    await asyncio.sleep(RETRY_S)
        return False

    async def _once(self, work: Callable[[Database], T]) -> T:
        def transaction() -> T:
            with self._database.atomic():
                return work(self._database)

        return await self._in_thread(transaction)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            if refusal := unavailable(error, self._path):
                raise refusal from error
            raise


@asynccontextmanager
async def open_store(
    path: Path, migrations: Sequence[Migration] = MIGRATIONS, on_change: Callable[[], None] = lambda: None
) -> AsyncIterator[Store]:
    """Open the database, make it if it is not there, and bring it up to date; raises StoreError, OSError.

    ``on_change`` is called when writes begin to wait, or no longer do. Leaving it waits for what is to be written,
    FLUSH_S at most.
    """
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="store") as thread:
        database = await loop.run_in_executor(thread, _open, path, migrations)
        try:
            store = Store(database, thread, path, on_change)
            async with guarded_tasks() as tasks:
                tasks.supervise(store.queue.run, "database")
                try:
                    yield store
                finally:
                    await store.queue.flush(FLUSH_S)
        finally:
            await loop.run_in_executor(thread, database.close)


def _open(path: Path, migrations: Sequence[Migration]) -> Database:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # SQLite gives its -wal and -shm files the mode of the database.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)
    database = Database(sqlite3.connect(path, timeout=OPEN_S))
    try:
        database.enable_wal()
        database.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten with zeros
        _migrate(database, path, migrations)
        database.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    except sqlite3.Error as error:
        database.close()
        raise not_opened(error, path) from error
    except BaseException:
        database.close()
        raise
    return database


def _migrate(database: Database, path: Path, migrations: Sequence[Migration]) -> None:
    """Run each migration that the database has not seen; PRAGMA user_version counts them."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise StoreError(
            f"{path} was made by a newer Astergram (its tables have version {version}, ours {len(migrations)}): "
            "install that one again, or move the file away"
        )
    for number, migration in enumerate(migrations[version:], start=version + 1):
        with database.atomic():
            migration(database)
            database.execute(f"PRAGMA user_version = {number}")
