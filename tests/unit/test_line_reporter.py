"""What AMI is told of lines: each change of a light and of a pause once, and who asks for it all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from ari_app.bus import ACCOUNT, EventBus
from ari_app.calls import outcome
from ari_app.calls.outcome import Direction
from ari_app.calls.reasons import Crashed
from ari_app.calls.registry import CallRegistry
from ari_app.i18n import message
from ari_app.lines.health import Colour, LineStatus, StatusLight
from ari_app.pbx.ami import AmiOptions, AmiReports
from ari_app.pbx.ami_delivery import AmiDelivery
from ari_app.pbx.ami_spool import Spool
from ari_app.pbx.events import ReportedEvent, TelegramLineRemoved, TelegramLineStatus, TelegramPause, TelegramStarted
from ari_app.pbx.line_reporter import LineReporter
from ari_app.pbx.reporting import Reporting
from ari_app.store.calls import CallRow
from ari_app.store.store import open_store
from ari_app.tasks import FAILURES, guarded_tasks
from ari_app.telegram.peers import Person
from tests.unit.fake_ari import eventually

LINE, NOW = "+79990000001", 1_790_000_000.0
GREEN = StatusLight(Colour.GREEN, message("Connected."))


class Lines:
    """One line, whose lights and pauses change."""

    def __init__(self) -> None:
        self.line: Any = SimpleNamespace(number=LINE, name="Sales", max_calls=2, pauses={})
        self.lines: dict[str, Any] = {LINE: self.line}
        self.account = GREEN
        self.now = NOW
        self.looks = 0
        self.told: list[ReportedEvent] = []
        self.bus = EventBus()
        self.reporter = LineReporter(
            self.told.append,
            self.lines,
            cast(Any, self),
            CallRegistry(),
            self.bus,
            clock=lambda: self.now,
        )

    def status(self, line: Any) -> LineStatus:
        self.looks += 1
        return LineStatus(GREEN, self.account, GREEN)

    async def changed(self) -> list[ReportedEvent]:
        """What is told after a change."""
        self.told.clear()
        self.bus.publish(ACCOUNT, LINE)
        for _ in range(3):
            await asyncio.sleep(0)
        return self.told


@asynccontextmanager
async def reporting() -> AsyncIterator[Lines]:
    its = Lines()
    task = asyncio.create_task(its.reporter.run())
    await asyncio.sleep(0)
    try:
        yield its
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_light_is_told_when_it_changes() -> None:
    async with reporting() as its:
        assert [type(each) for each in its.told] == [TelegramLineStatus]
        assert await its.changed() == []
        its.account = StatusLight(Colour.ORANGE, message("No calls for {minutes} min.", minutes=5))
        [told] = await its.changed()
        assert isinstance(told, TelegramLineStatus)
        assert (told.account, told.account_reason, told.asterisk) == ("orange", "No calls for 5 min.", "green")
        its.account = StatusLight(Colour.ORANGE, message("No calls for {minutes} min.", minutes=4))
        assert await its.changed() == []


async def test_a_pause_is_told_when_it_begins_grows_and_ends() -> None:
    async with reporting() as its:
        its.line.pauses = {"phone.requestCall": (60.0, "FLOOD_WAIT_30")}
        [begun] = await its.changed()
        assert begun == TelegramPause(
            event_time=NOW, line=LINE, request="phone.requestCall", seconds=60, reason="FLOOD_WAIT_30"
        )
        its.now, its.line.pauses = NOW + 10, {"phone.requestCall": (50.0, "FLOOD_WAIT_30")}
        assert await its.changed() == []
        its.line.pauses = {"phone.requestCall": (86400.0, "PEER_FLOOD")}
        [grown] = await its.changed()
        assert isinstance(grown, TelegramPause)
        assert (grown.seconds, grown.reason) == (86400, "PEER_FLOOD")
        its.line.pauses = {}
        [over] = await its.changed()
        assert isinstance(over, TelegramPause)
        assert over.seconds == 0


async def test_what_changes_together_is_looked_at_once() -> None:
    """A thousand lines that connect at one time would else be looked at a million times."""
    async with reporting() as its:
        before = its.looks
        for _ in range(100):
            its.bus.publish(ACCOUNT, LINE)
        await its.changed()
        assert its.looks - before <= 2


async def test_a_line_that_goes_is_told_with_its_pauses() -> None:
    async with reporting() as its:
        its.line.pauses = {"phone.requestCall": (60.0, "FLOOD_WAIT_30")}
        await its.changed()
        its.lines.clear()
        assert [type(each) for each in await its.changed()] == [TelegramLineRemoved, TelegramPause]


@asynccontextmanager
async def reports(
    folder: Path, its: Lines, registry: CallRegistry, crashed: Sequence[CallRow] = ()
) -> AsyncIterator[tuple[Spool, Any]]:
    """All that AMI is told; what waits for it, and the connection over which others ask."""
    async with open_store(folder / "astergram.db") as store, guarded_tasks() as tasks:
        spool = Spool(store, 1000)
        link: Any = SimpleNamespace(on_event=None, last_error=None)
        services: Any = None
        ami = AmiReports(AmiOptions(1000, False, {}), spool, link, cast(AmiDelivery, None))
        reporting = Reporting([ami.put], its.lines, cast(Any, its), registry, EventBus())
        ami.begin(reporting, its.lines, registry, services, tasks)
        reporting.begin(tasks, crashed)
        yield spool, link


async def test_what_a_killed_program_left_open_is_over_before_it_has_started(tmp_path: Path) -> None:
    left = CallRow(
        *("1", NOW, None, "in", LINE, "20", "101", 20, "Anna", "", "anna", "ERROR", 38),
        *('{"type": "Crashed"}', False, False, None, 0.0),
    )
    async with reports(tmp_path, Lines(), CallRegistry(), [left]) as (spool, _):
        await eventually(lambda: len(spool) == 3)
        ended, started, _ = spool._waiting
    assert (ended.name, started.name) == ("TelegramCallEnded", "TelegramStarted")
    assert (ended.headers["CallID"], ended.headers["EndedBy"], ended.headers["Status"]) == ("1", "Astergram", "ERROR")
    assert (ended.headers["Name"], ended.headers["TelegramID"]) == ("Anna", "20")
    assert ended.headers["Reason"] == str(Crashed())


async def test_texts_are_told_only_where_that_is_set(tmp_path: Path) -> None:
    registry, anna = CallRegistry(), Person(20, "", "", "Anna")
    async with reports(tmp_path, Lines(), registry) as (spool, _):
        registry.listeners.message_received(LINE, anna, "Call me")
        await eventually(lambda: len(spool) == 3)
        told = next(each for each in spool._waiting if each.name == "TelegramMessage")
    assert told.headers["Text"] == ""


async def test_a_reader_that_fails_is_kept_from_the_others() -> None:
    its = Lines()

    def fails(event: ReportedEvent) -> None:
        raise RuntimeError("on fire")

    before = FAILURES.count
    registry = CallRegistry()
    async with guarded_tasks() as tasks:
        Reporting([fails, its.told.append], {}, cast(Any, its), registry, its.bus).begin(tasks)
    assert [type(each) for each in its.told] == [TelegramStarted]
    assert FAILURES.count == before + 1


async def test_who_asks_gets_all_of_it(tmp_path: Path) -> None:
    registry = CallRegistry()
    async with reports(tmp_path, Lines(), registry) as (spool, link):
        await eventually(lambda: len(spool) == 2)  # started, and the line's lights
        async with registry.admit(Direction.IN, LINE, "anna", 1) as call:
            link.on_event({"UserEvent": "TelegramStatus", "ActionID": "1"})
            call.end(outcome.not_answered(1.0))
            link.on_event({"UserEvent": "TelegramStatus", "ActionID": "2"})
        waiting = list(spool._waiting)[2:]
        answer = ["TelegramLineStatus", "TelegramCallStatus", "TelegramStatusComplete"]
        assert [event.name for event in waiting[:6]] == answer * 2
        # Whoever asks is told of each call whose end is still to come.
        assert [waiting[at].headers["State"] for at in (1, 4)] == ["begun", "ending"]
        assert [waiting[at].headers["Calls"] for at in (0, 2, 3, 5)] == ["1", "1", "0", "1"]
