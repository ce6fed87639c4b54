"""A person outside the database's rows: whom accounts have met, in their session files, and the lines' settings."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import ClassVar, TypeVar

from ari_app.i18n import message
from ari_app.lines.settings import LineSettings
from ari_app.people.data_subject import DataSubject, Known
from ari_app.people.errors import PlaceUnavailable
from ari_app.people.places import NOTHING, Item, Test
from ari_app.telegram import met
from ari_app.telegram.met import MetPerson

T = TypeVar("T")


class ContactPlace:
    """People whom the accounts have met; ``folder`` has the session files."""

    kind: ClassVar[str] = "contacts"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def known(self, sought: Collection[str], test: Test) -> AsyncGenerator[Known, None]:
        """All of them."""
        for found in await self._each(lambda session: met.met(session, lambda each: test(_known(each)))):
            for person in found:
                yield _known(person)

    async def items(self, who: DataSubject, zone: tzinfo) -> AsyncIterator[Item]:
        """By which account, and when it last saw them."""
        for each in await self._theirs(who):
            for person in each:
                seen = datetime.fromtimestamp(person.seen_at, zone).isoformat(timespec="seconds")
                known = {"phone": person.phone, "username": person.username, "name": person.name}
                yield {"session": person.session, "telegram_id": person.id, **known, "seen_at": seen}

    async def count(self, who: DataSubject) -> int:
        """How many accounts have met them."""
        return sum(map(len, await self._theirs(who)))

    async def erase(self, who: DataSubject) -> int:
        """Have the accounts meet them anew."""

        def erase(session: Path) -> int:
            theirs = met.met(session, lambda person: who.is_of(_known(person)))
            return met.forget(session, [person.id for person in theirs]) if theirs else 0

        return sum(await self._each(erase))

    async def prune(self, before: float) -> AsyncIterator[int]:
        """Forget whom the accounts have last seen before that Unix time: how many, piece by piece."""
        while removed := sum(await self._each(lambda session: met.prune(session, before))):
            yield removed

    async def _theirs(self, who: DataSubject) -> list[list[MetPerson]]:
        return await self._each(lambda session: met.met(session, lambda person: who.is_of(_known(person))))

    async def _each(self, ask: Callable[[Path], T]) -> list[T]:
        """Ask each file, in a thread; raises PlaceUnavailable."""

        def all_of_them() -> list[T]:
            return [_asked(session, ask) for session in sorted(self._folder.glob("*.session"))]

        return await asyncio.to_thread(all_of_them)


def _asked(session: Path, ask: Callable[[Path], T]) -> T:
    try:
        return ask(session)
    except sqlite3.Error as error:
        said = message("{file} can't be used: {error}.", file=session, error=error)
        raise PlaceUnavailable(said) from error


def _known(person: MetPerson) -> Known:
    return Known(person.id, person.phone, (person.username,) if person.username else (), person.name)


class ListPlace:
    """Settings that name people whom an administrator has put there: of the lines, and who is told of alerts."""

    kind: ClassVar[str] = "lists"

    def __init__(self, lines: Callable[[], Iterable[LineSettings]], alerted: Callable[[], Iterable[str]]) -> None:
        self._lines = lines
        self._alerted = alerted

    async def known(self, sought: Collection[str], test: Test) -> AsyncGenerator[Known, None]:
        """Nobody is learnt of here: an entry says one thing only."""
        for known in NOTHING:
            yield known

    async def items(self, who: DataSubject, zone: tzinfo) -> AsyncIterator[Item]:
        """Which entry of which setting."""
        for entry in filter(who.is_called, self._alerted()):
            yield {"line": "", "setting": "telegram_to", "entry": entry}
        for line in self._lines():
            for setting, entry in _entries(line):
                if who.is_called(entry):
                    yield {"line": line.number, "setting": setting, "entry": entry}

    async def count(self, who: DataSubject) -> int:
        """How many entries."""
        return len([each async for each in self.items(who, UTC)])

    async def erase(self, who: DataSubject) -> int:
        """They stay: an entry may be what keeps somebody from being called."""
        return 0


def _entries(line: LineSettings) -> Iterator[tuple[str, str]]:
    for setting in ("allow", "deny", "callers"):
        yield from ((setting, entry) for entry in getattr(line, setting))
    yield "card.contact_phone", line.card.contact_phone
