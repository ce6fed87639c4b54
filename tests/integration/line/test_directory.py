"""A line's directory: whom Telegram finds, and for how long an answer stays good."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ari_app.sandbox.telegram import LocalTelegram, device
from ari_app.store.peers import PeerRepository
from ari_app.store.store import open_store
from ari_app.telegram.errors import Limited, NotFound, TelegramError
from ari_app.telegram.peers import Destination, Directory, Kind
from ari_app.telegram.session import Session

LINE, ANNA, NEWCOMER = "+79990000001", "+79990000002", "+79990000005"
DIALLED = Destination(Kind.PHONE, ANNA)


class World:
    """A line's client on a local Telegram, and its directory with a time that goes when it is told to."""

    def __init__(self, telegram: LocalTelegram, session: Session, memory: PeerRepository) -> None:
        self.telegram = telegram
        self.session = session
        self.memory = memory
        self.now = 1000.0
        self.directory = Directory(memory, found_s=100.0, not_found_s=10.0, clock=lambda: self.now)

    async def find(self, destination: Destination, *, fresh: bool = False) -> tuple[str, bool]:
        callee = await self.directory.find(self.session, destination, fresh=fresh)
        return callee.person.first_name, callee.cached


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with LocalTelegram(tmp_path / "telegram.db") as telegram, open_store(tmp_path / "astergram.db") as store:
        telegram.add_user(LINE, "Line")
        telegram.add_user(ANNA, "Анна", username="anna_b")
        async with device(telegram, LINE) as line:
            yield World(telegram, Session(line.client), PeerRepository(store, LINE))


@pytest.mark.parametrize("destination", [DIALLED, Destination(Kind.USERNAME, "anna_b")], ids=["phone", "username"])
async def test_an_answer_stays_good_for_its_time(world: World, destination: Destination) -> None:
    assert await world.find(destination) == ("Анна", False)
    asked = await world.directory.find(world.session, destination)
    world.telegram.add_user(ANNA, "Anna", username="anna_b")
    world.now += 99
    assert await world.find(destination) == ("Анна", True)
    assert asked.peer == (await world.directory.find(world.session, destination)).peer
    world.now += 1
    assert await world.find(destination) == ("Anna", False)


async def test_asking_afresh_replaces_what_was_known(world: World) -> None:
    await world.find(DIALLED)
    world.telegram.add_user(ANNA, "Anna")
    assert await world.find(DIALLED, fresh=True) == ("Anna", False)
    assert await world.find(DIALLED) == ("Anna", True)


async def test_a_lookup_that_is_not_admitted_asks_nothing_and_forgets_nothing(world: World) -> None:
    asked: list[str] = []
    nobody = Destination(Kind.PHONE, NEWCOMER)

    def refuse() -> None:
        raise Limited("too often", 30)

    async def find(destination: Destination, *, fresh: bool = False) -> None:
        await world.directory.find(world.session, destination, fresh=fresh, admit=lambda: asked.append("asked"))

    await find(DIALLED)
    with pytest.raises(NotFound):
        await find(nobody)
    assert asked == ["asked"] * 2
    await find(DIALLED)
    with pytest.raises(NotFound):
        await find(nobody)
    assert asked == ["asked"] * 2
    await find(DIALLED, fresh=True)
    assert asked == ["asked"] * 3
    for destination, fresh in ((DIALLED, True), (Destination(Kind.USERNAME, "anna_b"), False)):
        with pytest.raises(Limited):
            await world.directory.find(world.session, destination, fresh=fresh, admit=refuse)
    assert await world.find(DIALLED) == ("Анна", True)


async def test_nobody_there_stays_good_for_a_shorter_time(world: World) -> None:
    newcomer = Destination(Kind.PHONE, NEWCOMER)
    with pytest.raises(NotFound, match="PHONE_NOT_OCCUPIED"):
        await world.find(newcomer)
    world.telegram.add_user(NEWCOMER, "Newcomer")
    world.now += 9
    with pytest.raises(NotFound, match="was not on Telegram when it was last asked"):
        await world.find(newcomer)
    world.now += 1
    assert await world.find(newcomer) == ("Newcomer", False)


async def test_other_refusals_are_not_remembered(world: World) -> None:
    world.telegram.refuse("contacts.resolvePhone", "SOMETHING_NEW")
    with pytest.raises(TelegramError, match="SOMETHING_NEW"):
        await world.find(DIALLED)
    assert await world.find(DIALLED) == ("Анна", False)


async def test_what_an_older_program_kept_is_asked_again(world: World) -> None:
    world.memory.save(ANNA, '{"person": {"id": 7, "shoe_size": 40}}', world.now, world.now + 50)
    await world.directory.load()
    assert await world.find(DIALLED) == ("Анна", False)


async def test_an_id_that_the_line_has_met(world: World) -> None:
    anna = Destination(Kind.ID, str(world.telegram.user(ANNA).id))
    with pytest.raises(NotFound, match="does not know"):
        await world.find(anna)
    await world.find(DIALLED)
    assert await world.find(anna) == ("Анна", False)
