"""A database that can't be written refuses, delays and ends nothing; what could not be kept is kept afterwards."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest
from telethon import errors
from telethon.tl import types

from ari_app.calls import outcome
from ari_app.calls.call import Call
from ari_app.calls.card import Cards
from ari_app.calls.events import KeypadHidden, KeypadShown, Note
from ari_app.calls.keypad import Keypads
from ari_app.calls.known_cards import KnownCards
from ari_app.calls.languages import open_languages
from ari_app.calls.outcome import Direction
from ari_app.calls.registry import CallRegistry
from ari_app.cluster.shared_keypads import OwnKeypads
from ari_app.reports.history import open_history
from ari_app.store.calls import CallRepository, CallRow, Details, Query
from ari_app.store.cards import CardRepository
from ari_app.store.errors import too_slow
from ari_app.store.keypads import KeypadRepository, SendingKeypad
from ari_app.store.languages import LanguageRepository
from ari_app.store.limits import LimitRepository
from ari_app.store.peers import PeerRepository
from ari_app.store.store import Store, open_store
from ari_app.tasks import FAILURES, guarded_tasks
from ari_app.telegram.limits import CALL, Limits, LimitSettings
from ari_app.telegram.peers import Destination, Directory, Kind, Person
from ari_app.telegram.profile import CardReason, CardRules, Target
from ari_app.telegram.session import Session
from tests.unit.storage_trouble import TROUBLES, Trouble

LINE = "+79990000001"
ANNA = Person(7, phone="+79990000002", first_name="Анна")
PEER = types.InputPeerUser(7, 77)
AT_ONCE_S = 1.0
"""What must not wait for the database takes milliseconds; SQLite itself would wait 5 s for a locked one."""
GOES_ON_S = 30.0


@pytest.fixture(params=TROUBLES.values(), ids=list(TROUBLES))
def trouble(request: pytest.FixtureRequest) -> Trouble:
    return cast(Trouble, request.param)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "astergram.db") as opened:
        yield opened


@pytest.fixture
def in_trouble(trouble: Trouble, store: Store, tmp_path: Path) -> Callable[[], Any]:
    """The time in which nothing may fail, and nothing may wait for the database."""

    @asynccontextmanager
    async def during() -> AsyncIterator[None]:
        failures = FAILURES.count
        async with trouble(store, tmp_path / "astergram.db"):
            began = time.monotonic()
            yield
            assert time.monotonic() - began < AT_ONCE_S
        await store.queue.flush(GOES_ON_S)
        assert await store.written()
        assert FAILURES.count == failures

    return during


class Telegram:
    """A line and its bot, as keypads and cards use them."""

    def __init__(self) -> None:
        self.number = LINE
        self.sent: list[str] = []
        self.deleted: list[int] = []
        self.templates = SimpleNamespace(text=lambda name, person, **extra: name)
        self.online = True

    def on_press(self, prefix: str, handler: Any) -> None:
        """Nobody presses."""

    async def peer(self, person_id: int) -> types.InputPeerUser:
        return PEER

    async def send(self, peer: Any, text: str) -> None:
        self.sent.append(text)

    async def send_buttons(self, bot: Any, peer: Any, message: Any, random_id: int = 0) -> int:
        self.sent.append(message.text)
        return len(self.sent)

    async def delete_messages(self, ids: list[int]) -> None:
        self.deleted += ids


async def test_outgoing_calls_are_admitted_and_counted(store: Store, in_trouble: Any) -> None:
    limits = Limits(LINE, LimitSettings(calls_per_day=2), LimitRepository(store, LINE), lambda: 1000.0)
    async with limits:
        async with in_trouble():
            await limits.admit(CALL)
            await limits.learn("contacts.resolvePhone", errors.FloodWaitError(request=None, capture=60))
        await limits.admit(CALL)
    async with Limits(LINE, LimitSettings(), LimitRepository(store, LINE), lambda: 1000.0) as later:
        assert later.pauses == {"contacts.resolvePhone": (90.0, "FLOOD_WAIT_60")}
    assert await LimitRepository(store, LINE).calls(0.0) == [1000.0, 1000.0]


async def test_a_line_that_starts_meanwhile(store: Store, in_trouble: Any) -> None:
    async with in_trouble(), Limits(LINE, LimitSettings(), LimitRepository(store, LINE)) as limits:
        await limits.admit(CALL)


async def test_people_are_found_and_remembered(store: Store, in_trouble: Any) -> None:
    asked = []

    async def client(request: Any) -> Any:
        asked.append(request)
        anna = types.User(7, access_hash=77, first_name="Анна")
        return types.contacts.ResolvedPeer(types.PeerUser(7), [], [anna])

    directory = Directory(PeerRepository(store, LINE))
    dialled = Destination(Kind.PHONE, "+79990000002")
    async with in_trouble():
        for _ in range(3):
            assert (await directory.find(Session(client), dialled)).person.first_name == "Анна"
        assert len(asked) == 1
        await directory.find(Session(client), dialled, fresh=True)
    later = Directory(PeerRepository(store, LINE))
    await later.load()
    assert (await later.find(Session(client), dialled)).cached
    assert len(asked) == 2


async def test_a_keypad_is_shown_and_hidden(store: Store, in_trouble: Any) -> None:
    telegram = cast(Any, Telegram())
    async with guarded_tasks() as tasks:
        keypads = Keypads(telegram, store, tasks, lambda: None, OwnKeypads())
        call = Call("1", Direction.IN, LINE, "7")
        async with in_trouble():
            async with keypads.shown_to(call, telegram, ANNA, PEER):
                async with asyncio.timeout(AT_ONCE_S):
                    while not call.events:  # noqa: ASYNC110 - it has no event
                        await asyncio.sleep(0)
            await keypads.wait_hidden()
            assert [each.event for each in call.events] == [KeypadShown(), KeypadHidden()]
    assert telegram.deleted == [1]
    assert await KeypadRepository(store, LINE).all() == []


async def test_a_keypad_that_a_killed_program_would_leave_is_known(store: Store, in_trouble: Any) -> None:
    async with in_trouble():
        shown = KeypadRepository(store, LINE)
        shown.sending(SendingKeypad(1, ANNA.id, "call", 0.0))
        shown.sent(1, 9)
        unsure = SendingKeypad(2, ANNA.id, "call", 0.0)
        shown.sending(unsure)
    assert await shown.all() == [9]
    assert await shown.unsure() == [unsure]


async def test_what_is_left_in_chats_is_looked_for_again_when_the_database_can_be_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    telegram = cast(Any, Telegram())
    KeypadRepository(store, LINE).sent(1, 9)
    async with guarded_tasks() as tasks:
        keypads = Keypads(telegram, store, tasks, lambda: None, OwnKeypads())
        with monkeypatch.context() as patch:
            patch.setattr(KeypadRepository, "all", AsyncMock(side_effect=too_slow(1.0, "x.db")))
            await keypads.clean_up_stale(telegram)
            assert telegram.deleted == []
        await keypads.clean_up_stale(telegram)
    assert telegram.deleted == [9]


async def test_a_card_is_sent_and_its_button_known(store: Store, in_trouble: Any) -> None:
    telegram = cast(Any, Telegram())
    telegram.card = CardRules(frozenset(CardReason), every_s=60.0, callback=Target("600", "queues"))
    cards = Cards(KnownCards(store), store, telegram, lambda what: None)
    async with in_trouble():
        await cards.send(telegram, ANNA, CardReason.MISSED)
        await cards.send(telegram, ANNA, CardReason.MISSED)
        assert telegram.sent == ["card"]
        (card,) = cards.known.all()
        await cards.known.claim(card, "inline")
        cards.known.retire(card)
    (kept,) = await CardRepository(store).since(0.0)
    assert (kept.id, kept.secret, kept.tells_in) == (card.id, "", "inline")


async def test_a_language_is_learnt(store: Store, in_trouble: Any) -> None:
    languages = await open_languages(store)
    async with in_trouble():
        languages.learn(7, "ru")
        assert languages.of(7) == "ru"
    assert (await LanguageRepository(store).all())[7].language == "ru"


async def test_the_history_is_complete_afterwards(store: Store, in_trouble: Any) -> None:
    history = await open_history(store)
    registry = CallRegistry(recorder=history)
    async with in_trouble():
        for _ in range(3):
            async with registry.admit(Direction.IN, LINE, "7", 1, ANNA) as call:
                call.add_event(Note("astergram", "x" * 10_000))
                call.end(outcome.shut_down(talking=False))
        assert await history.one(call.id) is not None
    rows = (await history.find(Query())).rows
    assert [(row.status, row.name) for row in rows] == [("ERROR", "Анна")] * 3
    assert history.live() == []


async def test_a_program_starts(store: Store, in_trouble: Any) -> None:
    """It has been killed with a call, and begins again: what it has to write at its start waits, too."""
    row = CallRow("1", time.time(), None, "in", LINE, "7", "", 7, "", "", "", None, None, "", False, False, None, 0.0)
    CallRepository(store).save(row, Details())
    assert await store.written()
    async with in_trouble():
        history = await open_history(store)
        assert (await history.find(Query())).total == 1
        assert await open_languages(store)
    assert await store.written()
    (closed,) = (await CallRepository(store).find(Query())).rows
    assert closed.status == "ERROR"


async def test_a_keypad_that_comes_during_a_clean_up_stays(tmp_path: Path) -> None:
    """The database is slow to say what was left, and a call begins meanwhile."""
    telegram, slow = Telegram(), threading.Event()
    async with open_store(tmp_path / "astergram.db") as store, guarded_tasks() as tasks:
        keypads = Keypads(cast(Any, telegram), store, tasks, lambda: None, OwnKeypads())
        page = asyncio.create_task(store.run(lambda db: slow.wait(GOES_ON_S)))
        await asyncio.sleep(0.05)  # until it has the database's thread
        KeypadRepository(store, LINE).remove(77)  # for the clean-up to wait behind
        cleaning = asyncio.create_task(keypads.clean_up_stale(cast(Any, telegram)))
        await asyncio.sleep(0.05)
        async with keypads.shown_to(Call("1", Direction.IN, LINE, "7"), cast(Any, telegram), ANNA, PEER):
            while not telegram.sent:  # noqa: ASYNC110 - a fake has no event
                await asyncio.sleep(0)
            slow.set()
            await asyncio.gather(page, cleaning)
            assert telegram.deleted == []


async def test_a_keypad_that_can_not_be_removed_keeps_no_other_in_its_chat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    telegram, count = Telegram(), FAILURES.count
    delete = telegram.delete_messages

    async def deleting(ids: list[int]) -> None:
        if 9 in ids:
            raise ValueError("an odd answer")
        await delete(ids)

    monkeypatch.setattr(telegram, "delete_messages", deleting)
    async with open_store(tmp_path / "astergram.db") as store, guarded_tasks() as tasks:
        for random_id, message_id in ((1, 8), (2, 9), (3, 10)):
            KeypadRepository(store, LINE).sent(random_id, message_id)
        await Keypads(cast(Any, telegram), store, tasks, lambda: None, OwnKeypads()).clean_up_stale(cast(Any, telegram))
    assert sorted(telegram.deleted) == [8, 10]
    assert FAILURES.count == count + 1
