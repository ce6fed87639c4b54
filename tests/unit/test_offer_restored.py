"""A program is killed between the journal's record of a call's beginning and AMI's hearing of it: it is told once."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ari_app.bus import EventBus
from ari_app.calls import outcome
from ari_app.calls.events import CallEvent, CallOffered, ClickToCall, Dialled
from ari_app.calls.journal import open_journal
from ari_app.calls.journalled import CallJournal
from ari_app.calls.left_calls import read_left
from ari_app.calls.outcome import Direction
from ari_app.calls.registry import CallRegistry
from ari_app.pbx.ami import AmiOptions, open_ami_reports
from ari_app.pbx.ami_spool import Spool
from ari_app.pbx.reporting import Reporting
from ari_app.store.ami_spool import SpooledEvent
from ari_app.store.store import open_store
from ari_app.tasks import guarded_tasks
from tests.unit.call_rig import LINE

WAIT_S = 10.0
OPTIONS = AmiOptions(1000, False, {})
BEGINNINGS = [
    (Direction.IN, CallOffered("+79990000002")),
    (Direction.OUT, Dialled("101", "@anna")),
    (Direction.BACK, ClickToCall("@anna")),
]


@asynccontextmanager
async def run(folder: Path) -> AsyncIterator[tuple[CallRegistry, Spool]]:
    """A run of the program, whose AMI is away."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(folder / "astergram.db"))
        journal = stack.enter_context(open_journal(folder / "calls.journal"))
        left = read_left(journal)

        def away() -> Any:
            raise OSError("AMI is away")

        reports = await stack.enter_async_context(open_ami_reports(store, away, OPTIONS, left=left.all()))
        registry = CallRegistry(journal=CallJournal(journal))
        tasks = await stack.enter_async_context(guarded_tasks())
        nobody: Any = SimpleNamespace(status=lambda line: None)
        reporting = Reporting([reports.put], {}, nobody, registry, EventBus())
        reports.begin(reporting, {}, registry, nobody, tasks)
        reporting.begin(tasks)
        yield registry, reports.spool


def told(spool: Spool) -> list[SpooledEvent]:
    sending = [spool._sending] if spool._sending else []
    return [each for each in [*sending, *spool._waiting] if "CallID" in each.headers]


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(("direction", "event"), BEGINNINGS, ids=lambda each: type(each).__name__)
async def test_a_call_whose_beginning_amis_queue_has_or_has_not(
    tmp_path: Path, direction: Direction, event: CallEvent, kept: bool
) -> None:
    first, killed = tmp_path / "first", tmp_path / "killed"
    for folder in (first, killed):
        folder.mkdir()
    async with run(first):
        pass  # the database is there
    shutil.copy(first / "astergram.db", killed / "astergram.db")
    async with run(first) as (registry, spool), registry.admit(direction, LINE, "@anna", 1) as call:
        call.add_event(event)
        shutil.copy(first / "calls.journal", killed / "calls.journal")
        (offer,) = told(spool)
        if kept:
            await spool._repository.store.queue.flush(WAIT_S)
            for path in first.glob("astergram.db*"):
                shutil.copy(path, killed / path.name)
        call.end(outcome.by_administrator(direction, talking=False))
    async with run(killed) as (_, spool):
        assert [(each.id, each.name) for each in told(spool)] == [(offer.id, offer.name)]
        assert told(spool)[0].headers["Destination"] == offer.headers["Destination"]


async def test_a_call_whose_beginning_was_not_even_put(tmp_path: Path) -> None:
    with open_journal(tmp_path / "calls.journal") as journal:
        registry = CallRegistry(journal=CallJournal(journal))
        async with registry.admit(Direction.IN, LINE, "5000000002", 1) as call:
            call.add_event(CallOffered("+79990000002"))
            left = (tmp_path / "calls.journal").read_bytes()
            call.end(outcome.by_administrator(Direction.IN, talking=False))
    (tmp_path / "calls.journal").write_bytes(left)
    async with run(tmp_path) as (_, spool):
        assert [each.name for each in told(spool)] == ["TelegramCallOffered"]
