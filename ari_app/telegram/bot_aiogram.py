"""The Bot API by aiogram, which takes a second to import: `bot.py` does, in a thread, once there is a token."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import quote

from aiogram import Bot as TelegramBot
from aiogram import exceptions
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.exceptions import AiogramError
from aiogram.methods import (
    AnswerCallbackQuery,
    AnswerInlineQuery,
    EditMessageText,
    GetMe,
    GetUpdates,
    SendMessage,
    TelegramMethod,
)
from aiogram.methods.base import TelegramType
from aiogram.types import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InlineQueryResultArticle,
    InputTextMessageContent,
    LinkPreviewOptions,
    Message,
    Update,
    User,
)
from aiogram.utils.token import TokenValidationError
from pydantic import BaseModel

from ari_app.telegram.bot_api import (
    AT_ONCE,
    BotApi,
    BotApiError,
    BotProxyFailed,
    BotRequestRefused,
    BotUpdate,
    Introduction,
    PolledElsewhere,
    Pressed,
    Question,
    Throttled,
    TokenRefused,
)
from ari_app.telegram.buttons import ButtonMessage, Keyboard, Press
from ari_app.telegram.proxy import Proxy
from ari_app.telegram.proxy_http import PROXY_ERRORS
from ari_app.telegram.proxy_route import proxy_failed

REQUEST_S = 10
USED: tuple[type[BaseModel], ...] = (
    Update,
    User,
    Message,
    InlineKeyboardMarkup,
    InlineQueryResultArticle,
    GetMe,
    GetUpdates,
    AnswerInlineQuery,
    AnswerCallbackQuery,
    SendMessage,
    EditMessageText,
)
for _model in USED:  # here, in the thread, where `quick_aiogram` has left them for later
    _model.model_rebuild()
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)


class Aiogram:
    """See `bot_api.BotApi`; made by `opened`."""

    def __init__(self, bot: TelegramBot, proxy: Proxy | None = None) -> None:
        self._bot = bot
        self._proxy = proxy

    async def introduce(self, within_s: float) -> Introduction:
        """getMe."""
        me = await self._ask(GetMe(), within_s)
        return Introduction(me.username or "", bool(me.supports_inline_queries))

    async def updates(self, offset: int | None, wait_s: int, within_s: float) -> list[BotUpdate]:
        """getUpdates."""
        request = GetUpdates(
            offset=offset, limit=AT_ONCE, timeout=wait_s, allowed_updates=["inline_query", "callback_query"]
        )
        return [_update(each) for each in await self._ask(request, within_s)]

    async def answer_question(self, question_id: str, title: str, messages: Sequence[ButtonMessage]) -> None:
        """answerInlineQuery."""
        results = [
            InlineQueryResultArticle(
                id=str(number),
                title=title,
                input_message_content=InputTextMessageContent(
                    message_text=message.text, link_preview_options=NO_PREVIEW
                ),
                reply_markup=_markup(message.keyboard),
            )
            for number, message in enumerate(messages)
        ]
        await self._ask(
            AnswerInlineQuery(inline_query_id=question_id, results=[*results], cache_time=0, is_personal=True)
        )

    async def answer_press(self, press_id: str, text: str | None) -> None:
        """answerCallbackQuery."""
        await self._ask(AnswerCallbackQuery(callback_query_id=press_id, text=text))

    async def write(self, person_id: int, text: str) -> None:
        """sendMessage."""
        await self._ask(SendMessage(chat_id=person_id, text=text, link_preview_options=NO_PREVIEW))

    async def edit(self, message_id: str, text: str, keyboard: Keyboard) -> None:
        """editMessageText."""
        markup = _markup(keyboard) if keyboard else None
        await self._ask(
            EditMessageText(
                text=text, inline_message_id=message_id, reply_markup=markup, link_preview_options=NO_PREVIEW
            )
        )

    async def _ask(self, method: TelegramMethod[TelegramType], within_s: float = REQUEST_S) -> TelegramType:
        # Without the cause: aiohttp's errors may quote the URL, which has the token in it.
        try:
            async with asyncio.timeout(within_s):
                return await self._bot(method)
        except TimeoutError as error:
            if self._proxy:  # which of the two is silent can't be told apart
                raise BotProxyFailed(proxy_failed(self._proxy, error).sentence) from None
            raise BotApiError(f"{type(method).__name__} was not answered within {within_s:g} s") from None
        except PROXY_ERRORS as error:
            assert self._proxy is not None
            raise BotProxyFailed(proxy_failed(self._proxy, error.__cause__ or error).sentence) from None
        except (AiogramError, OSError, ValueError, LookupError) as error:
            raise _ours(error, self._without_token(str(getattr(error, "message", error)))) from None

    def _without_token(self, text: str) -> str:
        return text.replace(self._bot.token, "<token>").replace(self._bot.token.partition(":")[2], "<token>")


def aiogram_api(token: str, url: str, proxy: Proxy | None) -> AbstractAsyncContextManager[BotApi]:
    """See `bot_api.OpenBotApi`."""
    server = TelegramAPIServer.from_base(url) if url else PRODUCTION
    session = AiohttpSession(proxy=_given(proxy), api=server, timeout=REQUEST_S)
    try:
        bot = TelegramBot(token, session=session, default=DefaultBotProperties(parse_mode=None))
    except TokenValidationError:
        raise TokenRefused("this is no token at all") from None
    return _open(bot, proxy)


@asynccontextmanager
async def _open(bot: TelegramBot, proxy: Proxy | None) -> AsyncIterator[BotApi]:
    async with bot.session:
        yield Aiogram(bot, proxy)


def _given(proxy: Proxy | None) -> str | None:
    """As aiogram wants it."""
    if proxy is None:
        return None
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    login = f"{quote(proxy.user, safe='')}:{quote(proxy.password, safe='')}@" if proxy.user else ""
    return f"{proxy.kind.value.lower()}://{login}{host}:{proxy.port}"


def _ours(error: Exception, text: str) -> BotApiError:
    match error:
        case exceptions.TelegramUnauthorizedError() | exceptions.TelegramNotFound():
            return TokenRefused(text)  # 404 is the answer to a token that does not even look like one
        case exceptions.TelegramConflictError():
            return PolledElsewhere(text)
        case exceptions.TelegramRetryAfter():
            return Throttled(text, float(error.retry_after))
        case exceptions.TelegramBadRequest() | exceptions.TelegramForbiddenError():
            return BotRequestRefused(text)
        case exceptions.ClientDecodeError():
            return BotApiError("what answers there is not the Bot API")
    return BotApiError(text)


def _update(update: Update) -> BotUpdate:
    event: Question | Pressed | None = None
    if query := update.inline_query:
        event = Question(query.id, query.from_user.id, query.query)
    elif pressed := update.callback_query:
        press = Press(pressed.data or "", pressed.from_user.id, pressed.inline_message_id or "")
        event = Pressed(pressed.id, press, pressed.from_user.language_code or "")
    return BotUpdate(update.update_id, event)


def _markup(keyboard: Keyboard) -> InlineKeyboardMarkup:
    rows = [[InlineKeyboardButton(text=each.text, callback_data=each.data) for each in row] for row in keyboard]
    return InlineKeyboardMarkup(inline_keyboard=rows)
