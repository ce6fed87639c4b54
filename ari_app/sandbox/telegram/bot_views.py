"""Accounts and messages as the Bot API shows them (https://core.telegram.org/bots/api#available-types)."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any

from telethon.tl import types

from .bot_markup import entities_json, keyboard_json
from .bots import Bot, Bots
from .store import Store, User

DC_ID = 2
INLINE_ID = struct.Struct("<iqiq")  # dc_id, owner_id, id, access_hash of inputBotInlineMessageID64


class BotViews:
    """JSON for bots."""

    def __init__(self, store: Store, bots: Bots) -> None:
        self._store = store
        self._bots = bots

    def me(self, bot: Bot) -> dict[str, Any]:
        """The User that getMe gives."""
        abilities = {"can_join_groups": True, "can_read_all_group_messages": False, "can_connect_to_business": False}
        abilities |= {"has_main_web_app": False, "supports_inline_queries": bot.inline}
        return {"id": bot.id, "is_bot": True, "first_name": bot.name, "username": bot.username} | abilities

    def user(self, user_id: int) -> dict[str, Any]:
        """A User. A bot, unlike an account, is told everybody's language."""
        user = self._known(user_id)
        shown = {"id": user.id, "is_bot": user.is_bot} | _names(user)
        return shown | ({"language_code": user.lang} if user.lang else {})

    def chat(self, user_id: int) -> dict[str, Any]:
        """The private Chat with somebody."""
        return {"id": user_id, "type": "private"} | _names(self._known(user_id))

    def _known(self, user_id: int) -> User:
        user = self._store.user(user_id)
        if user is None:
            raise LookupError(f"there is no account {user_id}")
        return user

    def message(self, bot: Bot, message: Any) -> dict[str, Any]:
        """A Message from the bot's own copy."""
        peer = message.peer_id.user_id
        sender = bot.id if message.out else peer
        shown = {"message_id": message.id, "date": int(message.date.timestamp())}
        shown |= {"chat": self.chat(peer), "from": self.user(sender)}
        if message.edit_date:
            shown["edit_date"] = int(message.edit_date.timestamp())
        if message.via_bot_id:
            shown["via_bot"] = self.user(message.via_bot_id)
        if markup := keyboard_json(message.reply_markup):
            shown["reply_markup"] = markup
        return shown | self._content(message)

    def _content(self, message: Any) -> dict[str, Any]:
        text, entities = ("text", "entities") if message.media is None else ("caption", "caption_entities")
        shown: dict[str, Any] = {text: message.message} if message.message else {}
        if found := entities_json(message.entities):
            shown[entities] = found
        if isinstance(message.media, types.MessageMediaContact):
            shown["contact"] = _contact(message.media)
        if isinstance(message.media, types.MessageMediaPhoto):
            shown["photo"] = [_photo_size(message.media.photo, size) for size in message.media.photo.sizes]
        return shown

    def chat_instance(self, one: int, other: int) -> str:
        """A number that stands for the chat of two accounts, the same for both."""
        return str(self._store.access_hash(min(one, other), max(one, other)))

    def inline_message_id(self, owner: int, message_id: int) -> str:
        """The identifier of a message that was sent through a bot; `owner` is its sender, as on Telegram."""
        packed = INLINE_ID.pack(DC_ID, owner, message_id, self._store.access_hash(owner, message_id))
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def inline_message(self, inline_message_id: str) -> tuple[int, int] | None:
        """The sender and the number of their copy that an identifier stands for; None when it is not good."""
        try:
            packed = base64.urlsafe_b64decode(inline_message_id + "=" * (-len(inline_message_id) % 4))
            _, owner, message_id, access_hash = INLINE_ID.unpack(packed)
        except (binascii.Error, struct.error, ValueError):
            return None
        return (owner, message_id) if access_hash == self._store.access_hash(owner, message_id) else None


def _names(user: User) -> dict[str, Any]:
    shown = {"first_name": user.first_name, "last_name": user.last_name, "username": user.username}
    return {"first_name": user.first_name} | {name: value for name, value in shown.items() if value}


def _contact(media: Any) -> dict[str, Any]:
    shown = {"phone_number": media.phone_number, "first_name": media.first_name}
    more = {"last_name": media.last_name, "vcard": media.vcard, "user_id": media.user_id}
    return shown | {name: value for name, value in more.items() if value}


def _photo_size(photo: Any, size: Any) -> dict[str, Any]:
    ids = {"file_id": str(photo.id), "file_unique_id": str(photo.id)}
    return ids | {"width": size.w, "height": size.h, "file_size": size.size}
