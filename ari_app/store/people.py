"""What of a person is in the tables that stay when somebody is erased: calls, and keys that lead to them."""

from dataclasses import fields

from sqlite_utils import Database

from ari_app.store.calls import CallRow, searched
from ari_app.store.changes import erased
from ari_app.store.passes import TableRow, update

CALL = tuple(field.name for field in fields(CallRow))
"""The columns of a call, but for what is searched."""


def events_of(db: Database, call_id: str) -> str:
    """A call's events, as JSON."""
    row = db.execute("SELECT events FROM call_details WHERE id = ?", [call_id]).fetchone()
    return str(row[0]) if row else "[]"


def anonymise(db: Database, row: TableRow, **values: str | int | None) -> None:
    """Change a call that a pass has come to, and forget its events; it is found by what is left."""
    now = {**row, **values}
    update(db, "calls", row, **values, search=searched(now))
    db.execute("UPDATE call_details SET events = '[]' WHERE id = ?", [row["id"]])
    erased(db, row["id"])


def call_of(db: Database, call_id: str) -> TableRow | None:
    """Who a call was with."""
    names = ("id", "person_id", "peer", "phone", "username", "name")
    row = db.execute(f"SELECT {', '.join(names)} FROM calls WHERE id = ?", [call_id]).fetchone()  # noqa: S608
    return dict(zip(names, row, strict=True)) if row else None
