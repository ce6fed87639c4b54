"""contacts.*: address books and blocked accounts (https://core.telegram.org/api/contacts)."""

from __future__ import annotations

from typing import Any

from telethon.tl import functions, types

from .rpc import Client, handles
from .store import Store
from .tl import now
from .users import Users


class Contacts:
    """Who has whom as a contact, under which name, and who has blocked whom."""

    def __init__(self, store: Store, users: Users) -> None:
        self._store = store
        self._users = users

    def add(self, owner: int, user_id: int, first_name: str, last_name: str) -> None:
        """Put `user_id` into `owner`'s contacts, or rename them there."""
        row = {"owner": owner, "user_id": user_id, "first_name": first_name, "last_name": last_name}
        self._store.put("contacts", row)

    @handles(functions.contacts.GetContactsRequest)
    def get_contacts(self, client: Client, request: Any) -> Any:
        """contacts.getContacts."""
        owner = client.user.id
        ids = [row["user_id"] for row in self._store.all("SELECT user_id FROM contacts WHERE owner = ?", owner)]
        contacts = [types.Contact(user_id=i, mutual=self._store.is_contact(i, owner)) for i in ids]
        users = [self._users.show(owner, i) for i in ids]
        return types.contacts.Contacts(contacts=contacts, saved_count=0, users=users)

    @handles(functions.contacts.ImportContactsRequest)
    def import_contacts(self, client: Client, request: Any) -> Any:
        """contacts.importContacts: those numbers that have an account are imported."""
        owner = client.user.id
        imported: dict[int, int] = {}
        for contact in request.contacts:
            user = self._store.user_by_phone(contact.phone)
            if user is not None:
                self.add(owner, user.id, contact.first_name, contact.last_name)
                imported[contact.client_id] = user.id
        return types.contacts.ImportedContacts(
            imported=[types.ImportedContact(user_id=user, client_id=number) for number, user in imported.items()],
            popular_invites=[],
            retry_contacts=[],
            users=[self._users.show(owner, user) for user in sorted(set(imported.values()))],
        )

    @handles(functions.contacts.AddContactRequest)
    def add_contact(self, client: Client, request: Any) -> Any:
        """contacts.addContact."""
        user = self._users.named(client, request.id)
        self.add(client.user.id, user.id, request.first_name, request.last_name)
        return self._changed(client, [user.id])

    @handles(functions.contacts.DeleteContactsRequest)
    def delete_contacts(self, client: Client, request: Any) -> Any:
        """contacts.deleteContacts."""
        users = [self._users.named(client, target).id for target in request.id]
        for user_id in users:
            self._store.run("DELETE FROM contacts WHERE owner = ? AND user_id = ?", client.user.id, user_id)
        return self._changed(client, users)

    def _changed(self, client: Client, users: list[int]) -> Any:
        shown = [self._users.show(client.user.id, user_id) for user_id in users]
        updates: list[Any] = [
            types.UpdatePeerSettings(peer=types.PeerUser(i), settings=types.PeerSettings()) for i in users
        ]
        return types.Updates(updates=updates, users=shown, chats=[], date=now(), seq=0)

    @handles(functions.contacts.BlockRequest)
    def block(self, client: Client, request: Any) -> bool:
        """contacts.block."""
        user = self._users.named(client, request.id, "PEER_ID_INVALID")
        self._store.put("blocked", {"owner": client.user.id, "user_id": user.id})
        return True

    @handles(functions.contacts.UnblockRequest)
    def unblock(self, client: Client, request: Any) -> bool:
        """contacts.unblock."""
        user = self._users.named(client, request.id, "PEER_ID_INVALID")
        self._store.run("DELETE FROM blocked WHERE owner = ? AND user_id = ?", client.user.id, user.id)
        return True
