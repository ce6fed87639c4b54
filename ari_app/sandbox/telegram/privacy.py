"""Who may see a phone number, call, or connect directly (https://core.telegram.org/api/privacy)."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

from telethon.tl import functions, types

from .rpc import Client, RpcError, handles
from .store import Store


class Audience(StrEnum):
    """Whom a privacy rule admits, before its exceptions."""

    EVERYBODY = "everybody"
    CONTACTS = "contacts"
    NOBODY = "nobody"


DEFAULTS = {"phone_number": Audience.CONTACTS}
KEYS: dict[str, tuple[type, type]] = {
    "phone_number": (types.InputPrivacyKeyPhoneNumber, types.PrivacyKeyPhoneNumber),
    "phone_call": (types.InputPrivacyKeyPhoneCall, types.PrivacyKeyPhoneCall),
    "phone_p2p": (types.InputPrivacyKeyPhoneP2P, types.PrivacyKeyPhoneP2P),
    "added_by_phone": (types.InputPrivacyKeyAddedByPhone, types.PrivacyKeyAddedByPhone),
    "status": (types.InputPrivacyKeyStatusTimestamp, types.PrivacyKeyStatusTimestamp),
}
ANSWERS: dict[Audience, type] = {
    Audience.EVERYBODY: types.PrivacyValueAllowAll,
    Audience.CONTACTS: types.PrivacyValueAllowContacts,
    Audience.NOBODY: types.PrivacyValueDisallowAll,
}
AUDIENCES: dict[type, Audience] = {
    types.InputPrivacyValueAllowAll: Audience.EVERYBODY,
    types.InputPrivacyValueAllowContacts: Audience.CONTACTS,
    types.InputPrivacyValueDisallowAll: Audience.NOBODY,
}


class Privacy:
    """The rules of every account, kept in the store as an audience with two lists of exceptions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def allows(self, owner: int, viewer: int, key: str) -> bool:
        """Whether `owner`'s rules for `key` admit `viewer`; one who is blocked is never admitted."""
        if owner == viewer:
            return True
        rules = self._rules(owner, key)
        if viewer in rules["disallow"] or self._store.is_blocked(owner, viewer):
            return False
        if viewer in rules["allow"] or rules["audience"] == Audience.EVERYBODY:
            return True
        return rules["audience"] == Audience.CONTACTS and self._store.is_contact(owner, viewer)

    def set(self, owner: int, key: str, audience: Audience, allow: list[int], disallow: list[int]) -> None:
        """Replace the rules for `key`. Raises `ValueError` for a key that is not one of `KEYS`."""
        if key not in KEYS:
            raise ValueError(f"{key!r} is no privacy key; the keys are {', '.join(KEYS)}")
        rules = json.dumps({"audience": audience, "allow": allow, "disallow": disallow})
        self._store.put("privacy", {"owner": owner, "key": key, "rules": rules})

    def _rules(self, owner: int, key: str) -> dict[str, Any]:
        row = self._store.one("SELECT rules FROM privacy WHERE owner = ? AND key = ?", owner, key)
        default = {"audience": DEFAULTS.get(key, Audience.EVERYBODY), "allow": [], "disallow": []}
        return json.loads(row["rules"]) if row else default

    @handles(functions.account.GetPrivacyRequest)
    def get_privacy(self, client: Client, request: Any) -> Any:
        """account.getPrivacy."""
        return self._answer(client.user.id, _key(request.key))

    @handles(functions.account.SetPrivacyRequest)
    def set_privacy(self, client: Client, request: Any) -> Any:
        """account.setPrivacy; exceptions are taken for users, not for chats."""
        audience, allow, disallow = Audience.NOBODY, list[int](), list[int]()
        for rule in request.rules:
            if isinstance(rule, types.InputPrivacyValueAllowUsers):
                allow += _exceptions(rule)
            elif isinstance(rule, types.InputPrivacyValueDisallowUsers):
                disallow += _exceptions(rule)
            else:
                audience = AUDIENCES.get(type(rule), audience)
        self.set(client.user.id, _key(request.key), audience, allow, disallow)
        return self._answer(client.user.id, _key(request.key))

    def _answer(self, owner: int, key: str) -> Any:
        rules = self._rules(owner, key)
        answer: list[Any] = [ANSWERS[Audience(rules["audience"])]()]
        if rules["allow"]:
            answer.insert(0, types.PrivacyValueAllowUsers(rules["allow"]))
        if rules["disallow"]:
            answer.insert(0, types.PrivacyValueDisallowUsers(rules["disallow"]))
        return types.account.PrivacyRules(rules=answer, chats=[], users=[])


def _exceptions(rule: Any) -> list[int]:
    return [user.user_id for user in rule.users if isinstance(user, types.InputUser)]


def _key(key: Any) -> str:
    for name, classes in KEYS.items():
        if isinstance(key, classes):
            return name
    raise RpcError("PRIVACY_KEY_INVALID")
