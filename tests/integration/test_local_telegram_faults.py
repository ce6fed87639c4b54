"""Faults that the local Telegram makes on demand, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from telethon import errors
from telethon.tl import functions, types

from ari_app.sandbox.telegram import Device, LocalTelegram, device

ANNA, BORIS, VERA = "+79990000001", "+79990000002", "+79990000003"
PROTOCOL = types.PhoneCallProtocol(65, 92, ["9.0.0"], udp_p2p=True)


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as running:
        for phone in (ANNA, BORIS, VERA):
            running.add_user(phone, phone)
        yield running


@pytest.fixture
async def anna(telegram: LocalTelegram) -> AsyncIterator[Device]:
    # Telethon repeats a request after a 500, two seconds later, unless it is told not to.
    async with device(telegram, ANNA, request_retries=0, raise_last_call_error=True) as someone:
        yield someone


async def call(caller: Device, phone: str) -> Any:
    user = (await caller(functions.contacts.ResolvePhoneRequest(phone))).users[0]
    return await caller(functions.phone.RequestCallRequest(user, os.urandom(32), PROTOCOL))


@pytest.mark.parametrize(
    ("error", "raised", "code"),
    [
        ("FLOOD_WAIT_30", errors.FloodWaitError, 420),
        ("PEER_FLOOD", errors.PeerFloodError, 400),
        ("USER_PRIVACY_RESTRICTED", errors.UserPrivacyRestrictedError, 403),
        ("USER_IS_BLOCKED", errors.UserIsBlockedError, None),
        ("CALL_OCCUPY_FAILED", errors.CallOccupyFailedError, 500),
        ("PARTICIPANT_VERSION_OUTDATED", errors.ParticipantVersionOutdatedError, 400),
        ("AUTH_KEY_UNREGISTERED", errors.AuthKeyUnregisteredError, 401),
        ("AUTH_KEY_DUPLICATED", errors.AuthKeyDuplicatedError, 406),
        ("USER_DEACTIVATED_BAN", errors.UserDeactivatedBanError, 401),
        ("SOMETHING_NEW", errors.BadRequestError, 400),
    ],
)
async def test_refused_once(
    telegram: LocalTelegram, anna: Device, error: str, raised: type[errors.RPCError], code: int | None
) -> None:
    telegram.refuse("phone.requestCall", error)
    with pytest.raises(raised) as refused:
        await call(anna, BORIS)
    assert type(refused.value) is raised
    assert code is None or refused.value.code == code
    if isinstance(refused.value, errors.FloodWaitError):
        assert refused.value.seconds == 30
        anna.client._flood_waited_requests.clear()
    assert await call(anna, BORIS)


async def test_refused_for_one_caller_one_callee_and_so_many_times(telegram: LocalTelegram, anna: Device) -> None:
    telegram.refuse("phone.requestCall", "PEER_FLOOD", phone=ANNA, peer=BORIS, times=2)
    async with device(telegram, VERA) as vera:
        await call(vera, BORIS)
        await call(anna, VERA)
        for _ in range(2):
            with pytest.raises(errors.PeerFloodError):
                await call(anna, BORIS)
        await call(anna, BORIS)


async def test_refused_for_ever_until_cleared(telegram: LocalTelegram, anna: Device) -> None:
    telegram.refuse("contacts.resolvePhone", "PHONE_NOT_OCCUPIED", peer=BORIS, times=None)
    for _ in range(3):
        with pytest.raises(errors.PhoneNotOccupiedError):
            await call(anna, BORIS)
    telegram.clear_faults()
    assert await call(anna, BORIS)


async def test_a_fault_names_accounts_that_exist(telegram: LocalTelegram) -> None:
    with pytest.raises(LookupError, match="add_user"):
        telegram.refuse("phone.requestCall", "PEER_FLOOD", phone="+70000000000")


async def test_a_delayed_answer_holds_up_nothing_else(telegram: LocalTelegram, anna: Device) -> None:
    telegram.delay("updates.getState", 0.5)
    began = time.monotonic()
    slow = asyncio.create_task(anna(functions.updates.GetStateRequest()))
    await asyncio.sleep(0.05)
    await anna(functions.help.GetNearestDcRequest())
    assert not slow.done()
    await slow
    assert time.monotonic() - began >= 0.5


async def test_an_error_with_a_code_of_its_own(telegram: LocalTelegram, anna: Device) -> None:
    telegram.refuse("updates.getState", "Timeout of a kind", code=-503)
    with pytest.raises(errors.TimedOutError):
        await anna(functions.updates.GetStateRequest())


async def test_a_request_that_is_carried_out_and_answered_wrong(telegram: LocalTelegram, anna: Device) -> None:
    telegram.misanswer("phone.requestCall", lambda _: (0xDEADBEEF).to_bytes(4, "little"), peer=BORIS)
    with pytest.raises(errors.TypeNotFoundError):
        await call(anna, BORIS)
    assert len(telegram.calls) == 1
    telegram.misanswer("phone.requestCall", lambda right: types.phone.PhoneCall(types.PhoneCallEmpty(1), right.users))
    assert isinstance((await call(anna, VERA)).phone_call, types.PhoneCallEmpty)
    assert isinstance((await call(anna, BORIS)).phone_call, types.PhoneCallWaiting)


async def test_an_update_that_is_lost_is_not_made_up_for(telegram: LocalTelegram, anna: Device) -> None:
    async with device(telegram, BORIS) as boris:
        telegram.lose(types.PhoneCallRequested, BORIS)
        telegram.lose(types.MessageActionPhoneCall, BORIS, times=None)
        await call(anna, BORIS)
        await call(anna, BORIS)
        heard = (await boris.next(types.UpdatePhoneCall)).phone_call
        assert heard.id == telegram.calls[-1].id
        await boris.client.catch_up()
        await boris(functions.updates.GetStateRequest())
        assert boris.waiting(types.UpdatePhoneCall) == 0
        telegram.offer_again(telegram.calls[0])
        assert (await boris.next(types.UpdatePhoneCall)).phone_call.id == telegram.calls[0].id


async def test_the_list_of_calls(telegram: LocalTelegram, anna: Device) -> None:
    for phone in (BORIS, VERA):
        placed = (await call(anna, phone)).phone_call
        reason = types.PhoneCallDiscardReasonMigrateConferenceCall("slug")
        peer = types.InputPhoneCall(placed.id, placed.access_hash)
        await anna(functions.phone.DiscardCallRequest(peer, 0, reason, connection_id=0))
    await anna.client.send_message("me", "no call")
    everywhere, calls = types.InputPeerEmpty(), types.InputMessagesFilterPhoneCalls()
    search = functions.messages.SearchRequest(everywhere, "", calls, None, None, 0, 0, 10, 0, 0, 0)
    found = (await anna(search)).messages
    assert [message.action.call_id for message in found] == [each.id for each in reversed(telegram.calls)]
    assert found[0].action.reason.slug == "slug"


async def test_catching_up_after_a_lost_connection(telegram: LocalTelegram, anna: Device) -> None:
    async with device(telegram, BORIS) as boris:
        target = (await anna(functions.contacts.ResolvePhoneRequest(BORIS))).users[0]
        await anna.client.send_message(target, "before")
        assert (await boris.next(types.UpdateNewMessage)).message.message == "before"
        state = await boris(functions.updates.GetStateRequest())
        telegram.drop_connections(BORIS)
        sent = [await anna.client.send_message(target, f"while away {i}") for i in range(3)]
        await anna.client.edit_message(sent[0], "edited")
        await anna.client.delete_messages(None, sent.pop().id)
        await boris.client.get_me()
        await boris.client.catch_up()
        missed = [(await boris.next(types.UpdateNewMessage)).message.message for _ in sent]
        assert missed == ["edited", "while away 1"]
        raw = await boris(functions.updates.GetDifferenceRequest(pts=state.pts, date=None, qts=0))
        assert [type(update) for update in raw.other_updates] == [types.UpdateEditMessage, types.UpdateDeleteMessages]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def open_files() -> set[str]:
    return names(Path("/proc/self/fd"))


async def test_nothing_is_left_after_closing(tmp_path: Path) -> None:
    files = open_files()
    tasks = asyncio.all_tasks()
    async with LocalTelegram(tmp_path / "telegram.db") as telegram:
        telegram.add_user(ANNA, "Анна", password="still being enrolled at the end")
        telegram.add_user(BORIS, "Борис")
        telegram.add_user(VERA, "Вера")
        telegram.delay("updates.getState", 3600, phone=VERA)
        silent = await asyncio.open_connection(telegram.host, telegram.port)
        async with device(telegram, BORIS) as boris:
            await call(boris, ANNA)
            stuck = asyncio.create_task(boris(functions.help.GetNearestDcRequest()))
            await stuck
        (ringing,) = telegram.calls
        assert ringing.timer is not None
    assert ringing.timer.cancelled()
    assert await silent[0].read() == b""
    silent[1].close()
    await silent[1].wait_closed()
    assert asyncio.all_tasks() == tasks
    assert open_files() == files
    assert names(tmp_path) == {"telegram.db"}


async def test_closing_does_not_wait_for_a_delayed_answer(tmp_path: Path) -> None:
    async with LocalTelegram(tmp_path / "telegram.db") as telegram:
        telegram.add_user(ANNA, "Анна")
        async with device(telegram, ANNA) as anna:
            telegram.delay("help.getNearestDc", 3600)
            waiting = asyncio.create_task(anna(functions.help.GetNearestDcRequest()))
            await anna(functions.updates.GetStateRequest())
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_an_error_of_the_body_arrives_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with LocalTelegram(tmp_path / "telegram.db"):
            raise ZeroDivisionError
