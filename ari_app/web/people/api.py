"""People's data, for programs and the command line."""

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from ari_app.lines.installation import InstallationSettings
from ari_app.people.data_subject import DataSubject
from ari_app.people.errors import InCall, NotErased, PlaceUnavailable, SeveralPeople
from ari_app.people.kinds import ELSEWHERE, KINDS, DataKind
from ari_app.people.people import Summary
from ari_app.telegram.peers import MalformedDestination
from ari_app.web.calls.api import NO_CONTROLS
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.people.views import LONGEST_REFERENCE, erase, export_answer
from ari_app.web.ui.render import translator_of

Person = Annotated[
    str, Field(pattern=r"^([0-9]{1,19}|\+[0-9]{5,15}|@[A-Za-z][A-Za-z0-9_]{3,31})$", examples=["5000000002"])
]
"""A Telegram id, or a phone number or @username."""


class PersonBody(BaseModel):
    """A person, by what they are known by.

    `id` leads to them: the Telegram id, or where that is not known a phone number or @username.
    """

    id: str
    telegram_id: int | None
    names: list[str]
    phones: list[str]
    usernames: list[str]

    @classmethod
    def of(cls, who: DataSubject) -> "PersonBody":
        """As it is shown."""
        return cls(
            id=who.key,
            telegram_id=who.id,
            names=sorted(who.names),
            phones=sorted(who.phones),
            usernames=sorted(who.usernames),
        )


class FoundPeople(BaseModel):
    """Who was found; `more`: there are others, which are not shown."""

    people: list[PersonBody]
    more: bool


class PersonSummary(BaseModel):
    """A person, and how much of each kind is kept of them (`GET /api/personal-data` says what each is)."""

    person: PersonBody
    kept: dict[str, int]

    @classmethod
    def of(cls, summary: Summary) -> "PersonSummary":
        """As it is shown."""
        return cls(person=PersonBody.of(summary.who), kept=summary.kept)


class Erasure(BaseModel):
    """``reference`` stands in the audit log in place of the person: the number of their request, say. No name."""

    model_config = ConfigDict(extra="forbid")

    reference: str = Field("", max_length=LONGEST_REFERENCE, pattern=NO_CONTROLS, examples=["Request 17"])


class ErasedData(BaseModel):
    """How much of each kind was erased."""

    erased: dict[str, int]


class KindBody(BaseModel):
    """A kind of personal data: what it is, what it is kept for, where, and for how long.

    `days`: the storage period, which `setting` of the installation says; null where that is not a number of days.
    `tables`: of the database, each with its columns that have something to do with a person.
    """

    name: str
    title: str
    data: str
    purpose: str
    place: str
    period: str
    erasure: str
    setting: str
    days: int | None
    tables: dict[str, list[str]]


class PlaceElsewhere(BaseModel):
    """Where Astergram neither finds nor erases anything."""

    title: str
    data: str


class PersonalData(BaseModel):
    """What is kept that has to do with people, in the language that is asked for."""

    kinds: list[KindBody]
    elsewhere: list[PlaceElsewhere]


class PeopleWanted(BaseModel):
    """Whom to look for: a part of a name or username, or a whole phone number, @username or Telegram ID."""

    text: str = Field("", max_length=200, pattern=NO_CONTROLS, examples=["+79990000002"])


async def get_personal_data(asked: Asked) -> PersonalData:
    """All kinds."""
    translate, settings = translator_of(asked.request), asked.services.installation.settings

    def told(kind: DataKind) -> KindBody:
        return KindBody(
            name=kind.name,
            title=translate(kind.title),
            data=translate(kind.data),
            purpose=translate(kind.purpose),
            place=translate(kind.place),
            period=translate(kind.period),
            erasure=translate(kind.erasure),
            setting=kind.setting,
            days=_days(kind, settings),
            tables={table.name: table.personal.split() for table in kind.tables if table.personal},
        )

    elsewhere = [PlaceElsewhere(title=translate(each.title), data=translate(each.data)) for each in ELSEWHERE]
    return PersonalData(kinds=[told(kind) for kind in KINDS], elsewhere=elsewhere)


def _days(kind: DataKind, settings: InstallationSettings) -> int | None:
    return int(getattr(settings, kind.setting)) if kind.setting else None


async def find_people(asked: Asked, query: PeopleWanted) -> FoundPeople:
    """Who is kept by such a name, number or id."""
    found = await asked.services.people.find(query.text)
    return FoundPeople(people=[PersonBody.of(who) for who in found.people], more=found.more)


async def get_person(asked: Asked, person: Person) -> PersonSummary:
    """How much is kept of somebody."""
    return PersonSummary.of(await asked.services.people.summary(person))


async def export_person(asked: Asked, person: Person) -> web.StreamResponse:
    """All that is kept of somebody, as a file."""
    return await export_answer(asked.request, person)


async def erase_person(asked: Asked, person: Person, body: Erasure) -> ErasedData:
    """Erase it, for good."""
    return ErasedData(erased=(await erase(asked.request, person, body.reference)).kept)


UNREADABLE = {422: MalformedDestination, 503: PlaceUnavailable}
operations = (
    Operation("GET", "/api/personal-data", get_personal_data, "Which personal data is kept, why and for how long"),
    Operation(
        "GET", "/api/people", find_people, "Find people of whom something is kept", errors={503: PlaceUnavailable}
    ),
    Operation(
        "GET",
        "/api/people/{person}",
        get_person,
        "How much is kept of a person",
        errors={**UNREADABLE, 409: SeveralPeople},
    ),
    Operation(
        "GET",
        "/api/people/{person}/export",
        export_person,
        "All that is kept of a person",
        errors={**UNREADABLE, 409: SeveralPeople},
    ),
    Operation(
        "POST",
        "/api/people/{person}/erase",
        erase_person,
        "Erase what is kept of a person, which can't be undone",
        errors={422: MalformedDestination, 409: (SeveralPeople, InCall), 503: (NotErased, PlaceUnavailable)},
    ),
)
