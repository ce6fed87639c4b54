"""A person in all that is kept: found, handed out, and erased, with what stays without them."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from ari_app.calls.outcome import Direction, by_administrator
from ari_app.i18n import message
from ari_app.lines.settings import LineSettings
from ari_app.people.data_subject import ERASED, DataSubject
from ari_app.people.errors import InCall, NotErased, PlaceUnavailable, SeveralPeople
from ari_app.people.people import MOST_FOUND, SHORTEST
from ari_app.reports.figures import Figures
from ari_app.sandbox.bench.history import INSERT, INSERT_DETAILS
from ari_app.store import store
from ari_app.store.calls import CallRepository, Details, Query
from ari_app.store.errors import StoreUnavailable
from ari_app.store.figures import Period
from ari_app.telegram.peers import MalformedDestination, Person
from tests.unit.people_rig import ANNA, BORIS, ERASABLE, LINE, NOW, TRACES, Rig, put, rig
from tests.unit.people_rig import _call as a_call
from tests.unit.storage_trouble import locked

KEPT = dict.fromkeys(ERASABLE, 1) | {"calls": 3, "lookups": 2, "deliveries": 2, "events": 2, "alerts": 2, "audit": 2}
"""What the rig puts of one person."""
MANY = 100_000
GOES_ON_S = 30.0


@pytest.fixture
async def its(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as made:
        yield made


@pytest.fixture
async def both(its: Rig) -> Rig:
    await put(its, ANNA, number=1)
    await put(its, BORIS, number=2)
    return its


async def exported(its: Rig, key: str) -> dict[str, Any]:
    """The whole file."""
    who = await its.people.who(key)
    found: dict[str, Any] = json.loads("".join([piece async for piece in its.people.export(who, UTC)]))
    return found


# Found


@pytest.mark.parametrize("text", ["5000000002", "+79990000002", "@anna_b", "@Anna_B", "anna_b", "ёлк", "АННА ЁЛКИНА"])
async def test_somebody_is_found_by_whatever_they_are_known_by(both: Rig, text: str) -> None:
    found = await both.people.find(text)
    assert [each.id for each in found.people] == [ANNA.id]
    assert not found.more
    (who,) = found.people
    assert (set(who.phones), who.key) == ({ANNA.phone}, "5000000002")
    assert ANNA.name in who.names


async def test_a_part_of_a_name_finds_all_who_have_it(both: Rig) -> None:
    assert {each.id for each in (await both.people.find("anna")).people} == {ANNA.id, BORIS.id}
    assert {each.id for each in (await both.people.find("+7999000")).people} == {ANNA.id, BORIS.id, 9}


@pytest.mark.parametrize("text", ["", " ", "x" * (SHORTEST - 1), "nobody", "+79990000777", "@nobody", "777777"])
async def test_nobody_is_found(both: Rig, text: str) -> None:
    assert (await both.people.find(text)).people == ()


async def test_who_was_never_on_telegram_is_found_by_the_number(its: Rig) -> None:
    failed = a_call("1" * 12, Person(0), NOW, person_id=None, name="", peer="+79990000777", status="NOTFOUND")
    outside = a_call("2" * 12, ANNA, NOW, pbx_party="89990000888")
    for call in (failed, outside):
        CallRepository(its.store).save(call, Details())
    for number in ("+79990000777", "+79990000888"):
        (who,) = (await its.people.find(number)).people
        assert (who.id, who.key) == (None, number)
        assert (await its.people.summary(number)).kept["calls"] == 1
    await its.people.erase("+79990000888")
    row = await CallRepository(its.store).one(outside.id)
    assert row is not None
    assert (row[0].pbx_party, row[0].person_id, row[0].name) == ("", ANNA.id, ANNA.name)


async def test_too_many_are_not_all_shown(its: Rig) -> None:
    for number in range(MOST_FOUND + 5):
        CallRepository(its.store).save(a_call(f"{number:012x}", Person(number + 1, "", "", "Same"), NOW), Details())
    found = await its.people.find("same")
    assert (len(found.people), found.more) == (MOST_FOUND, True)


async def test_a_number_leads_to_its_person(both: Rig) -> None:
    for key in ("+79990000002", "@anna_old", "5000000002"):
        summary = await both.people.summary(key)
        assert summary.who.id == ANNA.id
        assert summary.kept == KEPT | {"lists": 0}
    with pytest.raises(MalformedDestination):
        await both.people.who("anna")


@pytest.mark.parametrize("dialled", ["+79990000002", "@anna_b"])
async def test_what_was_dialled_leads_to_whoever_was_reached(its: Rig, dialled: str) -> None:
    """Who hides their number is known by it all the same to whoever has dialled it."""
    hidden = a_call("1" * 12, Person(ANNA.id, "", "", "Анна"), NOW, peer=dialled)
    CallRepository(its.store).save(hidden, Details())
    summary = await its.people.summary(dialled)
    assert (summary.who.id, summary.kept["calls"]) == (ANNA.id, 1)
    assert [who.id for who in (await its.people.find(dialled)).people] == [ANNA.id]
    await its.people.erase(dialled)
    assert not (await its.people.find(dialled)).people


async def test_a_number_that_was_two_people_s_is_nobody_s_key(both: Rig) -> None:
    later = a_call("f" * 12, Person(8, ANNA.phone, "", "Clara"), NOW)
    CallRepository(both.store).save(later, Details())
    with pytest.raises(SeveralPeople, match=r"5000000002|8"):
        await both.people.erase(ANNA.phone)
    assert (await both.people.summary("8")).kept["calls"] == 1 + 1, "and a call that found nobody"
    await both.people.erase(str(ANNA.id))
    (row,) = (await CallRepository(both.store).find(Query(text="clara"))).rows
    assert (row.phone, row.person_id) == (ANNA.phone, 8), "what is kept with another id is another's"


async def test_entries_of_lists_are_found_and_stay(its: Rig) -> None:
    its.lines.append(LineSettings.of({"number": LINE, "deny": ["@anna_b", "@other"], "allow": [ANNA.phone]}))
    await put(its, ANNA)
    assert (await its.people.summary("@anna_b")).kept["lists"] == 2
    erased = await its.people.erase("@anna_b")
    assert erased.kept["lists"] == 0
    assert (await its.people.summary("@anna_b")).kept == dict.fromkeys([*ERASABLE, "lists"], 0) | {"lists": 1}


# Handed out


async def test_an_export_has_all_of_one_person_and_nothing_of_another(both: Rig) -> None:
    found = await exported(both, "5000000002")
    assert (found["format"], found["made_at"]) == (1, "2026-09-21T14:13:20+00:00")
    assert found["person"] == {
        "telegram_id": ANNA.id, "phones": [ANNA.phone], "usernames": ["anna_b", "anna_old"], "names": [ANNA.name],
    }  # fmt: skip
    assert {kind: len(found[kind]) for kind in KEPT} == KEPT
    call = next(each for each in found["calls"] if each["person_id"] == ANNA.id)
    assert (call["began_at"], call["ending"]) == ("2026-09-21T14:13:20+00:00", "Ended on Telegram: hung up.")
    assert [each["type"] for each in call["events"]] == ["CallOffered", "Dialled", "Connected"]
    assert found["cards"][0]["text"] == "Анна Ёлкина, please call"
    assert found["lookups"][0]["found"]["phone"] == ANNA.phone
    assert found["contacts"][0] | {"seen_at": ""} == {
        "session": "79990000001", "telegram_id": ANNA.id, "phone": ANNA.phone, "username": "anna_b",
        "name": ANNA.name, "seen_at": "",
    }  # fmt: skip
    text = json.dumps(found, ensure_ascii=False)
    assert not any(trace in text for trace in ("access_hash", "secret", BORIS.phone, BORIS.username, str(BORIS.id)))
    assert "admin" not in text, "who has done it is somebody else"


async def test_an_export_of_nobody_is_whole(its: Rig) -> None:
    found = await exported(its, "77")
    assert (found["person"]["telegram_id"], found["calls"], found["lists"]) == (77, [], [])


# Erased


async def test_nothing_of_them_stays_anywhere(both: Rig) -> None:
    assert traces(both) != set(), "the test can see them"
    erased = await both.people.erase("5000000002")
    assert erased.kept == KEPT | {"lists": 0}
    assert traces(both) == set()
    assert (await both.people.find("ёлкина")).people == ()
    assert (await both.people.summary("5000000002")).kept == dict.fromkeys([*ERASABLE, "lists"], 0)
    assert (await both.people.summary("5000000003")).kept == KEPT | {"lists": 0}, "others stay"
    assert (await both.people.erase("5000000002")).kept == dict.fromkeys([*ERASABLE, "lists"], 0), "and again"


def traces(its: Rig) -> set[tuple[str, str]]:
    """What of Anna is in which file, deleted or not; of a user whose name is her username, the audit log goes on."""
    with closing(sqlite3.connect(its.database)) as connection:
        assert connection.execute("SELECT count(*) FROM audit WHERE who = 'anna_b'").fetchone() == (2,)
    files = [each for each in (*its.folder.iterdir(), *(its.folder / "lines").iterdir()) if each.is_file()]
    found = set()
    for file in files:
        content = file.read_bytes().replace(b"anna_b192.0.2.1", b"").replace(b"anna_b\n192.0.2.1", b"")
        found |= {(file.name, trace) for trace in TRACES if trace.encode() in content}
    return found


async def test_what_stays_is_right_without_them(both: Rig) -> None:
    period = Period(NOW - 1, NOW + 1)
    before = await Figures(both.store)._repository.totals(period)
    await both.people.erase("5000000002")
    assert await Figures(both.store)._repository.totals(period) == before
    called, details = one(await CallRepository(both.store).one(f"{1:012x}"))
    assert (called.name, called.phone, called.username, called.person_id, called.peer) == ("", "", "", None, "")
    assert (called.pbx_party, called.talked_s, called.to_answer_s, called.status) == ("101", 50.0, 4.0, "ANSWER")
    assert details == Details("[]", '{"rings_s": 1.0}', '{"at_s": [1.0]}')
    failed, _ = one(await CallRepository(both.store).one(f"{101:012x}"))
    assert json.loads(failed.reason) == {"type": "OnDenyList", "person": ERASED}
    from_outside, _ = one(await CallRepository(both.store).one(f"{201:012x}"))
    assert (from_outside.pbx_party, from_outside.name) == ("", "Vera")
    changed, placed = (await both.rows("audit"))[1::-1]
    assert (placed["subject"], placed["who"]) == (f"101@phones → {ERASED}", "anna_b")
    assert json.loads(changed["changes"]) == {"deny": [[], [ERASED, "@other"]]}
    assert placed["search"] == f"anna_b\n192.0.2.1\n101@phones → {ERASED}"


def one(found: Any) -> Any:
    assert found is not None
    return found


async def test_the_running_parts_forget_them(both: Rig) -> None:
    await both.people.erase("5000000002")
    assert {card.person_id for card in both.cards._cards.values()} == {BORIS.id}
    assert (both.languages.of(ANNA.id), both.languages.of(BORIS.id)) == ("", "ru")
    assert set(both.directory._answers) == {BORIS.phone, "@Boris"}
    assert [row.body.count("boris") for row in both.webhooks.one("hook").queue._rows.values()] == [1]
    lost, *waiting = both.spool._waiting
    assert (lost.headers["Count"], {event.headers["Username"] for event in waiting}) == ("2", {"boris"})
    both.languages.learn(ANNA.id, "ru")
    card = next(iter(both.cards._cards.values()))
    both.cards.retire(card.__class__(**vars(card) | {"id": "card1", "person_id": ANNA.id}))
    assert "card1" not in both.cards._cards, "a button that was pressed meanwhile brings nothing back"


async def test_whoever_was_just_met_is_not_written(both: Rig) -> None:
    both.session._met[ANNA.id] = (ANNA.id, 7, "anna_b", ANNA.phone[1:], ANNA.name)
    await both.people.erase("5000000002")
    both.session.save()
    assert traces(both) == set()


async def test_nobody_is_erased_while_they_talk(both: Rig) -> None:
    for known in ({"person": ANNA}, {"pbx_party": "79990000002"}, {}):
        peer = ANNA.phone if not known else "77"
        async with both.registry.admit(Direction.IN, LINE, peer, 9, **known) as call:
            with pytest.raises(InCall, match=call.id):
                await both.people.erase("5000000002")
            call.end(by_administrator(Direction.IN, talking=False))
    assert (await both.people.summary("5000000002")).kept == KEPT | {"lists": 0}
    assert len(both.registry.ended) == 3
    await both.people.erase("5000000002")
    assert len(both.registry.ended) == 1, "one in which she only was in the PBX"


async def test_what_can_t_be_written_is_not_erased_in_part(both: Rig) -> None:
    async with locked(both.store, both.database):
        both.languages.learn(1, "en")
        with pytest.raises(NotErased, match="try again"):
            await both.people.erase("5000000002")
    await both.store.queue.flush(GOES_ON_S)
    await both.people.erase("5000000002")
    assert traces(both) == set()


async def test_a_session_that_can_t_be_used_keeps_the_rest_from_no_erasure(both: Rig) -> None:
    place = next(each for each in both.people._places if each.kind == "contacts")
    who = await both.people.who("5000000002")
    (both.folder / "lines" / "broken.session").write_text("no database, and long enough for one" * 100)
    with pytest.raises(PlaceUnavailable, match=r"broken\.session can't be used"):
        await both.people.find("anna")
    with pytest.raises(PlaceUnavailable):
        await place.erase(who)
    erased, failed = await both.people._erase(who)
    assert failed is not None
    assert erased["calls"] == KEPT["calls"]


async def test_what_was_erased_is_told_where_the_rest_can_t_be(both: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unavailable(*_: object) -> int:
        raise StoreUnavailable(message("No space left"))

    place = next(each for each in both.people._places if each.kind == "cards")
    with monkeypatch.context() as broken:
        broken.setattr(type(place), "erase", unavailable)
        with pytest.raises(NotErased, match=r"Not all of it was erased, .* No space left") as refused:
            await both.people.erase("5000000002")
    assert refused.value.erased is not None
    assert refused.value.erased.kept["cards"] == 0


async def test_a_write_ahead_log_that_another_program_reads_is_told(both: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was erased stands there still."""
    monkeypatch.setattr(store, "FORGET_S", 0.05)
    with closing(sqlite3.connect(both.database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM calls").fetchone()
        with pytest.raises(NotErased, match="write-ahead log") as refused:
            await both.people.erase("5000000002")
        assert refused.value.erased is not None
        assert refused.value.erased.kept == KEPT | {"lists": 0}
        assert traces(both) != set()
    await both.people.erase("5000000002")
    assert traces(both) == set()


# Of 100,000 calls


@pytest.fixture
async def many(its: Rig) -> Rig:
    def fill() -> None:
        with closing(sqlite3.connect(its.database)) as connection, connection:
            values = {"calls": MANY, "now": NOW, "seconds": 300 * 86400.0, "people": 20_000, "lines": 20}
            connection.execute(INSERT, values)
            connection.execute(INSERT_DETAILS)
            connection.execute("UPDATE calls SET search = search || char(10) || person_id")

    await asyncio.to_thread(fill)
    return its


async def test_others_get_their_turn_among_100_000_calls(many: Rig) -> None:
    """The loop goes on, and what is to be written meanwhile is written before it is over."""
    who = "5000000123"
    for work in (many.people.find("клиент 123"), many.people.summary(who), many.people.erase(who)):
        task = asyncio.ensure_future(work)
        written: list[bool] = []
        turns, longest, last = 0, 0.0, time.monotonic()
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
            now = time.monotonic()
            longest, last = max(longest, now - last), now
            if turns % 100 == 1:
                many.store.later(("test", turns), lambda db: db.execute("SELECT 1"), written.append)
        await task
        print(f"{turns} turns of the loop, the longest pause {longest * 1000:.0f} ms, {len(written)} writes meanwhile")
        assert turns > 100
        assert len(written) > 10
    assert (await many.people.summary(who)).kept["calls"] == 0
    assert (await CallRepository(many.store).find(Query())).total == MANY


async def test_a_piece_of_a_pass_is_small(many: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the database's thread is kept from nobody for long."""
    pieces: list[int] = []
    run = many.store.run

    async def counted(work: Any) -> Any:
        def measured(db: Any) -> Any:
            before = db.conn.total_changes
            made = work(db)
            pieces.append(db.conn.total_changes - before)
            return made

        return await run(measured)

    monkeypatch.setattr(many.store, "run", counted)
    erased = await many.people.erase("5000000123")
    assert erased.kept["calls"] == MANY // 20_000
    assert len(pieces) > MANY // 500
    assert max(pieces) <= 2 * 500


def test_identities() -> None:
    anna = DataSubject(7, frozenset({"+79990000002"}), frozenset({"anna_b"}), frozenset({"Anna"}))
    for text in (
        "7",
        "tg#7",
        "+79990000002",
        "79990000002",
        "0079990000002",
        "8 999".replace(" ", "") + "0000002",
        "@ANNA_b",
    ):
        assert anna.is_called(text), text
    for text in ("", "anna_b", "@anna", "77", "+799900000022", "9990000002", "@anna_b2"):
        assert not anna.is_called(text), text
    assert anna.without("7 or 77, +79990000002, 89990000002, @anna_b and anna_b or Anna") == (
        f"{ERASED} or 77, {ERASED}, {ERASED}, {ERASED} and anna_b or Anna"
    )
    assert anna.without("anna_b, Anna, Annabel, @anna_bc", names=True) == f"{ERASED}, {ERASED}, Annabel, @anna_bc"
    assert DataSubject().without("7 anna") == "7 anna"
