"""The bot side of the local Telegram: its services, and what a test or a demo does with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .bot_api import BotApi
from .bot_chats import BotChats
from .bot_errors import BotApiError
from .bot_mail import BotMail
from .bot_methods import BotMethods, BotServices
from .bot_views import BotViews
from .bots import Bot, Bots
from .callbacks import Callbacks
from .faults import Fault, Faults
from .files import Files
from .forwards import Forwards
from .inline import Inline
from .messages import Messages
from .questions import AnswerTimer, Questions
from .store import Store, User
from .updates import Updates
from .users import Users


class BotPlatform:
    """Builds the services for bots; `handlers` are those that answer MTProto requests."""

    def __init__(
        self,
        store: Store,
        bots: Bots,
        users: Users,
        updates: Updates,
        messages: Messages,
        files: Files,
        timers: AnswerTimer,
    ) -> None:
        self.bots = bots
        self.faults = Faults()
        self.mail = BotMail(store)
        views = BotViews(store, bots)
        questions = Questions(self.mail, timers)
        inline = Inline(bots, users, messages, questions, self.mail, views)
        self.callbacks = Callbacks(bots, users, messages, questions, views)
        chats = BotChats(bots, users, updates, messages, self.mail, views)
        services = BotServices(
            store, bots, updates, messages, files, self.mail, views, inline=inline, callbacks=self.callbacks
        )
        self.api = BotApi(bots, BotMethods(services), self.faults)
        self.handlers = (inline, self.callbacks, chats, Forwards(users, updates, messages))


class BotControls(ABC):
    """What a test or a demo does with bots; the part of `LocalTelegram` that is about them."""

    _platform: BotPlatform

    @abstractmethod
    def user(self, phone: str) -> User:
        """The account with a phone number."""

    @property
    def bot_api_url(self) -> str:
        """The HTTP Bot API, for `TelegramAPIServer.from_base`; the same while it is stopped."""
        return self._platform.api.url

    def add_bot(
        self, username: str, token: str | None = None, inline: bool = True, name: str = "", feedback: bool = False
    ) -> Bot:
        """Create a bot, or update the one with that username.

        Args:
            token: "id:secret", whose id becomes the bot's; with none it keeps the one it has, or gets a new one.
            inline: whether inline mode is on.
            name: what people see; the username without it.
            feedback: whether it gets `chosen_inline_result`.

        Raises:
            ValueError: the username or the token's id is somebody else's.
        """
        return self._platform.bots.add(username, token, inline, name or username.removeprefix("@"), feedback)

    def bot(self, username: str) -> Bot:
        """The bot with a username. Raises `LookupError` when there is none."""
        return self._platform.bots.named(username)

    def set_inline(self, username: str, on: bool) -> None:
        """Switch a bot's inline mode."""
        self._platform.bots.set_inline(username, on)

    def revoke_bot_token(self, username: str) -> str:
        """Revoke a bot's token; the new one. A getUpdates that waits ends with 401."""
        bot = self._platform.bots.revoke_token(username)
        self._platform.mail.interrupt(bot.id, BotApiError(401))
        return bot.token

    async def press(self, phone: str, owner: str, message_id: int, data: bytes) -> Any:
        """Press on the message that `owner` has under `message_id`, as the account of `phone`.

        In a private chat only its two sides can press, over MTProto. This is for a third person with the very same
        message, as in a group, and for whatever a bad client can send.

        Returns:
            A TL `messages.BotCallbackAnswer`.

        Raises:
            RpcError: for example BOT_RESPONSE_TIMEOUT.
        """
        presser, holder = self.user(phone).id, self.user(owner).id
        return await self._platform.callbacks.press(presser, holder, message_id, data)

    def refuse_bot(
        self,
        method: str,
        error: int,
        description: str = "",
        retry_after: int | None = None,
        username: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Answer the next Bot API requests with an error.

        Args:
            method: for example "editMessageText"; "*" is any.
            error: the HTTP status, for example 429.
            description: after Telegram's prefix ("Bad Request: "), for example "message to edit not found".
            retry_after: seconds, for 429.
            username: only requests of this bot.
            times: how many requests; None is all.
        """
        refusal = BotApiError(error, description, retry_after)
        self._platform.faults.add(Fault(method.lower(), self._handle(username), None, times, error=refusal))

    def delay_bot(self, method: str, seconds: float, username: str | None = None, times: int | None = 1) -> None:
        """Answer the next Bot API requests late; the arguments are those of `refuse_bot`."""
        self._platform.faults.add(Fault(method.lower(), self._handle(username), None, times, delay_s=seconds))

    def _handle(self, username: str | None) -> str | None:
        return f"@{self.bot(username).username}" if username else None

    def bot_requests(self, method: str) -> int:
        """How many requests of a method, for example "editMessageText", have come so far, the refused ones too."""
        return self._platform.api.counted[method.lower()]

    def bot_refusals(self, error: int) -> int:
        """How many requests were answered with an error so far, for example 409: a poll that another one has ended."""
        return self._platform.api.refused[error]

    def waiting(self, username: str) -> int:
        """How many updates wait for a bot to fetch them."""
        return self._platform.mail.count(self.bot(username).id)

    async def stop_bot_api(self) -> None:
        """Make the Bot API unreachable: connections are cut, new ones refused."""
        await self._platform.api.stop()

    async def start_bot_api(self) -> None:
        """Make the Bot API reachable again, on the same port."""
        await self._platform.api.start()

    @asynccontextmanager
    async def bot_api_down(self) -> AsyncIterator[None]:
        """The Bot API is unreachable inside the block."""
        await self.stop_bot_api()
        try:
            yield
        finally:
            await self.start_bot_api()
