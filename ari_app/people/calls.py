"""A person in the history of calls, and in the audit log: both stay when somebody is erased, without them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Collection

from sqlite_utils import Database

from ari_app.people.data_subject import DataSubject, Known
from ari_app.people.places import Item, TablePlace, Test, is_with, known_in_call
from ari_app.reports.history import end_reason
from ari_app.store.calls import CallRow
from ari_app.store.passes import TableRow, pass_over, update
from ari_app.store.people import CALL, anonymise, events_of

CALLS = 500
"""Of a piece: each is exported with its events, which are some kB."""


class CallPlace(TablePlace):
    """The calls, with what happened to each."""

    kind = "calls"
    table = "calls"
    columns = CALL
    sought_in = ("search",)
    span = CALLS

    def owns(self, db: Database, row: TableRow, who: DataSubject) -> bool:
        """Who is on Telegram, or in the PBX: somebody may call in by their phone, too."""
        return is_with(who, row) or who.is_number(row["pbx_party"] or "")

    def item(self, db: Database, row: TableRow, when: Callable[[float], str]) -> Item:
        """With its events."""
        reason = end_reason(CallRow(**{name: row[name] for name in CALL}))
        times = {name: when(row[name]) if row[name] else None for name in ("began_at", "ended_at")}
        told = {name: row[name] for name in CALL if name not in ("reason", *times)}
        return {**told, **times, "ending": str(reason or ""), "events": json.loads(events_of(db, row["id"]))}

    async def known(self, sought: Collection[str], test: Test) -> AsyncGenerator[Known, None]:
        """Whom they were with."""

        def found_in(db: Database, rows: list[TableRow]) -> list[Known]:
            return [known for known in map(known_in_call, rows) if test(known)]

        rows = pass_over(self._store, self.table, CALL, found_in, sought=sought, sought_in=self.sought_in)
        async for piece in rows:
            for each in piece:
                yield each

    async def erase(self, who: DataSubject) -> int:
        """Have them be calls with nobody; how many."""

        def erased(db: Database, rows: list[TableRow]) -> int:
            theirs = [row for row in rows if self.owns(db, row, who)]
            for row in theirs:
                _erase(db, row, who)
            return len(theirs)

        return sum([piece async for piece in self._pass(who, erased)])


def _erase(db: Database, row: TableRow, who: DataSubject) -> None:
    changes: dict[str, str | int | None] = {}
    if is_with(who, row):
        changes = {"person_id": None, "name": "", "phone": "", "username": "", "peer": ""}
        who = who.with_all([known_in_call(row)])
    if who.is_number(row["pbx_party"] or ""):
        changes["pbx_party"] = ""
    anonymise(db, row, **changes, reason=_reason(row["reason"] or "", who))


def _reason(kept: str, who: DataSubject) -> str:
    try:
        return json.dumps(who.without_in(json.loads(kept), names=True), ensure_ascii=False)
    except ValueError:  # as older versions wrote it
        return who.without(kept, names=True)


class AuditPlace(TablePlace):
    """Entries that name somebody: whom a user has called, what they have put on a list."""

    kind = "audit"
    table = "audit"
    columns = ("at", "kind", "who", "address", "action", "subject", "changes")
    sought_in = ("subject", "changes")

    def owns(self, db: Database, row: TableRow, who: DataSubject) -> bool:
        """Whether it names them."""
        return any(who.without(text) != text for text in (row["subject"], row["changes"]))

    def item(self, db: Database, row: TableRow, when: Callable[[float], str]) -> Item:
        """Without who has done it, who is somebody else."""
        return {"at": when(row["at"]), "action": row["action"], "subject": row["subject"]}

    async def erase(self, who: DataSubject) -> int:
        """Have them name nobody; how many."""

        def erased(db: Database, rows: list[TableRow]) -> int:
            theirs = [row for row in rows if self.owns(db, row, who)]
            for row in theirs:
                subject = who.without(row["subject"])
                changes = json.dumps(who.without_in(json.loads(row["changes"])), ensure_ascii=False)
                search = "\n".join((row["who"], row["address"], subject)).casefold()
                update(db, self.table, row, subject=subject, changes=changes, search=search)
            return len(theirs)

        return sum([piece async for piece in self._pass(who, erased)])
