"""Updates: what is pushed to sessions, and what a session that was away can ask for later.

https://core.telegram.org/api/updates. Events that change an account's messages are numbered by its `pts` and kept;
`seq` is always 0 ("it does not matter").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from telethon.tl import functions, types

from .rpc import Client, handles
from .session import Session
from .store import Store
from .tl import now, read
from .users import Users

Source = Callable[[Client], list[tuple[Any, set[int]]]]
Listener = Callable[[int, list[Any]], None]


class Updates:
    """Delivers updates to the sessions that are connected and answers `updates.*`."""

    def __init__(
        self, store: Store, users: Users, sessions: set[Session], ahead_s: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._store = store
        self._users = users
        self._sessions = sessions
        self._ahead_s = ahead_s
        self._sources: list[Source] = []
        self._listeners: list[Listener] = []

    def add_source(self, source: Source) -> None:
        """`source(client)` gives the updates that are not numbered and that the client's session has missed."""
        self._sources.append(source)

    def add_listener(self, listener: Listener) -> None:
        """`listener(viewer, updates)` hears of what is pushed to an account, connected or not."""
        self._listeners.append(listener)

    def record(self, owner: int, build: Callable[[int], Any], count: int = 1) -> Any:
        """Number an event of `owner`'s messages and keep it; `build(pts)` makes the update."""
        with self._store.atomic():
            self._store.run("UPDATE users SET pts = pts + ? WHERE id = ?", count, owner)
            pts = self.pts(owner)
            update = build(pts)
            self._store.put("events", {"owner": owner, "pts": pts, "body": bytes(update)})
        return update

    def pts(self, owner: int) -> int:
        """The number of the latest event of an account."""
        row = self._store.one("SELECT pts FROM users WHERE id = ?", owner)
        return int(row["pts"]) if row else 1

    def sessions_of(self, user_id: int) -> list[Session]:
        """Connected sessions of an account that want updates."""
        keys = {key.id for key in self._store.auth_keys_of(user_id)}
        return [session for session in self._sessions if session.key_id in keys and session.wants_updates]

    def package(self, viewer: int, updates: list[Any], people: Iterable[int] = ()) -> Any:
        """`updates` with the accounts they mention, as `viewer` sees them."""
        users = [self._users.show(viewer, user_id) for user_id in sorted(set(people))]
        return types.Updates(updates=updates, users=users, chats=[], date=now(), seq=0)

    def push(self, viewer: int, updates: list[Any], people: Iterable[int] = (), but: Session | None = None) -> None:
        """Send `updates` to the sessions of `viewer`, except `but`, which learns them from its request's result."""
        for listener in self._listeners:
            listener(viewer, updates)
        sessions = [session for session in self.sessions_of(viewer) if session is not but]
        if sessions:
            package = self.package(viewer, updates, people)
            for session in sessions:
                session.send(package)

    def push_short(self, viewer: int, update: Any) -> None:
        """Send one update that mentions nobody unknown and is not numbered, as an `updateShort`."""
        for session in self.sessions_of(viewer):
            session.send(types.UpdateShort(update=update, date=now()))

    def state(self, owner: int) -> Any:
        """`updates.state` of an account."""
        date = now() + timedelta(seconds=self._ahead_s())
        return types.updates.State(pts=self.pts(owner), qts=0, date=date, seq=0, unread_count=0)

    @handles(functions.updates.GetStateRequest)
    def get_state(self, client: Client, request: Any) -> Any:
        """updates.getState."""
        return self.state(client.user.id)

    @handles(functions.updates.GetDifferenceRequest)
    def get_difference(self, client: Client, request: Any) -> Any:
        """updates.getDifference; always whole, never a slice."""
        owner = client.user.id
        rows = self._store.all("SELECT body FROM events WHERE owner = ? AND pts > ? ORDER BY pts", owner, request.pts)
        events = [read(row["body"]) for row in rows]
        missed = [item for source in self._sources for item in source(client)]
        if not events and not missed:
            return types.updates.DifferenceEmpty(date=now(), seq=0)
        people = {person for event in events for person in mentioned(event)}.union(*(who for _, who in missed))
        new = [message for event in events if (message := self._as_it_is_now(owner, event)) is not None]
        others = [event for event in events if not isinstance(event, types.UpdateNewMessage)]
        return types.updates.Difference(
            new_messages=new,
            new_encrypted_messages=[],
            other_updates=others + [update for update, _ in missed],
            chats=[],
            users=[self._users.show(owner, user_id) for user_id in sorted(people)],
            state=self.state(owner),
        )

    def _as_it_is_now(self, owner: int, event: Any) -> Any:
        """The message of an `updateNewMessage`, unless it was deleted since."""
        if not isinstance(event, types.UpdateNewMessage):
            return None
        sql = "SELECT body FROM messages WHERE owner = ? AND id = ?"
        row = self._store.one(sql, owner, event.message.id)
        return read(row["body"]) if row else None


def mentioned(update: Any) -> set[int]:
    """The ids of the users that a message, or an update about messages, speaks of."""
    inner = getattr(update, "message", None)
    message = inner if isinstance(inner, types.Message | types.MessageService) else update
    peers = (getattr(message, name, None) for name in ("peer_id", "from_id", "peer"))
    found = {peer.user_id for peer in peers if isinstance(peer, types.PeerUser)}
    forwarded = getattr(getattr(message, "fwd_from", None), "from_id", None)
    if isinstance(forwarded, types.PeerUser):
        found.add(forwarded.user_id)
    via_bot = getattr(message, "via_bot_id", None)
    return found | {via_bot} if via_bot else found
