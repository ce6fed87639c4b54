"""Finds a person in all that is kept, hands out what that is, and erases it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, tzinfo

from ari_app import __version__
from ari_app.calls.call import Call
from ari_app.i18n import Message, message
from ari_app.people.data_subject import DataSubject, Known, dialled
from ari_app.people.errors import InCall, NotErased, PlaceUnavailable, SeveralPeople
from ari_app.people.places import Place, Test
from ari_app.store.store import Store, StoreUnavailable
from ari_app.telegram.peers import MalformedDestination

MOST_FOUND = 50
"""People that a search shows; who wants others writes more of the name."""
MOST_RECORDS = 1000
"""What a search looks through of what fits."""
SHORTEST = 2  # characters of a name that is searched for
FORMAT = 1
"""Of the file that is exported."""

Tell = Callable[[DataSubject], Awaitable[None]]
"""Has others erase somebody; raises NotErased."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PeopleFound:
    """People whom a search has found; ``more``: there are others, which are not shown."""

    people: tuple[DataSubject, ...]
    more: bool


@dataclass(frozen=True)
class Summary:
    """A person, and how much of what kind (`kinds.KINDS`) is kept of them."""

    who: DataSubject
    kept: dict[str, int]


class People:
    """``places``: where something is kept, in the order in which it is erased.

    ``forget`` has the running parts forget somebody; ``live`` are the calls that go on. ``tell`` is for the other
    machines of a cluster. ``clock`` gives Unix time.
    """

    def __init__(
        self,
        store: Store,
        places: Sequence[Place],
        forget: Callable[[DataSubject], None],
        live: Callable[[], Iterable[Call]],
        clock: Callable[[], float] = time.time,
        tell: Tell | None = None,
    ) -> None:
        self._store = store
        self._places = places
        self._forget = forget
        self._live = live
        self._clock = clock
        self._tell = tell
        self._erasing = asyncio.Lock()

    async def find(self, text: str) -> PeopleFound:
        """People by a part of a name or username, or by a whole number, username or Telegram id.

        Raises PlaceUnavailable, StoreUnavailable; so does all that follows.
        """
        text = text.strip()
        try:
            exact: DataSubject | None = DataSubject.parse(text)
        except MalformedDestination:
            exact = None
        part = text.removeprefix("@").casefold()
        if exact is None and len(part) < SHORTEST:
            return PeopleFound((), more=False)

        def fits(known: Known) -> bool:
            texts = (known.name, known.phone, *known.usernames, str(known.id or ""))
            return any(part in each.casefold() for each in texts) or bool(exact and exact.may_be(known))

        records = await self._records({part, part.removeprefix("+")}, fits, most=MOST_RECORDS)
        people = _people(records)
        if exact and not any(exact.overlaps(each) for each in people) and await self._is_kept(exact):
            people.append(exact)  # only as a number in the PBX, say
        more = len(people) > MOST_FOUND or len(records) >= MOST_RECORDS
        return PeopleFound(tuple(people[:MOST_FOUND]), more)

    async def who(self, key: str) -> DataSubject:
        """All by which a person is known. Raises MalformedDestination, SeveralPeople."""
        who = DataSubject.parse(key)
        records = await self._records(who.sought, who.may_be)
        ids = {known.id for known in records if known.id is not None}
        if who.id is None and len(ids) > 1:
            told = ", ".join(map(str, sorted(ids)))
            raise SeveralPeople(
                message("{key} belonged to several people: choose one by the Telegram ID ({ids}).", key=key, ids=told)
            )
        if who.id is None and ids:
            who = DataSubject(min(ids)).with_all([dialled(key)])
            records = await self._records(who.sought, who.may_be)
        return who.with_all(known for known in records if who.is_of(known))

    async def summary(self, key: str) -> Summary:
        """How much is kept of somebody. Raises as `who`."""
        who = await self.who(key)
        kept = dict.fromkeys((place.kind for place in self._places), 0)
        for place in self._places:
            kept[place.kind] += await place.count(who)
        return Summary(who, kept)

    async def export(self, who: DataSubject, zone: tzinfo) -> AsyncIterator[str]:
        """All that is kept of somebody as one JSON object, in pieces: `format`, `made_at`, `person`, and each kind."""
        made_at = datetime.fromtimestamp(self._clock(), zone).isoformat(timespec="seconds")
        head = {
            "format": FORMAT,
            "made_at": made_at,
            "made_by": f"Astergram {__version__}",
            "person": {
                "telegram_id": who.id,
                "phones": sorted(who.phones),
                "usernames": sorted(who.usernames),
                "names": sorted(who.names),
            },
        }
        yield _json(head).removesuffix("\n}")
        for kind in dict.fromkeys(place.kind for place in self._places):
            yield f",\n  {json.dumps(kind)}: ["
            between = "\n"
            for place in self._places:
                if place.kind == kind:
                    async for item in place.items(who, zone):
                        yield f"{between}{_json(item)}"
                        between = ",\n"
            yield "\n  ]"
        yield "\n}\n"

    async def erase(self, key: str) -> Summary:
        """Erase what is kept of somebody, for good: how much it was. Raises as `who`, InCall, NotErased.

        What was erased stays so where the rest can't be: it is to be tried again.
        """
        async with self._erasing:
            who = await self.who(key)
            self._require_no_call(who)
            if self._tell:  # before, as it is not known any more after it
                await self._tell(who)
            return await self._erased(who)

    async def erase_as_told(self, who: DataSubject) -> Summary:
        """Erase somebody whom another machine of the cluster has erased. Raises as `erase`."""
        async with self._erasing:
            records = await self._records(who.sought, who.may_be)
            who = who.with_all(known for known in records if who.is_of(known))
            self._require_no_call(who)
            return await self._erased(who)

    async def _erased(self, who: DataSubject) -> Summary:
        self._forget(who)
        if not await self._store.written():  # what waits would bring them back
            raise NotErased(message("The database can't be written now, so nothing was erased: try again."))
        erased, failed = await self._erase(who)
        failed = await self._not_forgotten() or failed
        log.info("a person was erased: %s", ", ".join(f"{kind} {n}" for kind, n in erased.items() if n) or "nothing")
        if failed:
            said = message("Not all of it was erased, so try again. {error}", error=failed)
            raise NotErased(said, Summary(who, erased))
        return Summary(who, erased)

    async def _not_forgotten(self) -> Message | None:
        """Why what was deleted still stands in the database's file; None where it does not."""
        try:
            if await self._store.forget_log():
                return None
        except StoreUnavailable as error:
            return error.sentence
        return message("It still stands in the database's write-ahead log, which another program reads: stop that one.")

    async def _erase(self, who: DataSubject) -> tuple[dict[str, int], Message | None]:
        erased = dict.fromkeys((place.kind for place in self._places), 0)
        failed = None
        for place in self._places:
            try:
                erased[place.kind] += await place.erase(who)
            except PlaceUnavailable as error:
                failed = error.sentence
            except StoreUnavailable as error:  # nor can the rest be at the moment
                return erased, error.sentence
        return erased, failed

    def _require_no_call(self, who: DataSubject) -> None:
        for call in self._live():
            person = call.person
            known = Known(person.id, person.phone) if person else dialled(call.peer)
            if who.is_of(known) or who.is_number(call.pbx_party):
                raise InCall(message("A call with them goes on ({call}): erase them when it is over.", call=call.id))

    async def _is_kept(self, who: DataSubject) -> bool:
        for place in self._places:
            if await place.count(who):
                return True
        return False

    async def _records(self, sought: Collection[str], test: Test, most: int | None = None) -> list[Known]:
        """What all places know, each once; ``most``: then it is enough."""
        found: dict[Known, None] = {}
        for place in self._places:
            async with aclosing(place.known(sought, test)) as its:
                async for known in its:
                    found[known] = None
                    if len(found) == most:
                        return list(found)
        return list(found)


def _people(records: Iterable[Known]) -> list[DataSubject]:
    """Whom records tell of: those with an id first, each once; others only where they are none of these."""
    with_id: dict[int, list[Known]] = {}
    rest: dict[str, DataSubject] = {}
    for known in records:
        if known.id is not None:
            with_id.setdefault(known.id, []).append(known)
    found = [DataSubject(id).with_all(its) for id, its in with_id.items()]
    taken = DataSubject(None).with_all(known for its in with_id.values() for known in its)
    for known in records:
        if known.id is None and not taken.may_be(known):
            alone = DataSubject().with_all([known])
            rest.setdefault(alone.key, alone)
    return [*found, *rest.values()]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
