"""Buttons that are pressed: messages.getBotCallbackAnswer (https://core.telegram.org/api/bots/buttons).

As on Telegram, neither who presses nor what data they send is checked: "a bad client can send arbitrary data".
"""

from __future__ import annotations

from typing import Any

from telethon.tl import functions, types

from .bot_views import BotViews
from .bots import Bot, Bots
from .messages import Messages
from .questions import Questions
from .rpc import Client, RpcError, handles
from .tl import read
from .users import Users

MAX_DATA = 64


class Callbacks:
    """Presses on the buttons of messages that bots sent, or that were sent through bots."""

    def __init__(self, bots: Bots, users: Users, messages: Messages, questions: Questions, views: BotViews) -> None:
        self._bots = bots
        self._users = users
        self._messages = messages
        self._questions = questions
        self._views = views

    @handles(functions.messages.GetBotCallbackAnswerRequest)
    async def get_answer(self, client: Client, request: Any) -> Any:
        """messages.getBotCallbackAnswer."""
        peer = self._users.named(client, request.peer, "PEER_ID_INVALID")
        row = self._messages.row(client.user.id, request.msg_id)
        if row is None or row["peer"] != peer.id:
            raise RpcError("MESSAGE_ID_INVALID")
        return await self._press(client.user.id, row, request.data)

    async def press(self, presser: int, owner: int, message_id: int, data: bytes) -> Any:
        """Press on the message that `owner` has under a number, as anybody. Raises `RpcError`."""
        row = self._messages.row(owner, message_id)
        if row is None:
            raise RpcError("MESSAGE_ID_INVALID")
        return await self._press(presser, row, data)

    async def _press(self, presser: int, row: dict[str, Any], data: bytes | None) -> Any:
        if not data or len(data) > MAX_DATA:
            raise RpcError("DATA_INVALID")
        message = read(row["body"])
        bot = self._bot(row, message)
        pressed = {"from": self._views.user(presser), "data": data.decode(errors="replace")}
        pressed["chat_instance"] = self._views.chat_instance(row["owner"], row["peer"])
        if message.via_bot_id:
            sent = (row["owner"], row["id"]) if message.out else (row["peer"], row["twin"])
            pressed["inline_message_id"] = self._views.inline_message_id(*sent)
        else:
            pressed["message"] = self._bots_copy(bot, row)
        _, answer = await self._questions.ask(bot.id, "callback_query", pressed)
        return answer

    def _bot(self, row: dict[str, Any], message: Any) -> Bot:
        if isinstance(message, types.Message):
            bot = self._bots.get(message.via_bot_id or (row["owner"] if message.out else row["peer"]))
            if bot is not None:
                return bot
        raise RpcError("MESSAGE_ID_INVALID")

    def _bots_copy(self, bot: Bot, row: dict[str, Any]) -> dict[str, Any]:
        number, person = (row["id"], row["peer"]) if row["owner"] == bot.id else (row["twin"], row["owner"])
        copy = self._messages.row(bot.id, number)
        if copy is None:  # https://core.telegram.org/bots/api#inaccessiblemessage
            return {"chat": self._views.chat(person), "message_id": number, "date": 0}
        return self._views.message(bot, read(copy["body"]))

    def answer(self, bot: Bot, query_id: str, answer: Any) -> None:
        """answerCallbackQuery, with a `messages.botCallbackAnswer`. Raises `RpcError`."""
        self._questions.answer(bot.id, query_id, answer)
