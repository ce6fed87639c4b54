"""The phone.* state machine, against a Telegram whose answers are scripted."""

import asyncio
import sqlite3
import struct
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from telethon import errors
from telethon.tl import functions, types

from ari_app.backoff import Backoff
from ari_app.tasks import FAILURES
from ari_app.telegram import phone as phone_module
from ari_app.telegram import phone_call
from ari_app.telegram.errors import CallDiscarded, Limited, TelegramError, Unavailable, Unreachable
from ari_app.telegram.phone import Discarded, DiscardReason, Offer, OutgoingCall, Phone
from ari_app.telegram.session import Session
from tests.unit.fake_telegram import (
    ANNA,
    CALL,
    DONE,
    ENGINE,
    HASH,
    KEYS,
    LINE,
    OLD,
    OURS,
    PASSES_S,
    PEER,
    Telegram,
    accepted,
    answer,
    confirmed,
    discarded,
    listed,
    requested,
    said_in_chat,
    trouble,
    waiting,
)


class Rig:
    """A line's phone, its Telegram, and the calls that came in."""

    def __init__(self) -> None:
        self.telegram = Telegram()
        self.session = Session(self.telegram)
        self.offers: list[Offer] = []
        self.phone = Phone(ENGINE, self.offers.append)

    async def offered(self, protocol: Any = OURS) -> Offer:
        await self.telegram.tells(requested(protocol))
        return self.offers[-1]

    @property
    def discards(self) -> list[type]:
        """The reasons that Telegram was told."""
        return [type(each.reason) for each in self.telegram.requests["phone.discardCall"]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pause is short."""
    monkeypatch.setattr(phone_module, "RETRY_S", 0.01)
    monkeypatch.setattr(phone_module, "REASON_COMES_S", 0.01)
    monkeypatch.setattr(phone_module, "LOOK_AGAIN_S", 0.01)
    monkeypatch.setattr(phone_call, "DISCARD_AGAIN", Backoff(0.01, 0.1))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    built = Rig()
    async with built.phone, built.phone.attached(built.session):
        await built.telegram.asked_for("messages.getDhConfig")
        await asyncio.sleep(0)
        yield built


async def soon(awaited: Awaitable[Any]) -> Any:
    async with asyncio.timeout(PASSES_S):
        return await awaited


# --- an answer to phone.requestCall of another kind


async def cancelled_inside() -> Any:
    """Telethon cancels what it waits for when it disconnects."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.cancel()
    return await future


ODD: dict[str, Any] = {
    "full database": sqlite3.OperationalError("database or disk is full"),
    "OSError": OSError("no buffer space available"),
    "ValueError": ValueError("no such thing"),
    "RPCError": errors.RPCError(None, "NEW_ONE", 400),
    "a type of a later layer": errors.TypeNotFoundError(0xDEADBEEF, b"secret"),
    "cut short": struct.error("unpack requires a buffer of 4 bytes"),
    "cancelled inside": cancelled_inside,
    "no call at all": types.phone.PhoneCall(None, []),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_an_unexpected_answer_costs_one_request_and_no_other_call(rig: Rig, odd: Any) -> None:
    offer = await rig.offered()
    rig.telegram.answers["phone.requestCall"] = [odd, answer(waiting())]
    with pytest.raises(TelegramError) as refused:
        async with rig.phone.call(PEER, KEYS):
            raise AssertionError
    assert "secret" not in str(refused.value)
    await offer.ringing()
    async with rig.phone.call(PEER, KEYS) as call:
        await rig.telegram.tells(accepted())
        await soon(call.accepted())


async def test_an_unexpected_error_is_counted(rig: Rig) -> None:
    before = FAILURES.count
    rig.telegram.answers["phone.requestCall"] = [ValueError("no such thing")]
    with pytest.raises(TelegramError, match="unexpected error"):
        async with rig.phone.call(PEER, KEYS):
            raise AssertionError
    assert FAILURES.count == before + 1
    assert "requestCall" in FAILURES.last[-1].task


async def test_answered_with_a_call_that_is_over(rig: Rig) -> None:
    rig.telegram.answers["phone.requestCall"] = [answer(discarded(types.PhoneCallDiscardReasonBusy()))]
    async with rig.phone.call(PEER, KEYS) as call:
        with pytest.raises(CallDiscarded):
            await call.accepted()
        assert (await call.discarded()).reason is DiscardReason.BUSY
    assert rig.discards == []


async def test_answered_with_an_empty_call(rig: Rig) -> None:
    rig.telegram.answers["phone.requestCall"] = [answer(types.PhoneCallEmpty(CALL))]
    async with rig.phone.call(PEER, KEYS) as call:
        with pytest.raises(CallDiscarded):
            await call.accepted()
        assert (await call.discarded()).word == "phoneCallEmpty"


@pytest.mark.parametrize("odd", [discarded(), types.PhoneCallEmpty(CALL)])
async def test_a_call_that_is_alive_though_telegram_said_it_was_over_is_discarded(rig: Rig, odd: Any) -> None:
    rig.telegram.answers["phone.requestCall"] = [answer(odd)]
    async with rig.phone.call(PEER, KEYS):
        await rig.telegram.tells(waiting(received=1))
    told = await rig.telegram.asked_for("phone.discardCall")
    assert (told[-1].peer.id, told[-1].peer.access_hash) == (CALL, HASH)


@pytest.mark.parametrize("update", [waiting(received=1), accepted()])
async def test_a_call_whose_answer_was_lost_is_discarded_when_it_shows(rig: Rig, update: Any) -> None:
    rig.telegram.answers["phone.requestCall"] = [errors.TypeNotFoundError(0xDEADBEEF, b"")]
    with pytest.raises(TelegramError):
        async with rig.phone.call(PEER, KEYS):
            raise AssertionError
    await rig.telegram.tells(update)
    told = await rig.telegram.asked_for("phone.discardCall")
    assert (told[0].peer.id, told[0].peer.access_hash) == (CALL, HASH)
    await rig.telegram.tells(update)
    assert len(rig.telegram.requests["phone.discardCall"]) == 1


async def test_a_call_of_another_device_of_the_account_is_left_alone(rig: Rig) -> None:
    rig.telegram.answers["phone.requestCall"] = [errors.UserPrivacyRestrictedError(None)]
    with pytest.raises(TelegramError):
        async with rig.phone.call(PEER, KEYS):
            raise AssertionError
    await rig.telegram.tells(waiting(received=1))
    await asyncio.sleep(0.02)
    assert rig.discards == []


async def test_an_answer_that_comes_too_late_has_its_call_discarded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_module, "REQUEST_S", 0.01)
    comes = asyncio.Event()

    async def late() -> Any:
        await comes.wait()
        return answer(waiting())

    rig.telegram.answers["phone.requestCall"] = [late]
    with pytest.raises(Unreachable):
        async with rig.phone.call(PEER, KEYS):
            raise AssertionError
    comes.set()
    await rig.telegram.asked_for("phone.discardCall")
    assert rig.discards == [types.PhoneCallDiscardReasonMissed]


async def test_a_call_given_up_while_telegram_answers_is_discarded(rig: Rig) -> None:
    comes = asyncio.Event()

    async def late() -> Any:
        await comes.wait()
        return answer(waiting())

    async def calling() -> None:
        async with rig.phone.call(PEER, KEYS):
            raise AssertionError

    rig.telegram.answers["phone.requestCall"] = [late]
    caller = asyncio.create_task(calling())
    await rig.telegram.asked_for("phone.requestCall")
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    comes.set()
    await rig.telegram.asked_for("phone.discardCall")


async def test_updates_may_overtake_the_answer(rig: Rig) -> None:
    async def overtaken() -> Any:
        await rig.telegram.tells(waiting(received=1))
        await rig.telegram.tells(accepted())
        return answer(waiting())

    rig.telegram.answers["phone.requestCall"] = [overtaken]
    async with rig.phone.call(PEER, KEYS) as call:
        await soon(call.ringing())
        await soon(call.accepted())


# --- an outgoing call


async def test_accepted_implies_that_it_rang(rig: Rig) -> None:
    async with rig.phone.call(PEER, KEYS) as call:
        await rig.telegram.tells(accepted())
        await soon(call.ringing())
        await soon(call.accepted())


async def test_a_late_word_that_it_rings_changes_nothing(rig: Rig) -> None:
    async with rig.phone.call(PEER, KEYS) as call:
        await rig.telegram.tells(accepted())
        await rig.telegram.tells(waiting(received=1))
        assert call.state is phone_call.PhoneCallState.ACCEPTED


async def test_confirmed_after_a_passing_error(rig: Rig) -> None:
    rig.telegram.answers["phone.confirmCall"] = [trouble(), answer(confirmed())]
    async with rig.phone.call(PEER, KEYS) as call:
        await rig.telegram.tells(accepted())
        await soon(call.accepted())
        assert (await call.confirm(KEYS)).library_versions == ("8.0.0", "9.0.0")


async def test_an_app_that_speaks_none_of_our_versions(rig: Rig) -> None:
    async with rig.phone.call(PEER, KEYS) as call:
        await rig.telegram.tells(accepted(OLD))
        with pytest.raises(Unavailable, match=r"2\.4\.4, Astergram 8\.0\.0, 9\.0\.0"):
            await call.accepted()


class Novel:
    """A reason of a later layer."""


@pytest.mark.parametrize(
    ("reason", "known", "word"),
    [
        (types.PhoneCallDiscardReasonMissed(), DiscardReason.MISSED, "missed"),
        (types.PhoneCallDiscardReasonMigrateConferenceCall("slug"), DiscardReason.HANGUP, "moved on to a group call"),
        (Novel(), DiscardReason.HANGUP, "Novel"),
        (None, None, "no reason"),
    ],
)
async def test_any_reason_ends_the_call(rig: Rig, reason: Any, known: DiscardReason | None, word: str) -> None:
    async with rig.phone.call(PEER, KEYS) as call:
        await rig.telegram.tells(discarded(reason, 7))
        ended = await soon(call.discarded())
        assert (ended.reason, ended.word, ended.duration_s) == (known, word, 7)
    assert rig.discards == []


# --- the end of a call whose discard was lost


async def test_the_message_in_the_chat_ends_the_call(rig: Rig) -> None:
    async with rig.phone.call(PEER, KEYS) as call:
        await rig.telegram.says(said_in_chat(types.PhoneCallDiscardReasonHangup(), 34, call_id=1))
        assert not call.over
        await rig.telegram.says(said_in_chat(types.PhoneCallDiscardReasonHangup(), 34))
        ended = await soon(call.discarded())
        assert (ended.reason, ended.duration_s) == (DiscardReason.HANGUP, 34)
        assert ended.counted_s == 34


async def test_the_message_of_our_own_end_changes_nothing(rig: Rig) -> None:
    async with rig.phone.call(PEER, KEYS) as call:
        await call.discard(DiscardReason.MISSED)
        await rig.telegram.says(said_in_chat(types.PhoneCallDiscardReasonMissed()))
        assert call._discarded is None


async def test_the_list_of_calls_is_asked_after_a_refusal(rig: Rig) -> None:
    rig.telegram.answers["phone.sendSignalingData"] = [errors.CallPeerInvalidError(None)]
    rig.telegram.answers["messages.search"] = [listed(said_in_chat(types.PhoneCallDiscardReasonBusy()))]
    async with rig.phone.call(PEER, KEYS) as call:
        with pytest.raises(TelegramError):
            await call.send_signal(b"offer")
        assert (await soon(call.discarded())).reason is DiscardReason.BUSY


async def test_telegram_says_it_is_over_and_nothing_says_why(rig: Rig) -> None:
    rig.telegram.answers["phone.sendSignalingData"] = [errors.CallAlreadyDeclinedError(None)]
    rig.telegram.answers["messages.search"] = [errors.FloodWaitError(None, capture=30)]
    async with rig.phone.call(PEER, KEYS) as call:
        with pytest.raises(CallDiscarded):
            await call.send_signal(b"offer")
        assert "CALL_ALREADY_DECLINED" in (await soon(call.discarded())).word


async def test_a_refusal_that_says_nothing_about_the_call_does_not_end_it(rig: Rig) -> None:
    rig.telegram.answers["phone.sendSignalingData"] = [errors.CallPeerInvalidError(None), True]
    async with rig.phone.call(PEER, KEYS) as call:
        with pytest.raises(TelegramError):
            await call.send_signal(b"offer")
        await rig.telegram.asked_for("messages.search")
        await call.send_signal(b"offer")
        assert not call.over


async def test_a_call_outlives_its_connection() -> None:
    rig = Rig()
    async with rig.phone, asyncio.timeout(PASSES_S), AsyncExitStack() as held:
        async with rig.phone.attached(rig.session):
            call = await held.enter_async_context(rig.phone.call(PEER, KEYS))
        later = Telegram()
        async with rig.phone.attached(Session(later)):
            assert later.caught_up == 1
            await later.tells(accepted())
            await call.accepted()
            await call.discard(DiscardReason.HANGUP, 3)
        assert later.requests["phone.discardCall"][0].duration == 3
        assert rig.discards == []


async def test_what_became_of_a_call_while_there_was_no_connection_is_asked() -> None:
    rig = Rig()
    async with rig.phone, asyncio.timeout(PASSES_S), AsyncExitStack() as held:
        async with rig.phone.attached(rig.session):
            call = await held.enter_async_context(rig.phone.call(PEER, KEYS))
        later = Telegram()
        later.answers["messages.search"] = [trouble(), listed(said_in_chat(types.PhoneCallDiscardReasonHangup(), 5))]
        async with rig.phone.attached(Session(later)):
            assert (await call.discarded()).reason is DiscardReason.HANGUP


async def test_a_request_waits_for_the_next_connection() -> None:
    rig = Rig()
    async with rig.phone, asyncio.timeout(PASSES_S):
        async with rig.phone.attached(rig.session):
            offer = await rig.offered()
        ringing = asyncio.create_task(offer.ringing())
        await asyncio.sleep(0.01)
        assert not ringing.done()
        later = Telegram()
        async with rig.phone.attached(Session(later)):
            await ringing
        assert len(later.requests["phone.receivedCall"]) >= 1


async def test_without_a_connection_telegram_is_unreachable() -> None:
    rig = Rig()
    async with rig.phone:
        with pytest.raises(Unreachable):
            await rig.phone.invoke(functions.PingRequest(1), 0.01)


# --- an incoming call


@asynccontextmanager
async def answered(rig: Rig) -> AsyncIterator[Offer]:
    """An offer that is being accepted, and confirmed by the caller."""
    offer = await rig.offered()
    async with offer:
        accepting = asyncio.create_task(offer.accept(KEYS))
        await rig.telegram.asked_for("phone.acceptCall")
        await asyncio.sleep(0.05)
        await rig.telegram.tells(confirmed(**{"admin_id": ANNA, "participant_id": LINE}))
        await soon(accepting)
        yield offer


async def test_an_incoming_call(rig: Rig) -> None:
    async with answered(rig) as offer:
        assert not offer.over
    assert rig.discards == [types.PhoneCallDiscardReasonDisconnect]


async def test_a_caller_who_never_confirms(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_call, "CONFIRM_S", 0.05)
    async with await rig.offered() as offer:
        with pytest.raises(Unreachable, match="did not confirm"):
            await soon(offer.accept(KEYS))
    assert rig.discards == [types.PhoneCallDiscardReasonDisconnect]


@pytest.mark.parametrize("request_name", ["phone.receivedCall", "phone.acceptCall"])
async def test_what_another_device_has_taken_is_never_discarded(
    rig: Rig, request_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone_call, "TAKEN_S", 0.05)
    rig.telegram.answers[request_name] = [errors.CallAlreadyAcceptedError(None)]
    async with await rig.offered() as offer:
        with pytest.raises(CallDiscarded):
            await offer.ringing()
            await offer.accept(KEYS)
        assert await soon(offer.discarded()) == Discarded(None, 0)
        await offer.discard(DiscardReason.DISCONNECT)
    assert rig.discards == []


@pytest.mark.parametrize("request_name", ["phone.receivedCall", "phone.acceptCall"])
@pytest.mark.parametrize("refusal", [errors.CallAlreadyDeclinedError, errors.CallPeerInvalidError])
async def test_a_caller_who_gave_up_before(rig: Rig, request_name: str, refusal: Any) -> None:
    rig.telegram.answers[request_name] = [refusal(None)]
    async with await rig.offered() as offer:
        with pytest.raises(CallDiscarded):
            await offer.ringing()
            await offer.accept(KEYS)
        assert (await soon(offer.discarded())).reason is DiscardReason.MISSED
    assert rig.discards == []
    assert rig.telegram.requests["messages.search"] == []


async def test_a_call_that_is_over_does_not_ring_again(rig: Rig) -> None:
    async with await rig.offered():
        await rig.telegram.tells(discarded(types.PhoneCallDiscardReasonMissed()))
    await rig.telegram.tells(requested())
    assert len(rig.offers) == 1


async def test_a_listener_that_fails_ends_the_offer() -> None:
    telegram = Telegram()

    def fail(offer: Offer) -> None:
        raise ValueError

    phone = Phone(ENGINE, fail)
    async with phone, phone.attached(Session(telegram)):
        await telegram.tells(requested())
        await telegram.asked_for("phone.discardCall")


@pytest.mark.parametrize("request_name", ["phone.receivedCall", "phone.acceptCall", "phone.discardCall"])
@pytest.mark.parametrize("error", [trouble(), errors.ServerError(None, "INTERNAL", 500), errors.RpcCallFailError(None)])
async def test_a_passing_error_is_got_over(rig: Rig, request_name: str, error: Exception) -> None:
    answers = rig.telegram.answers[request_name]
    rig.telegram.answers[request_name] = [error, *answers]
    async with answered(rig) as offer:
        await offer.ringing()
        await offer.discard(DiscardReason.HANGUP, 2)
    assert len(rig.telegram.requests[request_name]) == 2


@pytest.mark.parametrize("failed", [[trouble()], []])
async def test_an_accept_that_was_carried_out_though_its_answer_was_lost(rig: Rig, failed: list[Any]) -> None:
    rig.telegram.answers["phone.acceptCall"] = [*failed, errors.CallAlreadyAcceptedError(None)]
    async with answered(rig) as offer:
        assert not offer.over
    assert rig.discards == [types.PhoneCallDiscardReasonDisconnect]


async def test_an_accept_that_failed_while_another_device_took_the_call(rig: Rig) -> None:
    rig.telegram.answers["phone.acceptCall"] = [trouble(), errors.CallAlreadyAcceptedError(None)]
    async with await rig.offered() as offer:
        accepting = asyncio.create_task(offer.accept(KEYS))
        await rig.telegram.asked_for("phone.acceptCall", 2)
        await rig.telegram.tells(discarded())
        with pytest.raises(CallDiscarded):
            await soon(accepting)
    assert rig.discards == []


@pytest.mark.parametrize("refusal", [errors.FloodWaitError(None, capture=30), Limited("paused", 30), trouble()])
async def test_an_earlier_dh_configuration_will_do(rig: Rig, refusal: Exception) -> None:
    rig.telegram.answers["messages.getDhConfig"] = [refusal]
    async with answered(rig) as offer:
        assert not offer.over


async def test_without_any_dh_configuration_a_call_is_refused() -> None:
    rig = Rig()
    rig.telegram.answers["messages.getDhConfig"] = [errors.FloodWaitError(None, capture=30)]
    async with rig.phone, rig.phone.attached(rig.session):
        with pytest.raises(Limited):
            async with rig.phone.call(PEER, KEYS):
                raise AssertionError


async def test_the_message_in_the_chat_says_that_another_device_has_talked(rig: Rig) -> None:
    async with await rig.offered() as offer:
        await rig.telegram.says(said_in_chat(types.PhoneCallDiscardReasonHangup(), 34))
        assert (await soon(offer.discarded())).reason is None


async def test_our_own_accept_is_not_taken_for_another_devices(rig: Rig) -> None:
    comes = asyncio.Event()

    async def late() -> Any:
        await comes.wait()
        raise errors.CallAlreadyAcceptedError(None)

    rig.telegram.answers["phone.receivedCall"] = [late]
    offer = await rig.offered()
    rig.phone.resync()
    await rig.telegram.asked_for("phone.receivedCall")
    async with offer:
        accepting = asyncio.create_task(offer.accept(KEYS))
        await rig.telegram.asked_for("phone.acceptCall")
        comes.set()
        await asyncio.sleep(0.02)
        await rig.telegram.tells(confirmed(**{"admin_id": ANNA, "participant_id": LINE}))
        await soon(accepting)


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [(errors.CallAlreadyAcceptedError, None), (errors.CallAlreadyDeclinedError, DiscardReason.MISSED)],
)
async def test_what_became_of_a_ringing_call_is_asked_by_receiving_it_again(
    rig: Rig, refusal: Any, reason: DiscardReason | None
) -> None:
    async with await rig.offered() as offer:
        await offer.ringing()
        rig.telegram.answers["phone.receivedCall"] = [refusal(None)]
        rig.phone.resync()
        assert (await soon(offer.discarded())).reason is reason


async def test_what_the_callers_app_speaks_is_known_before_it_rings(rig: Rig) -> None:
    async with await rig.offered(OLD) as offer:
        assert offer.incompatible
        assert "2.4.4" in offer.incompatible.theirs
        await rig.telegram.tells(discarded())
    assert rig.telegram.requests["phone.receivedCall"] == []


async def test_an_offer_that_nobody_takes_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_call, "UNTAKEN_S", 0.02)
    rig = Rig()
    async with rig.phone, rig.phone.attached(rig.session):
        offer = await rig.offered()
        assert (await soon(offer.discarded())).expired_s == 0.02
        await rig.telegram.asked_for("phone.discardCall")
    assert rig.discards == [types.PhoneCallDiscardReasonMissed]


# --- what Telegram can't be told now, and what Telethon cancels


async def test_an_end_that_telegram_did_not_hear_is_told_again(rig: Rig) -> None:
    rig.telegram.answers["phone.discardCall"] = [trouble(), trouble(), trouble(), DONE]
    async with rig.phone.call(PEER, KEYS) as call:
        await call.discard(DiscardReason.HANGUP)
    await rig.telegram.asked_for("phone.discardCall", 4)
    await asyncio.sleep(0.05)
    assert len(rig.telegram.requests["phone.discardCall"]) == 4


async def test_what_another_device_has_taken_meanwhile_is_not_ended_late(rig: Rig) -> None:
    """Of a machine that was cut off while it rang, where others have the same line."""
    rig.telegram.answers["phone.discardCall"] = [trouble(), trouble()]
    async with await rig.offered() as offer:
        await offer.ringing()
        rig.telegram.answers["phone.receivedCall"] = [trouble(), errors.CallAlreadyAcceptedError(None)]
        await offer.discard(DiscardReason.DISCONNECT)
        assert offer.owes_discard
        await soon(offer.discard_told())
    assert len(rig.telegram.requests["phone.discardCall"]) == 2


async def test_a_call_that_is_being_accepted_is_left_to_no_other_device(rig: Rig) -> None:
    async with await rig.offered() as offer:
        ringing = asyncio.create_task(offer.rings_no_more())
        await asyncio.sleep(0)
        assert not ringing.done()
        accepting = asyncio.create_task(offer.accept(KEYS))
        await rig.telegram.asked_for("phone.acceptCall")
        await soon(ringing)
        offer.leave_to_other_devices()
        assert not offer.over
        await rig.telegram.tells(confirmed(**{"admin_id": ANNA, "participant_id": LINE}))
        await soon(accepting)
    assert len(rig.discards) == 1


async def test_what_telethon_cancels_is_no_cancellation_of_ours(rig: Rig) -> None:
    rig.telegram.answers["phone.receivedCall"] = [cancelled_inside]
    offer = await rig.offered()
    with pytest.raises(Unreachable, match="closed before it answered"):
        await offer.ringing()
    assert len(rig.telegram.requests["phone.receivedCall"]) == 2


async def test_our_own_cancellation_stays_one(rig: Rig) -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    rig.telegram.answers["phone.receivedCall"] = [never]
    offer = await rig.offered()
    ringing = asyncio.create_task(offer.ringing())
    await rig.telegram.asked_for("phone.receivedCall")
    ringing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ringing


async def test_outgoing_and_incoming_calls_are_told_apart(rig: Rig) -> None:
    async with rig.phone.call(PEER, KEYS) as call:
        assert isinstance(call, OutgoingCall)
        assert repr(call) == "<OutgoingCall 4711 requested>"


# --- a call of an earlier run of the program


async def test_an_adopted_call_ends_as_any_other(rig: Rig) -> None:
    async with rig.phone.adopted(ANNA, CALL, HASH) as call:
        await call.send_signal(b"media")
        assert not call.over
        await rig.telegram.tells(discarded(types.PhoneCallDiscardReasonHangup(), 65))
        assert await soon(call.discarded()) == Discarded(DiscardReason.HANGUP, 65)
    assert rig.discards == [], "Telegram knows it"


async def test_an_adopted_call_is_discarded_by_who_adopts_it(rig: Rig) -> None:
    async with rig.phone.adopted(ANNA, CALL, HASH) as call:
        await call.discard(DiscardReason.HANGUP, 70)
    (asked,) = rig.telegram.requests["phone.discardCall"]
    assert (asked.peer.id, asked.peer.access_hash, asked.duration) == (CALL, HASH, 70)
    assert rig.discards == [types.PhoneCallDiscardReasonHangup]


async def test_an_end_from_before_the_call_was_adopted_is_found_in_the_list(rig: Rig) -> None:
    rig.telegram.answers["messages.search"] = [listed(said_in_chat(types.PhoneCallDiscardReasonHangup(), 61))]
    async with rig.phone.adopted(ANNA, CALL, HASH) as call:
        assert (await soon(call.discarded())).duration_s == 61


async def test_a_call_adopted_before_there_is_a_connection_is_asked_for_once_there_is_one() -> None:
    rig = Rig()
    rig.telegram.answers["messages.search"] = [listed(said_in_chat(types.PhoneCallDiscardReasonHangup(), 61))]
    async with rig.phone, rig.phone.adopted(ANNA, CALL, HASH) as call:
        assert not call.over
        async with rig.phone.attached(rig.session):
            assert (await soon(call.discarded())).duration_s == 61
