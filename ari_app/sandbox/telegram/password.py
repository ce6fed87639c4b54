"""Two-step verification with SRP (https://core.telegram.org/api/srp)."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from telethon.tl import functions, types

from .crypto import DH_G, DH_PRIME
from .rpc import Client, RpcError, handles
from .store import Store

NUMBER_BYTES = 256
SALT_BYTES = 32
ITERATIONS = 100_000
PRIME = int.from_bytes(DH_PRIME, "big")
G_BYTES = DH_G.to_bytes(NUMBER_BYTES, "big")
MULTIPLIER = int.from_bytes(sha256(DH_PRIME + G_BYTES).digest(), "big")


@dataclass(frozen=True)
class Challenge:
    """One srp_B that was handed out, good for one check."""

    user_id: int
    b: int
    public: bytes


class Passwords:
    """Keeps a verifier for each account with a password, never the password.

    Args:
        spawn: runs a coroutine in the server's task group.
    """

    def __init__(self, store: Store, spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]) -> None:
        self._store = store
        self._spawn = spawn
        self._enrolling: dict[int, asyncio.Task[None]] = {}
        self._challenges: dict[int, Challenge] = {}

    def set(self, user_id: int, password: str | None, hint: str = "") -> None:
        """Give an account a password, or take it away. The slow part runs in the background."""
        self._store.run("DELETE FROM passwords WHERE user_id = ?", user_id)
        earlier = self._enrolling.pop(user_id, None)
        if earlier is not None:
            earlier.cancel()
        if password is not None:
            self._enrolling[user_id] = self._spawn(self._enrol(user_id, password, hint))

    async def _enrol(self, user_id: int, password: str, hint: str) -> None:
        salt1, salt2 = os.urandom(SALT_BYTES), os.urandom(SALT_BYTES)
        verifier = await asyncio.to_thread(_verifier, salt1, salt2, password)
        self._keep(user_id, salt1, salt2, verifier, hint)
        del self._enrolling[user_id]

    async def settle(self) -> None:
        """Wait until the passwords that were set are kept."""
        if self._enrolling:
            await asyncio.wait(self._enrolling.values())

    def _keep(self, user_id: int, salt1: bytes, salt2: bytes, verifier: bytes, hint: str) -> None:
        row = {"user_id": user_id, "salt1": salt1, "salt2": salt2, "verifier": verifier, "hint": hint}
        self._store.put("passwords", row)

    def has(self, user_id: int) -> bool:
        """Whether an account has a password."""
        return user_id in self._enrolling or self._row(user_id) is not None

    def _row(self, user_id: int) -> dict[str, Any] | None:
        return self._store.one("SELECT * FROM passwords WHERE user_id = ?", user_id)

    @handles(functions.account.GetPasswordRequest, anonymous=True)
    async def get_password(self, client: Client, request: Any) -> Any:
        """account.getPassword: the salts and one SRP challenge."""
        user_id = client.key.pending_user_id or client.user.id
        if user_id in self._enrolling:
            await asyncio.wait([self._enrolling[user_id]])
        fresh = {
            "new_algo": _algo(os.urandom(8), os.urandom(16)),
            "new_secure_algo": types.SecurePasswordKdfAlgoPBKDF2HMACSHA512iter100000(salt=os.urandom(8)),
            "secure_random": os.urandom(256),
        }
        row = self._row(user_id)
        if row is None:
            return types.account.Password(**fresh)
        b = secrets.randbits(8 * NUMBER_BYTES)
        verifier = int.from_bytes(row["verifier"], "big")
        g_b = await asyncio.to_thread(pow, DH_G, b, PRIME)
        public = ((MULTIPLIER * verifier + g_b) % PRIME).to_bytes(NUMBER_BYTES, "big")
        srp_id = secrets.randbits(62)
        self._challenges[srp_id] = Challenge(user_id, b, public)
        algo = _algo(row["salt1"], row["salt2"])
        hint = row["hint"] or None
        return types.account.Password(
            **fresh, has_password=True, current_algo=algo, srp_B=public, srp_id=srp_id, hint=hint
        )

    async def check(self, user_id: int, proof: Any) -> None:
        """Check an `inputCheckPasswordSRP`. Raises `RpcError` when the password is wrong."""
        row = self._row(user_id)
        if row is None or not isinstance(proof, types.InputCheckPasswordSRP):
            raise RpcError("PASSWORD_HASH_INVALID")
        challenge = self._challenges.pop(proof.srp_id, None)
        if challenge is None or challenge.user_id != user_id:
            raise RpcError("SRP_ID_INVALID")
        if not await asyncio.to_thread(_proves, row, challenge, proof.A, proof.M1):
            raise RpcError("PASSWORD_HASH_INVALID")

    @handles(functions.account.UpdatePasswordSettingsRequest)
    async def update_password_settings(self, client: Client, request: Any) -> bool:
        """account.updatePasswordSettings: set, change or remove the password."""
        if self.has(client.user.id):
            await self.check(client.user.id, request.password)
        new = request.new_settings
        if new.new_password_hash:
            salts = new.new_algo.salt1, new.new_algo.salt2
            self._keep(client.user.id, *salts, new.new_password_hash, new.hint or "")
        else:
            self.set(client.user.id, None)
        return True


def _algo(salt1: bytes, salt2: bytes) -> Any:
    algo = types.PasswordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow
    return algo(salt1=salt1, salt2=salt2, g=DH_G, p=DH_PRIME)


def _verifier(salt1: bytes, salt2: bytes, password: str) -> bytes:
    def salted(data: bytes, salt: bytes) -> bytes:
        return sha256(salt + data + salt).digest()

    first = salted(salted(password.encode(), salt1), salt2)
    slow = hashlib.pbkdf2_hmac("sha512", first, salt1, ITERATIONS)
    x = int.from_bytes(salted(slow, salt2), "big")
    return pow(DH_G, x, PRIME).to_bytes(NUMBER_BYTES, "big")


def _proves(row: dict[str, Any], challenge: Challenge, public: bytes, proof: bytes) -> bool:
    a = int.from_bytes(public, "big")
    if not 0 < a < PRIME:
        return False
    a_bytes = a.to_bytes(NUMBER_BYTES, "big")
    u = int.from_bytes(sha256(a_bytes + challenge.public).digest(), "big")
    shared = pow(a * pow(int.from_bytes(row["verifier"], "big"), u, PRIME), challenge.b, PRIME)
    key = sha256(shared.to_bytes(NUMBER_BYTES, "big")).digest()
    groups = zip(sha256(DH_PRIME).digest(), sha256(G_BYTES).digest(), strict=True)
    expected = sha256(
        bytes(x ^ y for x, y in groups)
        + sha256(row["salt1"]).digest()
        + sha256(row["salt2"]).digest()
        + a_bytes
        + challenge.public
        + key
    ).digest()
    return secrets.compare_digest(expected, proof)
