"""Questions that Telegram passes on from a person to a bot, and that the bot answers over the Bot API."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any, Protocol

from .bot_mail import BotMail
from .rpc import RpcError


class AnswerTimer(Protocol):
    """How long a bot may take to answer, in seconds."""

    bot_answer_s: float


@dataclass(frozen=True)
class _Question:
    bot_id: int
    answer: asyncio.Future[Any]


class Questions:
    """The inline queries and callback queries that no bot has answered yet."""

    def __init__(self, mail: BotMail, timers: AnswerTimer) -> None:
        self._mail = mail
        self._timers = timers
        self._open: dict[int, _Question] = {}

    async def ask(self, bot_id: int, kind: str, content: dict[str, Any]) -> tuple[int, Any]:
        """Send an update of `kind` to a bot and wait: the question's id, and the answer.

        Raises `RpcError("BOT_RESPONSE_TIMEOUT")`.
        """
        question_id = secrets.randbits(62)
        question = _Question(bot_id, asyncio.get_running_loop().create_future())
        self._open[question_id] = question
        self._mail.put(bot_id, kind, {"id": str(question_id), **content})
        try:
            async with asyncio.timeout(self._timers.bot_answer_s):
                return question_id, await question.answer
        except TimeoutError:
            raise RpcError("BOT_RESPONSE_TIMEOUT") from None
        finally:
            del self._open[question_id]

    def answer(self, bot_id: int, question_id: str, answer: Any) -> None:
        """Answer a question, once. Raises `RpcError("QUERY_ID_INVALID")`."""
        question = self._open.get(int(question_id)) if question_id.isdecimal() else None
        if question is None or question.bot_id != bot_id or question.answer.done():
            raise RpcError("QUERY_ID_INVALID")
        question.answer.set_result(answer)
