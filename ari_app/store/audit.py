"""The audit log: who did what, when, and from where. Times are Unix times."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from ari_app.store.passes import BATCH
from ari_app.store.store import Store

BUSY_S = 5.0  # for the running program, which may be writing
COLUMNS = ("at", "kind", "who", "address", "action", "subject", "changes")


@dataclass(frozen=True)
class AuditRow:
    """One thing that was done. ``kind``: by what sort of asker; ``changes``: JSON, of each setting before and after."""

    at: float
    kind: str
    who: str
    address: str
    action: str
    subject: str
    changes: str = "{}"

    @property
    def changed(self) -> dict[str, list[Any]]:
        """Each setting, as it was and as it is since."""
        return dict(json.loads(self.changes))


@dataclass(frozen=True)
class AuditQuery:
    """Which entries; what is empty does not matter. ``since`` is inclusive, ``until`` is not.

    ``actions``: one of these, where it is not one ``action``.
    """

    text: str = ""
    kind: str = ""
    action: str = ""
    since: float | None = None
    until: float | None = None
    actions: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuditPage:
    """Some of the entries that fit, the newest first, and how many fit."""

    rows: tuple[AuditRow, ...]
    total: int


class AuditRepository:
    """All entries."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._numbers = count()

    def add(self, row: AuditRow) -> None:
        """Keep an entry; never waits."""
        self._store.later(("audit", next(self._numbers)), lambda db: _insert(db, row))

    async def find(self, query: AuditQuery, offset: int, limit: int) -> AuditPage:
        """A page by its place."""
        where, values = _where(query)

        def read(db: Database) -> AuditPage:
            total = db.execute(f"SELECT count(*) FROM audit WHERE {where}", values).fetchone()[0]  # noqa: S608
            sql = f"SELECT {', '.join(COLUMNS)} FROM audit WHERE {where} ORDER BY id DESC LIMIT ? OFFSET ?"  # noqa: S608
            rows = db.execute(sql, [*values, limit, offset])
            return AuditPage(tuple(AuditRow(*row) for row in rows), total)

        return await self._store.run(read)

    async def before(self, query: AuditQuery, last: int | None, limit: int) -> tuple[list[AuditRow], int | None]:
        """The next of all that fit, the newest first, after entry ``last``; and what follows it, None for the end.

        None is left out or repeated where others are added or removed meanwhile.
        """
        where, values = _where(query)
        if last is not None:
            where, values = f"({where}) AND id < ?", [*values, last]
        sql = f"SELECT id, {', '.join(COLUMNS)} FROM audit WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608
        found = await self._store.run(lambda db: db.execute(sql, [*values, limit]).fetchall())
        return [AuditRow(*row[1:]) for row in found], found[-1][0] if found else None

    async def actions(self) -> list[str]:
        """Those that there are entries of."""
        sql = "SELECT DISTINCT action FROM audit ORDER BY action"
        return await self._store.run(lambda db: [row[0] for row in db.execute(sql)])

    async def prune(self, before: float) -> int:
        """Remove some of what is older; 0 when none is left to remove."""
        sql = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? LIMIT ?)"
        return await self._store.run(lambda db: db.execute(sql, [before, BATCH]).rowcount)


def add_at_once(database: Path, row: AuditRow) -> None:
    """Keep an entry from another process than the program, if its tables are there; raises sqlite3.Error."""
    with closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True, timeout=BUSY_S)) as connection:
        db = Database(connection)
        if "audit" in db.table_names():
            with db.atomic():
                _insert(db, row)


def _insert(db: Database, row: AuditRow) -> None:
    db.table("audit").insert({**asdict(row), "search": f"{row.who}\n{row.address}\n{row.subject}".casefold()})


def _where(query: AuditQuery) -> tuple[str, list[object]]:
    conditions = dict(_conditions(query))
    values = list(conditions.values())
    if query.actions:
        conditions[f"action IN ({', '.join('?' * len(query.actions))})"] = None
        values += query.actions
    return " AND ".join(conditions) or "1", values


def _conditions(query: AuditQuery) -> Iterator[tuple[str, object]]:
    if text := query.text.strip().casefold():
        yield "instr(search, ?) > 0", text
    if query.kind:
        yield "kind = ?", query.kind
    if query.action:
        yield "action = ?", query.action
    if query.since is not None:
        yield "at >= ?", query.since
    if query.until is not None:
        yield "at < ?", query.until
