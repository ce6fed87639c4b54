"""Passes over whole tables: in pieces, between which whoever else needs the database gets their turn."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any, TypeVar

from sqlite_utils import Database

from ari_app.store.store import Store

SPAN = 2000
"""Rows of a piece, unless it is said: some milliseconds of the database's thread."""
BATCH = 500  # rows removed in one transaction: the database is not kept from others for long
END = 2**63 - 1

T = TypeVar("T")
TableRow = dict[str, Any]


async def pass_over(
    store: Store,
    table: str,
    columns: Sequence[str],
    work: Callable[[Database, list[TableRow]], T],
    *,
    sought: Collection[str] = (),
    sought_in: Sequence[str] = (),
    span: int = SPAN,
) -> AsyncIterator[T]:
    """What ``work`` makes of each piece of a table's rows, of which it gets these columns and the rowid.

    It runs in the database's thread, in one transaction with the reading of its piece, so it may change those rows.
    ``sought``: only rows that have one of these texts (ASCII, in small letters) in a column of ``sought_in``.
    Raises StoreUnavailable.
    """
    last: int | None = 0

    def piece(db: Database) -> tuple[T, int | None]:
        sql = f"SELECT rowid FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT 1 OFFSET ?"  # noqa: S608
        end = db.execute(sql, [last, span - 1]).fetchone()
        having, values = _having(sought, sought_in)
        sql = f"SELECT rowid, {', '.join(columns)} FROM {table} WHERE rowid > ? AND rowid <= ?{having}"  # noqa: S608
        names = ("rowid", *columns)
        found = db.execute(sql, [last, end[0] if end else END, *values]).fetchall()
        return work(db, [dict(zip(names, row, strict=True)) for row in found]), end[0] if end else None

    while last is not None:
        made, last = await store.run(piece)
        yield made


def delete(db: Database, table: str, rows: Sequence[TableRow]) -> int:
    """Delete rows that a pass has come to; how many."""
    marks = ",".join("?" * len(rows))
    return db.execute(f"DELETE FROM {table} WHERE rowid IN ({marks})", [row["rowid"] for row in rows]).rowcount  # noqa: S608


def update(db: Database, table: str, row: TableRow, **values: Any) -> None:
    """Change a row that a pass has come to."""
    columns = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"UPDATE {table} SET {columns} WHERE rowid = ?", [*values.values(), row["rowid"]])  # noqa: S608


def _having(sought: Collection[str], columns: Sequence[str]) -> tuple[str, list[str]]:
    if not columns:
        return "", []
    conditions = [f"instr(lower({column}), ?)" for column in columns for _ in sought]
    return f" AND ({' OR '.join(conditions) or '0'})", [text for _ in columns for text in sought]
