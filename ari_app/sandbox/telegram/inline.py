"""Inline mode: an account asks a bot for results and sends one of them (https://core.telegram.org/api/bots/inline)."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from telethon.tl import functions, types

from .bot_mail import BotMail
from .bot_views import BotViews
from .bots import Bot, Bots
from .messages import Messages
from .questions import Questions
from .rpc import Client, RpcError, handles
from .users import Users

MAX_QUERY = 256  # characters; https://core.telegram.org/bots/api#inlinequery
RESULTS_KEPT = 1000
RESULTS_KEPT_S = 3600.0


@dataclass(frozen=True)
class InlineAnswer:
    """What a bot answered: TL results, for how long they may be cached (seconds), and for whom."""

    results: list[Any]
    cache_time: int
    is_personal: bool
    next_offset: str | None


@dataclass(frozen=True)
class _Given:
    """An answer that was given to an account, to send a result from."""

    bot: Bot
    user_id: int
    query: str
    answer: InlineAnswer
    until: float


CacheKey = tuple[int, int | None, str, str]


class Inline:
    """messages.getInlineBotResults and messages.sendInlineBotResult."""

    def __init__(
        self, bots: Bots, users: Users, messages: Messages, questions: Questions, mail: BotMail, views: BotViews
    ) -> None:
        self._bots = bots
        self._users = users
        self._messages = messages
        self._questions = questions
        self._mail = mail
        self._views = views
        self._given: dict[int, _Given] = {}
        self._cache: dict[CacheKey, tuple[InlineAnswer, float]] = {}

    @handles(functions.messages.GetInlineBotResultsRequest)
    async def get_results(self, client: Client, request: Any) -> Any:
        """messages.getInlineBotResults: from the cache that the bot allowed, or from the bot."""
        bot = self._bots.get(self._users.named(client, request.bot, "BOT_INVALID").id)
        if bot is None:
            raise RpcError("BOT_INVALID")
        if not bot.inline:
            raise RpcError("BOT_INLINE_DISABLED")
        query = request.query[:MAX_QUERY]
        answer = self._cached(bot, client.user.id, query, request.offset)
        query_id = secrets.randbits(62)
        if answer is None:
            asked = {"from": self._views.user(client.user.id), "query": query, "offset": request.offset}
            asked |= self._chat_type(client, bot, request.peer)
            query_id, answer = await self._questions.ask(bot.id, "inline_query", asked)
            self._keep(bot, client.user.id, query, request.offset, answer)
        while len(self._given) >= RESULTS_KEPT:
            del self._given[next(iter(self._given))]
        self._given[query_id] = _Given(bot, client.user.id, query, answer, time.monotonic() + RESULTS_KEPT_S)
        return types.messages.BotResults(
            query_id=query_id,
            results=answer.results,
            cache_time=answer.cache_time,
            users=[self._users.show(client.user.id, bot.id)],
            next_offset=answer.next_offset,
        )

    def _chat_type(self, client: Client, bot: Bot, peer: Any) -> dict[str, str]:
        if isinstance(peer, types.InputPeerEmpty):
            return {}
        with_bot = self._users.named(client, peer, "PEER_ID_INVALID").id == bot.id
        return {"chat_type": "sender" if with_bot else "private"}

    def _cached(self, bot: Bot, user_id: int, query: str, offset: str) -> InlineAnswer | None:
        now = time.monotonic()
        self._cache = {key: kept for key, kept in self._cache.items() if kept[1] > now}
        keys: list[CacheKey] = [(bot.id, user_id, query, offset), (bot.id, None, query, offset)]
        return next((self._cache[key][0] for key in keys if key in self._cache), None)

    def _keep(self, bot: Bot, user_id: int, query: str, offset: str, answer: InlineAnswer) -> None:
        key = (bot.id, user_id if answer.is_personal else None, query, offset)
        self._cache[key] = answer, time.monotonic() + answer.cache_time

    def answer(self, bot: Bot, query_id: str, answer: InlineAnswer) -> None:
        """answerInlineQuery. Raises `RpcError`."""
        ids = [result.id for result in answer.results]
        if len(set(ids)) < len(ids):
            raise RpcError("RESULT_ID_DUPLICATE")
        self._questions.answer(bot.id, query_id, answer)

    @handles(functions.messages.SendInlineBotResultRequest)
    def send_result(self, client: Client, request: Any) -> Any:
        """messages.sendInlineBotResult: the message comes from the account, "via" the bot."""
        given = self._given.get(request.query_id)
        if given is None or given.user_id != client.user.id:
            raise RpcError("QUERY_ID_INVALID")
        if given.until < time.monotonic():
            raise RpcError("INLINE_RESULT_EXPIRED")
        result = next((result for result in given.answer.results if result.id == request.id), None)
        if result is None:
            raise RpcError("RESULT_ID_INVALID")
        content = result.send_message
        updates = self._messages.send(
            client,
            request,
            message=content.message,
            entities=content.entities,
            reply_markup=content.reply_markup,
            via_bot_id=given.bot.id,
        )
        self._feed_back(given, request.id, updates.updates[0].id)
        return updates

    def _feed_back(self, given: _Given, result_id: str, message_id: int) -> None:
        bot = self._bots.get(given.bot.id)
        if bot is None or not bot.feedback:
            return
        chosen = {"result_id": result_id, "from": self._views.user(given.user_id), "query": given.query}
        chosen["inline_message_id"] = self._views.inline_message_id(given.user_id, message_id)
        self._mail.put(bot.id, "chosen_inline_result", chosen)
