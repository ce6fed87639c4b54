"""The dialplan and Telegram begin calls: what becomes of them, and what both are told."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
from telethon import errors
from telethon.tl import types

from ari_app.asterisk.events import STASIS_START, StasisStart
from ari_app.asterisk.legs import PbxChannel
from ari_app.calls import outbound as outbound_module
from ari_app.calls import outcome
from ari_app.calls.admission import Admission
from ari_app.calls.call import Call
from ari_app.calls.capacity import AdmissionLimits
from ari_app.calls.card import reason_for
from ari_app.calls.dispatcher import CallDispatcher
from ari_app.calls.events import CalleeOutdated, LineRefused, MediaTimedOut, PbxRinging, TelegramRinging
from ari_app.calls.outcome import Direction, Status
from ari_app.calls.parts import LegPart
from ari_app.calls.progress import CallState
from ari_app.calls.registry import CallRegistry, LineFull
from ari_app.cluster.claims import Claim, Claims, OnlyMachine
from ari_app.tasks import FAILURES, guarded_tasks
from ari_app.telegram.errors import Limited, NotFound
from ari_app.telegram.lists import Lists
from ari_app.telegram.peers import Callee, Person
from ari_app.telegram.phone import DiscardReason
from ari_app.telegram.profile import CardReason
from tests.unit.call_rig import LINE, PASSES_S, CallRig, FakeLine, FakeMedia, call_rig, flow
from tests.unit.fake_ari import PHONE, eventually
from tests.unit.fake_telegram import ANNA, FROM_ANNA, PEER, accepted, answer, confirmed, discarded, requested, waiting

BUSY, HANGUP = types.PhoneCallDiscardReasonBusy, types.PhoneCallDiscardReasonHangup
MISSED, DISCONNECT = types.PhoneCallDiscardReasonMissed, types.PhoneCallDiscardReasonDisconnect
CHANNEL = str(PHONE["id"])
FOUND = Callee(Person(ANNA, first_name="Anna"), PEER)


class FakeCards:
    """Counts the cards that would be sent."""

    def __init__(self) -> None:
        self.after: list[bool | None] = []
        self.sent: list[CardReason] = []
        self.reached_cards: list[str] = []
        self.known: Any = self

    async def send_after(self, call: Call, line: Any, asked: bool | None = None) -> None:
        self.after.append(asked)

    def reached(self, card_id: str) -> None:
        self.reached_cards.append(card_id)

    async def send(self, line: Any, person: Person, reason: CardReason) -> None:
        self.sent.append(reason)


class Dispatching:
    """A dispatcher with one line or more."""

    def __init__(
        self,
        rig: CallRig,
        lines: Iterable[Any],
        tasks: Any,
        most: int = 0,
        claims: Claims | None = None,
        others: Iterable[str] = (),
    ) -> None:
        self.rig = rig
        self.registry = CallRegistry(admission=Admission(AdmissionLimits(max_calls=most)))
        self.cards = FakeCards()
        by_number = {line.number: line for line in lines}
        keypads, cards = cast(Any, rig.keypads), cast(Any, self.cards)
        its = claims or OnlyMachine()
        self.asked: list[str | None] = []
        self._others = list(others)
        self.dispatcher = CallDispatcher(by_number, self.registry, rig.resources, keypads, cards, tasks, its, self)

    def applications(self, line: str | None) -> list[str]:
        """Of the other machines that could place a call."""
        self.asked.append(line)
        return self._others

    async def dialled(self, *args: str, **channel: Any) -> None:
        """A phone dials, and its channel comes into Stasis."""
        phone = PHONE | channel
        async with self.rig.client.subscribe() as its, asyncio.timeout(PASSES_S):
            self.rig.ari.channels[str(phone["id"])] = phone
            await self.rig.ari.event(STASIS_START, channel=phone, args=list(args or ["@anna"]))
            start = await its.next(STASIS_START)
        assert isinstance(start, StasisStart)
        self.dispatcher.on_channel(start)

    async def call(self) -> Call:
        """The one that is live."""
        await eventually(lambda: bool(self.registry.calls))
        (call,) = self.registry.calls.values()
        return call

    async def accepted(self) -> None:
        """Anna's Telegram rings, and she takes the call."""
        await self.rig.telegram.asked_for("phone.requestCall")
        await self.rig.telegram.tells(waiting(received=1))
        await self.rig.telegram.tells(accepted())

    async def talks(self) -> Call:
        """Both sides talk."""
        await self.accepted()
        call = await self.call()
        async with asyncio.timeout(PASSES_S):
            await call.connected()
        return call

    async def over(self) -> Call:
        """Wait until the call is over; the call."""
        async with asyncio.timeout(PASSES_S):
            await self.registry.idle()
        await eventually(lambda: bool(self.registry.ended))
        call = self.registry.ended[-1]
        assert call.state is CallState.ENDED
        assert (self.rig.ari.bridges, self.rig.pool.open) == ({}, 0)
        return call

    async def returned(self) -> tuple[str, str]:
        """Wait until the channel is back in its dialplan; TELEGRAM_STATUS and TELEGRAM_CAUSE."""
        await eventually(lambda: self.rig.ari.asked(f"POST /channels/{CHANNEL}/continue") == 1)
        has = self.rig.ari.variables[CHANNEL]
        return has["TELEGRAM_STATUS"], has["TELEGRAM_CAUSE"]

    @property
    def told(self) -> list[Any]:
        """The reasons that Telegram was told."""
        return [type(each.reason) for each in self.rig.telegram.requests["phone.discardCall"]]


@pytest.fixture
async def rig() -> AsyncIterator[CallRig]:
    async with call_rig() as made:
        yield made


@asynccontextmanager
async def dispatching(
    rig: CallRig, *lines: Any, most: int = 0, claims: Claims | None = None, others: Iterable[str] = ()
) -> AsyncIterator[Dispatching]:
    """``most``: calls at a time, all lines together; ``others``: the applications of other machines."""
    before = FAILURES.count
    async with guarded_tasks() as tasks:
        yield Dispatching(rig, lines or [rig.line], tasks, most, claims, others)
    assert FAILURES.count == before, FAILURES.last


# --- out of the dialplan


CDR = "telegram_direction", "telegram_line", "telegram_id", "telegram_status", "telegram_call", "userfield"


async def test_a_call_until_its_caller_hangs_up(rig: CallRig) -> None:
    async with dispatching(rig) as it:
        await it.dialled()
        await it.talks()
        assert rig.ari.asked(f"POST /channels/{CHANNEL}/ring") == 1
        await eventually(lambda: rig.ari.asked(f"POST /channels/{CHANNEL}/answer") == 1)
        channel = it.registry.of_linkedid(CHANNEL)
        await rig.hangs_up(CHANNEL)
        call = await it.over()
        await eventually(lambda: it.cards.after == [None])
    assert call.ending == outcome.asterisk_ended(16, Direction.OUT, talking=True)
    assert it.told == [HANGUP]
    assert call.pbx_party == "101"
    assert channel is call
    assert call.channel == PbxChannel("PJSIP/101-00000001", CHANNEL, CHANNEL)
    user_field = f"telegram direction=out line={LINE} id={ANNA} status=ANSWER call={call.id}"
    assert rig.ari.variables[CHANNEL] == {
        "TELEGRAM_CALL": call.id,
        "TELEGRAM_DIRECTION": "out",
        "TELEGRAM_LINE": LINE,
        "TELEGRAM_ID": str(ANNA),
        "TELEGRAM_PHONE": "+79990000002",
        "TELEGRAM_FIRST_NAME": "Anna",
        "TELEGRAM_STATUS": "ANSWER",
        "TELEGRAM_CAUSE": "16",
        f"ARRAY({','.join(f'CDR({name})' for name in CDR)})": f"out,{LINE},{ANNA},ANSWER,{call.id},{user_field}",
    }


async def test_a_call_until_the_person_hangs_up(rig: CallRig) -> None:
    async with dispatching(rig) as it:
        await it.dialled("@anna", "card=no")
        await it.talks()
        await rig.telegram.tells(discarded(HANGUP(), 7))
        await it.over()
        assert await it.returned() == ("ANSWER", "16")
        await eventually(lambda: it.cards.after == [False])
    assert it.told == []


@pytest.mark.parametrize(
    ("reason", "rang", "status", "cause"),
    [
        (BUSY(), True, "BUSY", "17"),
        (HANGUP(), True, "BUSY", "16"),
        (MISSED(), True, "NOANSWER", "19"),
        (DISCONNECT(), False, "UNAVAILABLE", "20"),
    ],
)
async def test_a_person_who_does_not_take_it(rig: CallRig, reason: Any, rang: bool, status: str, cause: str) -> None:
    async with dispatching(rig) as it:
        await it.dialled()
        await rig.telegram.asked_for("phone.requestCall")
        if rang:
            await rig.telegram.tells(waiting(received=1))
        await rig.telegram.tells(discarded(reason))
        call = await it.over()
        assert await it.returned() == (status, cause)
    assert (TelegramRinging in flow(call)) is rang


async def test_a_caller_who_gives_up_while_it_rings(rig: CallRig) -> None:
    async with dispatching(rig) as it:
        await it.dialled()
        await rig.telegram.asked_for("phone.requestCall")
        await rig.telegram.tells(waiting(received=1))
        await rig.hangs_up(CHANNEL, 127)
        call = await it.over()
    assert call.ending is not None
    assert (call.ending.status, it.told) == (Status.CANCEL, [MISSED])
    assert rig.ari.asked(f"POST /channels/{CHANNEL}/continue") == 0


async def test_a_person_whose_telegram_is_off(rig: CallRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ari_app.telegram.phone_call.RECEIVE_S", 0.01)
    async with dispatching(rig) as it:
        await it.dialled()
        await it.over()
        assert await it.returned() == ("NOANSWER", "19")
    assert it.told == [MISSED]


async def test_it_rings_for_as_long_as_the_dialplan_says(rig: CallRig) -> None:
    async with dispatching(rig) as it:
        await it.dialled("@anna", "timeout=0.05")
        await rig.telegram.asked_for("phone.requestCall")
        await rig.telegram.tells(waiting(received=1))
        call = await it.over()
        assert await it.returned() == ("NOANSWER", "19")
    assert call.ending == outcome.not_answered(0.05)


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (errors.UserPrivacyRestrictedError(None), "RESTRICTED"),
        (errors.ParticipantVersionOutdatedError(None), "UNAVAILABLE"),
        (errors.UserIsBlockedError(None), "RESTRICTED"),
        (errors.RPCError(None, "NEW_ONE", 400), "ERROR"),
    ],
)
async def test_telegram_refuses_the_call(rig: CallRig, refusal: Exception, status: str) -> None:
    rig.telegram.answers["phone.requestCall"] = [refusal]
    async with dispatching(rig) as it:
        await it.dialled()
        await it.over()
        assert (await it.returned())[0] == status


@pytest.mark.parametrize("request_start", ["POST /channels/externalMedia", "POST /bridges"])
async def test_asterisk_refuses_a_part_of_the_call(rig: CallRig, request_start: str) -> None:
    rig.ari.refuse = lambda request: 500 if request == request_start else None
    async with dispatching(rig) as it:
        await it.dialled()
        await it.accepted()
        await it.over()
        assert (await it.returned())[0] == "ERROR"
    assert it.told == [DISCONNECT]


# --- audio that does not come up


async def test_a_call_without_audio_is_dialled_once_more(rig: CallRig) -> None:
    silent = FakeMedia()
    silent.connects, rig.connect_s = False, 0.05
    rig.pool.media = [silent, FakeMedia()]
    rig.telegram.answers["phone.requestCall"] = [answer(waiting()), second_call(waiting())]
    rig.telegram.answers["phone.confirmCall"] = [answer(confirmed()), second_call(confirmed())]
    async with dispatching(rig) as it:
        await it.dialled()
        await it.accepted()
        await rig.telegram.asked_for("phone.requestCall", 2)
        await rig.telegram.tells(second_call(waiting(received=1)).phone_call)
        await rig.telegram.tells(second_call(accepted()).phone_call)
        call = await it.call()
        async with asyncio.timeout(PASSES_S):
            await call.connected()
        await rig.hangs_up(CHANNEL)
        await it.over()
    assert call.redials == 1
    assert flow(call).count(MediaTimedOut) == 1
    assert it.told == [DISCONNECT, HANGUP]


def second_call(phone_call: Any) -> Any:
    """The same, of the next call."""
    phone_call.id += 1
    return answer(phone_call)


async def test_a_call_that_never_gets_audio(rig: CallRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound_module, "REDIALS", 0)
    rig.media.connects, rig.connect_s = False, 0.01
    async with dispatching(rig) as it:
        await it.dialled()
        await it.accepted()
        call = await it.over()
        assert await it.returned() == ("ERROR", "38")
    assert call.ending == outcome.no_media(0.01)


# --- who is called, and through which line


async def test_somebody_whom_telegram_does_not_know(rig: CallRig) -> None:
    rig.line.found = [NotFound("nobody has the name @anna")]
    async with dispatching(rig) as it:
        await it.dialled()
        await it.over()
        assert await it.returned() == ("NOTFOUND", "1")


async def test_a_cached_callee_is_asked_for_again(rig: CallRig) -> None:
    rig.line.found = [replace(FOUND, cached=True), FOUND]
    rig.line.refusals = [NotFound("PEER_ID_INVALID")]
    async with dispatching(rig) as it:
        await it.dialled()
        call = await it.talks()
        await rig.hangs_up(CHANNEL)
        await it.over()
    assert CalleeOutdated in flow(call)


async def test_a_callee_who_was_just_found_is_not_asked_for_again(rig: CallRig) -> None:
    rig.line.refusals = [NotFound("PEER_ID_INVALID")]
    async with dispatching(rig) as it:
        await it.dialled()
        await it.over()
        assert await it.returned() == ("NOTFOUND", "1")


async def test_a_line_that_telegram_limits_hands_the_call_on(rig: CallRig) -> None:
    other = FakeLine(rig.phone, number="+79990000009")
    rig.line.found = [Limited("Telegram asks to wait 30 s", 30)]
    async with dispatching(rig, rig.line, other) as it:
        await it.dialled()
        call = await it.talks()
        assert call.line == other.number
        await rig.hangs_up(CHANNEL)
        await it.over()
    assert LineRefused in flow(call)


async def test_the_only_line_is_limited(rig: CallRig) -> None:
    rig.line.limits.refusal = Limited("Telegram asks to wait 30 s", 30)
    async with dispatching(rig) as it:
        await it.dialled()
        assert await it.returned() == ("LIMITED", "42")
    assert it.registry.counted["out.LIMITED"] == 1


async def test_a_line_is_full(rig: CallRig) -> None:
    async with dispatching(rig) as it, it.registry.admit(Direction.IN, rig.line.number, "7", 1) as call:
        await it.dialled()
        assert await it.returned() == ("BUSY", "17")
        call.end(outcome.shut_down(talking=False))


async def test_a_call_that_no_line_has_room_for_is_tried_through_no_other(rig: CallRig) -> None:
    rig.line.max_calls = 2
    other = FakeLine(rig.phone, number="+79990000009")
    async with (
        dispatching(rig, rig.line, other, most=1) as it,
        it.registry.admit(Direction.IN, "+79990000005", "7", 1) as call,
    ):
        await it.dialled()
        assert await it.returned() == ("LIMITED", "42")
        assert rig.telegram.requests["phone.requestCall"] == []
        assert call.ending is None
        call.end(outcome.shut_down(talking=False))


@pytest.mark.parametrize("args", [("anna",), ("@anna", "colour=red"), ("@anna", "line=+7999")])
async def test_a_request_that_makes_no_sense(rig: CallRig, args: tuple[str, ...]) -> None:
    async with dispatching(rig) as it:
        await it.dialled(*args)
        status, _ = await it.returned()
    assert status == ("UNAVAILABLE" if "line=+7999" in args else "NOTFOUND")


async def test_a_channel_that_is_transferred_to_a_call_that_is_over(rig: CallRig) -> None:
    start = StasisStart(STASIS_START, {"channel": PHONE, "args": [], "replace_channel": {"id": "1700.0"}})
    rig.ari.channels[CHANNEL] = PHONE
    async with dispatching(rig) as it:
        it.dispatcher.on_channel(start)
        await eventually(lambda: not rig.ari.channels)


async def test_a_channel_that_is_transferred_to_a_call_that_is_just_being_adopted(rig: CallRig) -> None:
    """Which finds it in its bridge."""
    left = Call("1", Direction.OUT, LINE, "@anna")
    left.opened(leg=LegPart("incoming", "of this call"))
    async with dispatching(rig) as it, it.registry.resumed(left):
        for channel, replaced in (("stays", "of this call"), ("goes", "of a call that is over")):
            rig.ari.channels[channel] = channel_json = {**PHONE, "id": channel}
            started = {"channel": channel_json, "args": [], "replace_channel": {"id": replaced}}
            it.dispatcher.on_channel(StasisStart(STASIS_START, started))
        await eventually(lambda: "goes" not in rig.ari.channels)
        assert "stays" in rig.ari.channels


# --- to another machine


MOVE = f"POST /channels/{CHANNEL}/move"


async def moved(rig: CallRig, requests: int = 1) -> dict[str, str]:
    """Wait until the channel is, after so many requests; where to, with which arguments."""
    await eventually(lambda: rig.ari.asked(MOVE) == requests)
    await rig.ari.event("StasisEnd", channel=PHONE)
    await eventually(lambda: CHANNEL not in rig.client.events.known)  # nobody is attached to it any more
    return rig.ari.queries[MOVE]


async def test_a_call_that_no_line_of_this_machine_can_place_is_moved(rig: CallRig) -> None:
    rig.line.online = None
    async with dispatching(rig, others=["telegram@b"]) as it:
        await it.dialled("@anna", f"line={LINE}", "card=no")
        assert await moved(rig) == {"app": "telegram@b", "appArgs": f"@anna,line={LINE},card=no"}
    assert it.asked == [LINE]
    assert [each for each in rig.ari.requests if each.startswith("DELETE") or each.endswith("/continue")] == []
    assert (it.registry.calls, list(it.registry.ended), it.cards.after) == ({}, [], [])


async def test_a_call_while_this_machine_is_drained_is_moved(rig: CallRig) -> None:
    async with dispatching(rig, others=["telegram@b"]) as it:
        it.registry.begin_drain()
        await it.dialled()
        assert await moved(rig) == {"app": "telegram@b", "appArgs": "@anna"}


async def test_a_call_that_this_machine_can_place_is_not_moved(rig: CallRig) -> None:
    async with dispatching(rig, others=["telegram@b"]) as it:
        await it.dialled()
        await it.talks()
        await rig.telegram.tells(discarded(HANGUP(), 7))
        await it.over()
    assert it.asked == []


async def test_a_call_that_the_first_machine_is_not_given_goes_to_the_next(rig: CallRig) -> None:
    rig.line.online = None
    rig.ari.refuse = lambda asked: 404 if rig.ari.queries[asked].get("app") == "telegram@b" else None
    async with dispatching(rig, others=["telegram@b", "telegram@c"]) as it:
        await it.dialled()
        assert (await moved(rig, requests=2))["app"] == "telegram@c"
    assert rig.ari.asked(f"POST /channels/{CHANNEL}/continue") == 0


async def test_a_call_that_no_machine_takes_is_refused_as_on_one(rig: CallRig) -> None:
    rig.line.online = None
    rig.ari.refuse = lambda asked: 404 if asked == MOVE else None
    async with dispatching(rig, others=["telegram@b"]) as it:
        await it.dialled()
        assert await it.returned() == ("UNAVAILABLE", "38")


async def test_a_call_that_was_moved_here_stays(rig: CallRig) -> None:
    """Else two machines that are both full would send it to and fro."""
    rig.client.machine = "b"
    async with dispatching(rig, others=["telegram@b"]) as it:
        it.registry.begin_drain()
        await it.dialled()
        assert await it.returned() == ("LIMITED", "42")
    assert (it.asked, rig.ari.asked(MOVE)) == ([], 0)


# --- in from Telegram


def offered(rig: CallRig, line: Any, it: Dispatching) -> None:
    line.lists = Lists()
    it.dispatcher.on_offer(line, rig.offers[-1])


async def test_an_offer_rings_in_the_dialplan(rig: CallRig) -> None:
    await rig.telegram.tells(requested())
    async with dispatching(rig) as it:
        offered(rig, rig.line, it)
        leg = await rig.dialplan("Up")
        await rig.telegram.asked_for("phone.acceptCall")
        await rig.telegram.tells(confirmed(**FROM_ANNA))
        call = await it.call()
        async with asyncio.timeout(PASSES_S):
            await call.connected()
        await rig.hangs_up(leg)
        await it.over()
    assert it.told == [HANGUP]
    assert it.cards.after == []


async def test_an_offer_to_a_full_line_is_busy_and_gets_the_card(rig: CallRig) -> None:
    await rig.telegram.tells(requested())
    async with dispatching(rig) as it, it.registry.admit(Direction.OUT, rig.line.number, "7", 1) as call:
        offered(rig, rig.line, it)
        await rig.telegram.asked_for("phone.discardCall")
        await eventually(lambda: it.cards.sent == [CardReason.MISSED])
        call.end(outcome.shut_down(talking=False))
    assert it.told == [BUSY]


async def test_an_offer_that_no_line_has_room_for_is_busy_and_gets_the_card(rig: CallRig) -> None:
    await rig.telegram.tells(requested())
    async with (
        dispatching(rig, most=1) as it,
        it.registry.admit(Direction.OUT, "+79990000005", "7", 1) as call,
    ):
        offered(rig, rig.line, it)
        await rig.telegram.asked_for("phone.discardCall")
        await eventually(lambda: it.cards.sent == [CardReason.MISSED])
        call.end(outcome.shut_down(talking=False))
    assert it.told == [BUSY]


async def test_a_call_while_it_is_drained_is_tried_through_no_line(rig: CallRig) -> None:
    async with dispatching(rig, rig.line, FakeLine(rig.phone, number="+79990000009")) as it:
        it.registry.begin_drain()
        await it.dialled()
        assert await it.returned() == ("LIMITED", "42")
    assert rig.telegram.requests["phone.requestCall"] == []


async def test_an_offer_while_it_is_drained_is_busy_and_gets_the_card(rig: CallRig) -> None:
    await rig.telegram.tells(requested())
    async with dispatching(rig) as it:
        it.registry.begin_drain()
        offered(rig, rig.line, it)
        await rig.telegram.asked_for("phone.discardCall")
        await eventually(lambda: it.cards.sent == [CardReason.MISSED])
    assert it.told == [BUSY]


async def test_an_offer_while_it_is_drained_is_left_to_other_devices(rig: CallRig) -> None:
    """Telegram is told nothing, and nobody says that the call was missed."""
    await rig.telegram.tells(requested())
    async with dispatching(rig) as it:
        it.registry.drain.leaves_offers = True
        it.registry.begin_drain()
        offered(rig, rig.line, it)
        await eventually(lambda: rig.offers[-1].over)
    assert it.told == []
    assert it.cards.sent == []
    assert it.registry.counted["refused"] == 1


class OthersHaveRoom(OnlyMachine):
    """A cluster whose other machines take whatever this one has no room for, or leaves to them."""

    def __init__(self) -> None:
        self.call: Any = None
        self.others_are_told = 0

    @asynccontextmanager
    async def claimed(self, line: str, call: Any, is_online: Any, has_room: Any) -> AsyncIterator[Claim | None]:
        self.call = call
        yield self if has_room() else None

    def leave(self) -> bool:
        return bool(self.call.leave_to_other_devices())

    async def told(self) -> None:
        self.others_are_told += 1


async def test_an_offer_that_this_machine_has_no_room_for_is_left_to_the_others(rig: CallRig) -> None:
    await rig.telegram.tells(requested())
    async with (
        dispatching(rig, most=1, claims=OthersHaveRoom()) as it,
        it.registry.admit(Direction.OUT, "+79990000005", "7", 1) as call,
    ):
        offered(rig, rig.line, it)
        await eventually(lambda: rig.offers[-1].over)
        call.end(outcome.shut_down(talking=False))
    assert (it.told, it.cards.sent) == ([], [])


async def test_an_offer_while_this_machine_is_drained_is_left_to_the_others(rig: CallRig) -> None:
    await rig.telegram.tells(requested())
    async with dispatching(rig, claims=OthersHaveRoom()) as it:
        it.registry.begin_drain()
        offered(rig, rig.line, it)
        await eventually(lambda: rig.offers[-1].over)
    assert (it.told, it.cards.sent) == ([], [])


async def test_a_call_that_rings_when_the_program_stops_is_left_to_the_others(rig: CallRig) -> None:
    """Telegram is told nothing, the phones show it as answered elsewhere, and nobody says that it was missed."""
    await rig.telegram.tells(requested())
    others = OthersHaveRoom()
    async with dispatching(rig, claims=others) as it:
        offered(rig, rig.line, it)
        leg = await rig.dialplan("Down")
        call = await it.call()
        await eventually(lambda: PbxRinging in flow(call))
    await it.over()
    assert call.ending == outcome.left_to_machine()
    assert (call.ending.status, call.ending.cause) == (Status.CANCEL, 26)
    assert rig.ari.queries[f"DELETE /channels/{leg}"] == {"reason": "answered_elsewhere"}
    assert (it.told, others.others_are_told, call.parts.undiscarded) == ([], 1, ())
    assert reason_for(call, 0.0) is None


async def test_a_call_that_is_being_answered_when_the_program_stops_ends(rig: CallRig) -> None:
    await rig.telegram.tells(requested())
    async with dispatching(rig, claims=OthersHaveRoom()) as it:
        offered(rig, rig.line, it)
        await rig.dialplan("Up")
        await rig.telegram.asked_for("phone.acceptCall")
        call = await it.call()
    assert call.ending == outcome.shut_down(talking=False)
    assert it.told == [DISCONNECT]


async def test_a_call_that_is_over_is_not_left_to_the_others(rig: CallRig) -> None:
    await rig.telegram.tells(requested())
    async with dispatching(rig, claims=OthersHaveRoom()) as it:
        offered(rig, rig.line, it)
        await rig.dialplan("Down")
        call = await it.call()
        call.end(outcome.by_administrator(Direction.IN, talking=False))
        call.stop()
    assert call.ending == outcome.by_administrator(Direction.IN, talking=False)
    assert it.told == [BUSY]


class AnotherHadIt(OnlyMachine):
    """A cluster in which another machine has had each call by the time this one hears of it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def follows_up(self, line: str, call_id: int) -> bool:
        self.asked.set()
        return False


async def test_a_missed_call_that_another_machine_had_gets_its_card_from_that(rig: CallRig) -> None:
    await rig.telegram.tells(requested())
    claims = AnotherHadIt()
    async with dispatching(rig, claims=claims) as it:
        offered(rig, rig.line, it)
        await rig.telegram.tells(discarded(MISSED()))
        await it.over()
        async with asyncio.timeout(PASSES_S):
            await claims.asked.wait()
    assert it.cards.after == []


async def test_an_offer_to_a_line_with_all_the_calls_that_it_may_have_is_busy_on_all_machines(rig: CallRig) -> None:
    await rig.telegram.tells(requested())
    async with (
        dispatching(rig, claims=OthersHaveRoom()) as it,
        it.registry.admit(Direction.OUT, rig.line.number, "7", 1) as call,
    ):
        offered(rig, rig.line, it)
        await rig.telegram.asked_for("phone.discardCall")
        call.end(outcome.shut_down(talking=False))
    assert it.told == [BUSY]


async def test_an_offer_that_the_lists_refuse(rig: CallRig) -> None:
    await rig.telegram.tells(requested())
    async with dispatching(rig) as it:
        rig.line.lists = Lists.of((), (str(ANNA),), only_contacts=False)
        it.dispatcher.on_offer(rig.line, rig.offers[-1])
        await rig.telegram.asked_for("phone.discardCall")
    assert it.told == [BUSY]
    assert it.registry.counted["in.RESTRICTED"] == 1


# --- an administrator's test call


async def test_a_test_call_rings_the_line_and_then_the_person(rig: CallRig) -> None:
    async with dispatching(rig) as it:
        call_id = await it.dispatcher.test_call(rig.line, "@anna")
        leg = await rig.dialplan("Up")
        call = await it.talks()
        assert call.id == call_id
        await rig.hangs_up(leg)
        await it.over()
    assert call.direction is Direction.BACK
    assert it.told == [HANGUP]


async def test_a_test_call_whose_person_hangs_up(rig: CallRig) -> None:
    async with dispatching(rig) as it:
        await it.dispatcher.test_call(rig.line, "@anna")
        await rig.dialplan("Up")
        await it.talks()
        await rig.telegram.tells(discarded(DiscardReason.HANGUP.value(), 3))
        call = await it.over()
    assert call.ending is not None
    assert call.ending.status is Status.ANSWER
    assert rig.ari.channels == {}


async def test_a_test_call_of_a_full_line_is_refused(rig: CallRig) -> None:
    async with dispatching(rig) as it, it.registry.admit(Direction.IN, rig.line.number, "7", 1) as call:
        with pytest.raises(LineFull, match="has 1 calls already"):
            await it.dispatcher.test_call(rig.line, "@anna")
        call.end(outcome.shut_down(talking=False))
