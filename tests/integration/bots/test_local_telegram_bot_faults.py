"""What goes wrong between the local Telegram and a bot, and what outlives a restart."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.types import (
    CallbackQuery,
    ChosenInlineResult,
    InlineQuery,
    Message,
)
from telethon import errors
from telethon.tl import functions, types

from ari_app.sandbox.telegram import Device, LocalTelegram, Timers, device

from .bot_program import ANNA, BORIS, Program, caller, program, received, show_keypad


async def test_a_silent_bot(telegram: LocalTelegram, anna: Device, boris: Device, bot: Program) -> None:
    await show_keypad(anna)
    message = await received(boris)
    bot.silent, telegram.timers.bot_answer_s = True, 0.2
    with pytest.raises(errors.BotResponseTimeoutError):
        await anna.client.inline_query("keypad_bot", "call 2", entity="boris")
    late = (await bot.next(InlineQuery), await bot.next(InlineQuery))[1]
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await late.answer([])
    assert await message.click(data=b"key:5") is None  # Telethon's word for BOT_RESPONSE_TIMEOUT
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await (await bot.next(CallbackQuery)).answer()


async def test_inline_mode_off_and_no_bot(telegram: LocalTelegram, anna: Device, bot: Program) -> None:
    assert (await anna.client.get_entity("keypad_bot")).bot_inline_placeholder is not None
    telegram.set_inline("keypad_bot", False)
    with pytest.raises(errors.BotInlineDisabledError):
        await show_keypad(anna)
    found = (await anna(functions.contacts.ResolveUsernameRequest("keypad_bot"))).users[0]
    assert (found.bot, found.bot_inline_placeholder, found.phone) == (True, None, None)
    assert not (await bot.api.get_me()).supports_inline_queries
    with pytest.raises(errors.BotInvalidError):
        await anna.client.inline_query("boris", "?")
    with pytest.raises(errors.UserIdInvalidError):
        protocol = types.PhoneCallProtocol(65, 92, ["9.0.0"], udp_p2p=True)
        await anna(functions.phone.RequestCallRequest(found, bytes(32), protocol))


async def test_tokens(telegram: LocalTelegram, bot: Program) -> None:
    me = await bot.api.get_me()
    assert (me.id, me.username, me.supports_inline_queries) == (telegram.bot("keypad_bot").id, "keypad_bot", True)
    async with caller(telegram, f"{me.id}:wrong") as stranger:
        with pytest.raises(TelegramUnauthorizedError):
            await stranger.get_me()
    waiting = asyncio.create_task(bot.api.get_updates(timeout=20))
    new = telegram.revoke_bot_token("keypad_bot")
    with pytest.raises(TelegramUnauthorizedError):
        await waiting
    async with caller(telegram, new) as renewed:
        assert (await renewed.get_me()).id == me.id
    named = telegram.add_bot("given_bot", token="4242:secret")
    assert (named.id, telegram.add_bot("given_bot").token) == (4242, "4242:secret")
    for username, token in (("boris", None), ("third_bot", "4242:other"), ("given_bot", "7:x"), ("x_bot", "no token")):
        with pytest.raises(ValueError, match=r"person|not the id|colon"):
            telegram.add_bot(username, token)


async def test_two_programs_with_one_token(telegram: LocalTelegram, anna: Device) -> None:
    async with caller(telegram, telegram.bot("keypad_bot").token) as api:
        polls = {asyncio.create_task(api.get_updates(timeout=20)) for _ in range(2)}
        ended, waiting = await asyncio.wait(polls, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(TelegramConflictError, match="terminated by other getUpdates"):
            await ended.pop()
        await anna.client.send_message("keypad_bot", "hello")
        (update,) = await waiting.pop()
        assert update.message and update.message.text == "hello"
        assert await api.get_updates() == [update]
        await anna.client.send_message("keypad_bot", "again")
        (later,) = await api.get_updates(offset=update.update_id + 1, allowed_updates=["callback_query"])
        assert later.update_id == update.update_id + 1
        await anna.client.send_message("keypad_bot", "not wanted")
        assert await api.get_updates(offset=later.update_id + 1) == []
        await api.delete_webhook(drop_pending_updates=True)


async def test_faults_of_the_bot_api(telegram: LocalTelegram, anna: Device, bot: Program) -> None:
    await show_keypad(anna)
    edit = {"text": "1", "inline_message_id": (await bot.next(ChosenInlineResult)).inline_message_id}
    telegram.refuse_bot("editMessageText", 429, retry_after=3)
    telegram.refuse_bot("editMessageText", 400, "message to edit not found", username="keypad_bot")
    telegram.refuse_bot("*", 500, username="@keypad_bot", times=None)
    with pytest.raises(TelegramRetryAfter) as throttled:
        await bot.api.edit_message_text(**edit)
    assert throttled.value.retry_after == 3
    with pytest.raises(TelegramBadRequest, match="Bad Request: message to edit not found"):
        await bot.api.edit_message_text(**edit)
    for _ in range(2):
        with pytest.raises(TelegramServerError):
            await bot.api.edit_message_text(**edit)
    telegram.clear_faults()
    telegram.delay_bot("editMessageText", 3600)
    slow = asyncio.create_task(bot.api.edit_message_text(**edit))
    await asyncio.sleep(0)
    await bot.api.get_me()
    assert not slow.done()
    slow.cancel()
    telegram.clear_faults()
    telegram.delay_bot("editMessageText", 0.01)
    assert await bot.api.edit_message_text(**edit)


async def test_faults_of_the_account(telegram: LocalTelegram, anna: Device, boris: Device, bot: Program) -> None:
    telegram.refuse("messages.sendInlineBotResult", "FLOOD_WAIT_5", phone=ANNA, peer=BORIS)
    with pytest.raises(errors.FloodWaitError) as refused:
        await show_keypad(anna)
    assert refused.value.seconds == 5
    anna.client._flood_waited_requests.clear()
    telegram.refuse("messages.getInlineBotResults", "BOT_RESPONSE_TIMEOUT", peer="@keypad_bot")
    with pytest.raises(errors.BotResponseTimeoutError):
        await show_keypad(anna)
    sent = await show_keypad(anna)
    telegram.refuse("messages.deleteMessages", "MESSAGE_DELETE_FORBIDDEN")
    with pytest.raises(errors.MessageDeleteForbiddenError):
        await anna.client.delete_messages(None, [sent.id], revoke=True)
    await anna.client.delete_messages(None, [sent.id], revoke=True)


async def test_the_bot_api_goes_down_and_comes_back(
    telegram: LocalTelegram, anna: Device, boris: Device, bot: Program
) -> None:
    await show_keypad(anna)
    message = await received(boris)
    url = telegram.bot_api_url
    async with telegram.bot_api_down():
        with pytest.raises(TelegramNetworkError):
            await bot.api.get_me()
        pressed = asyncio.create_task(message.click(data=b"key:7"))
        await asyncio.sleep(0.2)
    assert telegram.bot_api_url == url
    assert (await pressed).message == "key:7"


async def test_a_restart_keeps_messages_and_bots(tmp_path: Path) -> None:
    async with LocalTelegram(tmp_path / "telegram.db") as first:
        first.add_user(ANNA, "Анна")
        first.add_user(BORIS, "Борис", username="boris")
        old = first.add_bot("keypad_bot", feedback=True)
        async with program(first, old) as bot, device(first, ANNA) as anna:
            sent = await show_keypad(anna)
            inline_id = (await bot.next(ChosenInlineResult)).inline_message_id
            await anna.client.send_message("keypad_bot", "/start")
            last = await bot.next(Message)
    async with LocalTelegram(tmp_path / "telegram.db") as second:
        assert second.bot("keypad_bot") == old == second.add_bot("keypad_bot", feedback=True)
        async with program(second, old) as bot, device(second, BORIS) as boris:
            (dialog,) = await boris.client.get_dialogs()
            (message,) = await boris.client.get_messages(dialog.entity, limit=1)
            assert len(message.buttons) == 4
            assert (await message.click(data=b"key:9")).message == "key:9"
            assert (await bot.next(CallbackQuery)).inline_message_id == inline_id
            assert await bot.api.edit_message_text("снова", inline_message_id=inline_id)
            assert (await boris.next(types.UpdateEditMessage)).message.message == "снова"
            reply = await bot.api.send_message(second.user(ANNA).id, "ещё здесь")
            assert reply.message_id == last.message_id + 1
        async with device(second, ANNA) as anna:
            assert await anna.client.get_messages("boris", ids=sent.id)


async def test_nothing_is_left_of_the_bot_api(tmp_path: Path) -> None:
    tasks = asyncio.all_tasks()
    async with LocalTelegram(tmp_path / "telegram.db", timers=Timers(bot_answer_s=3600)) as telegram:
        telegram.add_user(ANNA, "Анна")
        token = telegram.add_bot("keypad_bot").token
        async with caller(telegram, token) as api, device(telegram, ANNA) as anna:
            telegram.delay_bot("getMe", 3600)
            asked = asyncio.create_task(anna.client.inline_query("keypad_bot", "?"))
            slow = asyncio.create_task(api.get_me())
            assert await api.get_updates(timeout=20)
            polled = asyncio.create_task(api.get_updates(offset=10**9, timeout=20))
            await asyncio.sleep(0.2)
            await telegram.stop_bot_api()
            for cut in (slow, polled):
                with pytest.raises(TelegramNetworkError):
                    await cut
            asked.cancel()
            with suppress(asyncio.CancelledError):
                await asked
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
    host, port = telegram.bot_api_url.removeprefix("http://").split(":")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))
