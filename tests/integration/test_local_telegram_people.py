"""Accounts, contacts, privacy and messages of the local Telegram, with real Telethon clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from telethon import errors
from telethon.tl import functions, types

from ari_app.sandbox.telegram import Audience, Device, LocalTelegram, device

ANNA, BORIS, VERA = "+79990000001", "+79990000002", "+79990000003"
PNG = bytes.fromhex("89504e470d0a1a0a") + bytes(2000)


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as running:
        running.add_user(ANNA, "Анна")
        running.add_user(BORIS, "Борис", "Бобров", username="boris")
        yield running


async def found(by: Device, phone: str = BORIS) -> Any:
    return (await by(functions.contacts.ResolvePhoneRequest(phone))).users[0]


async def test_resolving(telegram: LocalTelegram, anna: Device) -> None:
    by_phone, by_name = await found(anna), await anna.client.get_entity("boris")
    assert by_phone.id == by_name.id == telegram.user(BORIS).id
    assert (by_phone.first_name, by_phone.last_name, by_phone.is_self) == ("Борис", "Бобров", False)
    with pytest.raises(errors.PhoneNotOccupiedError):
        await found(anna, VERA)
    with pytest.raises(errors.UsernameNotOccupiedError):
        await anna(functions.contacts.ResolveUsernameRequest("nobody"))
    with pytest.raises(errors.UsernameInvalidError):
        await anna(functions.contacts.ResolveUsernameRequest("no body"))
    telegram.set_privacy(BORIS, "added_by_phone", Audience.NOBODY)
    with pytest.raises(errors.PhoneNotOccupiedError):
        await found(anna)


async def test_an_access_hash_is_good_for_its_viewer_only(telegram: LocalTelegram, anna: Device) -> None:
    telegram.add_user(VERA, "Вера")
    seen = await found(anna)
    async with device(telegram, VERA) as vera:
        assert (await found(vera)).access_hash != seen.access_hash
        with pytest.raises(errors.UserIdInvalidError):
            await vera(functions.users.GetUsersRequest([types.InputUser(seen.id, seen.access_hash)]))
        with pytest.raises(errors.PeerIdInvalidError):
            await vera.client.send_message(types.InputPeerUser(seen.id, seen.access_hash), "?")
    (again,) = await anna(functions.users.GetUsersRequest([types.InputUser(seen.id, seen.access_hash)]))
    assert again.first_name == "Борис"


async def test_who_sees_a_phone_number(telegram: LocalTelegram, anna: Device) -> None:
    assert (await found(anna)).phone is None
    telegram.add_contact(BORIS, ANNA)
    assert (await found(anna)).phone == BORIS[1:]
    telegram.set_privacy(BORIS, "phone_number", Audience.EVERYBODY, disallow=[ANNA])
    assert (await found(anna)).phone is None


async def test_privacy_over_the_wire(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    me = await found(boris, ANNA)
    key = types.InputPrivacyKeyPhoneCall()
    exception = types.InputPrivacyValueAllowUsers([types.InputUser(me.id, me.access_hash)])
    await boris(functions.account.SetPrivacyRequest(key, [exception, types.InputPrivacyValueDisallowAll()]))
    rules = (await boris(functions.account.GetPrivacyRequest(key))).rules
    assert rules == [types.PrivacyValueAllowUsers([me.id]), types.PrivacyValueDisallowAll()]
    assert not (await anna(functions.users.GetFullUserRequest(await found(anna)))).full_user.phone_calls_private
    await boris(functions.account.SetPrivacyRequest(key, [types.InputPrivacyValueDisallowAll()]))
    assert (await anna(functions.users.GetFullUserRequest(await found(anna)))).full_user.phone_calls_private


async def test_contacts(anna: Device, boris: Device) -> None:
    wanted = [types.InputPhoneContact(1, BORIS, "Боря", ""), types.InputPhoneContact(2, VERA, "Вера", "")]
    result = await anna(functions.contacts.ImportContactsRequest(wanted))
    assert [imported.client_id for imported in result.imported] == [1]
    assert result.users[0].first_name == "Боря"
    (contact,) = (await anna(functions.contacts.GetContactsRequest(hash=0))).contacts
    assert not contact.mutual
    await boris(functions.contacts.AddContactRequest(await found(boris, ANNA), "Аня", "", ""))
    assert (await found(anna)).mutual_contact
    await anna(functions.contacts.DeleteContactsRequest([result.users[0]]))
    assert not (await found(anna)).contact
    assert (await found(anna)).first_name == "Борис"


async def test_a_message_and_its_life(anna: Device, boris: Device) -> None:
    sent = await anna.client.send_message(await found(anna), "привет **мир**")
    got = (await boris.next(types.UpdateNewMessage)).message
    assert (got.message, got.out, got.from_id) == ("привет мир", False, None)
    assert isinstance(got.entities[0], types.MessageEntityBold)

    reply = await boris.client.send_message(await boris.client.get_input_entity(got.peer_id), "да", reply_to=got.id)
    echoed = (await anna.next(types.UpdateNewMessage)).message
    assert echoed.reply_to.reply_to_msg_id == sent.id

    with pytest.raises(errors.MessageNotModifiedError):
        await boris.client.edit_message(reply, "да")
    with pytest.raises(errors.MessageAuthorRequiredError):
        await anna.client.edit_message(await found(anna), echoed.id, "нет")
    await boris.client.edit_message(reply, "нет")
    assert (await anna.next(types.UpdateEditMessage)).message.message == "нет"

    await anna.client.delete_messages(None, [sent.id], revoke=True)
    assert (await boris.next(types.UpdateDeleteMessages)).messages == [got.id]
    assert [m.message for m in await boris.client.get_messages(got.peer_id, limit=9)] == ["нет"]
    await anna.client.delete_messages(None, [echoed.id], revoke=False)
    assert len(await boris.client.get_messages(got.peer_id, limit=9)) == 1
    assert await anna.client.get_messages(await found(anna), limit=9) == []


async def test_other_devices_hear_of_own_messages(telegram: LocalTelegram, anna: Device) -> None:
    async with device(telegram, ANNA) as second:
        await anna.client.send_message(await found(anna), "от меня")
        own = (await second.next(types.UpdateNewMessage)).message
        assert (own.message, own.out) == ("от меня", True)


async def test_history_dialogs_and_reading(anna: Device, boris: Device) -> None:
    target = await found(anna)
    for i in range(5):
        await anna.client.send_message(target, f"{i}")
    newest = [await boris.next(types.UpdateNewMessage) for _ in range(5)][-1].message
    (dialog,) = await boris.client.get_dialogs()
    assert (dialog.unread_count, dialog.message.message, dialog.name) == (5, "4", "Анна")
    assert [m.message for m in await boris.client.get_messages(newest.peer_id, limit=2)] == ["4", "3"]
    page = await boris.client.get_messages(newest.peer_id, limit=9, offset_id=newest.id - 2)
    assert [m.message for m in page] == ["1", "0"]
    assert (await boris.client.get_messages(newest.peer_id, ids=newest.id)).message == "4"
    await boris.client.send_read_acknowledge(await boris.client.get_input_entity(newest.peer_id), newest)
    assert (await anna.next(types.UpdateReadHistoryOutbox)).max_id
    assert (await boris.client.get_dialogs())[0].unread_count == 0


async def test_typing(anna: Device, boris: Device) -> None:
    await anna(functions.messages.SetTypingRequest(await found(anna), types.SendMessageTypingAction()))
    assert (await boris.next(types.UpdateUserTyping)).user_id == (await anna.client.get_me()).id


async def test_a_card_and_a_photo(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    target = await found(anna)
    await anna.client.send_message(target, file=types.InputMediaContact(BORIS, "Борис", "", ""))
    card = (await boris.next(types.UpdateNewMessage)).message.media
    assert (card.phone_number, card.user_id) == (BORIS[1:], telegram.user(BORIS).id)
    uploaded = await anna.client.upload_file(PNG, file_name="card.png")
    await anna.client.send_file(target, types.InputMediaUploadedPhoto(uploaded), caption="визитка")
    got = (await boris.next(types.UpdateNewMessage)).message
    assert got.message == "визитка"
    assert await boris.client.download_media(got.media.photo, file=bytes) == PNG
    with pytest.raises(errors.FilePart0MissingError):
        missing = types.InputMediaUploadedPhoto(types.InputFile(5, 1, "x.png", ""))
        await anna(functions.messages.SendMediaRequest(target, missing, ""))


async def test_blocked_and_impossible_messages(telegram: LocalTelegram, anna: Device, boris: Device) -> None:
    target = await found(anna)
    await boris(functions.contacts.BlockRequest(await found(boris, ANNA)))
    with pytest.raises(errors.UserIsBlockedError):
        await anna.client.send_message(target, "?")
    with pytest.raises(errors.YouBlockedUserError):
        await boris.client.send_message(await found(boris, ANNA), "?")
    await boris(functions.contacts.UnblockRequest(await found(boris, ANNA)))
    await anna.client.send_message(target, "!")
    with pytest.raises(errors.MessageEmptyError):
        await anna(functions.messages.SendMessageRequest(target, " "))
    with pytest.raises(errors.MessageTooLongError):
        await anna(functions.messages.SendMessageRequest(target, "x" * 5000))
    telegram.delete_account(BORIS)
    with pytest.raises(errors.InputUserDeactivatedError):
        await anna.client.send_message(target, "?")


async def test_a_repeated_request_is_recognised(telegram: LocalTelegram) -> None:
    async with device(telegram, ANNA, request_retries=0, raise_last_call_error=True) as anna:
        request = functions.messages.SendMessageRequest(await found(anna), "once", random_id=42)
        await anna(request)
        with pytest.raises(errors.RandomIdDuplicateError):
            await anna(request)
        assert len(await anna.client.get_messages(await found(anna), limit=9)) == 1


async def test_a_contact_must_exist(telegram: LocalTelegram) -> None:
    with pytest.raises(LookupError, match="add_user"):
        telegram.add_user(ANNA, "Анна", contacts=[VERA])
    with pytest.raises(ValueError, match="phone_call"):
        telegram.set_privacy(ANNA, "phone-call", Audience.NOBODY)
