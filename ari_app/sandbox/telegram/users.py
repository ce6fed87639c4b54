"""Accounts as others see them: users.*, resolving phones and usernames, access hashes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from telethon.tl import functions, types

from .bots import Bots
from .privacy import Privacy
from .rpc import Client, RpcError, handles
from .store import Store, User
from .tl import now

ONLINE_FOR = timedelta(minutes=5)
INLINE_PLACEHOLDER = "Search..."


class Users:
    """Shows accounts to a viewer and finds the account that a request names.

    Args:
        shows_language: whether accounts see each other's language. Telegram itself tells it to bots only.
    """

    def __init__(self, store: Store, privacy: Privacy, bots: Bots, shows_language: Callable[[], bool]) -> None:
        self._store = store
        self._privacy = privacy
        self._bots = bots
        self._shows_language = shows_language
        self._online: dict[int, bool] = {}

    def show(self, viewer: int, user_id: int) -> Any:
        """`user_id` as `viewer` sees them."""
        user = self._store.user(user_id)
        if user is None:
            return types.UserEmpty(id=user_id)
        access_hash = self._store.access_hash(viewer, user.id)
        if user.deleted:
            return types.User(id=user.id, deleted=True, access_hash=access_hash)
        if user.is_bot:
            return self._show_bot(user, access_hash)
        contact = self._store.one("SELECT * FROM contacts WHERE owner = ? AND user_id = ?", viewer, user.id)
        names = (
            contact
            if contact and contact["first_name"]
            else {"first_name": user.first_name, "last_name": user.last_name}
        )
        return types.User(
            id=user.id,
            is_self=viewer == user.id,
            contact=contact is not None,
            mutual_contact=contact is not None and self._store.is_contact(user.id, viewer),
            access_hash=access_hash,
            first_name=names["first_name"],
            last_name=names["last_name"] or None,
            username=user.username,
            phone=user.phone if self._privacy.allows(user.id, viewer, "phone_number") else None,
            status=self._status(user.id),
            lang_code=user.lang if self._shows_language() else None,
        )

    def _show_bot(self, user: User, access_hash: int) -> Any:
        bot = self._bots.get(user.id)
        return types.User(
            id=user.id,
            bot=True,
            bot_info_version=1,
            bot_inline_placeholder=INLINE_PLACEHOLDER if bot and bot.inline else None,
            access_hash=access_hash,
            first_name=user.first_name,
            username=user.username,
        )

    def _status(self, user_id: int) -> Any:
        if user_id not in self._online:
            return types.UserStatusRecently()
        if self._online[user_id]:
            return types.UserStatusOnline(expires=now() + ONLINE_FOR)
        return types.UserStatusOffline(was_online=now())

    def named(self, client: Client, target: Any, error: str = "USER_ID_INVALID") -> User:
        """The account that an InputUser or InputPeer names. Raises `RpcError(error)` for a wrong access hash."""
        if isinstance(target, types.InputUserSelf | types.InputPeerSelf):
            return client.user
        if isinstance(target, types.InputUser | types.InputPeerUser):
            user = self._store.user(target.user_id)
            own = user is not None and user.id == client.user.id
            if user and (own or target.access_hash == self._store.access_hash(client.user.id, user.id)):
                return user
        raise RpcError(error)

    @handles(functions.users.GetUsersRequest)
    def get_users(self, client: Client, request: Any) -> Any:
        """users.getUsers."""
        return [self.show(client.user.id, self.named(client, target).id) for target in request.id]

    @handles(functions.users.GetFullUserRequest)
    def get_full_user(self, client: Client, request: Any) -> Any:
        """users.getFullUser."""
        viewer, user = client.user.id, self.named(client, request.id)
        callable_ = self._privacy.allows(user.id, viewer, "phone_call")
        full = types.UserFull(
            id=user.id,
            settings=types.PeerSettings(),
            notify_settings=types.PeerNotifySettings(),
            common_chats_count=0,
            blocked=self._store.is_blocked(viewer, user.id),
            phone_calls_available=user.id != viewer and not user.deleted and not user.is_bot,
            phone_calls_private=not callable_,
        )
        return types.users.UserFull(full_user=full, chats=[], users=[self.show(viewer, user.id)])

    @handles(functions.contacts.ResolvePhoneRequest)
    def resolve_phone(self, client: Client, request: Any) -> Any:
        """contacts.resolvePhone."""
        user = self._store.user_by_phone(request.phone)
        if user is None or not self._privacy.allows(user.id, client.user.id, "added_by_phone"):
            raise RpcError("PHONE_NOT_OCCUPIED")
        return self._resolved(client, user)

    @handles(functions.contacts.ResolveUsernameRequest)
    def resolve_username(self, client: Client, request: Any) -> Any:
        """contacts.resolveUsername."""
        if not request.username.removeprefix("@").replace("_", "").isalnum():
            raise RpcError("USERNAME_INVALID")
        user = self._store.user_by_username(request.username)
        if user is None:
            raise RpcError("USERNAME_NOT_OCCUPIED")
        return self._resolved(client, user)

    def _resolved(self, client: Client, user: User) -> Any:
        shown = self.show(client.user.id, user.id)
        return types.contacts.ResolvedPeer(peer=types.PeerUser(user.id), chats=[], users=[shown])

    @handles(functions.account.UpdateStatusRequest)
    def update_status(self, client: Client, request: Any) -> bool:
        """account.updateStatus."""
        self._online[client.user.id] = not request.offline
        return True
