"""What has been kept for as long as it may be goes, of each kind by its own period."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from ari_app.i18n import message
from ari_app.lines.installation import InstallationSettings
from ari_app.people.errors import PlaceUnavailable
from ari_app.people.retention import Retention, RetentionRule, all_of
from ari_app.store.access import AccessRepository, SessionRow
from ari_app.store.placed_calls import KEPT_S
from ari_app.tasks import FAILURES, guarded_tasks
from tests.unit.people_rig import ANNA, BORIS, DAY_S, NOW, Rig, put, rig

PERIODS = {
    "history_days": 50, "details_days": 40, "cards_days": 10, "languages_days": 20, "contacts_days": 30,
    "deliveries_days": 15, "events_days": 5, "alerts_days": 25, "audit_days": 45,
}  # fmt: skip
TABLES = {
    "history_days": ("calls", "call_details"), "cards_days": ("cards",), "languages_days": ("languages",),
    "deliveries_days": ("webhook_deliveries",), "audit_days": ("audit",),
    "alerts_days": ("alerts", "alert_deliveries"),
}  # fmt: skip


async def kept(its: Rig) -> dict[str, int]:
    """How many rows each table has."""
    names = {name for tables in TABLES.values() for name in tables} | {"resolved", "placed_calls"}
    return {name: len(await its.rows(name)) for name in names}


async def test_each_kind_goes_when_its_period_is_over(tmp_path: Path) -> None:
    async with rig(tmp_path) as its:
        its.settings = InstallationSettings.model_validate(PERIODS)
        await put(its, ANNA, NOW - 16 * DAY_S, number=1)
        old = await kept(its)
        await put(its, BORIS, number=2)
        both = await kept(its)
        assert await its.retention.apply()
        left = await kept(its)
        assert left["calls"] == both["calls"]
        assert left["cards"] == both["cards"] - old["cards"] == len(its.cards._cards)
        assert left["webhook_deliveries"] == both["webhook_deliveries"] - 1, "what waits is given up, not removed"
        assert left["languages"] == both["languages"]
        lost, *waiting = its.spool._waiting
        assert ([event.headers["Name"] for event in waiting], lost.headers["Count"]) == ([BORIS.name] * 2, "2")


@pytest.mark.parametrize(("period", "days"), PERIODS.items())
async def test_a_day_less_is_not_too_old(tmp_path: Path, period: str, days: int) -> None:
    async with rig(tmp_path) as its:
        its.settings = InstallationSettings.model_validate({name: 1000 for name in PERIODS} | {period: days})
        await put(its, BORIS, NOW - days * DAY_S + 10)
        await its.store.run(lambda db: db.execute("UPDATE webhook_deliveries SET state = 'delivered'"))
        before = await everything(its)
        await its.retention.apply()
        assert await everything(its) == before
        its.retention._clock = lambda: NOW + 20
        await its.retention.apply()
        assert await everything(its) != before, f"{period} has an effect"


async def everything(its: Rig) -> Any:
    """What is kept with a period."""
    tables = [await its.rows(name) for names in TABLES.values() for name in names]
    met = its.session._execute("SELECT count(*) FROM entities WHERE id > 0")
    return tables, met, [(each.name, each.headers) for each in its.spool._waiting]


async def test_the_account_itself_stays_in_its_session(tmp_path: Path) -> None:
    async with rig(tmp_path) as its:
        await put(its, BORIS, NOW - 500 * DAY_S)
        its.session._execute("INSERT INTO entities VALUES (0, 77, NULL, NULL, NULL, 0)")
        its.session._execute("INSERT INTO entities VALUES (-1001, 77, NULL, NULL, 'A channel', 0)")
        its.session._opened_file().commit()
        await its.retention.apply()
        cursor = its.session._cursor()
        assert {row[0] for row in cursor.execute("SELECT id FROM entities").fetchall()} == {0, -1001}


async def test_keys_say_themselves_how_long_they_are_good(tmp_path: Path) -> None:
    async with rig(tmp_path) as its:
        await put(its, BORIS, NOW - KEPT_S - 1)
        await its.retention.apply()
        assert await its.rows("placed_calls") == []


async def test_browsers_that_are_signed_out_by_now_go(tmp_path: Path) -> None:
    async with rig(tmp_path) as its:
        access = AccessRepository(its.store, its.store)
        for name, started_days, seen_days in (("old", 11, 0), ("idle", 2, 1.5), ("used", 9, 0.5)):
            row = SessionRow(name, 1, NOW - started_days * DAY_S, NOW - seen_days * DAY_S, "192.0.2.1", "Browser")
            access.start_session(row, (0.0, 0.0), lambda kept: None)
        await its.retention.apply()
        assert [row["digest"] for row in await its.rows("web_sessions")] == ["used"]


class Rules:
    """Two rules, of which the first can be made to fail."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked: list[tuple[str, float]] = []
        self.told = asyncio.Event()

    def rules(self) -> tuple[RetentionRule, ...]:
        return RetentionRule("calls", lambda before: all_of(lambda: self.first(before)), "history_days"), RetentionRule(
            "audit", lambda before: all_of(lambda: self.second(before)), "audit_days"
        )

    async def first(self, before: float) -> int:
        if self.error:
            raise self.error
        return await self.second(before, "calls")

    async def second(self, before: float, kind: str = "audit") -> int:
        self.asked.append((kind, before))
        self.told.set()
        return 3 if len([each for each in self.asked if each[0] == kind]) == 1 else 0


async def test_it_is_done_at_the_start_and_when_a_period_changes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    its, settings = Rules(), [InstallationSettings(history_days=10)]
    retention = Retention(its.rules(), lambda: settings[-1], lambda: NOW)
    async with guarded_tasks() as tasks, asyncio.timeout(10):
        running = tasks.supervise(retention.run, "retention")
        while len(its.asked) < 4:
            await its.told.wait()
            its.told.clear()
        assert its.asked[0] == ("calls", NOW - 10 * DAY_S)
        assert "retention: calls removed, 3 in all" in caplog.text
        await retention.follow()
        settings.append(InstallationSettings(history_days=10, company="Acme"))
        await retention.follow()
        settings.append(InstallationSettings(history_days=5))
        await retention.follow()
        while ("calls", NOW - 5 * DAY_S) not in its.asked:
            await its.told.wait()
            its.told.clear()
        running.cancel()
    assert its.asked.count(("calls", NOW - 10 * DAY_S)) == 2, "nothing else asks for it again"


@pytest.mark.parametrize("error", [PlaceUnavailable(message("locked")), ZeroDivisionError("oh")])
async def test_what_fails_keeps_no_other_kind(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    its, failures = Rules(), FAILURES.count
    its.error = error
    retention = Retention(its.rules(), InstallationSettings, lambda: NOW)
    assert not await retention.apply()
    assert [kind for kind, _ in its.asked] == ["audit", "audit"]
    assert FAILURES.count == failures + isinstance(error, ZeroDivisionError)
    its.error = None
    assert await retention.apply()
