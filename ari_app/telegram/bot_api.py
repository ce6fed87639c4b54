"""What the bot needs of Telegram's Bot API (core.telegram.org/bots/api), as a port: its words, and what goes wrong.

`bot_aiogram.py` is behind it. Nothing here is secret: an error's text never holds the token.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from ari_app.i18n import Message
from ari_app.telegram.buttons import ButtonMessage, Keyboard, Press
from ari_app.telegram.proxy import Proxy

AT_ONCE = 100
"""The most updates that getUpdates gives at once."""


class BotApiError(Exception):
    """A request did not work: the Bot API could not be reached, or had trouble of its own."""


class BotProxyFailed(BotApiError):
    """There is no way through the proxy; ``sentence`` says which proxy, why, and what to do."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class TokenRefused(BotApiError):
    """The token is none of Telegram's (any more)."""


class PolledElsewhere(BotApiError):
    """409: another program fetches the bot's updates, or has a webhook for them."""


class Throttled(BotApiError):
    """429: not before ``retry_s`` seconds."""

    def __init__(self, message: str, retry_s: float) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class BotRequestRefused(BotApiError):
    """400 or 403: it will not work by asking again."""


@dataclass(frozen=True)
class Introduction:
    """getMe: the bot's username, and whether its inline mode is on."""

    username: str
    inline: bool


@dataclass(frozen=True)
class Question:
    """An inline query of an account."""

    id: str
    person_id: int
    query: str


@dataclass(frozen=True)
class Pressed:
    """A callback query; ``language`` is the presser's (IETF tag), empty where Telegram does not tell."""

    id: str
    press: Press
    language: str


@dataclass(frozen=True)
class BotUpdate:
    """One update; None for a kind that is of no use here."""

    id: int
    event: Question | Pressed | None


class BotApi(Protocol):
    """One token's Bot API; every method raises BotApiError."""

    async def introduce(self, within_s: float) -> Introduction:
        """getMe."""

    async def updates(self, offset: int | None, wait_s: int, within_s: float) -> list[BotUpdate]:
        """getUpdates: from ``offset`` on; waits for ``wait_s`` when there is none."""

    async def answer_question(self, question_id: str, title: str, messages: Sequence[ButtonMessage]) -> None:
        """answerInlineQuery: the messages to choose from, for this account and this time only."""

    async def answer_press(self, press_id: str, text: str | None) -> None:
        """answerCallbackQuery: the button stops waiting, and the text is shown for a moment."""

    async def write(self, person_id: int, text: str) -> None:
        """sendMessage, into the bot's private chat with somebody."""

    async def edit(self, message_id: str, text: str, keyboard: Keyboard) -> None:
        """editMessageText of an inline message; without a keyboard its buttons go."""


class OpenBotApi(Protocol):
    """Makes the Bot API of a token; raises TokenRefused for one that can't be a token. It may take seconds."""

    def __call__(self, token: str, url: str, proxy: Proxy | None) -> AbstractAsyncContextManager[BotApi]:
        """``url`` is empty for Telegram's own; the proxy is none of Telegram's own kind (MTProxy)."""
