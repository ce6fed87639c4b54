"""What the local Telegram remembers between its starts: one SQLite file.

Rows are small and SQLite does not wait for the disk here (losing the last writes of a sandbox in a power cut is
fine), so a statement takes some tens of microseconds and runs on the event loop. Opening runs in a thread.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import sqlite_utils

from . import crypto

FIRST_USER_ID = 5_000_000_001  # past 32 bits, as new accounts are

TABLES: dict[str, tuple[dict[str, type], tuple[str, ...]]] = {
    "server": ({"name": str, "value": bytes}, ("name",)),
    "users": (
        {"id": int, "phone": str, "first_name": str, "last_name": str, "username": str, "lang": str}
        | {"deleted": int, "banned": int, "pts": int, "last_message_id": int},
        ("id",),
    ),
    "passwords": ({"user_id": int, "salt1": bytes, "salt2": bytes, "verifier": bytes, "hint": str}, ("user_id",)),
    "auth_keys": (
        {"id": int, "key": bytes, "user_id": int, "pending_user_id": int, "ended": str, "created": int}
        | {"active": float, "api_id": int, "device": str, "app": str, "no_calls": int, "confirmed_at": float},
        ("id",),
    ),
    "contacts": ({"owner": int, "user_id": int, "first_name": str, "last_name": str}, ("owner", "user_id")),
    "blocked": ({"owner": int, "user_id": int}, ("owner", "user_id")),
    "privacy": ({"owner": int, "key": str, "rules": str}, ("owner", "key")),
    "messages": ({"owner": int, "id": int, "peer": int, "twin": int, "body": bytes}, ("owner", "id")),
    "read": ({"owner": int, "peer": int, "inbox": int, "outbox": int}, ("owner", "peer")),
    "events": ({"owner": int, "pts": int, "body": bytes}, ("owner", "pts")),
    "random_ids": ({"owner": int, "random_id": int}, ("owner", "random_id")),
    "files": ({"id": int, "data": bytes}, ("id",)),
    "bots": ({"id": int, "token": str, "inline": int, "feedback": int}, ("id",)),
    "bot_updates": ({"bot": int, "last": int}, ("bot",)),
    "started": ({"bot": int, "user_id": int}, ("bot", "user_id")),
}


@dataclass(frozen=True)
class User:
    """An account of the local Telegram; `phone` is digits with no plus sign, and empty for a bot."""

    id: int
    phone: str
    first_name: str
    last_name: str
    username: str | None
    lang: str
    deleted: bool
    banned: bool

    @property
    def is_bot(self) -> bool:
        """Whether a program holds it."""
        return not self.phone

    @property
    def handle(self) -> str:
        """What a test calls it by: the phone number of a person, the @username of a bot."""
        return self.phone or f"@{self.username}"


@dataclass(frozen=True)
class AuthKey:
    """An authorization key, which is what Telegram calls a session of an account (a device)."""

    id: int
    key: bytes
    user_id: int | None
    pending_user_id: int | None  # signed in by code or QR, the password is still missing
    ended: str  # why it is signed in no more, in the word that every later request gets; empty where it was not ended
    created: int
    active: float
    api_id: int
    device: str
    app: str
    no_calls: bool  # its owner does not want it to ring
    confirmed_at: float  # until then another device has to confirm it; 0 where one has, or need not

    @property
    def unconfirmed(self) -> bool:
        """Whether another device has to confirm it yet."""
        return self.confirmed_at > time.time()


def digits(phone: str) -> str:
    """A phone number as Telegram keeps it: digits only."""
    return "".join(c for c in phone if c.isdigit())


class Store:
    """The tables, and the questions that several services ask of them."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite_utils.Database(sqlite3.connect(path, check_same_thread=False))
        self.db.enable_wal()
        self.db.conn.execute("PRAGMA synchronous = OFF")
        for name, (columns, pk) in TABLES.items():
            table = self.db.table(name).create(columns, pk=pk if len(pk) > 1 else pk[0], if_not_exists=True)
            for column in columns.keys() - table.columns_dict.keys():  # made by an earlier version
                table.add_column(column, columns[column])
        self.db.execute("CREATE INDEX IF NOT EXISTS messages_by_peer ON messages (owner, peer, id)")
        self.db.execute("CREATE INDEX IF NOT EXISTS messages_by_twin ON messages (peer, twin)")
        self.rsa_key = crypto.RsaKey.from_bytes(self._secret("rsa", lambda: crypto.RsaKey.new().to_bytes()))
        self._hash_secret = self._secret("access_hash", lambda: os.urandom(32))

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def _secret(self, name: str, make: Any) -> bytes:
        row = self.one("SELECT value FROM server WHERE name = ?", name)
        if row is None:
            row = {"name": name, "value": make()}
            self.put("server", row)
        return bytes(row["value"])

    def all(self, sql: str, *values: Any) -> Iterator[dict[str, Any]]:
        """Rows of a query."""
        cursor = self.db.execute(sql, values)
        names = [column[0] for column in cursor.description]
        return (dict(zip(names, row, strict=True)) for row in cursor.fetchall())

    def one(self, sql: str, *values: Any) -> dict[str, Any] | None:
        """The first row of a query."""
        return next(self.all(sql, *values), None)

    def put(self, table: str, row: dict[str, Any]) -> None:
        """Insert a row, or update the columns given of the row with that key."""
        key = TABLES[table][1]
        changes = ", ".join(f"{name} = excluded.{name}" for name in row if name not in key)
        marks = ", ".join("?" * len(row))
        conflict = f"ON CONFLICT ({', '.join(key)}) DO {'UPDATE SET ' + changes if changes else 'NOTHING'}"
        # sqlite-utils' own upsert looks the table up each time, which makes it five times slower.
        sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks}) {conflict}"  # noqa: S608 - names are ours
        self.run(sql, *row.values())

    def run(self, sql: str, *values: Any) -> int:
        """Execute a statement; the number of rows it changed."""
        return self.db.execute(sql, values).rowcount

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """All statements inside, or none."""
        with self.db.atomic():
            yield

    def access_hash(self, viewer: int, subject: int) -> int:
        """What `viewer` must present to name `subject` (a user or a call): a signed long, never 0."""
        digest = hmac.digest(self._hash_secret, struct.pack("<qq", viewer, subject), sha256)
        return int(struct.unpack("<q", digest[:8])[0]) or 1

    # Accounts

    def user(self, user_id: int) -> User | None:
        """An account by its id."""
        return _user(self.one("SELECT * FROM users WHERE id = ?", user_id))

    def user_by_phone(self, phone: str) -> User | None:
        """An account that is not deleted, by its phone number in any notation."""
        number = digits(phone)
        return _user(self.one("SELECT * FROM users WHERE phone = ? AND NOT deleted", number)) if number else None

    def user_by_username(self, username: str) -> User | None:
        """An account that is not deleted, by its username, with or without @, in any case."""
        name = username.removeprefix("@").lower()
        return _user(self.one("SELECT * FROM users WHERE lower(username) = ? AND NOT deleted", name))

    def add_user(self, phone: str, first_name: str, last_name: str, username: str | None, lang: str) -> User:
        """Create an account, or update the one with that phone number."""
        if not digits(phone):
            raise ValueError(f"{phone!r} is no phone number: it has no digit")
        known = self.user_by_phone(phone)
        return self.put_user(known.id if known else None, digits(phone), first_name, last_name, username, lang)

    def put_user(
        self, user_id: int | None, phone: str, first_name: str, last_name: str, username: str | None, lang: str
    ) -> User:
        """Create or update the account with an id; None takes the next one that is free."""
        row: dict[str, Any] = {"phone": phone, "first_name": first_name, "last_name": last_name}
        row |= {"username": username, "lang": lang}
        if user_id is None:
            last = self.one("SELECT max(id) AS id FROM users WHERE id >= ?", FIRST_USER_ID)
            user_id = (last["id"] or FIRST_USER_ID - 1) + 1 if last else FIRST_USER_ID
        if self.user(user_id) is None:
            row |= {"deleted": 0, "banned": 0, "pts": 1, "last_message_id": 0}
        self.put("users", {"id": user_id} | row)
        user = self.user(user_id)
        assert user is not None
        return user

    def is_contact(self, owner: int, user_id: int) -> bool:
        """Whether `owner` has `user_id` among their contacts."""
        return self.one("SELECT 1 FROM contacts WHERE owner = ? AND user_id = ?", owner, user_id) is not None

    def is_blocked(self, owner: int, user_id: int) -> bool:
        """Whether `owner` has blocked `user_id`."""
        return self.one("SELECT 1 FROM blocked WHERE owner = ? AND user_id = ?", owner, user_id) is not None

    # Authorization keys

    def auth_key(self, key_id: int) -> AuthKey | None:
        """An authorization key by its id."""
        return _auth_key(self.one("SELECT * FROM auth_keys WHERE id = ?", key_id))

    def auth_keys_of(self, user_id: int) -> list[AuthKey]:
        """Every device that is signed in to an account, oldest first."""
        rows = self.all("SELECT * FROM auth_keys WHERE user_id = ? ORDER BY created, id", user_id)
        return [key for row in rows if (key := _auth_key(row)) is not None]

    def update_auth_key(self, key_id: int, **columns: Any) -> None:
        """Change columns of an authorization key."""
        self.put("auth_keys", {"id": key_id, **columns})


def _user(row: dict[str, Any] | None) -> User | None:
    if row is None:
        return None
    row = {name: row[name] for name in User.__dataclass_fields__}
    return User(**row | {"deleted": bool(row["deleted"]), "banned": bool(row["banned"])})


def _auth_key(row: dict[str, Any] | None) -> AuthKey | None:
    if row is None:
        return None
    row = {name: row[name] for name in AuthKey.__dataclass_fields__}
    known = {"ended": row["ended"] or "", "no_calls": bool(row["no_calls"]), "confirmed_at": row["confirmed_at"] or 0.0}
    return AuthKey(**row | known)
