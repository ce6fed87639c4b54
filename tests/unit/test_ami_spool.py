"""Events on their way to AMI: in order, bounded, kept over a restart, sent again until they are taken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ari_app.asterisk.ami_link import AmiLink
from ari_app.backoff import Backoff
from ari_app.i18n import message
from ari_app.pbx.ami_delivery import TRIES, AmiDelivery
from ari_app.pbx.ami_spool import LOST, Spool
from ari_app.store.store import Store, StoreUnavailable, open_store
from tests.unit.fake_ami import WAIT_S, FakeAmi, client, error, fake_ami, silent, success
from tests.unit.fake_ari import eventually
from tests.unit.storage_trouble import locked

MOST = 100
NOW = 1_790_000_000.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "astergram.db") as opened:
        yield opened


async def spool_of(store: Store, most: int = MOST) -> Spool:
    spool = Spool(store, most, clock=lambda: NOW)
    await spool.load()
    return spool


async def emptied(spool: Spool) -> list[str]:
    """What waits, in its order; events that are lost with their count."""
    names = []
    while len(spool):
        event = await spool.first()
        names.append(event.headers["Count"] if event.name == LOST else event.name)
        spool.taken()
    return names


def put(spool: Spool, *numbers: int) -> None:
    for number in numbers:
        spool.put(str(number), {"CallID": "1"})


@asynccontextmanager
async def delivering(ami: FakeAmi, spool: Spool, timeout_s: float = WAIT_S) -> AsyncIterator[AmiDelivery]:
    link = AmiLink(lambda: client(ami, timeout_s), backoff=Backoff(0.001, 0.001), refused_s=0.001)
    delivery = AmiDelivery(spool, link)
    tasks = [asyncio.create_task(each) for each in (link.run(), delivery.run())]
    try:
        async with asyncio.timeout(WAIT_S):
            yield delivery
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_what_waits_is_there_after_a_restart(store: Store) -> None:
    spool = await spool_of(store)
    put(spool, 1, 2, 3)
    await spool.first()
    spool.taken()
    again = await spool_of(store)
    put(again, 4)
    ids = [event.id for event in again._waiting]
    assert ids == sorted(set(ids))
    assert await emptied(again) == ["2", "3", "4"]
    assert len(await spool_of(store)) == 0


async def test_what_was_kept_or_taken_is_not_restored(store: Store) -> None:
    first = await spool_of(store)
    taken = first.put("offered", {"CallID": "taken"})
    kept = first.put("offered", {"CallID": "kept"})
    await first.first()
    first.taken()
    later = await spool_of(store)
    for number, call_id in ((taken, "taken"), (kept, "kept"), (None, "kept")):
        later.restore(number, "offered", {"CallID": call_id})
    assert [(event.id, event.headers["CallID"]) for event in later._waiting] == [(kept, "kept")]


async def test_what_was_put_and_lost_has_its_number_again(store: Store) -> None:
    spool = await spool_of(store)
    put(spool, 1, 2)
    lost = spool._last_id - 1
    again = Spool(store, MOST, clock=lambda: NOW)
    await again.load()
    del again._waiting[0]  # as if the program had been killed before it was kept
    again.restore(lost, "1", {"CallID": "1"})
    again.restore(None, "3", {"CallID": "1"})
    assert [(event.id, event.name) for event in again._waiting] == [(lost, "1"), (lost + 1, "2"), (lost + 2, "3")]
    last = await spool_of(store)
    assert await emptied(last) == ["1", "2", "3"]


async def test_the_oldest_go_where_there_is_no_room(store: Store) -> None:
    spool = await spool_of(store, 3)
    put(spool, *range(6))
    assert spool.lost == 4
    again = await spool_of(store, 3)
    assert await emptied(again) == ["4", "4", "5"]
    assert await emptied(spool) == ["4", "4", "5"]


async def test_what_is_being_sent_is_not_lost(store: Store) -> None:
    spool = await spool_of(store, 3)
    put(spool, 0, 1, 2)
    await spool.first()
    put(spool, 3, 4)
    spool.taken()
    assert await emptied(spool) == ["3", "4"]
    assert spool.lost == 3


async def test_nobody_waits_for_the_database(tmp_path: Path) -> None:
    """One that can't be written costs no event as long as the program runs, and no memory for those that went."""
    path = tmp_path / "astergram.db"
    async with open_store(path) as store:
        spool = await spool_of(store)
        async with locked(store, path):
            put(spool, *range(50))
            assert len(store.queue) == 1
            for _ in range(49):
                await spool.first()
                spool.taken()
            assert (len(spool), len(spool._unwritten), len(store.queue)) == (1, 1, 1)
        assert await emptied(await spool_of(store)) == ["49"]


async def test_what_is_put_last_is_kept(tmp_path: Path) -> None:
    """Also what came while the database was being written."""
    for most in (1, 20):
        async with open_store(tmp_path / f"{most}.db") as store:
            put(await spool_of(store), *range(most))
        async with open_store(tmp_path / f"{most}.db") as store:
            assert await emptied(await spool_of(store)) == [str(number) for number in range(most)]


async def test_numbers_grow_though_the_clock_was_set_back(store: Store) -> None:
    spool = await spool_of(store)
    put(spool, 1)
    last = (await spool.first()).id
    spool.taken()
    again = Spool(store, MOST, clock=lambda: NOW - 86400)
    await again.load()
    put(again, 2)
    assert (len(again), (await again.first()).id) == (1, last + 1)


async def test_a_database_that_cannot_be_read_keeps_what_it_has(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(Spool(store, MOST, clock=lambda: NOW - 60), 1)
    await store.written()
    with monkeypatch.context() as patch:
        patch.setattr(store, "run", unavailable)
        next_run = await spool_of(store)
    put(next_run, 2)
    assert await emptied(next_run) == ["2"]
    assert await emptied(await spool_of(store)) == ["1"]


async def unavailable(_: Any) -> None:
    raise StoreUnavailable(message("The disk is full."))


async def test_events_come_in_order_with_their_ids(store: Store) -> None:
    spool = await spool_of(store)
    put(spool, *range(20))
    async with fake_ami() as ami, delivering(ami, spool):
        events = [await ami.event() for _ in range(20)]
    assert [event["UserEvent"] for event in events] == [str(number) for number in range(20)]
    ids = [int(event["EventID"]) for event in events]
    assert ids == sorted(set(ids))
    assert [event["ActionID"] for event in events] == [event["EventID"] for event in events]


async def test_what_answers_nobody_has_no_action_id_of_somebodys(store: Store) -> None:
    spool = await spool_of(store)
    spool.put("TelegramLineStatus", {"ActionID": ""})
    spool.put("TelegramLineStatus", {"ActionID": "42"})
    async with fake_ami() as ami, delivering(ami, spool):
        events = [await ami.event() for _ in range(2)]
    assert [event["ActionID"] for event in events] == [events[0]["EventID"], "42"]


async def test_a_cut_loses_none_and_repeats_only_what_was_not_confirmed(store: Store) -> None:
    spool = await spool_of(store)
    put(spool, *range(30))
    async with fake_ami() as ami:

        def cut_now_and_then(action: dict[str, str]) -> list[str] | None:
            if action["Action"] == "UserEvent" and len(ami.actions) % 10 == 0:
                ami.cut()
                return None
            return success(action)

        ami.answer = cut_now_and_then
        async with delivering(ami, spool) as delivery:
            names = [(await ami.event())["UserEvent"]]
            while names[-1] != "29" or len(spool):
                names.append((await ami.event())["UserEvent"])
                await asyncio.sleep(0.01)
            assert delivery.sent == 30
    assert list(dict.fromkeys(names)) == [str(number) for number in range(30)]
    assert len(names) - 30 == ami.logins - 1 > 0


async def test_events_wait_for_asterisk(store: Store) -> None:
    spool = await spool_of(store)
    async with fake_ami() as ami:
        ami.answer = error("Authentication failed", "Login")
        async with delivering(ami, spool):
            put(spool, 1, 2)
            await eventually(lambda: len(ami.actions) >= 6)
            assert ami.events.empty()
            ami.answer = success
            assert [(await ami.event())["UserEvent"] for _ in range(2)] == ["1", "2"]


async def test_a_user_who_may_not_send_is_told_of_and_nothing_is_lost(store: Store) -> None:
    """Rights that are given later count from the next login on, as in Asterisk."""
    spool = await spool_of(store)
    put(spool, 1)
    async with fake_ami() as ami:
        with_rights = 3  # logins: so late is manager.conf changed

        def refuse(action: dict[str, str]) -> list[str] | None:
            allowed = action["Action"] != "UserEvent" or ami.logins >= with_rights
            return (success if allowed else error("Permission denied", "UserEvent"))(action)

        ami.answer = refuse
        async with delivering(ami, spool) as delivery:
            told = [(await ami.event())["UserEvent"] for _ in range(with_rights)]
            await eventually(lambda: not len(spool))
            assert (told, delivery.sent, delivery.given_up) == (["1"] * with_rights, 1, 0)


async def test_an_event_that_is_never_answered_does_not_hold_up_the_others(store: Store) -> None:
    spool = await spool_of(store)
    put(spool, 1, 2)
    async with fake_ami() as ami:
        ami.answer = lambda action: None if action.get("UserEvent") == "1" else success(action)
        async with delivering(ami, spool, timeout_s=0.05) as delivery:
            names = [(await ami.event())["UserEvent"] for _ in range(TRIES + 1)]
            await eventually(lambda: not len(spool))
            assert delivery.given_up == 1
    assert names == ["1"] * TRIES + ["2"]


async def test_nothing_is_given_up_while_asterisk_answers_nothing(store: Store) -> None:
    spool = await spool_of(store)
    put(spool, 1)
    async with fake_ami() as ami:
        ami.answer = silent("Login")
        async with delivering(ami, spool, timeout_s=0.01) as delivery:
            await eventually(lambda: len(ami.actions) >= 4 * TRIES)
            assert (len(spool), delivery.given_up) == (1, 0)
