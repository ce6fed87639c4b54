"""Forwarding: messages.forwardMessages between private chats."""

from __future__ import annotations

from typing import Any

from telethon.tl import functions, types

from .messages import Messages
from .rpc import Client, RpcError, handles
from .tl import read
from .updates import Updates, mentioned
from .users import Users


class Forwards:
    """Copies of messages that say whom they are from."""

    def __init__(self, users: Users, updates: Updates, messages: Messages) -> None:
        self._users = users
        self._updates = updates
        self._messages = messages

    @handles(functions.messages.ForwardMessagesRequest)
    def forward_messages(self, client: Client, request: Any) -> Any:
        """messages.forwardMessages."""
        if len(request.random_id) != len(request.id):
            raise RpcError("RANDOM_ID_INVALID")
        to = self._messages.peer(client, request.to_peer)
        originals = [self._original(client, request.from_peer, message_id) for message_id in request.id]
        updates, people = list[Any](), {client.user.id}
        for original, random_id in zip(originals, request.random_id, strict=True):
            self._messages.use_random_id(client.user.id, random_id)
            content = _content(client.user.id, original, with_author=not request.drop_author)

            def build(copy: dict[str, Any], content: dict[str, Any] = content) -> Any:
                return types.Message(**copy, **content, silent=request.silent)

            own = self._messages.deliver(client.user.id, to.id, build, but=client.session)
            updates += [types.UpdateMessageID(id=own.message.id, random_id=random_id), own]
            people |= mentioned(own)
        return self._updates.package(client.user.id, updates, people)

    def _original(self, client: Client, from_peer: Any, message_id: int) -> Any:
        row = self._messages.row(client.user.id, message_id)
        message = read(row["body"]) if row else None
        if row is None or not isinstance(message, types.Message):
            raise RpcError("MESSAGE_ID_INVALID")
        named = not isinstance(from_peer, types.InputPeerEmpty)
        if named and row["peer"] != self._users.named(client, from_peer, "PEER_ID_INVALID").id:
            raise RpcError("MESSAGE_ID_INVALID")
        return message


def _content(forwarder: int, original: Any, with_author: bool) -> dict[str, Any]:
    content = {"message": original.message, "entities": original.entities, "media": original.media}
    if with_author:
        author = types.PeerUser(forwarder) if original.out else original.peer_id
        header = types.MessageFwdHeader(date=original.date, from_id=author)
        content |= {"fwd_from": original.fwd_from or header, "via_bot_id": original.via_bot_id}
    if keeps_keyboard(original):
        content["reply_markup"] = original.reply_markup
    return content


def keeps_keyboard(original: Any) -> bool:
    """Whether a forward keeps the inline keyboard: no button may be there that asks a bot for an answer.

    The rule is Telegram Desktop's `CopyMarkupToForward`: links, and switch buttons of messages sent through a bot.
    """
    if not isinstance(original.reply_markup, types.ReplyInlineMarkup):
        return False
    kept: tuple[type, ...] = (types.InlineButtonTypeUrl, types.InlineButtonTypeUrlAuth)
    if original.via_bot_id:
        kept += (types.InlineButtonTypeSwitchInline,)
    return all(isinstance(button.type, kept) for row in original.reply_markup.rows for button in row.buttons)
