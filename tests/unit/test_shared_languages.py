"""Languages that one machine of a cluster learns are known on all. By virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import pytest

from ari_app.calls.languages import AGAIN_S, Languages
from ari_app.cluster.bucket import QUIET_S
from ari_app.cluster.shared_languages import EngineLanguages
from ari_app.cluster.shared_limits import CLOCKS_APART_S
from ari_app.cluster.shared_settings import Cipher
from ari_app.i18n import message
from ari_app.store.errors import StoreUnavailable
from ari_app.store.languages import LanguageRepository, LanguageRow
from ari_app.tasks import guarded_tasks
from tests.fake_engine import Engine, WayToEngine
from tests.fast_time import run

NOW, DAY_S, KEPT_S, SOON_S = 1_790_000_000.0, 86400.0, 400 * 86400.0, 5.0
ANNA, BORIS = 5_000_000_002, 5_000_000_003
SECRET = "ours"


def now() -> float:
    return NOW + asyncio.get_running_loop().time()


@dataclass
class Rows:
    """What a machine's database has."""

    rows: dict[int, LanguageRow] = field(default_factory=dict)
    away: bool = False
    before_it_is_kept: Callable[[], None] = lambda: None

    def save(self, person_id: int, language: LanguageRow) -> None:
        self.rows[person_id] = language

    async def keep(self, person_id: int, language: LanguageRow, is_so: Callable[[], bool]) -> None:
        if self.away:
            raise StoreUnavailable(message("Away."))
        self.before_it_is_kept()
        if is_so():
            self.save(person_id, language)

    async def prune(self, before: float) -> int:
        gone = [each for each, its in self.rows.items() if its.learnt_at < before]
        for each in gone:
            del self.rows[each]
        return len(gone)


@dataclass
class Machine:
    way: WayToEngine
    rows: Rows
    languages: Languages
    shared: EngineLanguages

    def erase(self, person_id: int) -> None:
        """As `People` does, on whichever machine."""
        self.languages.forget(person_id)
        self.rows.rows.pop(person_id, None)


@asynccontextmanager
async def machine(engine: Engine, rows: Rows | None = None, secret: str = SECRET) -> AsyncIterator[Machine]:
    its = rows or Rows()
    way = WayToEngine(engine)
    languages = Languages(cast(LanguageRepository, its), dict(its.rows), now)
    shared = EngineLanguages(way, Cipher(secret), lambda: KEPT_S, now)
    languages.share(shared)
    async with guarded_tasks() as tasks:
        tasks.supervise(shared.send, "send")
        tasks.supervise(lambda: shared.watch(languages), "watch")
        await asyncio.sleep(SOON_S)
        yield Machine(way, its, languages, shared)


def scene(test: Callable[[Engine], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run it by virtual time."""

    def tested() -> None:
        async def with_an_engine() -> None:
            await test(Engine())

        run(with_an_engine)

    tested.__name__ = test.__name__
    return tested


@scene
async def test_what_one_machine_learns_is_known_on_all(engine: Engine) -> None:
    async with machine(engine) as a, machine(engine) as b:
        a.languages.learn(ANNA, "ru")
        await asyncio.sleep(SOON_S)
        assert b.languages.of(ANNA) == "ru" == b.rows.rows[ANNA].language
        b.languages.learn(ANNA, "pt-br")
        await asyncio.sleep(SOON_S)
        assert a.languages.of(ANNA) == "pt-br"
        async with machine(engine) as joined:
            assert joined.languages.of(ANNA) == "pt-br"


@scene
async def test_nobody_can_read_whose_it_is(engine: Engine) -> None:
    async with machine(engine) as a:
        a.languages.learn(ANNA, "pt-br")
        await asyncio.sleep(SOON_S)
        (entry,) = engine.entries.values()
        assert str(ANNA) not in entry.key and b"pt-br" not in (entry.value or b"")
        assert str(ANNA).encode() not in (entry.value or b"")


@scene
async def test_what_is_told_again_is_written_once_a_day(engine: Engine) -> None:
    async with machine(engine) as a:
        for _ in range(3):
            a.languages.learn(ANNA, "ru")
            await asyncio.sleep(SOON_S)
        assert engine.revision == 1
        await asyncio.sleep(AGAIN_S)
        a.languages.learn(ANNA, "ru")
        await asyncio.sleep(SOON_S)
        assert engine.revision == 2


@scene
async def test_the_newest_wins_whenever_it_is_told(engine: Engine) -> None:
    async with machine(engine) as a, machine(engine) as b:
        a.way.away = True
        a.languages.learn(ANNA, "en")
        await asyncio.sleep(SOON_S)
        b.languages.learn(ANNA, "ru")
        await asyncio.sleep(SOON_S)
        a.way.away = False
        await asyncio.sleep(2 * QUIET_S)
        assert a.languages.of(ANNA) == b.languages.of(ANNA) == "ru"
        assert not a.shared._unsent


@scene
async def test_what_is_learnt_while_nats_is_away_goes_there_afterwards(engine: Engine) -> None:
    async with machine(engine) as a, machine(engine) as b:
        a.way.away = True
        for person_id in range(1, 30):
            a.languages.learn(person_id, "ru")
        await asyncio.sleep(SOON_S)
        a.way.away = False
        await asyncio.sleep(SOON_S)
        assert len(b.languages.all()) == 29


@scene
async def test_also_by_the_next_run(engine: Engine) -> None:
    async with machine(engine) as a:
        a.way.away = True
        a.languages.learn(ANNA, "ru")
        await asyncio.sleep(SOON_S)
    async with machine(engine, a.rows), machine(engine) as b:
        await asyncio.sleep(SOON_S)
        assert b.languages.of(ANNA) == "ru"


@scene
async def test_servers_that_have_lost_everything_are_told_again(engine: Engine) -> None:
    async with machine(engine) as a, machine(engine) as b:
        for person_id in range(1, 30):
            a.languages.learn(person_id, "ru")
        await asyncio.sleep(SOON_S)
        engine.lose_everything()
        await asyncio.sleep(2 * QUIET_S)
        assert len(engine.entries) == 29
        b.languages.learn(ANNA, "en")
        await asyncio.sleep(2 * QUIET_S)
        assert a.languages.of(ANNA) == "en", "although its revision is one that was read before"


@scene
async def test_a_watch_that_begins_anew_does_not_take_all_again(engine: Engine) -> None:
    async with machine(engine) as a, machine(engine) as b:
        a.languages.learn(ANNA, "ru")
        await asyncio.sleep(SOON_S)
        del b.languages._known[ANNA]  # as it is pruned
        await asyncio.sleep(3 * QUIET_S)
        assert not b.languages.of(ANNA)


@scene
async def test_a_machine_that_starts_asks_for_few_of_those_that_nats_has(engine: Engine) -> None:
    rows = Rows({person_id: LanguageRow("ru", NOW) for person_id in range(1, 500)})
    async with machine(engine, rows), machine(engine, rows) as again:
        assert again.way.reads < 100 and not again.shared._unsent


@scene
async def test_what_is_too_old_or_from_the_future_is_not_taken_over(engine: Engine) -> None:
    rows = Rows({ANNA: LanguageRow("ru", NOW - KEPT_S - DAY_S), BORIS: LanguageRow("ru", NOW + DAY_S)})
    async with machine(engine, rows), machine(engine) as b:
        assert BORIS not in b.languages.all() and ANNA not in b.languages.all()
        assert not engine.entries and CLOCKS_APART_S < DAY_S, "nor is it told"
        key, old = b.shared._key(ANNA), {"person": ANNA, "language": "ru", "learnt_at": NOW - KEPT_S - DAY_S}
        engine.write(key, b.shared.cipher.seal(key, json.dumps(old)), 0)
        await asyncio.sleep(SOON_S)
        assert ANNA not in b.languages.all()


@scene
async def test_who_is_erased_does_not_come_back_from_anywhere(engine: Engine) -> None:
    async with machine(engine) as a, machine(engine) as b:
        a.languages.learn(ANNA, "ru")
        a.languages.learn(BORIS, "ru")
        await asyncio.sleep(SOON_S)
        was = Rows(dict(b.rows.rows))
        a.erase(ANNA)
        await asyncio.sleep(SOON_S)
        b.erase(ANNA)  # as it is ordered to
        await asyncio.sleep(3 * QUIET_S)
        async with machine(engine) as joined, machine(engine, was) as back:
            await asyncio.sleep(3 * QUIET_S)
            for each in (a, b, joined):
                assert set(each.languages.all()) == set(each.rows.rows) == {BORIS}
            back.erase(ANNA)
            await asyncio.sleep(3 * QUIET_S)
            for each in (a, b, joined, back):
                assert set(each.languages.all()) == set(each.rows.rows) == {BORIS}
            opened = [joined.shared._opened(entry) for entry in engine.entries.values()]
            assert str(ANNA) not in str(opened) and len(opened) == 2


@scene
async def test_nor_from_nats_which_was_away_meanwhile(engine: Engine) -> None:
    async with machine(engine) as a:
        a.languages.learn(ANNA, "ru")
        await asyncio.sleep(SOON_S)
        async with machine(engine) as b:
            for each in (a, b):
                each.way.away = True
                each.erase(ANNA)
            await asyncio.sleep(2 * QUIET_S)
            b.way.away = False
            await asyncio.sleep(2 * QUIET_S)
            a.way.away = False
            await asyncio.sleep(2 * QUIET_S)
            assert not a.languages.all() and not b.languages.all() and not a.rows.rows and not b.rows.rows
            a.languages.learn(ANNA, "en")
            await asyncio.sleep(SOON_S)
            assert b.languages.of(ANNA) == "en", "who presses again is known again"


@scene
async def test_nor_by_what_another_machine_tells_just_then(engine: Engine) -> None:
    async with machine(engine) as a:
        a.languages.learn(ANNA, "ru")
        await asyncio.sleep(SOON_S)
        (entry,) = engine.entries.values()
        a.erase(ANNA)
        engine.write(entry.key, entry.value or b"", entry.revision)
        await asyncio.sleep(SOON_S)
        assert not a.languages.all() and not a.rows.rows
        assert ["ru" in str(a.shared._opened(each)) for each in engine.entries.values()] == [False]


@scene
async def test_nor_by_a_write_that_was_under_way(engine: Engine) -> None:
    async with machine(engine) as a, machine(engine) as b:
        b.rows.before_it_is_kept = lambda: b.languages.forget(ANNA)
        a.languages.learn(ANNA, "ru")
        await asyncio.sleep(SOON_S)
        assert not b.rows.rows and not b.languages.all()


@scene
async def test_one_that_the_database_does_not_take_is_known_all_the_same(engine: Engine) -> None:
    async with machine(engine) as a, machine(engine) as b:
        b.rows.away = True
        a.languages.learn(ANNA, "ru")
        await asyncio.sleep(SOON_S)
        assert b.languages.of(ANNA) == "ru" and not b.rows.rows
    async with machine(engine, Rows()) as again:
        assert again.rows.rows


@pytest.mark.parametrize("written", [b"", b"x", b"1", b"[]", b'{"person": "x"}', b'{"person": null, "language": ""}'])
def test_what_cannot_be_read_is_left_out_and_said_once(written: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        engine, cipher = Engine(), Cipher(SECRET)
        key = cipher.hidden(str(ANNA))
        engine.write(key, cipher.seal(key, written.decode()) if written else b"", 0)
        engine.write("other", b"of another secret" + json.dumps({}).encode(), 0)
        async with machine(engine) as a, machine(engine) as b:
            a.languages.learn(ANNA, "ru")  # over it
            await asyncio.sleep(SOON_S)
            assert b.languages.of(ANNA) == "ru"
        assert caplog.text.count("what another machine has written is left out") == 2, "once on each"

    run(scene)


def told_by_a_clock_ahead(engine: Engine, language: LanguageRow) -> None:
    """Of Anna, by a machine that has gone since."""
    cipher = Cipher(SECRET)
    key, its = cipher.hidden(str(ANNA)), {"person": ANNA, **asdict(language)}
    engine.write(key, cipher.seal(key, json.dumps(its)), 0)


@pytest.mark.parametrize("ahead_s", [CLOCKS_APART_S / 2, DAY_S])
def test_who_is_erased_goes_from_nats_also_where_a_clock_was_ahead(ahead_s: float) -> None:
    async def scene() -> None:
        engine = Engine()
        told_by_a_clock_ahead(engine, LanguageRow("ru", NOW + ahead_s))
        async with machine(engine) as a:
            a.erase(ANNA)
            await asyncio.sleep(SOON_S)
            assert ["ru" in str(a.shared._opened(each)) for each in engine.entries.values()] == [False]
        await asyncio.sleep(2 * DAY_S)
        async with machine(engine) as a:
            assert not a.languages.all()
            a.languages.learn(ANNA, "en")
            await asyncio.sleep(SOON_S)
            async with machine(engine) as b:
                assert b.languages.of(ANNA) == "en"

    run(scene)


@scene
async def test_one_that_was_told_by_a_clock_far_ahead_stands_in_nobodys_way(engine: Engine) -> None:
    told_by_a_clock_ahead(engine, LanguageRow("ru", NOW + 2 * KEPT_S))
    async with machine(engine) as a, machine(engine) as b:
        a.languages.learn(ANNA, "en")
        await asyncio.sleep(SOON_S)
        assert b.languages.of(ANNA) == "en"


@scene
async def test_servers_that_have_lost_everything_are_told_again_also_where_they_have_more_since(engine: Engine) -> None:
    async with machine(engine) as a, machine(engine) as b:
        for person_id in range(1, 4):
            a.languages.learn(person_id, "ru")
        await asyncio.sleep(SOON_S)
        engine.lose_everything()
        for person_id in range(11, 16):
            b.languages.learn(person_id, "en")
        await asyncio.sleep(2 * QUIET_S)
        assert len(engine.entries) == 8
        assert len(a.languages.all()) == 8
