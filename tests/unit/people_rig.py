"""A database, and session files, with two people in every place where people are kept."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from telethon.tl import types

from ari_app.alerts.settings import AlertSettings
from ari_app.calls.events import CallOffered, Connected, Dialled, TimedEvent
from ari_app.calls.known_cards import KnownCards
from ari_app.calls.languages import Languages, open_languages
from ari_app.calls.reasons import EndedOnTelegram, OnDenyList
from ari_app.calls.registry import CallRegistry
from ari_app.lines.installation import InstallationSettings
from ari_app.lines.settings import LineSettings
from ari_app.pbx.ami_spool import Spool
from ari_app.pbx.events import TelegramCallEnded, TelegramMessage
from ari_app.people.memory import Memory
from ari_app.people.parts import people, rules
from ari_app.people.people import People
from ari_app.people.retention import Retention
from ari_app.reports.audit import Actor, AuditLog
from ari_app.reports.history import History
from ari_app.store.alerts import AlertRepository, AlertRow
from ari_app.store.calls import CallRepository, CallRow, Details
from ari_app.store.cards import CardRepository, CardRow
from ari_app.store.keypads import KeypadRepository, SendingKeypad
from ari_app.store.peers import PeerRepository
from ari_app.store.placed_calls import PlacedCallRepository
from ari_app.store.store import Store, open_store
from ari_app.store.webhooks import DeliveryRow, WebhookRepository, WebhookRow
from ari_app.telegram.line_session import LineSession
from ari_app.telegram.peers import Directory, Person
from ari_app.webhooks.payload import body_of
from ari_app.webhooks.queue import DeliveryQueue
from ari_app.webhooks.webhooks import Outbox, Webhooks

LINE, HOOK = "+79990000001", "hook"
DAY_S = 86400.0
NOW = 1_790_000_000.0
ANNA = Person(5_000_000_002, "+79990000002", "anna_b", "Анна", "Ёлкина", usernames=("anna_b", "anna_old"))
BORIS = Person(5_000_000_003, "+79990000003", "boris", "Boris", "Anna")  # who has her name, too
TRACES = (
    "5000000002",
    "9990000002",
    "anna_b",
    "anna_old",
    "Ёлкина",
    "ёлкина",
    "\\u0401\\u043b\\u043a\\u0438\\u043d\\u0430",
)
"""Of her, in whatever way they may be written."""
ERASABLE = (
    "calls",
    "cards",
    "languages",
    "lookups",
    "contacts",
    "keypads",
    "deliveries",
    "events",
    "alerts",
    "audit",
    "keys",
)


@dataclass
class Rig:
    """All of it; ``clock`` is the time of all parts."""

    folder: Path
    store: Store
    cards: KnownCards
    languages: Languages
    webhooks: Webhooks
    spool: Spool
    registry: CallRegistry
    directory: Directory
    session: LineSession
    audit: AuditLog
    history: History
    people: People
    retention: Retention
    lines: list[LineSettings]
    settings: InstallationSettings = field(default_factory=InstallationSettings)

    @property
    def database(self) -> Path:
        return self.folder / "astergram.db"

    async def rows(self, table: str) -> list[dict[str, Any]]:
        """What is in a table."""
        assert await self.store.written()
        return await self.store.run(lambda db: list(db.table(table).rows))


@asynccontextmanager
async def rig(folder: Path) -> AsyncIterator[Rig]:
    """With nobody in it yet."""
    sessions = folder / "lines"
    sessions.mkdir()
    async with open_store(folder / "astergram.db") as store:
        nothing: Any = None
        clock = lambda: NOW  # noqa: E731 - what all parts take
        webhooks = Webhooks(store, nothing, nothing, clock)
        row = WebhookRow(HOOK, "https://crm.example.com", (), False, True, NOW, "whsec_")
        await WebhookRepository(store).save(row)
        webhooks._outboxes[HOOK] = Outbox(row, DeliveryQueue(row.url, webhooks._save, clock))
        spool = Spool(store, 1000, clock)
        directory = Directory(PeerRepository(store, LINE), clock=clock)
        session = LineSession(str(sessions / "79990000001.session"))
        registry = CallRegistry()
        history, audit = History(store, clock), AuditLog(store, clock)
        cards = KnownCards(store, clock)
        languages = await open_languages(store, clock)
        lines: list[LineSettings] = []
        forgotten: list[Callable[[str], bool]] = []
        manager: Any = SimpleNamespace(all_settings=lambda: lines)
        ami: Any = SimpleNamespace(spool=spool, prune=lambda before: _once(spool, before))
        line: Any = SimpleNamespace(forget=lambda id, names: _forget(directory, session, id, names))
        alerts: Any = SimpleNamespace(
            part=SimpleNamespace(settings=AlertSettings()), forget=forgotten.append, prune=AlertRepository(store).prune
        )
        memory = Memory(cards, languages, [line], registry, webhooks, alerts, ami)
        made: dict[str, Any] = {}
        obeyed = rules(store, sessions, history, audit, memory, (10 * DAY_S, DAY_S))
        retention = Retention(obeyed, lambda: made["rig"].settings, clock)
        made["rig"] = its = Rig(
            folder, store, cards, languages, webhooks, spool, registry, directory, session, audit, history,
            people(store, sessions, manager, memory, clock), retention, lines,
        )  # fmt: skip
        try:
            yield its
        finally:
            session.close()


async def _once(spool: Spool, before: float) -> AsyncIterator[int]:
    yield spool.expire(before)


def _forget(directory: Directory, session: LineSession, id: int | None, names: Any) -> None:
    directory.forget(id, names)
    if id is not None:
        session.forget(id)


async def put(its: Rig, person: Person, at: float = NOW, *, number: int = 1) -> None:
    """Somebody, in every place; ``number`` tells what is put from what was put before."""
    called = _call(f"{number:012x}", person, at)
    failed = _call(f"{number + 100:012x}", person, at, person_id=None, name="", phone="", username="",
                   peer=f"@{person.username}", direction="out", status="NOTFOUND", answered=False, talked_s=0.0,
                   reason=json.dumps(OnDenyList(person.username).as_data()))  # fmt: skip
    from_outside = _call(f"{number + 200:012x}", Person(9, "+79990000009", "", "Vera"), at,
                         pbx_party=person.phone.removeprefix("+"), direction="out")  # fmt: skip
    facts = (CallOffered(person.number), Dialled(person.phone, f"@{person.username}"), Connected())
    events = [TimedEvent(0.1, each) for each in facts]
    details = Details(json.dumps([each.as_data() for each in events]), '{"rings_s": 1.0}', '{"at_s": [1.0]}')
    for call in (called, failed, from_outside):
        CallRepository(its.store).save(call, details)
    card = CardRow(f"card{number}", LINE, person.id, person.as_json(), f"{person.name}, please call", "Call", "00", at)
    its.cards._cards[card.id] = card
    CardRepository(its.store).save(card)
    its.languages._clock = lambda: at
    its.languages.learn(person.id, "ru")
    its.directory._keep(person.phone, _answer(person), at, at + DAY_S)
    its.directory._keep(f"@{person.username.title()}", "null", at, at + DAY_S)
    user = types.User(person.id, access_hash=7, phone=person.phone[1:], username=person.username,
                      first_name=person.first_name, last_name=person.last_name)  # fmt: skip
    its.session.process_entities(types.contacts.ResolvedPeer(types.PeerUser(person.id), [], [user]))
    its.session.save()
    its.session._execute("UPDATE entities SET date = ? WHERE id = ?", at, person.id)
    its.session._opened_file().commit()
    KeypadRepository(its.store, LINE).sending(SendingKeypad(number, person.id, called.id, at))
    about: dict[str, Any] = {
        "event_time": at, "line": LINE, "telegram_id": person.id, "phone": person.phone,
        "username": person.username, "name": person.name,
    }  # fmt: skip
    told = (TelegramCallEnded(call_id=called.id, **about), TelegramMessage(text="Привет", **about))
    for place, event in enumerate(told):
        id = round(at * 1000) + 10 * number + place
        row = DeliveryRow(id, HOOK, f"msg_{id}", "x", str(number), body_of(event, with_text=True), at, at, at)
        its.webhooks.one(HOOK).queue.put(row)
        if place:
            its.webhooks.one(HOOK).queue._over(row.__class__(**vars(row) | {"state": "delivered"}))
        its.spool._clock = lambda: at
        its.spool.put(event.event, event.headers())
    its.audit._clock = lambda: at
    its.audit.record(Actor("user", "anna_b", "192.0.2.1"), "call placed", f"101@phones → {person.phone}")
    its.audit.record(Actor("user", "admin"), "line changed", LINE, {"deny": ([], [f"@{person.username}", "@other"])})
    alerts = AlertRepository(its.store)
    alerts.keep_person(person.phone, person.id)
    told_of = DeliveryRow(
        id=round(at * 1000) + 10 * number, webhook="telegram", event_id="x", type="light", key=person.phone,
        body='{"subject": "A light is red"}', made_at=at, since=at, next_at=at, state="delivered",
    )  # fmt: skip
    alerts.keep_delivery(told_of)
    alerts.keep(AlertRow(f"alert{number}", "light", "x", LINE, "{}", at, at, told=True))
    placed = PlacedCallRepository(its.store)
    assert await placed.reserve(f"key {number}", "hash", at) is None
    placed.placed(f"key {number}", called.id)
    assert await its.store.written()


def _call(id: str, person: Person, at: float, **known: Any) -> CallRow:
    basics: dict[str, Any] = {
        "id": id, "began_at": at, "ended_at": at + 60, "direction": "in", "line": LINE, "peer": str(person.id),
        "pbx_party": "101", "person_id": person.id, "name": person.name, "phone": person.phone,
        "username": person.username, "status": "ANSWER", "cause": 16,
        "reason": json.dumps(EndedOnTelegram("hangup").as_data()), "answered": True, "refused": False,
        "to_answer_s": 4.0, "talked_s": 50.0,
    }  # fmt: skip
    return CallRow(**basics | known)


def _answer(person: Person) -> str:
    return json.dumps({"access_hash": 7, "person": person.as_json()})
