"""What people write to bots: the bot's `message` updates, and who has started it."""

from __future__ import annotations

from typing import Any

from telethon.tl import functions, types

from .bot_mail import BotMail
from .bot_views import BotViews
from .bots import Bots
from .messages import Messages
from .rpc import Client, RpcError, handles
from .updates import Updates
from .users import Users

KINDS: dict[type, str] = {types.UpdateNewMessage: "message", types.UpdateEditMessage: "edited_message"}


class BotChats:
    """Passes a bot's incoming messages on to its program."""

    def __init__(
        self, bots: Bots, users: Users, updates: Updates, messages: Messages, mail: BotMail, views: BotViews
    ) -> None:
        self._bots = bots
        self._users = users
        self._messages = messages
        self._mail = mail
        self._views = views
        updates.add_listener(self._heard)

    def _heard(self, viewer: int, updates: list[Any]) -> None:
        bot = self._bots.get(viewer)
        if bot is None:
            return
        for update in updates:
            message = getattr(update, "message", None)
            kind = KINDS.get(type(update))
            if kind is None or not isinstance(message, types.Message) or message.out:
                continue
            self._bots.start(bot.id, message.peer_id.user_id)
            self._mail.put(bot.id, kind, self._views.message(bot, message))

    @handles(functions.messages.StartBotRequest)
    def start_bot(self, client: Client, request: Any) -> Any:
        """messages.startBot, in the private chat with the bot: "/start" with the parameter."""
        bot = self._users.named(client, request.bot, "BOT_INVALID")
        if not bot.is_bot:
            raise RpcError("BOT_INVALID")
        text = f"/start {request.start_param}".strip()
        peer = types.InputPeerUser(bot.id, request.bot.access_hash)
        message = functions.messages.SendMessageRequest(peer, text, random_id=request.random_id)
        return self._messages.send(client, message, message=text)
