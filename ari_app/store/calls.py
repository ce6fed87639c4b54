"""The calls that were: a narrow row each, which is searched, and beside it what is read of one call only."""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, get_type_hints

from pydantic import Field
from sqlite_utils import Database

from ari_app.store.changes import next_change
from ari_app.store.passes import BATCH
from ari_app.store.store import Store
from ari_app.store.write_queue import Done

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CallRow:
    """One call as a table shows it; the API's answer is made of these fields, too (`web.calls.api.CallBody`).

    Machines of a cluster send it to each other: a field that is added needs a default, as older versions send none.
    """

    id: Annotated[str, Field(description="Of this call, in logs and events, too.")]
    began_at: Annotated[float, Field(description="Unix time.")]
    ended_at: Annotated[float | None, Field(description="Unix time; null while live, or where its end was not seen.")]
    direction: str
    line: Annotated[str, Field(description="The line's number; empty where none was found.")]
    peer: Annotated[str, Field(description="As dialled, or the caller's Telegram id.")]
    pbx_party: Annotated[str, Field(description="Who in the PBX.")]
    person_id: Annotated[int | None, Field(description="The Telegram id of the person.")]
    name: Annotated[str, Field(description="Of the person on Telegram; empty where unknown.")]
    phone: Annotated[str, Field(description="Of the person; empty where unknown.")]
    username: Annotated[str, Field(description="Of the person on Telegram; empty where there is none.")]
    status: str | None
    cause: Annotated[int | None, Field(description="Q.850.")]
    reason: Annotated[str, Field(description="Why it ended, as `reports.history` writes it.")]
    answered: Annotated[bool, Field(description="Both sides have heard each other.")]
    refused: Annotated[bool, Field(description="It was not taken on.")]
    to_answer_s: Annotated[float | None, Field(description="From the first ring; null where nobody answered.")]
    talked_s: Annotated[float, Field(description="From the audio to the end; 0 where nobody talked.")]
    machine: Annotated[str, Field(description="Whose call it is in a cluster; empty: of the machine asked.")] = field(
        default="", kw_only=True
    )


@dataclass(frozen=True)
class Details:
    """What is read of one call only, each as JSON."""

    events: str = "[]"
    milestones: str = "{}"
    samples: str = "{}"


@dataclass(frozen=True)
class Query:
    """Which calls; what is None or empty does not matter.

    ``text`` is looked for in the person's name, phone, username and id, and in what was dialled; in any case.
    ``since`` (inclusive) and ``until`` (exclusive) are Unix times.
    """

    text: str = ""
    line: str = ""
    direction: str | None = None
    status: str | None = None
    answered: bool | None = None
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True)
class Page:
    """Some of the calls that fit, the newest first, and how many fit."""

    rows: tuple[CallRow, ...]
    total: int


@dataclass(frozen=True)
class CallRepository:
    """The calls of all lines."""

    store: Store

    def save(self, call: CallRow, details: Details, done: Done = lambda kept: None) -> None:
        """Keep a call, in place of what was kept of it; never waits. ``done`` is told whether it is."""
        row = asdict(call)
        row["search"] = searched(row)

        def write(db: Database) -> None:
            change = next_change(db) if call.status is not None else None
            db.table("calls").upsert({**row, "version": change or 0, "change": change}, pk="id")
            db.table("call_details").upsert({"id": call.id, **asdict(details)}, pk="id")

        self.store.later(("call", call.id), write, done)

    async def one(self, call_id: str) -> tuple[CallRow, Details] | None:
        """One call with its details."""

        def read(db: Database) -> tuple[CallRow, Details] | None:
            sql = f"SELECT {COLUMNS}, events, milestones, samples FROM calls JOIN call_details USING (id) WHERE id = ?"  # noqa: S608
            row = db.execute(sql, [call_id]).fetchone()
            return (call_of_row(row), Details(*row[-3:])) if row else None

        return await self.store.run(read)

    async def find(self, query: Query, offset: int = 0, limit: int = 50) -> Page:
        """A page by its place: pages have numbers, and a deep one is still found within milliseconds."""
        where, values = _where(query)

        def read(db: Database) -> Page:
            total = db.execute(f"SELECT count(*) FROM calls WHERE {where}", values).fetchone()[0]  # noqa: S608
            # Through the narrow index first: only the page's own rows are read whole.
            sql = (
                f"SELECT {COLUMNS} FROM calls WHERE id IN (SELECT id FROM calls WHERE {where} "  # noqa: S608
                f"ORDER BY began_at DESC, id DESC LIMIT ? OFFSET ?) ORDER BY began_at DESC, id DESC"
            )
            return Page(tuple(map(call_of_row, db.execute(sql, [*values, limit, offset]))), total)

        return await self.store.run(read)

    async def before(self, query: Query, last: CallRow | None, limit: int) -> list[CallRow]:
        """The next of all that fit, the newest first, after ``last``: none is left out or repeated meanwhile."""
        where, values = _where(query)
        if last:
            where, values = f"({where}) AND (began_at, id) < (?, ?)", [*values, last.began_at, last.id]
        sql = f"SELECT {COLUMNS} FROM calls WHERE {where} ORDER BY began_at DESC, id DESC LIMIT ?"  # noqa: S608
        return await self.store.run(lambda db: [call_of_row(row) for row in db.execute(sql, [*values, limit])])

    async def left_open(self) -> list[CallRow]:
        """What a killed program left open, the oldest first; before any call of this one is saved."""
        sql = f"SELECT {COLUMNS} FROM calls WHERE {OPEN} ORDER BY began_at, id"  # noqa: S608
        return await self.store.run(lambda db: [call_of_row(row) for row in db.execute(sql)])

    def close_open(self, status: str, cause: int, reason: str, but: Collection[str] = ()) -> None:
        """Have what a killed program left open closed, ``but`` these; before any call of this one is saved."""
        marks = ",".join("?" * len(but))

        def write(db: Database) -> None:
            sql = (
                "UPDATE calls SET status = ?, cause = ?, reason = ?, version = ?, change = ? "  # noqa: S608
                f"WHERE {OPEN} AND id NOT IN ({marks})"
            )
            change = next_change(db)
            if closed := db.execute(sql, [status, cause, reason, change, change, *but]).rowcount:
                log.warning("%d calls were open when the program last stopped", closed)

        self.store.later(("open calls",), write)

    async def prune(self, before: float, most: int) -> int:
        """Remove some of the calls that are older, or more, than may be kept; 0 when none is left to remove."""

        def remove(db: Database) -> int:
            too_many = db.execute("SELECT count(*) FROM calls").fetchone()[0] - most
            old = db.execute("SELECT id FROM calls ORDER BY began_at, id LIMIT ?", [BATCH]) if too_many > 0 else None
            ids = [row[0] for row in old][:too_many] if old else []
            sql = "SELECT id FROM calls WHERE began_at < ? AND status IS NOT NULL ORDER BY began_at, id LIMIT ?"
            ids = ids or [row[0] for row in db.execute(sql, [before, BATCH])]
            marks = ",".join("?" * len(ids))
            for table in ("call_details", "calls"):
                db.execute(f"DELETE FROM {table} WHERE id IN ({marks})", ids)  # noqa: S608
            return len(ids)

        return await self.store.run(remove)

    async def prune_details(self, before: float, last: tuple[float, str]) -> tuple[int, tuple[float, str] | None]:
        """Empty the details of the next calls that began before, after ``last`` (when one began, and its id).

        How many there were any of, and the last of these calls; None where there is none.
        """

        def empty(db: Database) -> tuple[int, tuple[float, str] | None]:
            sql = (
                "SELECT began_at, id FROM calls WHERE began_at < ? AND (began_at, id) > (?, ?) "
                "AND status IS NOT NULL ORDER BY began_at, id LIMIT ?"
            )
            calls = db.execute(sql, [before, *last, BATCH]).fetchall()
            marks = ",".join("?" * len(calls))
            sql = (
                f"UPDATE call_details SET events = '[]', samples = '{{}}' WHERE id IN ({marks}) "  # noqa: S608
                "AND (events <> '[]' OR samples <> '{}')"
            )
            emptied = db.execute(sql, [id for _, id in calls]).rowcount
            return emptied, calls[-1] if calls else None

        return await self.store.run(empty)


COLUMNS = ", ".join(each.name for each in fields(CallRow))
OPEN = "status IS NULL AND machine = ''"
_BOOLEANS = [index for index, hint in enumerate(get_type_hints(CallRow).values()) if hint is bool]


def call_of_row(row: tuple[object, ...]) -> CallRow:
    """A call of a row that begins with `COLUMNS`."""
    values = list(row[: len(fields(CallRow))])
    for index in _BOOLEANS:
        values[index] = bool(values[index])
    return CallRow(**dict(zip((each.name for each in fields(CallRow)), values, strict=True)))  # type: ignore[arg-type]


SEARCHED = ("name", "phone", "username", "person_id", "peer", "pbx_party")


def searched(call: Mapping[str, object]) -> str:
    """What of a call's columns is searched: SQLite itself folds the case of ASCII only."""
    texts = (str(call[name] or "") for name in SEARCHED)
    return "\n".join(dict.fromkeys(filter(None, texts))).casefold()


def _where(query: Query) -> tuple[str, list[object]]:
    conditions = dict(_conditions(query))
    return " AND ".join(conditions) or "1", list(conditions.values())


def _conditions(query: Query) -> Iterator[tuple[str, object]]:
    if text := query.text.strip().casefold():
        yield "instr(search, ?) > 0", text
    if query.line:
        yield "line = ?", query.line
    if query.direction is not None:
        yield "direction = ?", query.direction
    if query.status is not None:
        yield "status = ?", query.status
    if query.answered is not None:
        yield "answered = ?", int(query.answered)
    if query.since is not None:
        yield "began_at >= ?", query.since
    if query.until is not None:
        yield "began_at < ?", query.until
