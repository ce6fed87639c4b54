"""Alerts by Telegram: a line writes them, or the bot where the line can't."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from telethon.tl import types

from ari_app.alerts.settings import AlertSettings
from ari_app.alerts.telegram import TelegramSender
from ari_app.alerts.texts import AlertText
from ari_app.sandbox.telegram import Device, LocalTelegram, device
from ari_app.store.store import Store
from ari_app.tasks import guarded_tasks
from ari_app.telegram.account import Account
from ari_app.telegram.bot import Bot, BotState
from ari_app.telegram.line import LineState
from tests.integration.line.line_at_work import ANNA, LINE, at_work

SAID = AlertText("Astergram: 2 alerts", "• Sales: <b>It is signed out.</b>")
BOT = "alert_bot"


@asynccontextmanager
async def sending(
    telegram: LocalTelegram, account: Account, store: Store, by: str = "line"
) -> AsyncIterator[TelegramSender]:
    """A line and a bot that are ready."""
    telegram.add_bot(BOT)
    settings = AlertSettings.model_validate({"telegram_by": by})
    bot = Bot(telegram.bot(BOT).token, telegram.bot_api_url)
    async with at_work(account, store) as watched, guarded_tasks() as tasks:
        tasks.supervise(bot.run, "bot")
        await watched.becomes(LineState.READY)
        await bot.first_attempt_done()
        assert bot.state in (BotState.READY, BotState.NO_INLINE)
        yield TelegramSender({LINE: watched.line}, bot, lambda: settings)


async def text(to: Device) -> str:
    """The newest message."""
    return str((await to.next(types.UpdateNewMessage)).message.message)


async def test_a_line_writes(telegram: LocalTelegram, account: Account, store: Store) -> None:
    async with device(telegram, ANNA) as anna, sending(telegram, account, store) as sender:
        assert (await sender.send(ANNA, SAID)).taken
        assert await text(anna) == f"{SAID.subject}\n\n{SAID.text}"
        assert sender.people == {ANNA: telegram.user(ANNA).id}


async def test_the_bot_writes_where_the_line_can_not(telegram: LocalTelegram, account: Account, store: Store) -> None:
    async with device(telegram, ANNA) as anna, sending(telegram, account, store) as sender:
        telegram.refuse("messages.sendMessage", "FLOOD_WAIT_3600", LINE, times=None)
        refused = await sender.send(ANNA, SAID)
        assert (refused.taken, refused.final) == (False, False)
        assert "can't initiate conversation" in refused.error
        await anna.client.send_message(BOT, "/start")
        assert (await sender.send(ANNA, SAID)).taken, "it knows her id from the line"
        assert (await text(anna)).endswith("<b>It is signed out.</b>")


async def test_the_bot_writes_first_if_it_is_set_so(telegram: LocalTelegram, account: Account, store: Store) -> None:
    async with device(telegram, ANNA) as anna, sending(telegram, account, store, by="bot") as sender:
        await anna.client.send_message(BOT, "/start")
        assert (await sender.send(str(telegram.user(ANNA).id), SAID)).taken
        assert await text(anna) == f"{SAID.subject}\n\n{SAID.text}"
        assert telegram.requests("messages.sendMessage", LINE) == 0


async def test_nobody_is_there(telegram: LocalTelegram, account: Account, store: Store) -> None:
    async with sending(telegram, account, store) as sender:
        result = await sender.send("+79990000099", SAID)
        assert (result.taken, result.final) == (False, True)
        assert "the bot does not know +79990000099" in result.error
