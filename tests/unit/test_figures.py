"""What the calls come to, on ordinary days and on those when the clocks change."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ari_app.reports.figures import Bin, Count, Figures, LineCount, Tally, Today, Unit
from ari_app.store.calls import CallRepository, CallRow, Details
from ari_app.store.figures import Period
from ari_app.store.store import Store, open_store

MOSCOW, BERLIN, KATHMANDU = ZoneInfo("Europe/Moscow"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")
LINE, OTHER = "+79990000001", "+79990000009"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "astergram.db") as opened:
        yield opened


def at(text: str, zone: ZoneInfo = MOSCOW) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


async def put(store: Store, began_at: float, **known: Any) -> None:
    number = await store.run(lambda db: db.table("calls").count)
    basics: dict[str, Any] = {
        "id": f"c{number}", "began_at": began_at, "ended_at": began_at + 60, "direction": "in", "line": LINE,
        "peer": "7", "pbx_party": "101", "person_id": 7, "name": "Anna", "phone": "", "username": "",
        "status": "ANSWER",
        "cause": 16, "reason": "", "answered": True, "refused": False, "to_answer_s": 4.0, "talked_s": 50.0,
    }  # fmt: skip
    CallRepository(store).save(CallRow(**basics | known), Details())


MISSED: dict[str, Any] = {"status": "NOANSWER", "answered": False, "to_answer_s": None, "talked_s": 0.0}
LIVE: dict[str, Any] = {"status": None, "answered": False, "ended_at": None, "to_answer_s": None, "talked_s": 0.0}


async def test_today(store: Store) -> None:
    await put(store, at("2026-05-04 23:59:59"))  # yesterday
    await put(store, at("2026-05-05 00:00"), to_answer_s=2.0)
    await put(store, at("2026-05-05 12:00"), direction="out", to_answer_s=6.0, talked_s=10.0)
    await put(store, at("2026-05-05 12:30"), **MISSED)
    await put(store, at("2026-05-05 12:31"), **{**MISSED, "status": "BUSY", "refused": True})
    await put(store, at("2026-05-05 12:32"), direction="out", **MISSED)
    await put(store, at("2026-05-05 12:33"), direction="back", **MISSED)
    await put(store, at("2026-05-05 23:59"), **LIVE)
    await put(store, at("2026-05-06 00:00"))  # tomorrow
    found = await Figures(store, MOSCOW).today(at("2026-05-05 23:59:30"))
    assert found == Today(
        incoming=Tally(answered=1, unanswered=2, pending=1),
        outgoing=Tally(answered=1, unanswered=1),
        back=Tally(unanswered=1),
        talked_s=60.0,
        to_answer_s=4.0,
    )
    assert (found.incoming.all, found.outgoing.all, found.back.all) == (4, 2, 1)


async def test_a_live_call_in_which_both_sides_talk_is_answered(store: Store) -> None:
    await put(store, at("2026-05-05 12:00"), **{**LIVE, "answered": True})
    assert (await Figures(store, MOSCOW).today(at("2026-05-05 12:01"))).incoming == Tally(answered=1)


async def test_a_day_without_calls(store: Store) -> None:
    figures = Figures(store, MOSCOW)
    assert await figures.today(0.0) == Today()
    assert (await figures.to_answer(figures.day(0.0))).percentiles == {}
    assert await figures.lines(figures.day(0.0)) == []
    assert [hour.count for hour in await figures.hours(figures.day(0.0))] == [Count()] * 24


async def test_calls_per_hour_of_a_day(store: Store) -> None:
    await put(store, at("2026-05-05 00:00"))
    await put(store, at("2026-05-05 09:59:59.9"))
    await put(store, at("2026-05-05 10:00"), **MISSED)
    await put(store, at("2026-05-05 10:30"), **LIVE)
    await put(store, at("2026-05-05 10:45"), line=OTHER)
    figures = Figures(store, MOSCOW)
    day = figures.day(at("2026-05-05 18:00"))
    hours = await figures.hours(day)
    assert [hour.start.hour for hour in hours] == list(range(24))
    counted = {hour.start.hour: hour.count for hour in hours if hour.count.all}
    assert counted == {0: Count(1, 0), 9: Count(1, 0), 10: Count(1, 1)}
    (of_other,) = [hour for hour in await figures.hours(Period(day.start, day.end, OTHER)) if hour.count.all]
    assert of_other.count == Count(1, 0)


async def test_the_hour_that_the_clock_shows_twice(store: Store) -> None:
    """In Berlin, on 25 October 2026, 3:00 becomes 2:00 at 01:00 UTC."""
    for minute, count in ((30, 1), (90, 2)):  # 2:30, twice
        for _ in range(count):
            await put(store, datetime(2026, 10, 25, minute // 60, minute % 60, tzinfo=UTC).timestamp())
    figures = Figures(store, BERLIN)
    hours = await figures.hours(figures.day(at("2026-10-25 12:00", BERLIN)))
    assert len(hours) == 25
    assert [hour.start.hour for hour in hours][:5] == [0, 1, 2, 2, 3]
    assert [hour.count.all for hour in hours][:5] == [0, 0, 1, 2, 0]
    assert hours[2].start.isoformat() == "2026-10-25T02:00:00+02:00"
    assert hours[3].start.isoformat() == "2026-10-25T02:00:00+01:00"


async def test_the_hour_that_the_clock_leaves_out(store: Store) -> None:
    await put(store, at("2026-03-29 23:30", BERLIN))
    figures = Figures(store, BERLIN)
    hours = await figures.hours(figures.day(at("2026-03-29 12:00", BERLIN)))
    assert len(hours) == 23
    assert [hour.start.hour for hour in hours][:4] == [0, 1, 3, 4]
    assert hours[-1].start.hour == 23
    assert hours[-1].count.all == 1
    assert (await figures.today(at("2026-03-29 12:00", BERLIN))).incoming == Tally(answered=1)


async def test_a_zone_of_quarter_hours(store: Store) -> None:
    await put(store, at("2026-05-05 10:00", KATHMANDU))
    await put(store, at("2026-05-05 09:59", KATHMANDU))
    figures = Figures(store, KATHMANDU)
    hours = await figures.hours(figures.day(at("2026-05-05 12:00", KATHMANDU)))
    assert [hour.start.hour for hour in hours if hour.count.all] == [9, 10]


async def test_the_last_days_are_whole_ones(store: Store) -> None:
    figures = Figures(store, BERLIN)
    week = figures.last_days(7, at("2026-10-26 12:00", BERLIN))
    assert (week.start, week.end) == (at("2026-10-20 00:00", BERLIN), at("2026-10-27 00:00", BERLIN))
    assert len(await figures.hours(week)) == 7 * 24 + 1


async def test_days_of_ones_own(store: Store) -> None:
    figures = Figures(store, BERLIN)
    period = figures.days(date(2026, 10, 24), date(2026, 10, 25))  # the second has 25 hours
    assert (period.start, period.end) == (at("2026-10-24 00:00", BERLIN), at("2026-10-26 00:00", BERLIN))


async def test_calls_per_day_over_the_change_of_clocks(store: Store) -> None:
    for day, calls in ((24, 1), (25, 2), (26, 3)):
        for hour in range(calls):
            await put(store, at(f"2026-10-{day} 0{hour}:00", BERLIN))
    await put(store, at("2026-10-25 23:59", BERLIN), **MISSED)
    await put(store, at("2026-10-27 00:00", BERLIN))
    figures = Figures(store, BERLIN)
    found = await figures.spans(figures.days(date(2026, 10, 23), date(2026, 10, 26)), Unit.DAY)
    assert [(each.first.day, each.last.day, each.count) for each in found] == [
        (23, 23, Count()), (24, 24, Count(1, 0)), (25, 25, Count(2, 1)), (26, 26, Count(3, 0)),
    ]  # fmt: skip


@pytest.mark.parametrize(("week_begins", "days"), [(0, [1, 5, 12, 19, 26]), (6, [1, 4, 11, 18, 25])])
async def test_calls_per_week(store: Store, week_begins: int, days: list[int]) -> None:
    """1 October 2026 is a Thursday; a week begins on Monday, or, in America, on Sunday."""
    for day in (1, 4, 5, 31):
        await put(store, at(f"2026-10-{day:02} 12:00"))
    figures = Figures(store, MOSCOW)
    period = figures.days(date(2026, 10, 1), date(2026, 10, 31))
    found = await figures.spans(period, Unit.WEEK, week_begins)
    assert [each.first.day for each in found] == days, "the first is cut where the period begins"
    assert found[-1].last == date(2026, 10, 31), "and the last where it ends"
    assert [each.count.answered for each in found] == ([2, 1, 0, 0, 1] if week_begins == 0 else [1, 2, 0, 0, 1])
    for before, after in pairwise(found):
        assert after.first - before.last == timedelta(days=1)


async def test_calls_per_month(store: Store) -> None:
    for day in ("2026-12-31 23:59", "2027-01-01 00:00", "2027-02-28 12:00", "2027-03-03 12:00"):
        await put(store, at(day))
    figures = Figures(store, MOSCOW)
    found = await figures.spans(figures.days(date(2026, 12, 20), date(2027, 3, 2)), Unit.MONTH)
    assert [(each.first, each.last, each.count.answered) for each in found] == [
        (date(2026, 12, 20), date(2026, 12, 31), 1), (date(2027, 1, 1), date(2027, 1, 31), 1),
        (date(2027, 2, 1), date(2027, 2, 28), 1), (date(2027, 3, 1), date(2027, 3, 2), 0),
    ]  # fmt: skip


async def test_calls_by_the_hour_of_the_day(store: Store) -> None:
    await put(store, at("2026-10-24 10:00", BERLIN))
    await put(store, at("2026-10-26 10:59", BERLIN), **MISSED)
    await put(store, at("2026-10-26 23:00", BERLIN))
    figures = Figures(store, BERLIN)
    found = await figures.hours_of_day(figures.days(date(2026, 10, 24), date(2026, 10, 26)))
    assert len(found) == 24
    assert {hour: count for hour, count in enumerate(found) if count.all} == {10: Count(1, 1), 23: Count(1, 0)}


async def test_this_machines_zone(store: Store) -> None:
    now = at("2026-05-05 12:00")
    day = Figures(store).day(now)
    assert day.start <= now < day.end
    assert datetime.fromtimestamp(day.start).time().isoformat() == "00:00:00"


async def test_calls_per_line(store: Store) -> None:
    for _ in range(3):
        await put(store, 100.0, line=OTHER, **MISSED)
    await put(store, 100.0)
    await put(store, 100.0, **MISSED)
    await put(store, 200.0)
    await put(store, 100.0, line="+79990000008", **LIVE)
    figures = Figures(store, MOSCOW)
    assert await figures.lines(Period(100.0, 200.0)) == [LineCount(OTHER, Count(0, 3)), LineCount(LINE, Count(1, 1))]
    assert await figures.count(Period(0.0, 300.0)) == Count(2, 4)


async def test_seconds_to_answer(store: Store) -> None:
    for seconds in (0.5, 4.9, 5.0, 12.0, 61.0, 300.0, 7.0, 8.0, 9.0, 9.5):
        await put(store, 100.0, to_answer_s=seconds)
    await put(store, 100.0, **MISSED)
    await put(store, 999.0, to_answer_s=1.0)
    found = await Figures(store, MOSCOW).to_answer(Period(0.0, 200.0))
    assert found.calls == 10
    assert found.bins[:3] == (Bin(0.0, 5.0, 2), Bin(5.0, 10.0, 5), Bin(10.0, 15.0, 1))
    assert found.bins[-1] == Bin(60.0, None, 2)
    assert sum(each.calls for each in found.bins) == 10
    assert found.percentiles == {50: 8.0, 90: 61.0, 95: 300.0}
