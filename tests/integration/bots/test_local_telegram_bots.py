"""Bots of the local Telegram: a real aiogram and real Telethon clients on one state."""

from __future__ import annotations

import pytest
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNotFound,
)
from aiogram.types import (
    BufferedInputFile,
    CallbackQuery,
    ChosenInlineResult,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InlineQuery,
    Message,
)
from telethon import errors
from telethon.tl import functions, types

from ari_app.sandbox.telegram import Device, LocalTelegram, RpcError, device

from .bot_program import ANNA, BORIS, KEYS, Program, caller, keypad, received, show_keypad

VERA = "+79990000003"
PNG = bytes.fromhex("89504e470d0a1a0a") + bytes(2000)


async def test_a_keypad_goes_from_the_bot_through_an_account_to_a_person(
    telegram: LocalTelegram, anna: Device, boris: Device, bot: Program
) -> None:
    sent = await show_keypad(anna)
    query = await bot.next(InlineQuery)
    assert (query.query, query.chat_type, query.from_user.id) == ("call 1", "private", telegram.user(ANNA).id)
    chosen = await bot.next(ChosenInlineResult)
    assert (chosen.result_id, chosen.query) == ("keypad", "call 1")
    got = await received(boris)
    for message in (sent, got):
        assert message.via_bot_id == telegram.bot("keypad_bot").id
        assert message.message == "Наберите номер"
        assert isinstance(message.entities[0], types.MessageEntityBold)
        assert [[button.text for button in row] for row in message.buttons] == [list(row) for row in KEYS]
    assert (got.out, got.sender_id) == (False, telegram.user(ANNA).id)
    assert (await got.get_chat()).first_name == "Анна"
    assert (await boris.client.get_entity(got.via_bot_id)).username == "keypad_bot"


async def test_a_press_reaches_the_bot_and_its_answer_the_presser(
    telegram: LocalTelegram, anna: Device, boris: Device, bot: Program
) -> None:
    await show_keypad(anna)
    chosen = await bot.next(ChosenInlineResult)
    message = await received(boris)
    answer = await message.click(data=b"key:5")
    assert (answer.message, answer.alert) == ("key:5", True)
    press = await bot.next(CallbackQuery)
    assert (press.data, press.from_user.id, press.message) == ("key:5", telegram.user(BORIS).id, None)
    assert (press.from_user.first_name, press.from_user.language_code) == ("Борис", "ru")
    assert press.inline_message_id == chosen.inline_message_id
    assert (await message.buttons[3][1].click()).message == "key:0"
    again = await bot.next(CallbackQuery)
    assert (again.inline_message_id, again.chat_instance) == (press.inline_message_id, press.chat_instance)


async def test_the_bot_edits_and_the_account_deletes_for_both(anna: Device, boris: Device, bot: Program) -> None:
    sent = await show_keypad(anna)
    inline_id = (await bot.next(ChosenInlineResult)).inline_message_id
    got = await received(boris)
    edit = {"text": "Нажато: 1", "inline_message_id": inline_id, "reply_markup": keypad("next")}
    assert await bot.api.edit_message_text(**edit) is True
    for side in (anna, boris):
        edited = (await side.next(types.UpdateEditMessage)).message
        assert edited.message == "Нажато: 1"
        assert edited.reply_markup.rows[0].buttons[0].type.data == b"next:1"
        assert edited.edit_date
    with pytest.raises(TelegramBadRequest, match="message is not modified"):
        await bot.api.edit_message_text(**edit)
    await bot.api.edit_message_reply_markup(inline_message_id=inline_id)
    assert (await boris.next(types.UpdateEditMessage)).message.reply_markup is None

    with pytest.raises(errors.MessageAuthorRequiredError):  # as on Telegram: only the bot edits what is "via" it
        await anna.client.edit_message(sent, "?")
    await anna.client.delete_messages(None, [sent.id], revoke=True)
    assert (await boris.next(types.UpdateDeleteMessages)).messages == [got.id]
    assert await boris.client.get_messages(got.peer_id, ids=got.id) is None
    with pytest.raises(TelegramBadRequest, match="MESSAGE_ID_INVALID"):
        await bot.api.edit_message_text("Нажато: 12", inline_message_id=inline_id)
    with pytest.raises(errors.MessageIdInvalidError):
        await got.click(data=b"key:5")


async def test_the_bot_edits_what_the_person_has_kept(anna: Device, boris: Device, bot: Program) -> None:
    sent = await show_keypad(anna)
    inline_id = (await bot.next(ChosenInlineResult)).inline_message_id
    await received(boris)
    await anna.client.delete_messages(None, [sent.id], revoke=False)
    await bot.api.edit_message_text("конец", inline_message_id=inline_id)
    assert (await boris.next(types.UpdateEditMessage)).message.message == "конец"


async def test_only_the_bot_of_a_message_edits_it(telegram: LocalTelegram, anna: Device, bot: Program) -> None:
    await show_keypad(anna)
    inline_id = (await bot.next(ChosenInlineResult)).inline_message_id
    async with caller(telegram, telegram.add_bot("other_bot").token) as other:
        for wrong in (inline_id, inline_id[:-2] + "AA", "nonsense"):
            with pytest.raises(TelegramBadRequest, match="MESSAGE_ID_INVALID"):
                await other.edit_message_text("?", inline_message_id=wrong)


async def test_results_are_cached_as_the_bot_allows(anna: Device, bot: Program) -> None:
    bot.cache_time = 300
    await show_keypad(anna, "same")
    await show_keypad(anna, "same")
    bot.cache_time = 0
    await show_keypad(anna, "other")
    await show_keypad(anna, "other")
    await show_keypad(anna, "last")
    queries = [(await bot.next(InlineQuery)).query for _ in range(4)]
    assert queries == ["same", "other", "other", "last"]


async def test_a_result_is_sent_by_the_account_that_asked(anna: Device, boris: Device, bot: Program) -> None:
    results = await anna.client.inline_query("keypad_bot", "mine", entity="boris")
    peer = await boris.client.get_input_entity("keypad_bot")
    send = functions.messages.SendInlineBotResultRequest
    with pytest.raises(errors.QueryIdInvalidError):
        await boris(send(peer, results.query_id, "keypad"))
    with pytest.raises(errors.ResultIdInvalidError):
        await anna(send(await anna.client.get_input_entity("boris"), results.query_id, "nothing"))


async def test_a_forwarded_keypad_loses_its_keys_and_can_be_pressed_all_the_same(
    telegram: LocalTelegram, anna: Device, boris: Device, bot: Program
) -> None:
    telegram.add_user(VERA, "Вера", username="vera")
    await show_keypad(anna)
    original = await received(boris)
    async with device(telegram, VERA) as vera:
        await boris.client.forward_messages("vera", original)
        copy = await received(vera)
        assert (copy.via_bot_id, copy.reply_markup) == (original.via_bot_id, None)
        assert copy.fwd_from.from_id.user_id == telegram.user(ANNA).id
        peer = await copy.get_input_chat()
        request = functions.messages.GetBotCallbackAnswerRequest(peer, copy.id, data=b"key:1")
        assert (await vera(request)).message == "key:1"
        forged = await bot.next(CallbackQuery)
        assert forged.from_user.id == telegram.user(VERA).id
        with pytest.raises(errors.MessageIdInvalidError):
            await vera(functions.messages.GetBotCallbackAnswerRequest(peer, 77, data=b"key:1"))

    assert (await telegram.press(VERA, BORIS, original.id, b"garbage\xff")).message == "garbage�"
    same = await bot.next(CallbackQuery)
    await original.click(data=b"key:1")
    assert same.inline_message_id == (await bot.next(CallbackQuery)).inline_message_id != forged.inline_message_id
    with pytest.raises(RpcError, match="DATA_INVALID"):
        await telegram.press(VERA, BORIS, original.id, bytes(65))


async def test_a_forwarded_link_keeps_its_button(telegram: LocalTelegram, anna: Device, bot: Program) -> None:
    telegram.add_user(VERA, "Вера", username="vera")
    await anna.client.send_message("keypad_bot", "/start")
    link = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="site", url="https://example.org/")]])
    await bot.api.send_message(telegram.user(ANNA).id, "link", reply_markup=link)
    forwarded = await anna.client.forward_messages("vera", await received(anna))
    assert forwarded.reply_markup.rows[0].buttons[0].type.url == "https://example.org/"


async def test_a_chat_with_the_bot(telegram: LocalTelegram, anna: Device, bot: Program) -> None:
    me = telegram.user(ANNA).id
    with pytest.raises(TelegramForbiddenError, match="can't initiate conversation"):
        await bot.api.send_message(me, "?")
    with pytest.raises(TelegramBadRequest, match="chat not found"):
        await bot.api.send_message(1, "?")
    await anna(functions.messages.StartBotRequest("keypad_bot", "keypad_bot", "card"))
    started = await bot.next(Message)
    assert (started.text, started.chat.id, started.from_user.language_code) == ("/start card", me, "en")

    sent = await bot.api.send_message(me, "<i>позвонить</i>", parse_mode="HTML", reply_markup=keypad())
    got = await received(anna)
    assert (got.message, got.sender.bot, got.via_bot_id) == ("позвонить", True, None)
    assert (await got.click(0)).message == "key:1"
    press = await bot.next(CallbackQuery)
    assert press.message.message_id == sent.message_id
    assert press.message.reply_markup.model_dump() == keypad().model_dump()
    edited = await press.message.edit_text("звоним")
    assert (edited.text, edited.reply_markup) == ("звоним", None)
    assert (await anna.next(types.UpdateEditMessage)).message.message == "звоним"
    with pytest.raises(TelegramBadRequest, match="message can't be edited"):
        await bot.api.edit_message_text("?", chat_id=me, message_id=started.message_id)
    assert await sent.delete()
    assert (await anna.next(types.UpdateDeleteMessages)).messages == [got.id]
    with pytest.raises(TelegramBadRequest, match="message to edit not found"):
        await bot.api.edit_message_text("?", chat_id=me, message_id=sent.message_id)
    with pytest.raises(TelegramBadRequest, match="message to delete not found"):
        await sent.delete()

    await anna(functions.contacts.BlockRequest(await anna.client.get_input_entity("keypad_bot")))
    with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
        await bot.api.send_message(me, "?")


async def test_a_bot_sends_a_contact_and_a_photo(telegram: LocalTelegram, anna: Device, bot: Program) -> None:
    me = telegram.user(ANNA).id
    await anna.client.send_message("keypad_bot", "/start")
    await bot.api.send_contact(me, BORIS, "Борис", vcard="BEGIN:VCARD")
    card = (await received(anna)).media
    assert (card.phone_number, card.user_id, card.vcard) == (BORIS[1:], telegram.user(BORIS).id, "BEGIN:VCARD")
    sent = await bot.api.send_photo(me, BufferedInputFile(PNG, "card.png"), caption="визитка", reply_markup=keypad())
    assert sent.photo
    got = await received(anna)
    assert (got.message, len(got.buttons)) == ("визитка", 4)
    assert await anna.client.download_media(got.media.photo, file=bytes) == PNG
    again = await bot.api.send_photo(me, sent.photo[0].file_id)
    assert again.photo and again.photo[0].file_id == sent.photo[0].file_id
    await bot.api.send_chat_action(me, "typing")
    assert (await anna.next(types.UpdateUserTyping)).user_id == telegram.bot("keypad_bot").id
    assert await bot.api.set_my_commands([])
    with pytest.raises(TelegramNotFound):
        await bot.api.get_my_star_balance()


async def test_a_person_reuses_a_picture_and_sends_no_keyboard(anna: Device, boris: Device) -> None:
    button = types.KeyboardInlineButton("1", types.InlineButtonTypeCallback(b"1"))
    markup = types.ReplyInlineMarkup([types.KeyboardInlineButtonRow([button])])
    peer = await anna.client.get_input_entity("boris")
    await anna(functions.messages.SendMessageRequest(peer, "keys?", reply_markup=markup))
    assert (await received(boris)).reply_markup is None
    uploaded = types.InputMediaUploadedPhoto(await anna.client.upload_file(PNG, file_name="card.png"))
    first = await anna.client.send_file(peer, uploaded, caption="один")
    await anna.client.send_file(peer, first.media.photo, caption="два")
    assert [(await received(boris)).message for _ in range(2)] == ["один", "два"]


async def test_language_is_told_to_bots_and_on_demand(telegram: LocalTelegram, boris: Device) -> None:
    anna = (await boris(functions.contacts.ResolvePhoneRequest(ANNA))).users[0]
    assert anna.lang_code is None
    assert (await boris(functions.contacts.GetContactsRequest(hash=0))).contacts == []
    telegram.shows_language = True
    assert (await boris(functions.users.GetUsersRequest([anna])))[0].lang_code == "en"
