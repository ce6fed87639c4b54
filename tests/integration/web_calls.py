"""Calls for a served page: kept ones, and live ones that no network is needed for."""

import json
import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ari_app.calls.call import Call
from ari_app.calls.events import Bridged, CallOffered, KeypadShown, MediaConnected, PbxRinging
from ari_app.calls.outcome import Direction
from ari_app.calls.reasons import EndedOnTelegram
from ari_app.calls.registry import CallRegistry
from ari_app.calls.samples import Sample
from ari_app.store.calls import CallRepository, CallRow, Details
from ari_app.store.store import Store
from ari_app.telegram.peers import Person
from tests.integration.web_helpers import Site, site

LINE, OTHER = "+79990000001", "+79990000009"
HUNG_UP = json.dumps(EndedOnTelegram("hangup").as_data())
SCRIPT = "<script>alert(1)</script>"
ANNA = Person(7, phone="+79990000002", username="anna_b", first_name="Анна", last_name="Ёлкина")
MALLORY = Person(8, username="mallory", first_name=SCRIPT, last_name="\"'&")
PEOPLE = (("Maria Sokolova", "+79990000011"), ("Boris", ""), ("Vera K.", "+79990000012"), ("Oleg", "+79990000013"))


@asynccontextmanager
async def calls_site(folder: Path, **parts: Any) -> AsyncIterator[Site]:
    """Serve the page; what its desk does is kept in its history."""
    async with site(folder, **parts) as page:
        page.services.registry.keeper.recorder = page.services.history
        yield page


def a_call(number: int, began_at: float, **known: Any) -> CallRow:
    """A call of the history; number 0 to 2^48 - 1 makes its id."""
    basics: dict[str, Any] = {
        "id": f"{number:012x}", "began_at": began_at, "ended_at": began_at + 60, "direction": "in", "line": LINE,
        "peer": "7", "pbx_party": "101", "person_id": 7, "name": "Anna", "phone": "", "username": "",
        "status": "ANSWER",
        "cause": 16, "reason": HUNG_UP, "answered": True, "refused": False, "to_answer_s": 4.0,
        "talked_s": 50.0,
    }  # fmt: skip
    return CallRow(**basics | known)


async def put(page: Site, *calls: CallRow) -> None:
    """Keep them."""
    await put_into(page.services.store, *calls)


@asynccontextmanager
async def talking(
    registry: CallRegistry, person: Person = ANNA, line: str = LINE, pbx_party: str = "101"
) -> AsyncIterator[Call]:
    """A live call in which both sides have talked for five seconds; over on leaving."""
    async with registry.admit(Direction.IN, line, str(person.id), 9, person, pbx_party) as call:
        call.add_event(CallOffered(person.number))
        call.mark_ringing()
        call.add_event(KeypadShown())
        call.add_event(PbxRinging(pbx_party, "from-telegram"))
        call.mark_pbx_answered(pbx_party, "from-telegram")
        call.add_event(Bridged("rtp"))
        call.mark_accepted()
        call.add_event(MediaConnected())
        call.mark_media_up()
        for second in range(1, 6):
            measured(registry, call, second)
        yield call


def measured(registry: CallRegistry, call: Call, at_s: float) -> Sample:
    """The call's audio is measured once more."""
    level = round(-30 + 12 * math.sin(at_s), 1)
    sample = Sample(at_s, 2.5 + at_s % 3, int(at_s / 2), int(at_s) * 10, level, -25.0)
    call.samples.add(sample)
    registry.measured(call, sample)
    return sample


async def put_into(store: Store, *calls: CallRow) -> None:
    """Keep them in a running program's store."""
    for call in calls:
        CallRepository(store).save(call, Details())


def some_calls(many: int, now: float, seed: int, days: float = 10.0) -> list[CallRow]:
    """Calls of the last days as a small company has them: by day, most of them answered."""
    calls, dice = [], random.Random(seed)  # noqa: S311 - nothing secret
    for number in range(many):
        direction, answered = dice.choice(["in", "in", "out", "back"]), dice.random() < 0.75
        ending = ("ANSWER", 16) if answered else dice.choice([("NOANSWER", 19), ("BUSY", 17), ("CANCEL", 16)])
        talked_s = dice.expovariate(1 / 150) if answered else 0.0
        began_at = now - 3600 - dice.random() * days * 86400
        name, phone = dice.choice(PEOPLE)
        calls.append(
            a_call(
                number, began_at, direction=direction, name=name, phone=phone, answered=answered, status=ending[0],
                cause=ending[1], talked_s=talked_s, ended_at=began_at + talked_s + 20,
                to_answer_s=min(55.0, dice.expovariate(1 / 9)) if answered else None,
            )
        )  # fmt: skip
    return calls
