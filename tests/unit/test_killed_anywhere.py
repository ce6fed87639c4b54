"""A run of the program is killed at any moment of a call, and the next one finds what it has left.

A moment is whenever the world has changed, or is about to: Asterisk is asked, or has answered and nobody has read it;
Telegram is asked; the journal is written. In between, whatever the program does is seen by nobody. So these are all.
"""

import asyncio
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from telethon.tl import types

from ari_app.asterisk import bridging
from ari_app.calls import outcome
from ari_app.calls.dispatcher import CallDispatcher
from ari_app.calls.events import CallEnded, Resumed
from ari_app.calls.journal import Journal, open_journal
from ari_app.calls.journalled import CallJournal
from ari_app.calls.listeners import Listeners
from ari_app.calls.outcome import Direction, Status
from ari_app.calls.progress import CallState
from ari_app.calls.reasons import Crashed
from ari_app.calls.registry import CallRegistry
from ari_app.cluster.claims import OnlyMachine
from ari_app.pbx.call_reporter import CallReporter
from ari_app.pbx.events import ReportedEvent, TelegramCallEnded, TelegramCallOffered
from ari_app.tasks import guarded_tasks
from ari_app.telegram.lists import Lists
from tests.unit.call_rig import PASSES_S, CallRig, call_rig, flow
from tests.unit.fake_ari import eventually
from tests.unit.test_dispatcher import FakeCards
from tests.unit.test_left_calls import CHANNEL, HANDLERS, NextRun, Picture, Rows, begun, next_run, was_told

MOMENTS_LEAST = 20
CONTINUE = f"POST /channels/{CHANNEL}/continue"


@dataclass
class Moment:
    """The world when the first run is killed; ``name`` says when that is, ``continued`` whether the dialplan does."""

    name: str
    picture: Picture
    continued: int


class Asked(asyncio.Event):
    """Is set for each request."""

    def __init__(self, tell: Callable[[], None]) -> None:
        super().__init__()
        self._tell = tell

    def set(self) -> None:
        super().set()
        self._tell()


@dataclass
class Watch:
    """Takes a picture of each moment."""

    rig: CallRig
    path: Path
    direction: Direction
    told: list[ReportedEvent] = field(default_factory=list)
    rows: Rows = field(default_factory=Rows)
    moments: list[Moment] = field(default_factory=list)

    def begin(self, journal: Journal) -> None:
        """From now on."""
        ari, telegram = cast(Any, self.rig.ari), self.rig.telegram
        answer, write, forget = ari._answer, journal.write, journal.forget

        async def asked(request: str) -> None:
            self.take(f"{request}, not yet done")

        def answered(method: str, path: str, query: Any) -> Any:
            response = answer(method, path, query)
            self.take(f"{method} {path}, done")
            return response

        def written(call_id: str, record: bytes) -> None:
            write(call_id, record)
            self.take("journal written")

        def forgotten(call_id: str) -> None:
            forget(call_id)
            self.take("journal emptied")

        ari.before, ari._answer = asked, answered
        telegram.asked = Asked(lambda: self.take(f"Telegram asked, {sum(map(len, telegram.requests.values()))}"))
        cast(Any, journal).write, cast(Any, journal).forget = written, forgotten

    def take(self, name: str) -> None:
        """Now."""
        ari, asked = self.rig.ari, self.rig.telegram.requests
        picture = Picture(
            self.path.read_bytes(),
            copy.deepcopy(ari.channels),
            copy.deepcopy(ari.bridges),
            set(ari.subscribed),
            list(self.told),
            dict(self.rows.states),
            len(asked["phone.discardCall"]),
            self.direction is Direction.IN or bool(asked["phone.requestCall"]),
        )
        self.moments.append(Moment(name, picture, ari.asked(CONTINUE)))


async def moments_of(path: Path, direction: Direction) -> list[Moment]:
    """Of a call in which both sides talk, and which the administrator then ends."""
    async with call_rig() as rig, guarded_tasks() as tasks:
        with open_journal(path) as journal:
            watch = Watch(rig, path, direction)
            listeners = Listeners()
            listeners.add(CallReporter(watch.told.append))
            registry = CallRegistry(recorder=watch.rows, listeners=listeners, journal=CallJournal(journal))
            rig.line.lists = Lists()
            keypads, cards = cast(Any, rig.keypads), cast(Any, FakeCards())
            it = CallDispatcher(
                {rig.line.number: rig.line}, registry, rig.resources, keypads, cards, tasks, OnlyMachine()
            )
            watch.begin(journal)
            async with asyncio.timeout(PASSES_S):
                call = await begun(rig, it, direction)
                await call.connected()
                call.end(outcome.by_administrator(direction, talking=True))
                await registry.idle()
    return watch.moments


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridging, "CONFIRM_S", 0.02)


@pytest.mark.parametrize("direction", HANDLERS, ids=lambda each: each.value)
async def test_a_kill_at_any_moment(tmp_path: Path, direction: Direction) -> None:
    moments = await moments_of(tmp_path / "1", direction)
    assert len(moments) >= MOMENTS_LEAST
    await each_is_found(tmp_path, moments, direction)


@pytest.mark.parametrize("talks", [True, False])
@pytest.mark.parametrize("direction", HANDLERS, ids=lambda each: each.value)
async def test_a_kill_at_any_moment_of_the_next_run(tmp_path: Path, direction: Direction, talks: bool) -> None:
    """Which takes up a call in which both talk until it is over, or ends one that rings."""
    first = [each for each in await moments_of(tmp_path / "1", direction) if is_live(each, tmp_path / "live") is talks]
    async with next_run(tmp_path / "2", first[-1].picture) as run:
        watch = Watch(run.rig, tmp_path / "2", direction, run.told, run.rows)
        watch.begin(run.journal)  # nothing has been done yet
        await check(run, first[-1], direction)
    await each_is_found(tmp_path, watch.moments, direction)


def is_live(moment: Moment, path: Path) -> bool | None:
    """Whether both talk by then; None where Telegram has no call yet, or it is over."""
    path.write_bytes(moment.picture.journal)
    with open_journal(path) as journal:
        for left in journal.left:
            record = json.loads(left.record or b"{}")
            if record and record["parts"]["telegram"] and not record["ending"]:
                return record["progress"]["talking_at"] is not None
    return None


async def each_is_found(folder: Path, moments: list[Moment], direction: Direction) -> None:
    """Whatever is left at each of these moments is found by the next run."""
    for number, moment in enumerate(moments):
        try:
            async with next_run(folder / f"next {number}", moment.picture) as run:
                await check(run, moment, direction)
        except BaseException as error:
            error.add_note(f"killed at moment {number} of {len(moments)}: {moment.name}")
            raise


async def check(run: NextRun, moment: Moment, direction: Direction) -> None:
    """A call that talks goes on, any other is ended on both sides, once; what is not in the journal has not begun."""
    records = [json.loads(left.record) for left in run.journal.left if left.record]
    if direction is Direction.OUT and not moment.continued:
        await eventually(lambda: run.rig.ari.asked(CONTINUE) == 1 or bool(run.registry.calls))
    if not records:
        began = moment.picture.told and moment.picture.rows
        assert not began or set(moment.picture.rows.values()) == {CallState.ENDED}
        return
    (record,) = records
    call_id, ending = record["id"], record["ending"]
    if ending and moment.picture.rows.get(call_id) is CallState.ENDED:
        await eventually(lambda: not run.left.ids)
        assert (list(run.registry.ended), run.discards) == ([], []), "all of it was done"
        return
    if record["progress"]["talking_at"] is not None and not ending:
        await eventually(lambda: bool(run.registry.calls))
        call = run.registry.calls[call_id]
        await eventually(lambda: Resumed in flow(call))
        call.end(outcome.by_administrator(direction, talking=True))
    call = await run.over()
    assert call.ending
    assert [type(each.event) for each in call.events].count(CallEnded) == 1
    if call.talking:
        assert call.ending == outcome.by_administrator(direction, talking=True)
    else:
        assert (call.ending.status, call.ending.cause, call.ending.reason) == (Status.ERROR, 41, Crashed())
    assert run.rows.states == {call_id: CallState.ENDED}, "one row"
    assert was_told(run.told, TelegramCallOffered) <= 1, "none, if it was to be told"
    assert was_told(run.told, TelegramCallEnded) >= 1
    if record["parts"]["telegram"]:
        told = types.PhoneCallDiscardReasonHangup if call.talking else types.PhoneCallDiscardReasonDisconnect
        assert run.discards == [told] or (not run.discards and moment.picture.discards)
    if direction is Direction.OUT and not moment.continued:
        await eventually(lambda: run.rig.ari.asked(CONTINUE) == 1)
        its = run.rig.ari.variables[CHANNEL]
        assert its["TELEGRAM_CAUSE"] == str(int(call.ending.cause))
        assert its["TELEGRAM_STATUS"] == call.ending.status.value
