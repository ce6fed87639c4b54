"""A run of the program is killed, at whatever happens to a call, and the next one finds what it has left.

The world, Asterisk and Telegram, is as it was at the kill; what the first run still does then is seen by nobody.
"""

import asyncio
import copy
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from telethon.tl import types

from ari_app.asterisk import bridging
from ari_app.asterisk.bridging import reconciling
from ari_app.asterisk.events import STASIS_START, StasisStart
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.backoff import Backoff
from ari_app.calls import adoption, outcome
from ari_app.calls.call import Call
from ari_app.calls.dispatcher import CallDispatcher
from ari_app.calls.events import (
    AsteriskAwayWithAudio,
    CallEnded,
    CallEvent,
    CallOffered,
    CallRequested,
    ClickToCall,
    Connected,
    Dialled,
    PbxAnswered,
    Resumed,
    TelegramRinging,
    Transferred,
)
from ari_app.calls.journal import Journal, open_journal
from ari_app.calls.journalled import FORMAT, CallJournal
from ari_app.calls.left_calls import LeftCallHandler, LeftCalls, read_left
from ari_app.calls.listeners import Listeners
from ari_app.calls.outbound import return_lost
from ari_app.calls.outcome import Direction, Status
from ari_app.calls.progress import CallState
from ari_app.calls.reasons import AsteriskAway, Crashed, EndedByPbxMeanwhile, EndedOnTelegram, NotResumed
from ari_app.calls.registry import CallRegistry
from ari_app.calls.resources import CallResources
from ari_app.cluster.claims import OnlyMachine
from ari_app.pbx.call_reporter import BEGINNINGS, CallReporter
from ari_app.pbx.events import ReportedEvent, TelegramCallEnded, TelegramCallOffered
from ari_app.tasks import guarded_tasks
from ari_app.telegram import phone, phone_call
from ari_app.telegram.lists import Lists
from ari_app.telegram.profile import Target
from tests.unit.call_rig import PASSES_S, CallRig, call_rig, flow
from tests.unit.fake_ari import APP, PHONE, eventually, transferred, within
from tests.unit.fake_telegram import (
    ANNA,
    DONE,
    FROM_ANNA,
    accepted,
    confirmed,
    listed,
    requested,
    said_in_chat,
    trouble,
    waiting,
)
from tests.unit.test_dispatcher import FakeCards
from tests.unit.test_events import example, subclasses

CHANNEL = str(PHONE["id"])
HANDLERS = [Direction.IN, Direction.OUT, Direction.BACK]
FIRST = {Direction.IN: CallOffered, Direction.OUT: Dialled, Direction.BACK: ClickToCall}
EVENTS = [
    (kind, direction)
    for kind in subclasses(CallEvent)
    for direction in HANDLERS
    if kind is FIRST[direction] or kind not in BEGINNINGS
]
"""A new event is among them by itself; that a call begins happens to it once."""


@pytest.fixture
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone, "RETRY_S", 0.01)
    monkeypatch.setattr(phone_call, "DISCARD_AGAIN", Backoff(0.05, 0.1))


class Rows:
    """The history: the newest of each call."""

    def __init__(self) -> None:
        self.states: dict[str, CallState] = {}
        self.calls: dict[str, Call] = {}

    def save(self, call: Call, done: Callable[[], None] = lambda: None) -> None:
        self.states[call.id], self.calls[call.id] = call.state, call
        done()

    async def is_closed(self, call_id: str) -> bool:
        return self.states.get(call_id) is CallState.ENDED


@dataclass
class Picture:
    """The world at the kill."""

    journal: bytes
    channels: dict[str, Any]
    bridges: dict[str, Any]
    subscribed: set[str]
    told: list[ReportedEvent]
    rows: dict[str, CallState]
    discards: int
    known_to_telegram: bool


@dataclass
class FirstRun:
    """Kills itself at an event of a kind; where no call has one until both sides talk, it is told that it has."""

    rig: CallRig
    path: Path
    kind: type[CallEvent]
    told: list[ReportedEvent]
    rows: Rows = field(default_factory=Rows)
    picture: Picture | None = None

    def happened(self, call: Call, event: CallEvent) -> None:
        if type(event) is self.kind and self.picture is None:
            its = self.rig.telegram.requests
            self.picture = Picture(
                self.path.read_bytes(),
                copy.deepcopy(self.rig.ari.channels),
                copy.deepcopy(self.rig.ari.bridges),
                set(self.rig.ari.subscribed),
                list(self.told),
                dict(self.rows.states),
                len(its["phone.discardCall"]),
                call.direction is Direction.IN or bool(its["phone.requestCall"]),
            )

    def ended(self, call: Call) -> None: ...

    def card_sent(self, *_: Any) -> None: ...

    def message_received(self, *_: Any) -> None: ...

    def drained(self, *_: Any) -> None: ...


async def first_run(path: Path, direction: Direction, kind: type[CallEvent], machine: str = "") -> Picture:
    """Handle a call until it has had this event; the world then. ``machine``: whose Asterisk it is."""
    told: list[ReportedEvent] = []
    async with call_rig() as rig, guarded_tasks() as tasks:
        rig.client.machine = machine
        with open_journal(path) as journal:
            run = FirstRun(rig, path, kind, told)
            listeners = Listeners()
            listeners.add(CallReporter(told.append))
            listeners.add(run)
            registry = CallRegistry(recorder=run.rows, listeners=listeners, journal=CallJournal(journal))
            rig.line.lists, keypads = Lists(), cast(Any, rig.keypads)
            cards = cast(Any, FakeCards())
            it = CallDispatcher(
                {rig.line.number: rig.line}, registry, rig.resources, keypads, cards, tasks, OnlyMachine()
            )
            async with asyncio.timeout(PASSES_S):
                call = await begun(rig, it, direction)
                await call.connected()
                if run.picture is None and kind is not CallEnded:
                    call.add_event(cast(CallEvent, example(kind)))
                if run.picture is None:
                    call.end(outcome.by_administrator(direction, talking=True))
                assert run.picture
                call.end(outcome.shut_down(talking=True))
                await registry.idle()
    return run.picture


async def begun(rig: CallRig, it: CallDispatcher, direction: Direction) -> Call:
    """A call in which each side does what makes both talk."""
    if direction is Direction.IN:
        await rig.telegram.tells(requested())
        it.on_offer(rig.line, rig.offers[-1])
        await rig.dialplan("Up")
        await rig.telegram.asked_for("phone.acceptCall")
        await rig.telegram.tells(confirmed(**FROM_ANNA))
    elif direction is Direction.OUT:
        async with rig.client.subscribe() as its:
            rig.ari.channels[CHANNEL] = dict(PHONE)
            rig.ari.subscribed.add(CHANNEL)
            await rig.ari.event(STASIS_START, channel=PHONE, args=["@anna"])
            start = await its.next(STASIS_START)
        assert isinstance(start, StasisStart)
        it.on_channel(start)
    else:
        await it.click_to_call(rig.line, "@anna", Target("101", "phones"))
        await rig.dialplan("Up")
    if direction is not Direction.IN:
        await rig.telegram.asked_for("phone.requestCall")
        await rig.telegram.tells(waiting(received=1))
        await rig.telegram.tells(accepted())
    (call,) = it._registry.calls.values()
    return call


@dataclass
class NextRun:
    """The one that finds it."""

    rig: CallRig
    registry: CallRegistry
    told: list[ReportedEvent]
    rows: Rows
    journal: Journal
    left: LeftCalls
    cards: FakeCards

    async def over(self) -> Call:
        """Wait until the call that was left is over."""
        async with asyncio.timeout(PASSES_S):
            await self.registry.idle()
        await eventually(lambda: bool(self.registry.ended))
        (call,) = self.registry.ended
        return call

    @property
    def discards(self) -> list[Any]:
        """The reasons that Telegram was told."""
        return [type(each.reason) for each in self.rig.telegram.requests["phone.discardCall"]]


@asynccontextmanager
async def next_run(
    path: Path,
    picture: Picture,
    change: Callable[[CallRig], Awaitable[None] | None] = lambda rig: None,
    written_s_ago: float = 0.0,
    reached: bool = True,
) -> AsyncIterator[NextRun]:
    """Started in the world of the picture, which may have changed meanwhile; nothing is left of it at the end.

    ``reached``: whether it is known how another machine's Asterisk is reached; it is the same one.
    """

    async def elsewhere(machine: str, within_s: float) -> CallResources | None:
        return rig.resources if reached else None

    path.write_bytes(picture.journal)  # noqa: ASYNC240
    at = time.time() - written_s_ago
    os.utime(path, (at, at))
    async with call_rig() as rig, guarded_tasks() as reconciler, guarded_tasks() as tasks:
        rig.ari.channels.update(copy.deepcopy(picture.channels))
        rig.ari.bridges.update(copy.deepcopy(picture.bridges))
        rig.ari.subscribed |= picture.subscribed
        if changing := change(rig):
            await changing
        with open_journal(path) as journal:
            left, rows, told, cards = read_left(journal), Rows(), list(picture.told), FakeCards()
            rows.states.update(picture.rows)
            listeners = Listeners()
            listeners.add(CallReporter(told.append))
            registry = CallRegistry(recorder=rows, listeners=listeners, journal=CallJournal(journal))
            LeftCallHandler(
                left,
                journal,
                {rig.line.number: rig.line},
                registry,
                rig.resources,
                cast(Any, rig.keypads),
                cast(Any, cards),
                rows,
                tasks,
                reconciled := asyncio.Event(),
                OnlyMachine(),
                elsewhere,
            ).begin()
            looking = partial(reconciling, rig.client, left.kept, return_lost, reconciled.set)
            reconciler.supervise(looking, "what is left behind")
            yield NextRun(rig, registry, told, rows, journal, left, cards)
            await eventually(lambda: not left.ids)
            ours = {each for each in rig.ari.channels if each != CHANNEL}
            await eventually(lambda: not (rig.ari.bridges or ours & rig.ari.channels.keys()))
            assert (rig.pool.open, rig.keypads.hidden) == (0, rig.keypads.shown)
    with open_journal(path) as journal:
        assert journal.left == []


def hesitating(asked: asyncio.Event) -> Callable[[CallRig], None]:
    """Asterisk answers nothing before that is set."""

    async def before(request: str) -> None:
        await asked.wait()

    def hesitates(rig: CallRig) -> None:
        rig.ari.before = before

    return hesitates


def was_told(told: list[ReportedEvent], kind: type[ReportedEvent]) -> int:
    """How often AMI was told this."""
    return sum(isinstance(each, kind) for each in told)


@pytest.mark.parametrize(("kind", "direction"), EVENTS, ids=lambda each: getattr(each, "__name__", each))
async def test_a_kill_at_whatever_happens(tmp_path: Path, kind: type[CallEvent], direction: Direction) -> None:
    picture = await first_run(tmp_path / "1", direction, kind)
    async with next_run(tmp_path / "2", picture) as run:
        (call_id,) = picture.rows
        (record,) = [json.loads(each.record or b"") for each in run.journal.left]
        talks = record["progress"]["talking_at"] is not None and kind is not CallEnded
        if talks:
            await eventually(lambda: bool(run.registry.calls))
            call = run.registry.calls[call_id]
            await eventually(lambda: flow(call).count(Resumed) == 1 + (kind is Resumed))
            assert call.state is CallState.TALKING
            call.end(outcome.by_administrator(direction, talking=True))
        call = await run.over()
        assert call.ending
        ended = [each.event for each in call.events if isinstance(each.event, CallEnded)]
        assert ended == [CallEnded.of(call.ending)]
        if talks or kind is CallEnded:
            assert call.ending == outcome.by_administrator(direction, talking=True)
        else:
            assert (call.ending.status, call.ending.cause, call.ending.reason) == (Status.ERROR, 41, Crashed())
        if picture.known_to_telegram:
            told = types.PhoneCallDiscardReasonHangup if call.talking else types.PhoneCallDiscardReasonDisconnect
            await eventually(lambda: len(run.discards) + picture.discards >= 1)
            assert run.discards == [told]
        if direction is Direction.OUT:
            assert run.rig.ari.asked(f"POST /channels/{CHANNEL}/continue") == 1
            assert run.rig.ari.variables[CHANNEL]["TELEGRAM_CAUSE"] == str(int(call.ending.cause))
        assert run.rows.states == {call_id: CallState.ENDED}, "one row"
        assert (was_told(run.told, TelegramCallOffered), was_told(run.told, TelegramCallEnded)) == (1, 1)


@pytest.mark.parametrize("direction", HANDLERS, ids=lambda each: each.value)
async def test_a_start_waits_for_calls_that_talk_until_they_go_on(tmp_path: Path, direction: Direction) -> None:
    hesitates = hesitating(asked := asyncio.Event())
    async with next_run(tmp_path / "2", await talking(tmp_path, direction), hesitates) as run:
        waiting = asyncio.create_task(run.left.go_on())
        await eventually(lambda: bool(run.registry.calls))
        assert not waiting.done()
        asked.set()
        await waiting
        (call,) = run.registry.calls.values()
        assert Resumed in flow(call)
        call.end(outcome.by_administrator(direction, talking=True))
        await run.over()


async def test_a_start_waits_for_calls_that_talked_until_they_are_over(tmp_path: Path) -> None:
    async with next_run(tmp_path / "2", await talking(tmp_path), no_process) as run:
        await run.left.go_on()
        assert not run.registry.calls


async def test_a_start_does_not_wait_for_calls_that_rang(tmp_path: Path) -> None:
    async with next_run(tmp_path / "2", await first_run(tmp_path / "1", Direction.IN, CallOffered)) as run:
        await run.left.go_on()
        assert run.left.ids


async def talking(tmp_path: Path, direction: Direction = Direction.IN) -> Picture:
    return await first_run(tmp_path / "1", direction, Connected)


def rewritten(picture: Picture, path: Path, change: Callable[[dict[str, Any]], None]) -> Picture:
    """The same with another record."""
    path.write_bytes(picture.journal)
    with open_journal(path) as journal:
        record = json.loads(journal.left[0].record or b"")
        journal.hold("a", journal.left[0])
        change(record)
        journal.write("a", json.dumps(record).encode())
    picture.journal = path.read_bytes()
    return picture


@pytest.mark.parametrize("direction", HANDLERS, ids=lambda each: each.value)
async def test_a_discard_in_the_gap_is_found_by_asking(tmp_path: Path, direction: Direction) -> None:
    picture = await talking(tmp_path, direction)

    def discards(rig: CallRig) -> None:
        said = said_in_chat(types.PhoneCallDiscardReasonHangup(), 7)
        rig.telegram.answers["messages.search"] = [listed(said)]

    async with next_run(tmp_path / "2", picture, discards) as run:
        call = await run.over()
        assert call.ending
        assert isinstance(call.ending.reason, EndedOnTelegram)
        assert (call.ending.status, call.ending.cause) == (Status.ANSWER, 16)
        assert run.discards == []


@pytest.mark.parametrize("direction", HANDLERS, ids=lambda each: each.value)
async def test_a_hang_up_of_the_pbx_in_the_gap_is_found_by_asking(tmp_path: Path, direction: Direction) -> None:
    picture = await talking(tmp_path, direction)
    (leg,) = set(next(iter(picture.bridges.values()))["channels"]) - set(media_channels(picture))

    def hangs_up(rig: CallRig) -> None:
        del rig.ari.channels[leg]

    async with next_run(tmp_path / "2", picture, hangs_up) as run:
        call = await run.over()
        assert call.ending
        assert call.ending.reason == EndedByPbxMeanwhile()
        assert run.discards == [types.PhoneCallDiscardReasonHangup]


async def test_a_transfer_in_the_gap_is_gone_on_with(tmp_path: Path) -> None:
    picture = await talking(tmp_path, Direction.OUT)

    def transfers(rig: CallRig) -> None:
        del rig.ari.channels[CHANNEL]
        rig.ari.channels["new"] = {**PHONE, "id": "new", "name": "Local/102@phones-1;1", "state": "Up"}
        rig.ari.subscribed.add("new")
        (bridge,) = rig.ari.bridges.values()
        bridge["channels"] = ["new", *(each for each in bridge["channels"] if each != CHANNEL)]

    async with next_run(tmp_path / "2", picture, transfers) as run:
        await eventually(lambda: bool(run.registry.calls))
        (call,) = run.registry.calls.values()
        await eventually(lambda: Transferred in flow(call))
        assert call.channel
        assert call.channel.uniqueid == "new"
        call.end(outcome.by_administrator(Direction.OUT, talking=True))
        await run.over()
        back = run.rig.ari.queries["POST /channels/new/continue"]
        its = cast(dict[str, Any], PHONE["dialplan"])
        assert back == {"context": its["context"], "extension": its["exten"], "priority": str(its["priority"] + 1)}
        run.rig.ari.channels.clear()


async def test_a_transfer_afterwards_is_followed(tmp_path: Path) -> None:
    picture = await talking(tmp_path, Direction.OUT)
    async with next_run(tmp_path / "2", picture) as run:
        await eventually(lambda: bool(run.registry.calls))
        (call,) = run.registry.calls.values()
        await eventually(lambda: Resumed in flow(call))
        await transferred(run.rig.ari, CHANNEL, "new")
        await eventually(lambda: Transferred in flow(call))
        assert call.parts.leg
        assert (call.parts.leg.channel_id, call.parts.leg.transferred_away) == ("new", True)
        await run.rig.hangs_up("new", 17)
        assert (await run.over()).ending == outcome.asterisk_ended(17, Direction.OUT, talking=True)
        run.rig.ari.channels.clear()


async def test_a_call_at_another_machines_asterisk_goes_on(tmp_path: Path) -> None:
    picture = await first_run(tmp_path / "1", Direction.OUT, Connected, machine="b")

    def reaches(rig: CallRig) -> None:
        rig.client.machine = "b"

    async with next_run(tmp_path / "2", picture, reaches) as run:
        await run.left.go_on()
        (call,) = run.registry.calls.values()
        assert Resumed in flow(call)
        assert call.parts.leg
        assert call.parts.leg.machine == "b"
        await run.rig.hangs_up(CHANNEL)
        assert (await run.over()).ending == outcome.asterisk_ended(16, Direction.OUT, talking=True)


async def test_a_call_at_an_asterisk_that_is_not_reached_any_more_is_ended(tmp_path: Path) -> None:
    picture = await first_run(tmp_path / "1", Direction.OUT, Connected, machine="b")
    async with next_run(tmp_path / "2", picture, reached=False) as run:
        call = await run.over()
        assert call.ending
        assert isinstance(call.ending.reason, NotResumed)
        assert "machine b does not say how its Asterisk is reached" in call.ending.detail
        assert run.discards == [types.PhoneCallDiscardReasonDisconnect]


async def test_a_call_back_that_talks_has_reached_whose_card_it_is(tmp_path: Path) -> None:
    def of_a_card(record: dict[str, Any]) -> None:
        record["parts"]["card_id"] = "card"

    for kind, reached in ((Connected, ["card"]), (PbxAnswered, [])):
        picture = rewritten(await first_run(tmp_path / "1", Direction.BACK, kind), tmp_path / "2", of_a_card)
        async with next_run(tmp_path / "2", picture) as run:
            assert run.cards.reached_cards == reached
            if reached:
                await eventually(lambda: any(Resumed in flow(each) for each in run.registry.calls.values()))
                run.registry.hang_up(next(iter(run.registry.calls)))
            await run.over()
        (tmp_path / "1").unlink()


async def test_a_call_that_telegram_had_not_answered_for_yet_is_discarded_when_it_shows(tmp_path: Path) -> None:
    def unanswered(record: dict[str, Any]) -> None:
        assert record["parts"]["asked_for"] == ANNA
        record["parts"]["telegram"] = None

    picture = await first_run(tmp_path / "1", Direction.OUT, CallRequested)
    async with next_run(tmp_path / "2", rewritten(picture, tmp_path / "2", unanswered)) as run:
        await run.over()
        assert run.discards == []
        await run.rig.telegram.tells(waiting(received=1))
        await eventually(lambda: run.discards == [types.PhoneCallDiscardReasonMissed])


def media_channels(picture: Picture) -> list[str]:
    return [each for each, channel in picture.channels.items() if "channelvars" in channel]


def no_bridge(rig: CallRig) -> None:
    rig.ari.bridges.clear()


def no_media_channel(rig: CallRig) -> None:
    for each in rig.media_channels:
        del rig.ari.channels[each]


def empty_bridge(rig: CallRig) -> None:
    for bridge in rig.ari.bridges.values():
        bridge["channels"] = []


def another_transport(rig: CallRig) -> None:
    rig.pool.transport = "websocket"


def no_process(rig: CallRig) -> None:
    rig.pool.gone = True


def no_line(rig: CallRig) -> None:
    rig.line.number = "+70000000000"


@pytest.mark.parametrize("change", [no_bridge, no_media_channel, empty_bridge, another_transport, no_process, no_line])
@pytest.mark.parametrize("direction", HANDLERS, ids=lambda each: each.value)
async def test_what_cannot_be_verified_is_ended_on_both_sides(
    tmp_path: Path, direction: Direction, change: Callable[[CallRig], None]
) -> None:
    picture = await talking(tmp_path, direction)
    async with next_run(tmp_path / "2", picture, change) as run:
        call = await run.over()
        assert call.ending
        assert (call.ending.status, call.ending.cause) == (Status.ANSWER, 41)
        assert isinstance(call.ending.reason, NotResumed)
        assert call.ending.reason.why
        assert run.discards == ([] if change is no_line else [types.PhoneCallDiscardReasonDisconnect])
        if direction is Direction.OUT:
            assert run.rig.ari.asked(f"POST /channels/{CHANNEL}/continue") == 1


AWAY_S = 0.05


async def asterisk_leaves(rig: CallRig) -> None:
    """ARI is away, and the audio of calls still comes."""
    rig.away_s = AWAY_S
    rig.ari.no_events = True
    await rig.ari.cut()
    await rig.client.wait_state(ConnectionState.WAITING)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "ASTERISK_S", 0.02)
    monkeypatch.setattr(adoption, "AGAIN", Backoff(0.01, 0.02))


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("direction", HANDLERS, ids=lambda each: each.value)
async def test_who_talks_waits_for_an_asterisk_of_which_only_ari_is_away(tmp_path: Path, direction: Direction) -> None:
    async with next_run(tmp_path / "2", await talking(tmp_path, direction), asterisk_leaves) as run:
        async with asyncio.timeout(PASSES_S):
            await run.left.go_on()  # the start does not wait for it
        (call,) = run.registry.calls.values()
        await eventually(lambda: AsteriskAwayWithAudio in flow(call))
        await asyncio.sleep(3 * AWAY_S)
        assert call.ending is None
        run.rig.ari.no_events = False
        await eventually(lambda: Resumed in flow(call))
        call.end(outcome.by_administrator(direction, talking=True))
        await run.over()
        if direction is Direction.OUT:
            assert run.rig.ari.asked(f"POST /channels/{CHANNEL}/continue") == 1


@pytest.mark.usefixtures("_impatient")
async def test_an_asterisk_that_is_away_with_its_audio_ends_who_talked(tmp_path: Path) -> None:
    async def leaves(rig: CallRig) -> None:
        await asterisk_leaves(rig)
        rig.media.quiet_ms = 1000

    async with next_run(tmp_path / "2", await talking(tmp_path), leaves) as run:
        call = await run.over()
        assert call.ending
        assert call.ending.reason == AsteriskAway(AWAY_S)
        assert run.discards == [types.PhoneCallDiscardReasonDisconnect]
        run.rig.ari.no_events = False


@pytest.mark.usefixtures("_impatient")
async def test_who_hangs_up_while_asterisk_is_away_ends_the_call_at_once(tmp_path: Path) -> None:
    async with next_run(tmp_path / "2", await talking(tmp_path), asterisk_leaves) as run:
        async with asyncio.timeout(PASSES_S):
            await run.left.go_on()
        said = said_in_chat(types.PhoneCallDiscardReasonHangup(), 7)
        run.rig.telegram.answers["messages.search"] = [listed(said)]
        run.rig.phone.resync()
        call = await run.over()
        assert call.ending
        assert isinstance(call.ending.reason, EndedOnTelegram)
        run.rig.ari.no_events = False


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("again", [1, adoption.TRIES + 2])
async def test_an_asterisk_that_does_not_do_what_it_is_asked_for_is_asked_again(tmp_path: Path, again: int) -> None:
    (bridge_id,) = (picture := await talking(tmp_path)).bridges

    def fails(rig: CallRig) -> None:
        asked = f"GET /bridges/{bridge_id}"
        rig.ari.refuse = lambda request: 503 if request == asked and rig.ari.asked(asked) <= again else None

    async with next_run(tmp_path / "2", picture, fails) as run:
        await eventually(lambda: bool(run.registry.calls))
        (call,) = run.registry.calls.values()
        if again == 1:
            await eventually(lambda: Resumed in flow(call))
            call.end(outcome.by_administrator(Direction.IN, talking=True))
            await run.over()
            return
        await run.over()
        assert call.ending
        assert isinstance(call.ending.reason, NotResumed)
        assert "503" in call.ending.reason.why


async def test_a_talk_lasts_from_its_beginning(tmp_path: Path) -> None:
    def earlier(record: dict[str, Any]) -> None:
        record["progress"]["talking_at"] -= 100
        record["progress"]["began_at"] -= 100

    picture = rewritten(await talking(tmp_path), tmp_path / "2", earlier)
    async with next_run(tmp_path / "2", picture) as run:
        await eventually(lambda: bool(run.registry.calls))
        (call,) = run.registry.calls.values()
        assert 100 <= call.duration_s < 100 + PASSES_S
        await eventually(lambda: Resumed in flow(call))
        call.end(outcome.by_administrator(Direction.IN, talking=True))
        assert (await run.over()).talked_s >= 100


async def test_a_record_of_another_format_ends_its_call_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def later(record: dict[str, Any]) -> None:
        record["format"] = FORMAT + 1
        record["progress"] = "in a manner that nobody knows yet"
        record["parts"]["process"] = {"pid": "?"}
        record["something"] = "new"

    picture = rewritten(await talking(tmp_path), tmp_path / "2", later)
    async with next_run(tmp_path / "2", picture) as run:
        call = await run.over()
        assert call.ending
        assert call.ending.cause == 41
        assert call.ending.reason == NotResumed(f"its record has format {FORMAT + 1}, and this version reads {FORMAT}")
        assert run.discards == [types.PhoneCallDiscardReasonDisconnect]
        assert call.person
        assert call.person.id == ANNA
    assert f"format {FORMAT + 1}" in caplog.text


async def test_what_a_later_version_knows_of_a_person_loses_no_call(tmp_path: Path) -> None:
    """An upgrade was taken back."""

    def later(record: dict[str, Any]) -> None:
        record["person"] = json.dumps({**json.loads(record["person"]), "something": "new"})

    picture = rewritten(await talking(tmp_path), tmp_path / "2", later)
    async with next_run(tmp_path / "2", picture) as run:
        await eventually(lambda: bool(run.registry.calls))
        (call,) = run.registry.calls.values()
        await eventually(lambda: Resumed in flow(call))
        assert call.person
        assert call.person.id == ANNA
        call.end(outcome.by_administrator(Direction.IN, talking=True))
        await run.over()


@pytest.mark.parametrize("direction", HANDLERS, ids=lambda each: each.value)
async def test_a_media_process_with_other_messages_ends_its_call_and_says_so(
    tmp_path: Path, direction: Direction
) -> None:
    def later(record: dict[str, Any]) -> None:
        record["parts"]["process"]["messages"] += 1

    def hangs_up(rig: CallRig) -> None:
        rig.pool.hang_up = rig.ari.channels.clear  # as it does when it is ended

    picture = rewritten(await talking(tmp_path, direction), tmp_path / "2", later)
    async with next_run(tmp_path / "2", picture, hangs_up) as run:
        call = await run.over()
        assert call.ending
        assert isinstance(call.ending.reason, NotResumed)
        assert "messages of version" in call.ending.reason.why
        assert run.rig.pool.ended_left == 1
        assert run.discards == [types.PhoneCallDiscardReasonDisconnect]
        if direction is Direction.OUT:
            assert run.rig.ari.asked(f"POST /channels/{CHANNEL}/continue") == 1
            assert run.rig.ari.variables[CHANNEL]["TELEGRAM_CAUSE"] == "41"


async def test_a_record_that_is_none_loses_its_own_call_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture = await talking(tmp_path)
    path = tmp_path / "2"
    path.write_bytes(picture.journal)
    with open_journal(path) as journal:
        journal.hold("a", journal.left[0])
        for call_id, record in (("b", b"{"), ("c", b"[]"), ("d", b'{"format": 1}'), ("e", b'{"format": 2}')):
            journal.write(call_id, record)
    picture.journal = path.read_bytes()
    async with next_run(path, picture) as run:
        await eventually(lambda: bool(run.registry.calls))
        (call,) = run.registry.calls.values()
        await eventually(lambda: Resumed in flow(call))
        call.end(outcome.by_administrator(Direction.IN, talking=True))
        await run.over()
    assert sum("can't be read" in each for each in caplog.messages) == 4


@pytest.mark.usefixtures("_short_waits")
@pytest.mark.parametrize("line_is_there", [True, False])
@pytest.mark.parametrize("closed", [True, False])
async def test_a_discard_that_telegram_did_not_take_is_not_lost_by_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: bool, line_is_there: bool
) -> None:
    """Neither where the end is in the history already nor where it is not."""
    path = tmp_path / "1"
    async with call_rig() as rig, guarded_tasks() as tasks:
        rig.line.lists = Lists()
        with open_journal(path) as journal:
            rows = Rows()
            registry = CallRegistry(recorder=rows, journal=CallJournal(journal))
            keypads, cards = cast(Any, rig.keypads), cast(Any, FakeCards())
            it = CallDispatcher(
                {rig.line.number: rig.line}, registry, rig.resources, keypads, cards, tasks, OnlyMachine()
            )
            call = await begun(rig, it, Direction.IN)
            await call.connected()
            rig.telegram.answers["phone.discardCall"] = [trouble()]
            call.end(outcome.by_administrator(Direction.IN, talking=True))
            await registry.idle()
            assert rows.states == {call.id: CallState.ENDED}
            states = dict(rows.states) if closed else {call.id: CallState.ENDING}
            picture = Picture(path.read_bytes(), {}, {}, set(), [], states, 0, known_to_telegram=True)
            # Had it not been killed.
            rig.telegram.answers["phone.discardCall"] = [DONE]
            await eventually(lambda: left_in(path) == [])
    async with next_run(tmp_path / "2", picture, (lambda rig: None) if line_is_there else no_line) as run:
        expected = [types.PhoneCallDiscardReasonHangup] if line_is_there else []
        await eventually(lambda: run.discards == expected and left_in(tmp_path / "2") == [])


def left_in(path: Path) -> list[Any]:
    """What a journal has that is open."""
    with open_journal(path) as journal:
        return journal.left


async def test_media_processes_that_no_record_names_end_once_their_phones_are_in_the_dialplan_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridging, "CONFIRM_S", 0.02)
    hesitates = hesitating(asked := asyncio.Event())
    picture = await talking(tmp_path, Direction.OUT)
    picture.journal = b""
    async with next_run(tmp_path / "2", picture, hesitates) as run:
        await asyncio.sleep(0.05)
        assert run.rig.pool.known is None
        asked.set()
        await eventually(lambda: run.rig.pool.known == set())
        assert run.rig.ari.asked(f"POST /channels/{CHANNEL}/continue") == 1
    rings = await first_run(tmp_path / "another", Direction.IN, TelegramRinging)
    async with next_run(tmp_path / "3", rings) as run:
        await eventually(lambda: run.rig.pool.known == {"nowhere"})


@pytest.mark.parametrize("direction", HANDLERS, ids=lambda each: each.value)
@pytest.mark.parametrize("kind", [Connected, TelegramRinging])
async def test_calls_of_an_application_that_has_another_name_now_are_ended_on_both_sides(
    tmp_path: Path, direction: Direction, kind: type[CallEvent]
) -> None:
    def renamed(record: dict[str, Any]) -> None:
        record["app"] = "before"

    def are_in_it(rig: CallRig) -> None:
        for channel in rig.ari.channels.values():
            channel["dialplan"] = {**channel.get("dialplan", {}), **within("Stasis", "before,+79990000002")}
        rig.ari.subscribed.clear()

    picture = rewritten(await first_run(tmp_path / "1", direction, kind), tmp_path / "2", renamed)
    async with next_run(tmp_path / "2", picture, are_in_it) as run:
        call = await run.over()
        assert call.ending
        assert call.ending.cause == 41
        if kind is Connected:
            why = f"its Stasis application is before, and asterisk.app is {APP} now"
            assert call.ending.reason == NotResumed(why)
        assert run.discards == [types.PhoneCallDiscardReasonDisconnect]
        if direction is Direction.OUT:
            assert run.rig.ari.asked(f"POST /channels/{CHANNEL}/continue") == 1
            assert run.rig.ari.variables[CHANNEL]["TELEGRAM_CAUSE"] == "41"


BROKEN = {
    "direction": "sideways",
    "progress": {"state": "elsewhere"},
    "person": "nobody",
    "events": [{"type": "Connected"}],
    "peer": None,
    "pbx_party": 7,
    "ending": {"status": "?"},
}


@pytest.mark.parametrize("lacks", BROKEN)
@pytest.mark.parametrize("direction", HANDLERS, ids=lambda each: each.value)
async def test_a_call_is_ended_on_both_sides_by_what_can_be_read_of_its_record(
    tmp_path: Path, direction: Direction, lacks: str
) -> None:
    def breaks(record: dict[str, Any]) -> None:
        record[lacks] = BROKEN[lacks]

    picture = rewritten(await talking(tmp_path, direction), tmp_path / "2", breaks)
    async with next_run(tmp_path / "2", picture) as run:
        call = await run.over()
        assert call.ending
        assert call.ending.cause == 41
        assert isinstance(call.ending.reason, NotResumed)
        assert call.ending.reason.why.startswith(f"its record can't be read: {lacks}")
        assert run.discards == [types.PhoneCallDiscardReasonDisconnect]
        assert run.rows.states == {call.id: CallState.ENDED}
        assert {call.id} == picture.rows.keys()
        if direction is Direction.OUT:
            assert run.rig.ari.asked(f"POST /channels/{CHANNEL}/continue") == 1


async def test_a_call_is_ended_on_both_sides_by_a_damaged_record(tmp_path: Path) -> None:
    picture = await talking(tmp_path)
    (bridge,) = picture.bridges
    for place in b'"peer":"', b'"line":"':  # not what is needed, in the newer place, and in the older one
        assert picture.journal.count(place) == 2
    picture.journal = picture.journal.replace(b'"peer":"', b'"bear":"')
    async with next_run(tmp_path / "2", picture) as run:
        call = await run.over()
        assert call.ending
        assert call.ending.reason == NotResumed("its record is damaged")
        assert run.discards == [types.PhoneCallDiscardReasonDisconnect]
        assert run.rig.ari.asked(f"DELETE /bridges/{bridge}") == 1


async def test_an_end_that_is_kept_is_told_to_nobody_again(tmp_path: Path) -> None:
    picture = await first_run(tmp_path / "1", Direction.IN, CallEnded)
    picture.rows = dict.fromkeys(picture.rows, CallState.ENDED)
    async with next_run(tmp_path / "2", picture) as run:
        await eventually(lambda: not run.left.ids)
    assert (list(run.registry.ended), run.discards) == ([], [])
    assert was_told(run.told, TelegramCallEnded) == 0, "by this run"


async def test_a_second_kill_before_an_end_is_told_does_not_undo_it(tmp_path: Path) -> None:
    picture = await first_run(tmp_path / "1", Direction.IN, CallEnded)
    async with next_run(tmp_path / "2", picture, hesitating(asked := asyncio.Event())) as run:
        await eventually(lambda: bool(run.registry.calls))
        assert run.registry.live() == []
        again = replace(picture, journal=(tmp_path / "2").read_bytes())
        asked.set()
        await run.over()
    async with next_run(tmp_path / "3", again) as run:
        call = await run.over()
        assert call.ending == outcome.by_administrator(Direction.IN, talking=True)
        assert (flow(call).count(CallEnded), flow(call).count(Resumed)) == (1, 0)


@pytest.mark.parametrize("direction", HANDLERS, ids=lambda each: each.value)
async def test_an_asterisk_that_was_started_again_has_hung_nobody_up(tmp_path: Path, direction: Direction) -> None:
    def starts_again(rig: CallRig) -> None:
        rig.ari.channels.clear()
        rig.ari.bridges.clear()

    picture = await talking(tmp_path, direction)
    async with next_run(tmp_path / "2", picture, starts_again) as run:
        call = await run.over()
        assert call.ending
        assert (call.ending.cause, type(call.ending.reason)) == (41, NotResumed)
        assert run.discards == [types.PhoneCallDiscardReasonDisconnect]


async def test_a_call_that_ended_by_itself_long_ago_lasted_until_the_kill(tmp_path: Path) -> None:
    """Without a controller its media process has hung up, and nobody knows when."""

    def long_ago(record: dict[str, Any]) -> None:
        record["progress"]["talking_at"] -= 1000

    def all_gone(rig: CallRig) -> None:
        no_process(rig)
        rig.ari.channels.clear()
        rig.ari.bridges.clear()

    picture = rewritten(await talking(tmp_path), tmp_path / "2", long_ago)
    async with next_run(tmp_path / "2", picture, all_gone, written_s_ago=900.0) as run:
        call = await run.over()
        assert call.ending
        assert (call.ending.status, call.ending.cause) == (Status.ANSWER, 41)
        assert isinstance(call.ending.reason, NotResumed)
        assert 100 <= call.talked_s < 100 + PASSES_S


@pytest.mark.parametrize("direction", HANDLERS, ids=lambda each: each.value)
async def test_who_ends_it_while_it_is_adopted_ends_it_on_both_sides(tmp_path: Path, direction: Direction) -> None:
    picture = await talking(tmp_path, direction)
    async with next_run(tmp_path / "2", picture) as run:
        await eventually(lambda: bool(run.registry.calls))
        (call,) = run.registry.calls.values()
        call.end(outcome.by_administrator(direction, talking=True))
        await run.over()
        assert run.discards == [types.PhoneCallDiscardReasonHangup]
        if direction is Direction.OUT:
            assert run.rig.ari.asked(f"POST /channels/{CHANNEL}/continue") == 1
