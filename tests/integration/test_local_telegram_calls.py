"""Phone calls over the local Telegram, between real Telethon clients."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from telethon import errors
from telethon.tl import functions, types

from ari_app.sandbox.telegram import Audience, Device, LocalTelegram, ServerCallState, Timers, device

ANNA, BORIS, VERA = "+79990000001", "+79990000002", "+79990000003"
PATIENCE_S = 15.0
SOON_S = 0.2


def protocol(*versions: str, layers: tuple[int, int] = (65, 92)) -> types.PhoneCallProtocol:
    low, high = layers
    return types.PhoneCallProtocol(low, high, list(versions) or ["8.0.0", "9.0.0"], udp_p2p=True, udp_reflector=True)


@dataclass
class Dialled:
    """A call that Anna placed."""

    peer: types.InputPhoneCall
    g_a: bytes = field(default_factory=lambda: os.urandom(256))


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db", timers=Timers()) as running:
        for phone, name in ((ANNA, "Анна"), (BORIS, "Борис"), (VERA, "Вера")):
            running.add_user(phone, name)
        yield running


async def found(by: Device, phone: str) -> types.InputUser:
    user = (await by(functions.contacts.ResolvePhoneRequest(phone[1:]))).users[0]
    return types.InputUser(user.id, user.access_hash)


async def dial(caller: Device, callee: str = BORIS, offer: Any = None) -> Dialled:
    g_a, target = os.urandom(256), await found(caller, callee)
    request = functions.phone.RequestCallRequest(target, sha256(g_a).digest(), offer or protocol())
    call = (await caller(request)).phone_call
    assert isinstance(call, types.PhoneCallWaiting)
    assert call.receive_date is None
    return Dialled(types.InputPhoneCall(call.id, call.access_hash), g_a)


async def heard(by: Device, kind: type) -> Any:
    """The next state of a call that a device hears of; it must be of this kind."""
    call = (await by.next(types.UpdatePhoneCall)).phone_call
    assert isinstance(call, kind), call
    return call


async def offered(to: Device) -> types.InputPhoneCall:
    call = await heard(to, types.PhoneCallRequested)
    return types.InputPhoneCall(call.id, call.access_hash)


async def established(anna: Device, boris: Device) -> tuple[Dialled, types.InputPhoneCall]:
    dialled = await dial(anna)
    peer = await offered(boris)
    await boris(functions.phone.ReceivedCallRequest(peer))
    await boris(functions.phone.AcceptCallRequest(peer, os.urandom(256), protocol()))
    await heard(anna, types.PhoneCallWaiting)
    await heard(anna, types.PhoneCallAccepted)
    await anna(functions.phone.ConfirmCallRequest(dialled.peer, dialled.g_a, 7, protocol()))
    await heard(boris, types.PhoneCall)
    return dialled, peer


def discard(peer: types.InputPhoneCall, reason: Any, duration: int = 0) -> functions.phone.DiscardCallRequest:
    return functions.phone.DiscardCallRequest(peer, duration, reason, connection_id=0)


HANGUP, BUSY = types.PhoneCallDiscardReasonHangup(), types.PhoneCallDiscardReasonBusy()


async def test_a_call_from_dialling_to_hanging_up(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    server = types.PhoneConnectionWebrtc(1, "127.0.0.1", "", 3478, "tg", "secret", turn=True)
    telegram.connections.append(server)
    telegram.custom_parameters = '{"a":1}'
    dialled = await dial(anna, offer=protocol("8.0.0", "9.0.0", layers=(65, 92)))
    peer = await offered(boris)
    await boris(functions.phone.ReceivedCallRequest(peer))
    assert (await heard(anna, types.PhoneCallWaiting)).receive_date is not None

    g_b = os.urandom(256)
    accept = functions.phone.AcceptCallRequest(peer, g_b, protocol("9.0.0", "12.0.0", layers=(70, 93)))
    assert isinstance((await boris(accept)).phone_call, types.PhoneCallWaiting)
    accepted = await heard(anna, types.PhoneCallAccepted)
    assert accepted.g_b == g_b

    confirm = functions.phone.ConfirmCallRequest(dialled.peer, dialled.g_a, -12345678901, protocol())
    outgoing = (await anna(confirm)).phone_call
    incoming = await heard(boris, types.PhoneCall)
    assert (outgoing.g_a_or_b, incoming.g_a_or_b) == (g_b, dialled.g_a)
    for call in (outgoing, incoming):
        assert call.key_fingerprint == -12345678901
        assert (call.protocol.min_layer, call.protocol.max_layer) == (70, 92)
        assert call.protocol.library_versions == ["9.0.0"]
        assert [bytes(connection) for connection in call.connections] == [bytes(server)]
        assert call.p2p_allowed
        assert call.custom_parameters.data == '{"a":1}'
        assert call.start_date

    result = await boris(discard(peer, HANGUP, duration=7))
    assert isinstance(result.updates[0].phone_call.reason, types.PhoneCallDiscardReasonHangup)
    over = await heard(anna, types.PhoneCallDiscarded)
    assert (type(over.reason), over.duration) == (types.PhoneCallDiscardReasonHangup, 7)
    note = (await anna.next(types.UpdateNewMessage)).message
    assert (note.out, note.action.call_id, note.action.duration) == (True, over.id, 7)
    (kept,) = await boris.client.get_messages(await found(boris, ANNA), limit=1)
    assert (kept.out, kept.action.call_id) == (False, over.id)

    (call,) = telegram.calls
    assert (call.caller, call.callee, call.state) == (ANNA[1:], BORIS[1:], ServerCallState.DISCARDED)
    assert (call.reason, call.duration) == ("hangup", 7)
    assert [(step.actor, step.event) for step in call.events] == [
        (ANNA[1:], "requestCall"),
        (BORIS[1:], "receivedCall"),
        (BORIS[1:], "acceptCall"),
        (ANNA[1:], "confirmCall"),
        (BORIS[1:], "discardCall hangup"),
    ]
    assert [step.at for step in call.events] == sorted(step.at for step in call.events)


async def test_signalling_keeps_its_order_both_ways(anna: Device, boris: Device) -> None:
    dialled, peer = await established(anna, boris)
    blobs = [bytes([i]) * 40 for i in range(50)]
    for blob in blobs:
        await anna(functions.phone.SendSignalingDataRequest(dialled.peer, blob))
        await boris(functions.phone.SendSignalingDataRequest(peer, blob))
    for someone in (anna, boris):
        assert [(await someone.next(types.UpdatePhoneCallSignalingData)).data for _ in blobs] == blobs


async def test_signalling_sent_at_once_keeps_its_order(anna: Device, boris: Device) -> None:
    dialled, _ = await established(anna, boris)
    blobs = [bytes([i]) for i in range(60)]
    await asyncio.gather(*(anna(functions.phone.SendSignalingDataRequest(dialled.peer, blob)) for blob in blobs))
    assert [(await boris.next(types.UpdatePhoneCallSignalingData)).data for _ in blobs] == blobs


async def test_signalling_needs_a_live_call(anna: Device, boris: Device) -> None:
    dialled = await dial(anna)
    with pytest.raises(errors.CallPeerInvalidError):
        await anna(functions.phone.SendSignalingDataRequest(dialled.peer, b"early"))
    await anna(discard(dialled.peer, HANGUP))
    with pytest.raises(errors.CallAlreadyDeclinedError):
        await anna(functions.phone.SendSignalingDataRequest(dialled.peer, b"late"))


async def test_declined(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    await dial(anna)
    await boris(discard(await offered(boris), BUSY))
    over = await heard(anna, types.PhoneCallDiscarded)
    assert (type(over.reason), over.duration) == (types.PhoneCallDiscardReasonBusy, None)
    assert telegram.calls[0].reason == "busy"


async def test_the_caller_gives_up(anna: Device, boris: Device) -> None:
    dialled = await dial(anna)
    peer = await offered(boris)
    await anna(discard(dialled.peer, types.PhoneCallDiscardReasonMissed()))
    assert isinstance((await heard(boris, types.PhoneCallDiscarded)).reason, types.PhoneCallDiscardReasonMissed)
    with pytest.raises(errors.CallAlreadyDeclinedError):
        await boris(functions.phone.AcceptCallRequest(peer, os.urandom(256), protocol()))


async def test_receive_timer(telegram: LocalTelegram, anna: Device) -> None:
    telegram.timers.receive_s = SOON_S  # Boris has no device at all
    await dial(anna)
    over = await heard(anna, types.PhoneCallDiscarded)
    assert isinstance(over.reason, types.PhoneCallDiscardReasonMissed)
    assert [step.event for step in telegram.calls[0].events] == ["requestCall", "receive timer missed"]


async def test_ring_timer(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    telegram.timers.ring_s = SOON_S
    await dial(anna)
    await boris(functions.phone.ReceivedCallRequest(await offered(boris)))
    await heard(anna, types.PhoneCallWaiting)
    for someone in (anna, boris):
        over = await heard(someone, types.PhoneCallDiscarded)
        assert isinstance(over.reason, types.PhoneCallDiscardReasonMissed)
    assert telegram.calls[0].events[-1].event == "ring timer missed"


async def test_connect_timer(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    telegram.timers.connect_s = SOON_S
    await dial(anna)
    await boris(functions.phone.AcceptCallRequest(await offered(boris), os.urandom(256), protocol()))
    await heard(anna, types.PhoneCallAccepted)
    for someone in (anna, boris):
        over = await heard(someone, types.PhoneCallDiscarded)
        assert isinstance(over.reason, types.PhoneCallDiscardReasonDisconnect)
    assert telegram.calls[0].events[-1].event == "connect timer disconnect"


async def test_the_other_devices_of_the_callee_stop_ringing(
    telegram: LocalTelegram, anna: Device, boris: Device
) -> None:
    async with device(telegram, BORIS) as second:
        await dial(anna)
        peer = await offered(boris)
        assert (await offered(second)).id == peer.id
        await boris(functions.phone.AcceptCallRequest(peer, os.urandom(256), protocol()))
        await heard(second, types.PhoneCallDiscarded)
        with pytest.raises(errors.CallAlreadyAcceptedError):
            await second(functions.phone.AcceptCallRequest(peer, os.urandom(256), protocol()))
        await boris(discard(peer, HANGUP))
        await second.next(types.UpdateNewMessage)
        assert second.waiting(types.UpdatePhoneCall) == 0


async def test_several_calls_at_once(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    async with device(telegram, VERA) as vera:
        await established(anna, boris)
        await dial(vera)
        await boris(discard(await offered(boris), BUSY))
        await heard(vera, types.PhoneCallDiscarded)
        assert [call.state for call in telegram.calls] == [ServerCallState.ACTIVE, ServerCallState.DISCARDED]


async def test_both_call_each_other(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    one, other = await asyncio.gather(dial(anna, BORIS), dial(boris, ANNA))
    assert (await offered(anna)).id == other.peer.id
    assert (await offered(boris)).id == one.peer.id
    assert len(telegram.calls) == 2


async def test_a_wrong_g_a_is_not_confirmed(anna: Device, boris: Device) -> None:
    dialled = await dial(anna)
    peer = await offered(boris)
    await boris(functions.phone.AcceptCallRequest(peer, os.urandom(256), protocol()))
    await heard(anna, types.PhoneCallAccepted)
    with pytest.raises(errors.DhGAInvalidError):
        await anna(functions.phone.ConfirmCallRequest(dialled.peer, os.urandom(256), 0, protocol()))
    await anna(functions.phone.ConfirmCallRequest(dialled.peer, dialled.g_a, 0, protocol()))
    with pytest.raises(errors.CallAlreadyAcceptedError):
        await anna(functions.phone.ConfirmCallRequest(dialled.peer, dialled.g_a, 0, protocol()))


async def test_only_the_right_side_with_the_right_hash(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    dialled = await dial(anna)
    peer = await offered(boris)
    assert peer.access_hash != dialled.peer.access_hash
    wrong = [
        (anna, functions.phone.AcceptCallRequest(dialled.peer, os.urandom(256), protocol())),
        (boris, functions.phone.ReceivedCallRequest(dialled.peer)),
        (boris, functions.phone.ConfirmCallRequest(peer, dialled.g_a, 0, protocol())),
        (anna, functions.phone.ConfirmCallRequest(dialled.peer, dialled.g_a, 0, protocol())),
        (anna, discard(types.InputPhoneCall(1, 1), HANGUP)),
    ]
    for someone, request in wrong:
        with pytest.raises(errors.CallPeerInvalidError):
            await someone(request)
    assert telegram.calls[0].state is ServerCallState.REQUESTED


async def test_what_an_offer_must_be(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    target, good = await found(anna, BORIS), os.urandom(32)
    flags = types.PhoneCallProtocol(65, 92, ["9.0.0"])
    for g_a_hash, offer, error in (
        (b"short", protocol(), "G_A_HASH_INVALID"),
        (good, flags, "CALL_PROTOCOL_FLAGS_INVALID"),
        (good, protocol(layers=(92, 65)), "CALL_PROTOCOL_LAYER_INVALID"),
    ):
        with (
            pytest.raises(errors.BadRequestError, match=error)
            if error.startswith("G_A")
            else pytest.raises(errors.BadRequestError)
        ):
            await anna(functions.phone.RequestCallRequest(target, g_a_hash, offer))
    with pytest.raises(errors.UserIdInvalidError):
        await anna(functions.phone.RequestCallRequest(types.InputUserSelf(), good, protocol()))
    with pytest.raises(errors.UserIdInvalidError):
        await anna(functions.phone.RequestCallRequest(types.InputUser(target.user_id, 1), good, protocol()))
    assert telegram.calls == ()


async def test_no_common_version(anna: Device, boris: Device) -> None:
    await dial(anna)
    peer = await offered(boris)
    with pytest.raises(errors.RPCError, match="CALL_PROTOCOL_COMPAT_LAYER_INVALID"):
        await boris(functions.phone.AcceptCallRequest(peer, os.urandom(256), protocol("1.0.0")))
    await boris(discard(peer, HANGUP))
    with pytest.raises(errors.ParticipantVersionOutdatedError):
        await dial(anna)


async def test_who_cannot_be_called(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    telegram.set_privacy(BORIS, "phone_call", Audience.NOBODY)
    with pytest.raises(errors.UserPrivacyRestrictedError):
        await dial(anna)
    telegram.set_privacy(BORIS, "phone_call", Audience.NOBODY, allow=[ANNA])
    await dial(anna)
    telegram.set_privacy(BORIS, "phone_call", Audience.CONTACTS)
    with pytest.raises(errors.UserPrivacyRestrictedError):
        await dial(anna)
    telegram.add_contact(BORIS, ANNA)
    await dial(anna)
    target = await found(anna, BORIS)
    blocked = await found(boris, ANNA)
    await boris(functions.contacts.BlockRequest(types.InputPeerUser(blocked.user_id, blocked.access_hash)))
    request = functions.phone.RequestCallRequest(target, os.urandom(32), protocol())
    with pytest.raises(errors.UserIsBlockedError):
        await anna(request)
    telegram.delete_account(BORIS)
    with pytest.raises(errors.InputUserDeactivatedError):
        await anna(request)


@pytest.mark.parametrize("who", ["server", ANNA, BORIS])
async def test_peer_to_peer_needs_everybodys_consent(
    telegram: LocalTelegram, anna: Device, boris: Device, who: str
) -> None:
    if who == "server":
        telegram.p2p_allowed = False
    else:
        telegram.set_privacy(who, "phone_p2p", Audience.NOBODY)
    dialled = await dial(anna)
    await boris(functions.phone.AcceptCallRequest(await offered(boris), os.urandom(256), protocol()))
    await heard(anna, types.PhoneCallAccepted)
    confirmed = await anna(functions.phone.ConfirmCallRequest(dialled.peer, dialled.g_a, 0, protocol()))
    assert not confirmed.phone_call.p2p_allowed


async def test_dh_config(anna: Device) -> None:
    config = await anna(functions.messages.GetDhConfigRequest(version=0, random_length=256))
    assert (config.g, len(config.p), len(config.random)) == (3, 256, 256)
    again = await anna(functions.messages.GetDhConfigRequest(version=config.version, random_length=16))
    assert isinstance(again, types.messages.DhConfigNotModified)
    assert len(again.random) == 16
    with pytest.raises(errors.RandomLengthInvalidError):
        await anna(functions.messages.GetDhConfigRequest(version=0, random_length=5000))


async def test_a_device_that_was_away_learns_of_the_call(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    telegram.drop_connections(BORIS)
    await dial(anna)
    await boris.client.get_me()  # connected again
    await boris.client.catch_up()
    peer = await offered(boris)
    telegram.drop_connections(ANNA)
    await boris(functions.phone.AcceptCallRequest(peer, os.urandom(256), protocol()))
    await anna.client.get_me()
    await anna.client.catch_up()
    await heard(anna, types.PhoneCallAccepted)
    await boris.client.catch_up()
    await boris.client.get_me()
    assert boris.waiting(types.UpdatePhoneCall) == 0
    assert telegram.calls[0].live


async def test_a_call_outlives_a_lost_connection(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    dialled, peer = await established(anna, boris)
    telegram.drop_connections()
    await anna(functions.phone.SendSignalingDataRequest(dialled.peer, b"into the void or not"))
    await boris(functions.phone.SendSignalingDataRequest(peer, b"again"))
    assert (await anna.next(types.UpdatePhoneCallSignalingData)).data == b"again"
    assert telegram.calls[0].state is ServerCallState.ACTIVE


async def test_waiting_for_a_state(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    dialled = await dial(anna)
    (call,) = telegram.calls
    with pytest.raises(TimeoutError):
        await call.reaches(ServerCallState.DISCARDED, within=0.01)
    waiting = asyncio.create_task(call.reaches(ServerCallState.DISCARDED, within=PATIENCE_S))
    await anna(discard(dialled.peer, HANGUP))
    await waiting


async def test_ratings_and_debug_are_taken(anna: Device, boris: Device) -> None:
    dialled, _ = await established(anna, boris)
    await anna(discard(dialled.peer, HANGUP, 1))
    await anna(functions.phone.SetCallRatingRequest(dialled.peer, rating=5, comment=""))
    assert await anna(functions.phone.SaveCallDebugRequest(dialled.peer, types.DataJSON("{}")))
