"""The call history: what is kept of a call, how it is found again, and what an export says."""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from ari_app.bus import EventBus
from ari_app.calls import outcome
from ari_app.calls.call import Call
from ari_app.calls.events import CallEnded, Connected, PbxAnswered, TelegramAnswered, TelegramRinging
from ari_app.calls.outcome import Direction
from ari_app.calls.progress import CallState, Milestones
from ari_app.calls.reasons import Crashed, EndedByAdministrator, EndedOnTelegram, OnDenyList
from ari_app.calls.registry import CallRegistry, LineFull
from ari_app.calls.samples import MOST, Sample, Samples, sampled
from ari_app.calls.scope import CallScope
from ari_app.lines.retention import DAY_S
from ari_app.people.retention import all_of
from ari_app.reports.export import BOM
from ari_app.reports.history import EXPORTED, History, end_reason, open_history
from ari_app.reports.samples import as_columns, each_time, from_columns
from ari_app.store.calls import CallRepository, CallRow, Details, Query
from ari_app.store.passes import BATCH
from ari_app.store.store import Store, open_store
from ari_app.telegram.lists import ListRefusal, Rule
from ari_app.telegram.peers import Person
from ari_app.telegram.phone import Discarded, DiscardReason
from media.types import FlowStats, MediaError, MediaLost, MediaStats

LINE, OTHER = "+79990000001", "+79990000009"
ANNA = Person(7, phone="+79990000002", username="anna_b", first_name="Анна", last_name="Ёлкина")
NOW = 1_800_000_000.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "astergram.db") as opened:
        yield opened


@pytest.fixture
async def history(store: Store) -> History:
    return await open_history(store, clock=lambda: NOW)


def a_call(number: int = 1, **known: Any) -> CallRow:
    basics: dict[str, Any] = {
        "id": f"c{number:05}", "began_at": NOW + number, "ended_at": NOW + number + 60, "direction": "in", "line": LINE,
        "peer": "7", "pbx_party": "101", "person_id": 7, "name": "Anna", "phone": "", "username": "",
        "status": "ANSWER",
        "cause": 16, "reason": "", "answered": True, "refused": False, "to_answer_s": 4.0, "talked_s": 50.0,
    }  # fmt: skip
    return CallRow(**basics | known)


async def put(store: Store, *calls: CallRow) -> None:
    for call in calls:
        CallRepository(store).save(call, Details())
    assert await store.written()


async def ids(history: History, **query: Any) -> list[str]:
    return [row.id for row in (await history.find(Query(**query))).rows]


# --- a call from its beginning to its end


async def test_a_call_is_kept_from_its_beginning(store: Store, history: History) -> None:
    registry = CallRegistry(recorder=history, clock=lambda: NOW - 60)
    async with registry.admit(Direction.IN, LINE, "7", 1) as call:
        (row,) = (await history.find(Query())).rows
        assert (row.id, row.began_at, row.ended_at, row.status) == (call.id, NOW - 60, None, None)
        call.person, call.pbx_party = ANNA, "101"
        call.mark_ringing()
        call.mark_pbx_answered("101", "office")
        call.mark_accepted()
        call.mark_media_up()
        call.samples.add(Sample(1.0, 2.5, 3, 40, -20.0, -99.0))
        assert (await history.find(Query(answered=True))).total == 1, "what a killed program would leave"
        (live,) = history.live()
        assert (live.state, live.samples[0].lost) == (CallState.TALKING, 3)
        call.end(outcome.telegram_ended(Discarded(DiscardReason.HANGUP, 1), Direction.IN, talking=True))
    assert await store.written()
    assert history.live() == []
    later = await open_history(store)  # nothing is in memory there
    record = await later.one(call.id)
    assert record is not None
    kept = record.call
    assert (kept.status, kept.cause, end_reason(kept)) == ("ANSWER", 16, EndedOnTelegram("hangup"))
    assert (kept.name, kept.phone, kept.username, kept.person_id) == ("Анна Ёлкина", ANNA.phone, "anna_b", 7)
    assert (kept.ended_at, kept.pbx_party, kept.answered, kept.refused) == (NOW, "101", True, False)
    assert [each.event for each in record.events] == [
        TelegramRinging(), PbxAnswered("101", "office"), TelegramAnswered(), Connected(),
        CallEnded("ANSWER", 16, EndedOnTelegram("hangup")),
    ]  # fmt: skip
    assert record.milestones == call.milestones
    assert record.samples == tuple(call.samples.kept)
    assert record.state is CallState.ENDED
    assert record.to_answer_s == kept.to_answer_s is not None


async def test_a_call_that_is_not_there(history: History) -> None:
    assert await history.one("nothing") is None


async def test_a_refused_call_is_kept_with_its_reason(history: History) -> None:
    registry = CallRegistry(recorder=history)
    async with registry.admit(Direction.IN, LINE, "8", 1) as first:
        with pytest.raises(LineFull):
            async with registry.admit(Direction.IN, LINE, "7", 1, ANNA):
                pass
        first.end(outcome.shut_down(talking=False))
    refused = registry.new(Direction.OUT, LINE, "@anna_b", pbx_party="101")
    registry.refuse(refused, outcome.denied(ListRefusal("@anna_b", Rule.DENY)))
    page = await history.find(Query())
    assert page.total == 3
    full, denied = (await history.find(Query(status="BUSY"))).rows[0], (await history.find(Query(text="@anna"))).rows[0]
    assert (full.refused, full.name, full.answered, full.talked_s) == (True, "Анна Ёлкина", False, 0.0)
    assert (denied.status, denied.refused, denied.pbx_party) == ("RESTRICTED", True, "101")
    record = await history.one(denied.id)
    assert record is not None
    assert [each.event for each in record.events] == [CallEnded("RESTRICTED", 21, OnDenyList("@anna_b"))]
    assert registry.calls == {}


async def test_a_call_whose_story_never_began_is_not_left_open(history: History) -> None:
    registry = CallRegistry(recorder=history)
    with pytest.raises(ZeroDivisionError):
        async with registry.admit(Direction.OUT, LINE, "7", 1):
            raise ZeroDivisionError
    (row,) = (await history.find(Query())).rows
    assert row.status == "ERROR"
    assert row.ended_at is not None


async def test_what_a_killed_program_left_open(tmp_path: Path) -> None:
    path = tmp_path / "astergram.db"
    async with open_store(path) as store:
        await put(store, a_call(1), a_call(2, status=None, ended_at=None, cause=None, reason=""))
    async with open_store(path) as store:
        history = await open_history(store)
        newest, oldest = (await history.find(Query())).rows
        assert (newest.status, newest.cause, end_reason(newest), newest.ended_at) == ("ERROR", 41, Crashed(), None)
        assert history.crashed == (newest,)
        assert oldest == a_call(1)


async def test_a_call_that_cannot_be_written_at_all_is_given_up(
    store: Store, history: History, caplog: pytest.LogCaptureFixture
) -> None:
    await store.run(
        lambda db: db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON calls BEGIN SELECT RAISE(ABORT, 'no such calls'); END"
        )
    )
    registry = CallRegistry(recorder=history)
    async with registry.admit(Direction.OUT, LINE, "7", 1) as call:
        await store.written()
        call.end(outcome.shut_down(talking=False))
    await store.written()
    assert store.queue.lost == 2  # as it began, and at its end
    assert f"not kept: call {call.id}" in caplog.text
    assert "no such calls" in caplog.text
    assert history.live() == []


# --- finding


async def test_search_in_any_case_and_language(store: Store, history: History) -> None:
    await put(
        store,
        a_call(1, name="Анна Ёлкина", phone="+79990000002"),
        a_call(2, name="Борис", username="Boris_B", person_id=4242, peer="@boris_b"),
        a_call(3, name="100% Straße", peer="+4930123", pbx_party="202"),
    )
    for text, found in {
        "ёлкина": ["c00001"], "АННА": ["c00001"], "99000": ["c00001"], "БОРИС": ["c00002"], "boris_B": ["c00002"],
        "4242": ["c00002"], "@boris": ["c00002"], "STRASSE": ["c00003"], "0% s": ["c00003"], "4930": ["c00003"],
        "202": ["c00003"], "_": ["c00002"], "nobody": [], "' OR 1": [], "  анна ": ["c00001"],
    }.items():  # fmt: skip
        assert await ids(history, text=text) == found, text


async def test_filters(store: Store, history: History) -> None:
    await put(
        store,
        a_call(1, line=OTHER),
        a_call(2, direction="out", status="BUSY", answered=False),
        a_call(3, direction="back"),
        a_call(4, line=OTHER, status="NOANSWER", answered=False),
    )
    assert await ids(history) == ["c00004", "c00003", "c00002", "c00001"]
    assert await ids(history, line=OTHER) == ["c00004", "c00001"]
    assert await ids(history, direction="back") == ["c00003"]
    assert await ids(history, status="BUSY") == ["c00002"]
    assert await ids(history, answered=False) == ["c00004", "c00002"]
    assert await ids(history, since=NOW + 2, until=NOW + 4) == ["c00003", "c00002"]
    assert await ids(history, line=OTHER, answered=True, text="anna", until=NOW + 3) == ["c00001"]


async def test_pages(store: Store, history: History) -> None:
    await put(store, *(a_call(number) for number in range(7)))
    page = await history.find(Query(), offset=2, limit=3)
    assert [row.id for row in page.rows] == ["c00004", "c00003", "c00002"]
    assert page.total == 7
    assert (await history.find(Query(), offset=9)).rows == ()


# --- retention


async def test_what_is_too_old_goes(store: Store) -> None:
    old = [a_call(number, began_at=NOW - 31 * DAY_S + number) for number in range(BATCH + 20)]
    kept = a_call(9999, began_at=NOW - 29 * DAY_S)

    def fill(db: Database) -> None:
        db.table("calls").insert_all({**vars(call), "search": ""} for call in (*old, kept))
        db.table("call_details").insert_all({"id": call.id, **vars(Details())} for call in (*old, kept))

    await store.run(fill)
    history = History(store)
    removed = [some async for some in all_of(lambda: history.prune(NOW - 30 * DAY_S))]
    assert removed == [BATCH, 20], "others get their turn in between"
    assert await ids(history) == [kept.id]
    assert await store.run(lambda db: db.table("call_details").count) == 1


async def test_what_is_too_much_goes(store: Store) -> None:
    await put(store, *(a_call(number) for number in range(7)))
    history = History(store, most=4)
    assert [some async for some in all_of(lambda: history.prune(0.0))] == [3]
    assert await ids(history) == ["c00006", "c00005", "c00004", "c00003"]


async def test_details_go_before_their_calls(store: Store) -> None:
    details = Details('[{"at_s": 0, "type": "Connected"}]', '{"rings_s": 1.0}', '{"at_s": [1.0]}')
    for number in range(BATCH + 20):
        CallRepository(store).save(a_call(number, began_at=NOW - 31 * DAY_S + number), details)
    young, live = a_call(8888, began_at=NOW), a_call(9999, began_at=NOW - 31 * DAY_S, status=None, ended_at=None)
    for call in (young, live):
        CallRepository(store).save(call, details)
    assert await store.written()
    history = History(store)
    assert [some async for some in history.prune_details(NOW - 30 * DAY_S)] == [BATCH, 20, 0]
    assert [some async for some in history.prune_details(NOW - 30 * DAY_S)] == [0], "it knows how far it is"
    repository = CallRepository(store)
    old = await repository.one("c00000")
    assert old is not None
    assert old[1] == Details("[]", '{"rings_s": 1.0}', "{}")
    for call in (young, live):
        found = await repository.one(call.id)
        assert found is not None
        assert found[1] == details
    assert [some async for some in history.prune_details(NOW + 1)] == [1, 0], "a shorter period counts at once"


# --- export


async def exported(history: History, **query: Any) -> list[dict[str, str]]:
    text = "".join([piece async for piece in history.export_csv(Query(**query), timezone(timedelta(hours=3)))])
    assert text.startswith(BOM)
    return list(csv.DictReader(io.StringIO(text.removeprefix(BOM), newline="")))


async def test_export(store: Store, history: History) -> None:
    await put(store, a_call(1, name='Анна "Ё", \nЁлкина', phone="+79990000002"), a_call(2, line=OTHER, ended_at=None))
    newest, oldest = await exported(history)
    assert newest["ended"] == ""
    assert oldest["person"] == 'Анна "Ё", \nЁлкина'
    assert oldest["phone"] == "+79990000002"
    assert oldest["began"] == datetime.fromtimestamp(NOW + 1, UTC).astimezone(timezone(timedelta(hours=3))).isoformat()
    assert oldest["began"].endswith("+03:00")
    assert oldest["timezone"] == "UTC+03:00"
    assert (oldest["answered"], oldest["seconds_to_answer"], oldest["seconds_talked"]) == ("yes", "4.0", "50.0")
    assert [row["id"] for row in await exported(history, line=OTHER)] == ["c00002"]


async def test_export_in_this_machines_zone(store: Store, history: History) -> None:
    await put(store, a_call(1))
    text = "".join([piece async for piece in history.export_csv(Query())])
    assert re.search(r'T\d\d:\d\d:\d\d[+-]\d\d:\d\d",', text)


async def test_an_export_comes_in_pieces_and_whole(store: Store, history: History) -> None:
    calls = [a_call(number, began_at=NOW + number // 3) for number in range(EXPORTED + 10)]  # some at the same moment
    await store.run(lambda db: db.table("calls").insert_all({**vars(call), "search": ""} for call in calls))
    pieces = [piece async for piece in history.export_csv(Query())]
    assert len(pieces) == 3, "the head, and two pieces"
    rows = list(csv.DictReader(io.StringIO("".join(pieces).removeprefix(BOM), newline="")))
    assert [row["id"] for row in rows] == [call.id for call in reversed(calls)]


# --- what the desk tells, and an administrator's hang-up


@pytest.fixture
def bus() -> Iterator[tuple[EventBus, asyncio.Queue[Any]]]:
    told = EventBus()
    with told.subscribe() as queue:
        yield told, queue


def heard(queue: asyncio.Queue[Any]) -> list[str]:
    return [queue.get_nowait().data["state"] for _ in range(queue.qsize())]


async def test_the_desk_tells_what_a_call_does(bus: tuple[EventBus, asyncio.Queue[Any]]) -> None:
    told, queue = bus
    async with CallRegistry(told).admit(Direction.OUT, LINE, "7", 1) as call:
        assert heard(queue) == ["begun"]
        call.mark_ringing()
        call.mark_accepted()
        call.mark_media_up()
        assert heard(queue) == ["ringing", "answered", "talking"]
        call.mark_ringing()  # late news of Telegram's
        assert call.state is CallState.TALKING
        call.end(outcome.shut_down(talking=True))
        call.mark_ringing()
    assert heard(queue) == ["talking", "ending", "ending", "ended"]


async def test_a_call_back_rings_again_after_the_pbx_has_answered() -> None:
    call = Call("1", Direction.BACK, LINE, "7")
    states = []
    for event in (partial(call.mark_pbx_answered, "101", "office"), call.mark_ringing, call.mark_accepted):
        event()
        states.append(call.state)
    assert states == [CallState.ANSWERED, CallState.RINGING, CallState.ANSWERED]


@pytest.mark.parametrize("talking", [True, False])
@pytest.mark.parametrize("direction", Direction)
async def test_an_administrator_ends_a_call(direction: Direction, talking: bool) -> None:
    registry = CallRegistry()
    async with registry.admit(direction, LINE, "7", 1) as call:
        begun = asyncio.Event()

        async def told() -> None:
            begun.set()
            await call.ended()

        handling = asyncio.create_task(CallScope(call).run(told()))
        await begun.wait()
        if talking:
            call.mark_media_up()
        assert registry.hang_up(call.id)
        async with asyncio.timeout(5):
            await handling
    assert call.ending == outcome.by_administrator(direction, talking)
    assert call.ending.reason == EndedByAdministrator()
    seen = (call.ending.status.value, int(call.ending.cause), call.ending.discard)
    if talking:
        assert seen == ("ANSWER", 16, DiscardReason.HANGUP)
    elif direction is Direction.IN:
        assert seen == ("BUSY", 17, DiscardReason.BUSY)
    else:
        assert seen == ("CANCEL", 16, DiscardReason.MISSED)
    assert not registry.hang_up(call.id)


# --- set-up times


def test_set_up_times() -> None:
    reached = Milestones(rings_s=2.0, pbx_answered_s=5.0, accepted_s=6.0, talks_s=6.5)
    assert reached.post_dial_delay_s(Direction.IN) == 2.0
    assert reached.to_answer_s(Direction.IN) == 3.0
    assert reached.to_audio_s(Direction.IN) == 1.5
    assert reached.to_answer_s(Direction.OUT) == 4.0
    assert reached.to_audio_s(Direction.OUT) == 0.5
    back = Milestones(pbx_answered_s=5.0, rings_s=7.0, accepted_s=9.0)
    assert (back.post_dial_delay_s(Direction.BACK), back.to_answer_s(Direction.BACK)) == (2.0, 2.0)
    assert back.to_audio_s(Direction.BACK) is None
    assert Milestones().to_answer_s(Direction.IN) is None


def test_of_a_milestone_the_first_time_counts() -> None:
    call = Call("1", Direction.OUT, LINE, "7")
    call.mark_ringing()
    first = call.milestones.rings_s
    call.mark_ringing()  # redialled
    assert call.milestones.rings_s == first is not None


# --- samples


def sample(at_s: float, lost: int = 0, jitter_ms: float = 0.0) -> Sample:
    return Sample(at_s, jitter_ms, lost, 0, -20.0, -30.0)


def test_a_long_call_is_kept_at_a_coarser_step() -> None:
    samples = Samples()
    for second in range(1, 3601):
        samples.add(sample(float(second), lost=second // 10, jitter_ms=99.0 if second == 1234 else 1.0))
        assert len(samples.kept) <= MOST
    assert len(samples.kept) > MOST // 3
    steps = {round(later.at_s - before.at_s) for before, later in zip(samples.kept, samples.kept[1:], strict=False)}
    assert steps == {16}
    assert max(each.jitter_ms for each in samples.kept) == 99.0, "a peak is still seen"
    assert sum(lost for _, lost in each_time(samples.kept, "lost")) == samples.kept[-1].lost


def test_samples_as_columns_and_back() -> None:
    samples = (sample(1.0, 2, 3.5), sample(2.0))
    assert from_columns(as_columns(samples)) == samples
    assert from_columns(as_columns(())) == ()
    assert from_columns({}) == (), "of a call that was refused"


class Audio:
    """Gives what it is told to give, one a request, and then is gone."""

    def __init__(self, *answers: MediaStats | Exception) -> None:
        self.answers = list(answers)

    async def stats(self) -> MediaStats:
        answer = self.answers.pop(0) if self.answers else MediaLost("it ended")
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_audio_is_measured_until_it_is_gone() -> None:
    measured = MediaStats(from_asterisk=FlowStats(lost=2, late=1), jitter_ms=3.21, level_to_telegram_dbfs=-12.04)
    taken: list[MediaStats] = []
    async with asyncio.timeout(5):
        await sampled(Audio(measured, MediaError("too busy"), measured), taken.append, every_s=0.0)
    assert taken == [measured] * 2
    assert Sample.of(7.04, measured) == Sample(7.0, 3.2, 3, 0, -12.0, -99.0)


async def test_a_wrong_measurement_ends_the_measuring_only(caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(5):
        await sampled(Audio(ZeroDivisionError()), lambda _: None, every_s=0.0)
    assert "ZeroDivisionError" in caplog.text
