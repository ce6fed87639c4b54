"""A bot's program for tests: a real aiogram that polls the local Telegram's Bot API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiogram
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import (
    CallbackQuery,
    ChosenInlineResult,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InlineQuery,
    InlineQueryResultArticle,
    InputTextMessageContent,
    Message,
)
from aiogram.utils.backoff import BackoffConfig
from telethon.tl import types

from ari_app.sandbox.telegram import Bot, Device, LocalTelegram

ANNA, BORIS = "+79990000001", "+79990000002"
KEYPAD_BOT = "keypad_bot"
KEYS = ("123", "456", "789", "*0#")
PATIENCE_S = 15.0


def keypad(data: str = "key") -> InlineKeyboardMarkup:
    rows = [[InlineKeyboardButton(text=key, callback_data=f"{data}:{key}") for key in row] for row in KEYS]
    return InlineKeyboardMarkup(inline_keyboard=rows)


class Program:
    """What an administrator's bot does: answers every inline query with a keypad, every press with its key."""

    def __init__(self, telegram: LocalTelegram, bot: Bot) -> None:
        server = TelegramAPIServer.from_base(telegram.bot_api_url)
        self.api = aiogram.Bot(bot.token, session=AiohttpSession(api=server, timeout=PATIENCE_S))
        self.dispatcher = aiogram.Dispatcher()
        self.dispatcher.inline_query.register(self._query)
        self.dispatcher.callback_query.register(self._press)
        self.dispatcher.chosen_inline_result.register(self._take)
        self.dispatcher.message.register(self._take)
        self.dispatcher.startup.register(self._begin)
        self.polls = asyncio.Event()
        self.seen: asyncio.Queue[Any] = asyncio.Queue()
        self.cache_time = 0
        self.silent = False

    async def _begin(self) -> None:
        self.polls.set()

    async def _query(self, query: InlineQuery) -> None:
        self.seen.put_nowait(query)
        if self.silent:
            return
        text = InputTextMessageContent(message_text="Наберите <b>номер</b>", parse_mode="HTML")
        article = InlineQueryResultArticle(
            id="keypad", title="Keypad", input_message_content=text, reply_markup=keypad()
        )
        await query.answer([article], cache_time=self.cache_time, is_personal=True)

    async def _press(self, query: CallbackQuery) -> None:
        self.seen.put_nowait(query)
        if not self.silent:
            await query.answer(text=f"{query.data}", show_alert=True)

    async def _take(self, event: Message | ChosenInlineResult) -> None:
        self.seen.put_nowait(event)

    async def next(self, kind: type) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while not isinstance(event := await self.seen.get(), kind):
                pass
            return event

    async def poll(self) -> None:
        quick = BackoffConfig(min_delay=0.05, max_delay=0.1, factor=1.2, jitter=0.01)
        await self.dispatcher.start_polling(
            self.api, polling_timeout=5, handle_signals=False, backoff_config=quick, close_bot_session=False
        )


@asynccontextmanager
async def program(telegram: LocalTelegram, bot: Bot) -> AsyncIterator[Program]:
    """A bot's program that is polling."""
    running = Program(telegram, bot)
    polling = asyncio.create_task(running.poll())
    await running.polls.wait()
    try:
        yield running
    finally:
        await running.dispatcher.stop_polling()  # cancelling it would leave aiogram's own tasks behind
        await polling
        await running.api.session.close()


@asynccontextmanager
async def caller(telegram: LocalTelegram, token: str) -> AsyncIterator[aiogram.Bot]:
    """aiogram with no polling: only its methods."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(telegram.bot_api_url), timeout=PATIENCE_S)
    async with session:
        yield aiogram.Bot(token, session=session)


async def show_keypad(by: Device, query: str = "call 1") -> Any:
    """Anna's message with the keypad, in her chat with Boris."""
    results = await by.client.inline_query(KEYPAD_BOT, query, entity="boris")
    return await results[0].click()


async def received(by: Device) -> Any:
    """The newest message, as the person's client shows it."""
    new = (await by.next(types.UpdateNewMessage)).message
    return await by.client.get_messages(new.peer_id, ids=new.id)
