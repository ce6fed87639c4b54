"""Whom accounts have met: the people in their session files, where Telethon keeps them (table `entities`).

All of it waits for files, so it runs in a thread. A line may have its file open: each change takes milliseconds, as a
line waits no longer for a lock. Row 0 is Telethon's own: it names the account.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BUSY_S = 5.0  # for a line, which may be writing
BATCH = 500  # rows removed in one transaction
PEOPLE = "id > 0"  # groups and channels have negative ones


@dataclass(frozen=True)
class MetPerson:
    """Somebody in a session file; ``phone`` with its plus, ``seen_at`` a Unix time. What is not known is empty."""

    session: str
    id: int
    phone: str
    username: str
    name: str
    seen_at: float


def met(session: Path, which: Callable[[MetPerson], bool]) -> list[MetPerson]:
    """Those whom an account has met, of ``which`` that is true. Raises sqlite3.Error."""
    sql = f"SELECT id, phone, username, name, date FROM entities WHERE {PEOPLE}"  # noqa: S608
    with _opened(session) as db:
        return [person for row in db.execute(sql) if which(person := _person(session, *row))]


def forget(session: Path, ids: list[int]) -> int:
    """Remove people by their ids; how many there were. Raises sqlite3.Error."""
    with _opened(session) as db, db:
        return sum(db.execute(f"DELETE FROM entities WHERE {PEOPLE} AND id = ?", [id]).rowcount for id in ids)  # noqa: S608


def prune(session: Path, before: float) -> int:
    """Remove some people who were last seen before that Unix time; 0 when none is left. Raises sqlite3.Error."""
    old = f"SELECT id FROM entities WHERE {PEOPLE} AND date < ? LIMIT ?"  # noqa: S608
    with _opened(session) as db, db:
        return db.execute(f"DELETE FROM entities WHERE id IN ({old})", [before, BATCH]).rowcount  # noqa: S608


@contextmanager
def _opened(session: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(f"file:{session}?mode=rw", uri=True, timeout=BUSY_S)
    try:
        db.execute("PRAGMA secure_delete = ON")
        yield db
    finally:
        db.close()


def _person(
    session: Path, id: int, phone: str | int | None, username: str | None, name: str | None, date: int | None
) -> MetPerson:
    return MetPerson(session.stem, id, f"+{phone}" if phone else "", username or "", name or "", float(date or 0))
