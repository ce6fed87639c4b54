"""The program's own database: one SQLite file, used from one thread so that the event loop never waits for a disk."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database

from ari_app.store.migrations import MIGRATIONS, Migration

T = TypeVar("T")


class StoreError(Exception):
    """The database can't be used; the text names the file and says what to do."""


class Store:
    """An open database; made by `open_store(...)`."""

    def __init__(self, database: Database, thread: ThreadPoolExecutor) -> None:
        self._database = database
        self._thread = thread

    async def run(self, work: Callable[[Database], T]) -> T:
        """Do some work with the database, as one transaction: all of it is kept, or, when it raises, nothing.

        A caller who is cancelled meanwhile does not stop the work.
        """

        def transaction() -> T:
            with self._database.atomic():
                return work(self._database)

        return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)


@asynccontextmanager
async def open_store(path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> AsyncIterator[Store]:
    """Open the database, make it if it is not there, and bring it up to date; raises StoreError, OSError."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="store") as thread:
        database = await loop.run_in_executor(thread, _open, path, migrations)
        try:
            yield Store(database, thread)
        finally:
            await loop.run_in_executor(thread, database.close)


def _open(path: Path, migrations: Sequence[Migration]) -> Database:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # SQLite gives its -wal and -shm files the mode of the database.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)
    database = Database(str(path))
    try:
        database.enable_wal()
        _migrate(database, path, migrations)
    except sqlite3.Error as error:
        database.close()
        raise StoreError(
            f"{path} can't be used: {error}; if it is damaged, move it away and a new one is made"
        ) from error
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
