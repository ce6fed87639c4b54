"""The installation's bot: it makes the messages with buttons that a line sends into its own chats, and takes presses.

A line asks the bot, as an inline query (core.telegram.org/bots/inline), for a message that this program has just put
out for it: the query is a secret that is good once, and only for that line's account. What a press means is up to
whoever registered its prefix; Telegram does not check who presses, or when.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from enum import Enum

from aiogram import Bot as TelegramBot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramConflictError,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.types import (
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InlineQuery,
    InlineQueryResultArticle,
    InlineQueryResultUnion,
    InputTextMessageContent,
    LinkPreviewOptions,
    Update,
)

from ari_app.tasks import background_tasks
from ari_app.telegram.buttons import REFUSAL, BotUnavailable, ButtonMessage, EditRefused, Keyboard, OnPress, Press

log = logging.getLogger(__name__)

POLL_S = 30
RECHECK_S = 5  # while inline mode is off
REQUEST_S = 10
RETRY_FIRST_S, RETRY_MOST_S = 1.0, 30.0
RETRY_REFUSED_S = 30.0
REMEMBERED = 1000
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)


class BotState(Enum):
    """Whether the bot can be used."""

    CONNECTING = "connecting"
    REFUSED = "refused"
    NO_INLINE = "no inline mode"
    READY = "ready"


HINTS = {
    BotState.CONNECTING: "the Bot API can't be reached at the moment",
    BotState.REFUSED: "Telegram does not accept the bot's token: take a new one from @BotFather ([bot] token)",
    BotState.NO_INLINE: "inline mode is off: switch it on at @BotFather with /setinline",
    BotState.READY: "connected",
}


class Bot:
    """The bot at work for as long as its `run` goes on."""

    def __init__(self, token: str, api_url: str = "") -> None:
        server = TelegramAPIServer.from_base(api_url) if api_url else PRODUCTION
        self._bot = TelegramBot(
            token, session=AiohttpSession(api=server, timeout=REQUEST_S), default=DefaultBotProperties(parse_mode=None)
        )
        self.username = ""
        self.state = BotState.CONNECTING
        self.refused = 0
        self._offers: dict[str, tuple[int, ButtonMessage]] = {}
        self._handlers: dict[str, OnPress] = {}
        self._seen: deque[str] = deque(maxlen=REMEMBERED)

    def require(self) -> str:
        """Its username; raises BotUnavailable."""
        if self.state is not BotState.READY:
            raise BotUnavailable(f"the bot is {self.state.value}: {HINTS[self.state]}")
        return self.username

    @contextmanager
    def offered(self, account_id: int, message: ButtonMessage) -> Iterator[str]:
        """Put a message out for one account; the query that gets it, once, while the context lasts."""
        query = secrets.token_urlsafe(24)
        self._offers[query] = account_id, message
        try:
            yield query
        finally:
            self._offers.pop(query, None)

    def on_press(self, prefix: str, handler: OnPress) -> None:
        """Give the presses whose data begins with ``prefix:`` to a handler."""
        self._handlers[prefix] = handler

    async def edit(self, message_id: str, text: str, keyboard: Keyboard) -> None:
        """editMessageText of an inline message; without a keyboard its buttons go. Raises EditRefused."""
        try:
            await self._bot.edit_message_text(
                text=text,
                inline_message_id=message_id,
                reply_markup=_markup(keyboard) if keyboard else None,
                link_preview_options=NO_PREVIEW,
            )
        except TelegramRetryAfter as error:
            raise EditRefused(str(error), float(error.retry_after)) from error
        except TelegramBadRequest as error:
            if "not modified" not in str(error):
                raise EditRefused(str(error), None) from error
        except (TelegramAPIError, TimeoutError) as error:
            raise EditRefused(str(error), RETRY_FIRST_S) from error

    async def run(self) -> None:
        """Take queries and presses until cancelled; what fails is tried again with backoff, and says so in the log."""
        wait_s = RETRY_FIRST_S
        offset: int | None = None
        async with self._bot.session, background_tasks() as answering:
            while True:
                try:
                    if self.state is not BotState.READY:
                        await self._introduce()
                    updates = await self._bot.get_updates(
                        offset,
                        timeout=POLL_S if self.state is BotState.READY else RECHECK_S,
                        allowed_updates=["inline_query", "callback_query"],
                        request_timeout=POLL_S + REQUEST_S,
                    )
                    wait_s = RETRY_FIRST_S
                except TelegramUnauthorizedError:
                    self._become(BotState.REFUSED)
                    await asyncio.sleep(RETRY_REFUSED_S)
                except (TelegramAPIError, TimeoutError) as error:
                    said = "another program polls it" if isinstance(error, TelegramConflictError) else str(error)
                    self._become(BotState.CONNECTING)
                    log.warning("bot: %s; trying again in %.0f s", said, wait_s)
                    await asyncio.sleep(wait_s)
                    wait_s = min(wait_s * 2, RETRY_MOST_S)
                else:
                    for update in updates:
                        offset = update.update_id + 1
                        self._take(update, answering)

    async def _introduce(self) -> None:
        me = await self._bot.get_me()
        self.username = me.username or ""
        self._become(BotState.READY if me.supports_inline_queries else BotState.NO_INLINE)

    def _become(self, state: BotState) -> None:
        if state is not self.state:
            self.state = state
            log.log(logging.INFO if state is BotState.READY else logging.WARNING, "bot: %s", HINTS[state])

    def _take(self, update: Update, answering: asyncio.TaskGroup) -> None:
        """In the order in which they came; only the answering takes time."""
        if query := update.inline_query:
            answering.create_task(_answered(query.answer(self._found(query), cache_time=0, is_personal=True)))
        elif press := update.callback_query:
            answering.create_task(_answered(press.answer(self._pressed(press))))

    def _found(self, query: InlineQuery) -> list[InlineQueryResultUnion]:
        account_id, message = self._offers.pop(query.query, (None, None))
        if message is None or account_id != query.from_user.id:
            self.refused += 1
            log.warning("bot: an inline query of %s was refused: it is for our own lines only", query.from_user.id)
            return []
        content = InputTextMessageContent(message_text=message.text, link_preview_options=NO_PREVIEW)
        return [
            InlineQueryResultArticle(
                id="1", title=self.username, input_message_content=content, reply_markup=_markup(message.keyboard)
            )
        ]

    def _pressed(self, press: CallbackQuery) -> str | None:
        prefix, _, _ = (press.data or "").partition(":")
        handler = self._handlers.get(prefix)
        if handler is None or press.id in self._seen or not press.inline_message_id:
            self.refused += 1
            log.warning("bot: a press of %s was refused: none of our buttons, or pressed before", press.from_user.id)
            return REFUSAL
        self._seen.append(press.id)
        return handler(Press(press.data or "", press.from_user.id, press.inline_message_id))


def _markup(keyboard: Keyboard) -> InlineKeyboardMarkup:
    rows = [[InlineKeyboardButton(text=each.text, callback_data=each.data) for each in row] for row in keyboard]
    return InlineKeyboardMarkup(inline_keyboard=rows)


async def _answered(answer: Awaitable[bool]) -> None:
    """An answer that comes too late, or not at all, leaves the button waiting for a moment; nothing else."""
    try:
        await answer
    except (TelegramAPIError, TimeoutError) as error:
        log.warning("bot: an answer was not taken: %s", error)
