"""Reading private chats: messages.getHistory and its kin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from telethon.tl import functions, types

from .rpc import Client, RpcError, handles
from .store import Store
from .tl import read
from .updates import Updates, mentioned
from .users import Users

MAX_PAGE = 100


class History:
    """Messages and chats as their owner reads them, and how far they have read."""

    def __init__(self, store: Store, users: Users, updates: Updates) -> None:
        self._store = store
        self._users = users
        self._updates = updates

    @handles(functions.messages.GetHistoryRequest, functions.messages.SearchRequest)
    def get_history(self, client: Client, request: Any) -> Any:
        """messages.getHistory, newest first, and messages.search by text, or for the account's calls in all chats."""
        if isinstance(getattr(request, "filter", None), types.InputMessagesFilterPhoneCalls):
            return self._calls(client, request)
        peer = self._users.named(client, request.peer, "PEER_ID_INVALID")
        sql = "SELECT body FROM messages WHERE owner = ? AND peer = ? ORDER BY id DESC"
        found = [read(row["body"]) for row in self._store.all(sql, client.user.id, peer.id)]
        wanted = getattr(request, "q", "").lower()
        found = [m for m in found if wanted in (getattr(m, "message", None) or "").lower()]
        page = [m for m in found if not request.offset_id or m.id < request.offset_id]
        page = [m for m in page if m.id > request.min_id and (not request.max_id or m.id < request.max_id)]
        page = page[max(0, request.add_offset) :][: min(request.limit, MAX_PAGE) or MAX_PAGE]
        people = {client.user.id, peer.id}.union(*map(mentioned, page))
        users = self._shown(client, people)
        return types.messages.MessagesSlice(count=len(found), messages=page, topics=[], chats=[], users=users)

    def _calls(self, client: Client, request: Any) -> Any:
        """What an app's list of calls shows: inputMessagesFilterPhoneCalls, with inputPeerEmpty for every chat."""
        sql = "SELECT body FROM messages WHERE owner = ? ORDER BY id DESC"
        messages = [read(row["body"]) for row in self._store.all(sql, client.user.id)]
        found = [m for m in messages if isinstance(getattr(m, "action", None), types.MessageActionPhoneCall)]
        page = found[: min(request.limit, MAX_PAGE) or MAX_PAGE]
        users = self._shown(client, {client.user.id}.union(*map(mentioned, page)))
        return types.messages.MessagesSlice(count=len(found), messages=page, topics=[], chats=[], users=users)

    @handles(functions.messages.GetMessagesRequest)
    def get_messages(self, client: Client, request: Any) -> Any:
        """messages.getMessages."""
        found: list[Any] = []
        for target in request.id:
            wanted = target.id if isinstance(target, types.InputMessageID) else 0
            sql = "SELECT body FROM messages WHERE owner = ? AND id = ?"
            row = self._store.one(sql, client.user.id, wanted)
            found.append(read(row["body"]) if row else types.MessageEmpty(id=wanted, peer_id=None))
        people = {person for message in found for person in mentioned(message)}
        return types.messages.Messages(messages=found, topics=[], chats=[], users=self._shown(client, people))

    @handles(functions.messages.GetDialogsRequest)
    def get_dialogs(self, client: Client, request: Any) -> Any:
        """messages.getDialogs: every chat, the latest first; always whole."""
        owner = client.user.id
        sql = "SELECT peer, max(id) AS top FROM messages WHERE owner = ? GROUP BY peer ORDER BY top DESC"
        dialogs = [self._dialog(owner, row["peer"], row["top"]) for row in self._store.all(sql, owner)]
        if request.offset_id:
            dialogs = [dialog for dialog in dialogs if dialog.top_message < request.offset_id]
        tops = [
            self._store.one("SELECT body FROM messages WHERE owner = ? AND id = ?", owner, d.top_message)
            for d in dialogs
        ]
        messages = [read(row["body"]) for row in tops if row]
        people = {owner}.union(*map(mentioned, messages))
        return types.messages.Dialogs(dialogs=dialogs, messages=messages, chats=[], users=self._shown(client, people))

    @handles(functions.messages.GetPeerDialogsRequest)
    def get_peer_dialogs(self, client: Client, request: Any) -> Any:
        """messages.getPeerDialogs: chats with somebody; one with no message has a `top_message` of 0."""
        owner = client.user.id
        wanted = [each.peer for each in request.peers if isinstance(each, types.InputDialogPeer)]
        peers = [self._users.named(client, peer, "PEER_ID_INVALID").id for peer in wanted]
        sql = "SELECT id, body FROM messages WHERE owner = ? AND peer = ? ORDER BY id DESC LIMIT 1"
        tops = [self._store.one(sql, owner, peer) for peer in peers]
        messages = [read(row["body"]) for row in tops if row]
        return types.messages.PeerDialogs(
            dialogs=[self._dialog(owner, peer, row["id"] if row else 0) for peer, row in zip(peers, tops, strict=True)],
            messages=messages,
            chats=[],
            users=self._shown(client, {owner, *peers}.union(*map(mentioned, messages))),
            state=self._updates.state(owner),
        )

    def _dialog(self, owner: int, peer: int, top: int) -> Any:
        inbox, outbox = self._read(owner, peer)
        return types.Dialog(
            peer=types.PeerUser(peer),
            top_message=top,
            read_inbox_max_id=inbox,
            read_outbox_max_id=outbox,
            unread_count=self._unread(owner, peer, inbox),
            unread_mentions_count=0,
            unread_reactions_count=0,
            unread_poll_votes_count=0,
            notify_settings=types.PeerNotifySettings(),
        )

    @handles(functions.messages.ReadHistoryRequest)
    def read_history(self, client: Client, request: Any) -> Any:
        """messages.readHistory; the other side learns that its messages were read."""
        owner, peer = client.user.id, self._users.named(client, request.peer, "PEER_ID_INVALID").id
        inbox, outbox = self._read(owner, peer)
        sql = "SELECT id, twin, body FROM messages WHERE owner = ? AND peer = ? AND id > ? ORDER BY id DESC"
        rows = [
            row for row in self._store.all(sql, owner, peer, inbox) if not request.max_id or row["id"] <= request.max_id
        ]
        newest = next((row for row in rows if not read(row["body"]).out), None)
        if newest is None:
            return types.messages.AffectedMessages(pts=self._updates.pts(owner), pts_count=0)
        inbox, theirs = newest["id"], newest["twin"]
        self._store.put("read", {"owner": owner, "peer": peer, "inbox": inbox, "outbox": outbox})
        unread = self._unread(owner, peer, inbox)

        def mine(pts: int) -> Any:
            who = types.PeerUser(peer)
            return types.UpdateReadHistoryInbox(peer=who, max_id=inbox, still_unread_count=unread, pts=pts, pts_count=1)

        self._updates.push(owner, [self._updates.record(owner, mine)], {peer}, but=client.session)
        if theirs:
            self._store.put(
                "read", {"owner": peer, "peer": owner, "inbox": self._read(peer, owner)[0], "outbox": theirs}
            )
            who = types.PeerUser(owner)
            seen = self._updates.record(peer, lambda pts: types.UpdateReadHistoryOutbox(who, theirs, pts, 1))
            self._updates.push(peer, [seen], {owner})
        return types.messages.AffectedMessages(pts=self._updates.pts(owner), pts_count=1)

    def _read(self, owner: int, peer: int) -> tuple[int, int]:
        row = self._store.one("SELECT inbox, outbox FROM read WHERE owner = ? AND peer = ?", owner, peer)
        return (row["inbox"], row["outbox"]) if row else (0, 0)

    def _unread(self, owner: int, peer: int, inbox: int) -> int:
        rows = self._store.all("SELECT body FROM messages WHERE owner = ? AND peer = ? AND id > ?", owner, peer, inbox)
        return sum(not read(row["body"]).out for row in rows)

    @handles(functions.messages.SetTypingRequest)
    def set_typing(self, client: Client, request: Any) -> bool:
        """messages.setTyping."""
        peer = self._users.named(client, request.peer, "PEER_ID_INVALID")
        if peer.deleted:
            raise RpcError("INPUT_USER_DEACTIVATED")
        if peer.id != client.user.id and not self._store.is_blocked(peer.id, client.user.id):
            self._updates.push_short(peer.id, types.UpdateUserTyping(client.user.id, request.action))
        return True

    def _shown(self, client: Client, people: Iterable[int]) -> list[Any]:
        return [self._users.show(client.user.id, user_id) for user_id in sorted(people)]
