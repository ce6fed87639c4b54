"""Private messages: messages.* between two accounts.

Each account has its own copy of a message with its own number; `twin` is the number of the other copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from telethon.tl import functions, types

from .files import Files
from .rpc import Client, RpcError, handles
from .session import Session
from .store import Store, User, digits
from .tl import now, read
from .updates import Updates, mentioned
from .users import Users

MAX_TEXT = 4096
Build = Callable[[dict[str, Any]], Any]


class Messages:
    """Sending, editing, deleting."""

    def __init__(self, store: Store, users: Users, updates: Updates, files: Files) -> None:
        self._store = store
        self._users = users
        self._updates = updates
        self._files = files

    def post(self, sender: int, peer: int, build: Build) -> tuple[Any, Any]:
        """Put a message into both chats; the two `updateNewMessage` (the second is None for Saved Messages).

        `build` makes the message from the fields that differ between the copies.
        """
        date = now()
        with self._store.atomic():
            own_id = self._next_id(sender)
            twin_id = self._next_id(peer) if peer != sender else 0
            out = {"id": own_id, "peer_id": types.PeerUser(peer), "from_id": types.PeerUser(sender), "out": True}
            first = self._deliver(sender, peer, twin_id, build(out | {"date": date}))
            if peer == sender:
                return first, None
            # As on Telegram: a private message to somebody names its sender by peer_id alone.
            incoming = {"id": twin_id, "peer_id": types.PeerUser(sender), "from_id": None, "out": False}
            return first, self._deliver(peer, sender, own_id, build(incoming | {"date": date}))

    def _next_id(self, owner: int) -> int:
        self._store.run("UPDATE users SET last_message_id = last_message_id + 1 WHERE id = ?", owner)
        row = self._store.one("SELECT last_message_id FROM users WHERE id = ?", owner)
        return int(row["last_message_id"]) if row else 0

    def _deliver(self, owner: int, peer: int, twin: int, message: Any) -> Any:
        self._keep(owner, peer, twin, message)
        return self._updates.record(owner, lambda pts: types.UpdateNewMessage(message, pts, 1))

    def _keep(self, owner: int, peer: int, twin: int, message: Any) -> None:
        row = {"owner": owner, "id": message.id, "peer": peer, "twin": twin, "body": bytes(message)}
        self._store.put("messages", row)

    @handles(functions.messages.SendMessageRequest)
    def send_message(self, client: Client, request: Any) -> Any:
        """messages.sendMessage."""
        if not request.message.strip():
            raise RpcError("MESSAGE_EMPTY")
        return self.send(client, request, message=request.message, entities=request.entities or None)

    @handles(functions.messages.SendMediaRequest)
    def send_media(self, client: Client, request: Any) -> Any:
        """messages.sendMedia, for a contact and for a photo that was uploaded or sent before."""
        media = self._media(request.media)
        return self.send(client, request, message=request.message, entities=request.entities or None, media=media)

    def _media(self, media: Any) -> Any:
        if isinstance(media, types.InputMediaContact):
            known = self._store.user_by_phone(media.phone_number)
            names = (media.first_name, media.last_name, media.vcard)
            return types.MessageMediaContact(digits(media.phone_number), *names, user_id=known.id if known else 0)
        if isinstance(media, types.InputMediaUploadedPhoto):
            return types.MessageMediaPhoto(photo=self._files.photo(media.file))
        if isinstance(media, types.InputMediaPhoto) and isinstance(media.id, types.InputPhoto):
            return types.MessageMediaPhoto(photo=self._files.kept(media.id.id))
        raise RpcError("MEDIA_INVALID")

    def send(self, client: Client, request: Any, **content: Any) -> Any:
        """Send for somebody: who to, the random id and the reply are those of `request`; the updates about it."""
        peer = self.peer(client, request.peer)
        if len(content["message"]) > MAX_TEXT:
            raise RpcError("MEDIA_CAPTION_TOO_LONG" if content.get("media") else "MESSAGE_TOO_LONG")
        self.use_random_id(client.user.id, request.random_id)
        reply = request.reply_to
        header = types.MessageReplyHeader(reply_to_msg_id=reply.reply_to_msg_id) if _replies(reply) else None

        def build(copy: dict[str, Any]) -> Any:
            reply_to = header if copy["out"] else self._twin_header(client.user.id, header)
            return types.Message(**copy, **content, reply_to=reply_to, silent=request.silent)

        own = self.deliver(client.user.id, peer.id, build, but=client.session)
        sent = types.UpdateMessageID(id=own.message.id, random_id=request.random_id)
        return self._updates.package(client.user.id, [sent, own], mentioned(own) | {client.user.id})

    def deliver(self, sender: int, peer: int, build: Build, but: Session | None = None) -> Any:
        """Put a message into both chats and tell everybody; the sender's `updateNewMessage`."""
        own, theirs = self.post(sender, peer, build)
        people = mentioned(own) | {sender, peer}
        self._updates.push(sender, [own], people, but=but)
        if theirs is not None:
            self._updates.push(peer, [theirs], people)
        return own

    def _twin_header(self, owner: int, header: Any) -> Any:
        row = self.row(owner, header.reply_to_msg_id) if header else None
        return types.MessageReplyHeader(reply_to_msg_id=row["twin"]) if row and row["twin"] else None

    def use_random_id(self, owner: int, random_id: int) -> None:
        """Refuse a request that was made before, as Telegram does when a client repeats it after a lost answer."""
        if self._store.one("SELECT 1 FROM random_ids WHERE owner = ? AND random_id = ?", owner, random_id):
            raise RpcError("RANDOM_ID_DUPLICATE")
        self._store.put("random_ids", {"owner": owner, "random_id": random_id})

    def peer(self, client: Client, peer: Any) -> User:
        """The account to write to. Raises `RpcError` when it cannot be written to."""
        user = self._users.named(client, peer, "PEER_ID_INVALID")
        if user.deleted:
            raise RpcError("INPUT_USER_DEACTIVATED")
        if self._store.is_blocked(user.id, client.user.id):
            raise RpcError("USER_IS_BLOCKED")
        if self._store.is_blocked(client.user.id, user.id):
            raise RpcError("YOU_BLOCKED_USER")
        return user

    def row(self, owner: int, message_id: int) -> dict[str, Any] | None:
        """Somebody's copy of a message."""
        return self._store.one("SELECT * FROM messages WHERE owner = ? AND id = ?", owner, message_id)

    def copies(self, owner: int, message_id: int) -> list[dict[str, Any]]:
        """What is left of a message that `owner` has, or had, under this number: their copy, the other side's."""
        sql = "SELECT * FROM messages WHERE owner = ? AND id = ? OR peer = ? AND twin = ? ORDER BY owner != ?"
        return list(self._store.all(sql, owner, message_id, owner, message_id, owner))

    @handles(functions.messages.EditMessageRequest)
    def edit_message(self, client: Client, request: Any) -> Any:
        """messages.editMessage, of the text."""
        row = self.row(client.user.id, request.id)
        message = read(row["body"]) if row else None
        if not isinstance(message, types.Message):
            raise RpcError("MESSAGE_ID_INVALID")
        if not message.out or message.via_bot_id or message.fwd_from:
            raise RpcError("MESSAGE_AUTHOR_REQUIRED")
        changed = {"message": request.message or "", "entities": request.entities or None}
        own = self.change(client.user.id, request.id, changed, but=client.session)
        return self._updates.package(client.user.id, [own], mentioned(own) | {client.user.id})

    def change(self, owner: int, message_id: int, changed: dict[str, Any], but: Session | None = None) -> Any:
        """Edit every copy of a message and tell everybody; the first copy's update. Raises `RpcError`."""
        rows = self.copies(owner, message_id)
        if not rows:
            raise RpcError("MESSAGE_ID_INVALID")
        message = read(rows[0]["body"])
        if all(_wire(getattr(message, name)) == _wire(value) for name, value in changed.items()):
            raise RpcError("MESSAGE_NOT_MODIFIED")
        edits = [self._edit(row, changed) for row in rows]
        for row, update in zip(rows, edits, strict=True):
            self._updates.push(row["owner"], [update], mentioned(update) | {row["owner"]}, but=but)
        return edits[0]

    def _edit(self, row: dict[str, Any], changed: dict[str, Any]) -> Any:
        message = read(row["body"])
        vars(message).update(changed, edit_date=now())
        self._keep(row["owner"], row["peer"], row["twin"], message)
        return self._updates.record(row["owner"], lambda pts: types.UpdateEditMessage(message, pts, 1))

    @handles(functions.messages.DeleteMessagesRequest)
    def delete_messages(self, client: Client, request: Any) -> Any:
        """messages.deleteMessages."""
        count = self.delete(client.user.id, list(request.id), request.revoke, but=client.session)
        return types.messages.AffectedMessages(pts=self._updates.pts(client.user.id), pts_count=count)

    @handles(functions.messages.DeleteHistoryRequest)
    def delete_history(self, client: Client, request: Any) -> Any:
        """messages.deleteHistory."""
        peer = self._users.named(client, request.peer, "PEER_ID_INVALID")
        rows = self._store.all("SELECT id FROM messages WHERE owner = ? AND peer = ?", client.user.id, peer.id)
        ids = [row["id"] for row in rows if not request.max_id or row["id"] <= request.max_id]
        count = self.delete(client.user.id, ids, request.revoke, but=client.session)
        return types.messages.AffectedHistory(pts=self._updates.pts(client.user.id), pts_count=count, offset=0)

    def delete(self, owner: int, ids: list[int], revoke: bool, but: Session | None = None) -> int:
        """Delete messages of `owner`, with `revoke` for the other side too; how many there were."""
        rows = [row for i in ids if (row := self.row(owner, i)) is not None]
        own = self._remove(owner, [row["id"] for row in rows])
        if own is not None:
            self._updates.push(owner, [own], but=but)
        twins: dict[int, list[int]] = {}
        for row in rows:
            if revoke and row["twin"]:
                twins.setdefault(row["peer"], []).append(row["twin"])
        for peer, messages in twins.items():
            theirs = self._remove(peer, [i for i in messages if self.row(peer, i) is not None])
            if theirs is not None:
                self._updates.push(peer, [theirs])
        return len(rows)

    def _remove(self, owner: int, ids: list[int]) -> Any:
        if not ids:
            return None
        for message_id in ids:
            self._store.run("DELETE FROM messages WHERE owner = ? AND id = ?", owner, message_id)
        return self._updates.record(owner, lambda pts: types.UpdateDeleteMessages(ids, pts, len(ids)), len(ids))


def _replies(reply: Any) -> bool:
    return isinstance(reply, types.InputReplyToMessage)


def _wire(value: Any) -> Any:
    """A field of a message as it is sent: two TL objects that differ only in None and False are the same there."""
    if not value or isinstance(value, str):
        return value or None
    return [bytes(item) for item in value] if isinstance(value, list) else bytes(value)
