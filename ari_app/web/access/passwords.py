"""Passwords as argon2id hashes; hashing takes tens of milliseconds and megabytes, so in a thread and few at a time."""

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 10
LONGEST = 1024  # bounds the work of a guess, not of a person
AT_A_TIME = 2


class Passwords:
    """Hashes and verifies."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._nobodys = ""
        self._turns = asyncio.Semaphore(AT_A_TIME)

    async def hashed(self, password: str) -> str:
        """What is kept of a password."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, hashed: str | None, password: str) -> bool:
        """Whether it is that password. None matches nothing, and takes as long: nobody learns which users there are."""
        if len(password) > LONGEST:
            return False
        if hashed is None:
            self._nobodys = self._nobodys or await self.hashed(secrets.token_urlsafe())
            await self.matches(self._nobodys, password)
            return False
        try:
            async with self._turns:
                return await asyncio.to_thread(self._hasher.verify, hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    def outdated(self, hashed: str) -> bool:
        """Whether argon2's recommended parameters have changed since."""
        return self._hasher.check_needs_rehash(hashed)
