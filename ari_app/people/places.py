"""Where something about people is kept: each place finds, hands out and erases what it has of somebody.

Tables are passed over in pieces (`store.passes`), in the database's thread: nobody waits for a whole one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator
from datetime import datetime, tzinfo
from typing import Any, ClassVar, Protocol

from sqlite_utils import Database

from ari_app.people.data_subject import DataSubject, Known, dialled
from ari_app.store.passes import SPAN, TableRow, delete, pass_over
from ari_app.store.people import call_of
from ari_app.store.store import Store
from ari_app.telegram.peers import Person, found

DECODED = 500  # rows of JSON in a piece

Item = dict[str, Any]
"""One thing that is kept, as it is exported: JSON."""
Test = Callable[[Known], bool]
NOTHING: tuple[Known, ...] = ()


class Place(Protocol):
    """Everything raises StoreUnavailable, of files PlaceUnavailable."""

    kind: ClassVar[str]
    """Of `kinds.KINDS`."""

    def known(self, sought: Collection[str], test: Test) -> AsyncGenerator[Known, None]:
        """What records tell of whom, of which ``test`` is true; each of them has one of the texts that are ``sought``.

        Those are in small letters (`str.casefold`).
        """

    def items(self, who: DataSubject, zone: tzinfo) -> AsyncIterator[Item]:
        """What is kept of somebody; times are ISO 8601 in ``zone``."""

    async def count(self, who: DataSubject) -> int:
        """How much that is."""

    async def erase(self, who: DataSubject) -> int:
        """Erase it; how much that was, 0 where it stays."""


class TablePlace:
    """A table whose rows are about one person each, and are erased as a whole."""

    kind: ClassVar[str]
    table: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    sought_in: ClassVar[tuple[str, ...]]
    span: ClassVar[int] = SPAN

    def __init__(self, store: Store) -> None:
        self._store = store

    def owns(self, db: Database, row: TableRow, who: DataSubject) -> bool:
        """Whether a row is about somebody."""
        raise NotImplementedError

    def item(self, db: Database, row: TableRow, when: Callable[[float], str]) -> Item:
        """A row as it is exported."""
        raise NotImplementedError

    async def known(self, sought: Collection[str], test: Test) -> AsyncGenerator[Known, None]:
        """Nobody is learnt of here: whoever is here is elsewhere, too."""
        for known in NOTHING:
            yield known

    async def items(self, who: DataSubject, zone: tzinfo) -> AsyncIterator[Item]:
        """What is kept of somebody."""

        def when(at: float) -> str:
            return datetime.fromtimestamp(at, zone).isoformat(timespec="seconds")

        def made(db: Database, rows: list[TableRow]) -> list[Item]:
            return [self.item(db, row, when) for row in rows if self.owns(db, row, who)]

        async for piece in self._pass(who, made):
            for each in piece:
                yield each

    async def count(self, who: DataSubject) -> int:
        """How many rows."""

        def counted(db: Database, rows: list[TableRow]) -> int:
            return sum(self.owns(db, row, who) for row in rows)

        return sum([piece async for piece in self._pass(who, counted)])

    async def erase(self, who: DataSubject) -> int:
        """Erase its rows; how many."""

        def erased(db: Database, rows: list[TableRow]) -> int:
            return delete(db, self.table, [row for row in rows if self.owns(db, row, who)])

        return sum([piece async for piece in self._pass(who, erased)])

    def _pass(self, who: DataSubject, work: Callable[[Database, list[TableRow]], Any]) -> AsyncIterator[Any]:
        return pass_over(
            self._store, self.table, self.columns, work, sought=who.sought, sought_in=self.sought_in, span=self.span
        )


class CardPlace(TablePlace):
    """Cards that were sent."""

    kind = "cards"
    table = "cards"
    columns = ("line", "person_id", "person", "text", "sent_at")
    sought_in = ("person_id",)

    def owns(self, db: Database, row: TableRow, who: DataSubject) -> bool:
        """By the Telegram id."""
        return bool(row["person_id"] == who.id)

    def item(self, db: Database, row: TableRow, when: Callable[[float], str]) -> Item:
        """With its text."""
        return {
            "line": row["line"],
            "sent_at": when(row["sent_at"]),
            "text": row["text"],
            "person": _person(row["person"]),
        }

    async def known(self, sought: Collection[str], test: Test) -> AsyncGenerator[Known, None]:
        """Whom they were sent to."""

        def found_in(db: Database, rows: list[TableRow]) -> list[Known]:
            return [known for row in rows for known in _known_in(row["person"]) if test(known)]

        async for piece in pass_over(self._store, self.table, self.columns, found_in, span=DECODED):
            for each in piece:
                yield each


class LanguagePlace(TablePlace):
    """Languages that Telegram has told."""

    kind = "languages"
    table = "languages"
    columns = ("person_id", "language", "learnt_at")
    sought_in = ("person_id",)

    def owns(self, db: Database, row: TableRow, who: DataSubject) -> bool:
        """By the Telegram id."""
        return bool(row["person_id"] == who.id)

    def item(self, db: Database, row: TableRow, when: Callable[[float], str]) -> Item:
        """The language."""
        return {"language": row["language"], "told_at": when(row["learnt_at"])}


class LookupPlace(TablePlace):
    """Whom Telegram has found."""

    kind = "lookups"
    table = "resolved"
    columns = ("line", "destination", "until", "answer")
    sought_in = ("destination", "answer")

    def owns(self, db: Database, row: TableRow, who: DataSubject) -> bool:
        """By who was found, or else by what was dialled."""
        person = found(row["answer"])
        return person.id == who.id if person else who.is_called(row["destination"])

    def item(self, db: Database, row: TableRow, when: Callable[[float], str]) -> Item:
        """Without the key by which the account calls them."""
        person = found(row["answer"])
        return {
            "line": row["line"],
            "dialled": row["destination"],
            "found": _person(person.as_json()) if person else None,
            "good_until": when(row["until"]),
        }

    async def known(self, sought: Collection[str], test: Test) -> AsyncGenerator[Known, None]:
        """Who was found."""

        def found_in(db: Database, rows: list[TableRow]) -> list[Known]:
            people = (found(row["answer"]) for row in rows)
            return [known for known in map(_known, filter(None, people)) if test(known)]

        async for piece in pass_over(self._store, self.table, self.columns, found_in, span=DECODED):
            for each in piece:
                yield each


class KeypadPlace(TablePlace):
    """Keypads that may be in somebody's chat."""

    kind = "keypads"
    table = "keypads_sending"
    columns = ("line", "person_id", "call", "sent_at")
    sought_in = ("person_id",)

    def owns(self, db: Database, row: TableRow, who: DataSubject) -> bool:
        """By the Telegram id."""
        return bool(row["person_id"] == who.id)

    def item(self, db: Database, row: TableRow, when: Callable[[float], str]) -> Item:
        """In which call."""
        return {"line": row["line"], "call": row["call"], "sent_at": when(row["sent_at"])}


class KeyPlace(TablePlace):
    """Idempotency keys; to be asked before the calls are erased, which say whose they are."""

    kind = "keys"
    table = "placed_calls"
    columns = ("key", "call", "made_at")
    sought_in = ()

    def owns(self, db: Database, row: TableRow, who: DataSubject) -> bool:
        """By the call."""
        call = call_of(db, row["call"])
        return call is not None and is_with(who, call)

    def item(self, db: Database, row: TableRow, when: Callable[[float], str]) -> Item:
        """The key itself."""
        return {"key": row["key"], "call": row["call"], "made_at": when(row["made_at"])}


def is_with(who: DataSubject, call: TableRow) -> bool:
    """Whether a call of the history is with somebody on Telegram."""
    known = known_in_call(call)
    return who.is_of(known) or (known.id is None and who.is_called(call["peer"] or ""))


def known_in_call(call: TableRow) -> Known:
    """What a call tells of who it was with; the number or username that was dialled was theirs then."""
    by = dialled(call["peer"] or "")
    usernames = tuple(filter(None, (call["username"], *by.usernames)))
    id = by.id if call["person_id"] is None else call["person_id"]
    return Known(id, call["phone"] or by.phone, usernames, call["name"] or "")


def _known_in(person: str) -> Iterator[Known]:
    try:
        yield _known(Person.of_json(person))
    except (KeyError, TypeError, ValueError):
        return


def _known(person: Person) -> Known:
    names = tuple(dict.fromkeys(filter(None, (person.username, *person.usernames))))
    named = " ".join(filter(None, (person.first_name, person.last_name)))
    return Known(person.id, person.phone, names, named)


def _person(text: str) -> Item:
    """What was known of somebody, but for what is empty."""
    return {name: value for name, value in json.loads(text).items() if value}
