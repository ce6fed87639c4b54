"""Messages with buttons in a line's chats: made by the bot, sent by the line's own account, and deleted for both.

The bot itself is in `bot.py`, the data of buttons in `signed_buttons.py`.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from telethon import errors
from telethon.tl import functions, types

from ari_app.telegram.errors import Limited, TelegramError
from ari_app.telegram.peers import bot_peer
from ari_app.telegram.session import Session

SETTLE_S = 60.0
"""For a bot that has just been started, or been given another token: loading what it needs takes seconds, and longer
on a busy machine. No call waits for it."""
LATEST = 100  # messages of one chat, as many as Telegram gives at once
SERVER_TROUBLE = 500

REFUSAL = "This button does not work any more. / Эта кнопка уже не действует."
"""For a press of which it is not known to which line, and so in which words, it belongs."""

LATE = "Please press once more. / Нажмите, пожалуйста, ещё раз."
"""For a press that may be old: Telegram keeps for a day what nobody fetches, and does not say when it came."""

NOT_NOW = "This can't be done right now. Please try later. / Сейчас это не получится. Попробуйте, пожалуйста, позже."
"""For a press that is for another machine of ours, which does not answer."""


class BotUnavailable(Exception):
    """The bot can't be used now; the text says why and what to do."""


class MaybeSent(TelegramError):
    """Telegram did not say whether it has sent a message: it may have."""


class EditRefused(Exception):
    """A message could not be edited; ``retry_s`` says when it may be tried again, None where it is of no use."""

    def __init__(self, message: str, retry_s: float | None) -> None:
        super().__init__(message)
        self.retry_s = retry_s


@dataclass(frozen=True)
class Button:
    """What it shows, and what is sent when it is pressed."""

    text: str
    data: str


Keyboard = tuple[tuple[Button, ...], ...]
"""Rows of buttons, the top one first."""


@dataclass(frozen=True)
class ButtonMessage:
    """A message with buttons, as plain text."""

    text: str
    keyboard: Keyboard


@dataclass(frozen=True)
class Press:
    """Somebody pressed a button: the data behind it, the Telegram id of who it was, and the message it was in."""

    data: str
    person_id: int
    message_id: str


OnPress = Callable[[Press], str | None]
"""Takes a press without waiting; gives what the person is told, None for nothing."""


class ButtonBot(Protocol):
    """The installation's bot, as those see it who have messages with buttons to send."""

    async def first_attempt_done(self) -> None:
        """Wait until it has been tried once."""

    def require(self) -> str:
        """Its username; raises BotUnavailable."""

    def recheck(self) -> None:
        """Something has failed that should not, were it as good as it says: look at once."""

    def offered(self, account_id: int, message: ButtonMessage) -> AbstractContextManager[str]:
        """Put a message out for one account; the query that gets it, once, while the context lasts."""

    def on_press(self, prefix: str, handler: OnPress, *, shared: bool = False) -> None:
        """Give the presses whose data begins with ``prefix:`` to a handler.

        ``shared``: what the machine that has made a button does not do (REFUSAL, NOT_NOW) another one may.
        """

    async def edit(self, message_id: str, text: str, keyboard: Keyboard) -> None:
        """Edit a message that was pressed; without a keyboard its buttons go. Raises EditRefused."""


def new_random_id() -> int:
    """Telegram sends a message with the same random id once (core.telegram.org/method/messages.sendMessage)."""
    return secrets.randbits(63)


async def send_buttons(
    session: Session,
    account_id: int,
    bot: ButtonBot,
    peer: types.TypeInputPeer,
    message: ButtonMessage,
    random_id: int | None = None,
) -> int:
    """Have the account send a message of the bot's to a person; returns the message's id in the account's chats.

    Raises BotUnavailable, TelegramError; MaybeSent where the message may be in the chat all the same, see `find`.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_S):
            await bot.first_attempt_done()
    username = bot.require()
    try:
        results = await _ask_for(session, account_id, bot, username, peer, message)
    except TelegramError:
        bot.recheck()
        raise
    random_id = new_random_id() if random_id is None else random_id
    request = functions.messages.SendInlineBotResultRequest(
        peer=peer, query_id=results.query_id, id=results.results[0].id, random_id=random_id, silent=True
    )
    try:
        return _message_id(await session.invoke(request), random_id)
    except TelegramError as error:
        if is_refused(error):
            raise
        raise MaybeSent(str(error)) from error


def is_refused(error: TelegramError) -> bool:
    """Whether Telegram has said that it does not do it: not that it has trouble, and not that it has done so before."""
    said = error.__cause__
    if isinstance(said, errors.RPCError):
        return abs(said.code or 0) < SERVER_TROUBLE and not isinstance(said, errors.RandomIdDuplicateError)
    return isinstance(error, Limited)  # it was not even asked


async def _ask_for(
    session: Session,
    account_id: int,
    bot: ButtonBot,
    username: str,
    peer: types.TypeInputPeer,
    message: ButtonMessage,
) -> Any:
    """TL messages.botResults, with the message. Raises TelegramError."""
    bot_itself = await bot_peer(session, username)
    with bot.offered(account_id, message) as query:
        results = await session.invoke(
            functions.messages.GetInlineBotResultsRequest(bot=bot_itself, peer=peer, query=query, offset="")
        )
    if not results.results:
        raise TelegramError(f"@{username} gave no message for the line's inline query; does another program poll it?")
    return results


async def find(session: Session, peer: types.TypeInputPeer, data: str) -> list[int]:
    """The messages that the account has sent to a person with buttons whose data begins so, among the latest.

    Raises TelegramError.
    """
    request = functions.messages.GetHistoryRequest(
        peer=peer, offset_id=0, offset_date=None, add_offset=0, limit=LATEST, max_id=0, min_id=0, hash=0
    )
    found = await session.invoke(request)
    messages = getattr(found, "messages", ())  # which messages.messagesNotModified has not
    return [each.id for each in messages if getattr(each, "out", False) and _has_button(each, data.encode())]


def _has_button(message: Any, data: bytes) -> bool:
    markup = getattr(message, "reply_markup", None)
    if not isinstance(markup, types.ReplyInlineMarkup):
        return False
    kinds = [button.type for row in markup.rows for button in row.buttons]
    return any(isinstance(kind, types.InlineButtonTypeCallback) and kind.data.startswith(data) for kind in kinds)


async def delete(session: Session, message_ids: list[int]) -> None:
    """messages.deleteMessages, for both; one that is gone already is no error. Raises TelegramError."""
    await session.invoke(functions.messages.DeleteMessagesRequest(id=message_ids, revoke=True))


def _message_id(sent: Any, random_id: int) -> int:
    for update in getattr(sent, "updates", ()):  # updatesTooLong has none
        if isinstance(update, types.UpdateMessageID) and update.random_id == random_id:
            return int(update.id)
    raise TelegramError("Telegram sent the message without telling its id (messages.sendInlineBotResult)")
