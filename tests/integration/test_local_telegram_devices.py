"""Several devices of one account on the local Telegram, with real Telethon clients; each rule both ways."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from telethon import errors
from telethon.sessions.memory import MemorySession
from telethon.tl import functions, types

from ari_app.sandbox.telegram import Device, LocalTelegram, ServerCallState, device, new_device
from ari_app.sandbox.telegram.login_notices import TELEGRAM_ID

ANNA, BORIS, VERA = "+79990000001", "+79990000002", "+79990000003"
PATIENCE_S = 15.0
PROTOCOL = types.PhoneCallProtocol(65, 92, ["9.0.0"], udp_p2p=True, udp_reflector=True)


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as running:
        for phone, name in ((ANNA, "Анна"), (BORIS, "Борис"), (VERA, "Вера")):
            running.add_user(phone, name)
        yield running


@pytest.fixture
async def tablet(telegram: LocalTelegram, boris: Device) -> AsyncIterator[Device]:
    """Boris' second device."""
    # Refused at once, also where Telethon would ask again.
    options: dict[str, Any] = {"request_retries": 0, "raise_last_call_error": True}
    async with device(telegram, BORIS, device_model="Tablet", **options) as second:
        yield second


def hashes(telegram: LocalTelegram) -> tuple[int, int]:
    """Of Boris' first device, and of the tablet."""
    its = {each.device_model == "Tablet": each.hash for each in telegram.devices(BORIS)}
    return its[False], its[True]


async def calls(caller: Device, callee: str) -> types.InputPhoneCall:
    user = (await caller(functions.contacts.ResolvePhoneRequest(callee))).users[0]
    request = functions.phone.RequestCallRequest(user, sha256(os.urandom(256)).digest(), PROTOCOL)
    call = (await caller(request)).phone_call
    return types.InputPhoneCall(call.id, call.access_hash)


async def is_offered(someone: Device) -> types.InputPhoneCall:
    call = (await someone.next(types.UpdatePhoneCall)).phone_call
    assert isinstance(call, types.PhoneCallRequested), call
    return types.InputPhoneCall(call.id, call.access_hash)


async def is_discarded(someone: Device) -> Any:
    """Why the next call that is over is so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            call = (await someone.next(types.UpdatePhoneCall)).phone_call
            if isinstance(call, types.PhoneCallDiscarded):
                return call.reason


async def heard_of(someone: Device, kind: type) -> int:
    """How many updates of a kind came so far: all that was sent before an answer is there with it."""
    await someone(functions.PingRequest(1))
    await asyncio.sleep(0)
    return someone.waiting(kind)


# Who rings


async def test_all_devices_ring(anna: Device, boris: Device, tablet: Device) -> None:
    await calls(anna, BORIS)
    for each in (boris, tablet):
        await is_offered(each)


async def test_only_the_device_that_was_active_last_rings(
    telegram: LocalTelegram, anna: Device, boris: Device, tablet: Device
) -> None:
    telegram.device_rules.only_last_active_rings = True
    first, second = hashes(telegram)
    for active, rings, silent in ((first, boris, tablet), (second, tablet, boris)):
        telegram.use_device(active)
        peer = await calls(anna, BORIS)
        offered = await is_offered(rings)
        assert await heard_of(silent, types.UpdatePhoneCall) == 0
        await rings(functions.phone.ReceivedCallRequest(offered))
        missed = await silent(functions.updates.GetDifferenceRequest(1, None, 0))
        assert not getattr(missed, "other_updates", [])
        await anna(functions.phone.DiscardCallRequest(peer, 0, types.PhoneCallDiscardReasonMissed(), 0))
        await is_discarded(rings)
        assert await heard_of(silent, types.UpdatePhoneCall) == 0


async def test_where_the_last_active_one_takes_no_calls_the_next_one_rings(
    telegram: LocalTelegram, anna: Device, boris: Device, tablet: Device
) -> None:
    telegram.device_rules.only_last_active_rings = True
    _, second = hashes(telegram)
    await boris(functions.account.ChangeAuthorizationSettingsRequest(second, call_requests_disabled=True))
    await calls(anna, BORIS)
    await is_offered(boris)


# Notices


async def from_telegram(someone: Device) -> list[str]:
    chat = await someone.client.get_messages(TELEGRAM_ID, limit=10)
    return [each.message for each in reversed(chat) if not each.out]


async def test_an_account_is_told_of_codes_and_of_new_devices(telegram: LocalTelegram, boris: Device) -> None:
    telegram.device_rules.login_notices = True
    async with device(telegram, BORIS, device_model="Tablet"):
        new = await boris.next(types.UpdateNewAuthorization)
        code = await boris.next(types.UpdateNewMessage)
        login = await boris.next(types.UpdateNewMessage)
        assert code.message.peer_id == types.PeerUser(TELEGRAM_ID)
        assert telegram.login_code(BORIS) in code.message.message
        assert "New login" in login.message.message and "Tablet" in login.message.message
        assert (new.hash, new.unconfirmed) == (hashes(telegram)[1], False)
        assert len(await from_telegram(boris)) == 2


async def test_an_account_is_told_nothing(telegram: LocalTelegram, boris: Device, tablet: Device) -> None:
    assert await heard_of(boris, types.UpdateNewAuthorization) == 0
    assert await heard_of(boris, types.UpdateNewMessage) == 0


# Devices that are to be confirmed


async def lets_in(first: Device, second: Device) -> Any:
    """What the first device is answered."""
    qr = await second.client.qr_login()
    waiting = asyncio.create_task(qr.wait(PATIENCE_S))
    await asyncio.sleep(0)  # let it begin to listen, as QRLogin.wait demands
    answer = await first(functions.auth.AcceptLoginTokenRequest(qr.token))
    await waiting
    return answer


async def unconfirmed(someone: Device) -> list[bool]:
    """Of each device, as its account's list has it; this one comes first."""
    listed = (await someone(functions.account.GetAuthorizationsRequest())).authorizations
    return [bool(each.unconfirmed) for each in listed]


@pytest.mark.parametrize("tells", [False, True])
async def test_a_device_is_unconfirmed_until_another_one_confirms_it(
    telegram: LocalTelegram, boris: Device, tells: bool
) -> None:
    telegram.device_rules.unconfirmed = True
    telegram.device_rules.accepting_tells = tells
    async with new_device(telegram, device_model="Tablet") as tablet:
        answer = await lets_in(boris, tablet)
        assert bool(answer.unconfirmed) is tells
        told = await boris.next(types.UpdateNewAuthorization)
        assert (told.hash, told.unconfirmed, told.device) == (answer.hash, True, "Tablet")
        assert await unconfirmed(boris) == [False, True]
        others = (await tablet(functions.account.GetAuthorizationsRequest())).authorizations[1].hash
        for request in (
            functions.account.ResetAuthorizationRequest(others),
            functions.auth.ResetAuthorizationsRequest(),
            functions.account.ChangeAuthorizationSettingsRequest(answer.hash, confirmed=True),
        ):
            with pytest.raises(errors.FreshResetAuthorisationForbiddenError):
                await tablet(request)

        assert await boris(functions.account.ChangeAuthorizationSettingsRequest(answer.hash, confirmed=True))
        assert not (await boris.next(types.UpdateNewAuthorization)).unconfirmed
        assert await unconfirmed(boris) == [False, False]
        await tablet(functions.account.ResetAuthorizationRequest(others))


async def test_a_device_can_be_confirmed_as_soon_as_it_is_let_in_where_that_is_told(
    telegram: LocalTelegram, boris: Device
) -> None:
    telegram.device_rules.unconfirmed = True
    for tells in (False, True):
        telegram.device_rules.accepting_tells = tells
        async with new_device(telegram) as tablet:
            qr = await tablet.client.qr_login()
            its = (await boris(functions.auth.AcceptLoginTokenRequest(qr.token))).hash
            confirm = functions.account.ChangeAuthorizationSettingsRequest(its, confirmed=True)
            if not tells:
                with pytest.raises(errors.HashInvalidError):
                    await boris(confirm)
                continue
            await boris(confirm)
            qr_is_signed_in = await tablet(functions.auth.ExportLoginTokenRequest(1, "local", []))
            assert isinstance(qr_is_signed_in, types.auth.LoginTokenSuccess)
            assert await unconfirmed(boris) == [False, False]


async def test_a_device_is_confirmed_by_itself_in_the_end(telegram: LocalTelegram, boris: Device) -> None:
    telegram.device_rules.unconfirmed = True
    telegram.device_rules.autoconfirm_s = 0.0
    async with device(telegram, BORIS):
        assert await unconfirmed(boris) == [False, False]


async def test_the_first_device_of_an_account_needs_nobody(telegram: LocalTelegram) -> None:
    telegram.device_rules.unconfirmed = True
    async with device(telegram, VERA) as vera:
        assert await unconfirmed(vera) == [False]


# Two calls


@pytest.fixture
async def vera(telegram: LocalTelegram) -> AsyncIterator[Device]:
    async with device(telegram, VERA) as someone:
        yield someone


@pytest.mark.parametrize("one_call", [False, True])
async def test_an_account_that_has_placed_a_call(
    telegram: LocalTelegram, anna: Device, boris: Device, tablet: Device, vera: Device, one_call: bool
) -> None:
    telegram.device_rules.one_call = one_call
    first = await calls(boris, ANNA)
    if not one_call:
        await calls(tablet, VERA)
        await calls(vera, BORIS)
        await is_offered(tablet)
        return
    with pytest.raises(errors.CallOccupyFailedError):
        await calls(tablet, VERA)
    await calls(vera, BORIS)
    assert isinstance(await is_discarded(vera), types.PhoneCallDiscardReasonBusy)
    assert await heard_of(tablet, types.UpdatePhoneCall) == 0
    await boris(functions.phone.DiscardCallRequest(first, 0, types.PhoneCallDiscardReasonMissed(), 0))
    await calls(tablet, VERA)


@pytest.mark.parametrize("one_call", [False, True])
async def test_an_account_that_has_accepted_a_call(
    telegram: LocalTelegram, anna: Device, boris: Device, tablet: Device, vera: Device, one_call: bool
) -> None:
    telegram.device_rules.one_call = one_call
    await calls(anna, BORIS)
    await is_offered(tablet)
    peer = await is_offered(boris)
    await boris(functions.phone.AcceptCallRequest(peer, os.urandom(256), PROTOCOL))
    assert isinstance((await tablet.next(types.UpdatePhoneCall)).phone_call, types.PhoneCallDiscarded)
    await calls(vera, BORIS)
    if one_call:
        await telegram.calls[-1].reaches(ServerCallState.DISCARDED, PATIENCE_S)
        assert telegram.calls[-1].reason == "busy"
        assert await heard_of(tablet, types.UpdatePhoneCall) == 0
    else:
        await is_offered(tablet)


# Devices that nobody uses


async def test_devices_that_are_not_connected_expire_and_others_stay(telegram: LocalTelegram) -> None:
    async with AsyncExitStack() as stack:
        boris = await stack.enter_async_context(device(telegram, BORIS))
        async with device(telegram, BORIS) as tablet:
            telegram.expire_idle_devices(BORIS)
            assert await tablet.client.is_user_authorized()
            session = MemorySession()
            session.auth_key = tablet.client.session.auth_key
        telegram.expire_idle_devices(BORIS)
        assert len(telegram.devices(BORIS)) == 1
        assert await boris.client.is_user_authorized()
        async with new_device(telegram, session) as again:
            with pytest.raises(errors.SessionExpiredError):
                await again(functions.updates.GetStateRequest())
