"""Ways in which a database can't be written, made to happen to a real one."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path

from ari_app.store.store import Store

MOST_PAGES = 2**30

Trouble = Callable[[Store, Path], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def locked(store: Store, path: Path) -> AsyncIterator[None]:
    """Another connection writes, and does not come to an end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@asynccontextmanager
async def full(store: Store, path: Path) -> AsyncIterator[None]:
    """The file may not grow by a page; what fits into the pages that it has can still be written."""
    pages = await store.run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await _set(store, "max_page_count", pages)
    yield
    await _set(store, "max_page_count", MOST_PAGES)


@asynccontextmanager
async def read_only(store: Store, path: Path) -> AsyncIterator[None]:
    """Every write is refused."""
    await _set(store, "query_only", 1)
    yield
    await _set(store, "query_only", 0)


async def _set(store: Store, pragma: str, value: int) -> None:
    await store.run(lambda db: db.execute(f"PRAGMA {pragma} = {value}"))


TROUBLES: dict[str, Trouble] = {"locked": locked, "full": full, "read-only": read_only}
