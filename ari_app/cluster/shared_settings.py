"""What is set for lines, the installation and the page's users, the same on all machines of a cluster: NATS has it,
encrypted.

A change counts once NATS has it, and each machine follows. What NATS has counts more than what a machine has, which may
have been away, or restored; what it lacks, it gets from the first machine that has it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ari_app.cluster.bucket import AGAIN_S, QUIET_S, Bucket, Conflict, EngineAway, KeyEntry, key_of
from ari_app.i18n import Message, message
from ari_app.tasks import FAILURES

KEY_BYTES = 32
NONCE_BYTES = 12  # NIST SP 800-38D
PURPOSE = b"astergram: settings of a cluster"
PAGE = b"astergram: users of a cluster"
NAMES = b", by name"  # after one of these
"""Keep these keys apart from others that are made of the cluster's secret (RFC 5869, info)."""
SETTINGS = "settings of the cluster"
SESSIONS_KEPT_S = 30 * 86400.0
"""Longer than a session of a browser goes on that nobody uses: then NATS may forget it, or that it has ended."""

log = logging.getLogger(__name__)


class NotShared(Exception):
    """Nothing was changed, for the other machines could not be told; ``sentence`` is for an administrator."""

    def __init__(self, sentence: Message) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class ChangedElsewhere(NotShared):
    """This machine has not heard yet what another one has made of it."""


class LeftOut(Exception):
    """This machine does not take over what another one has set, so it may not write over it either; it has said why.

    ``sentence``: for who wants to change it here, where there is something to say of it.
    """

    def __init__(self, sentence: Message | None = None) -> None:
        super().__init__(str(sentence or ""))
        self.sentence = sentence


class SharedSettings(Protocol):
    """Where settings are kept for all machines; a name is a line's number, say, or the installation's."""

    def check(self, name: str) -> None:
        """Raise NotShared where this machine has left out what another one has set, so that `keep` would, too."""

    async def keep(self, name: str, value: str | None) -> None:
        """Before it counts on this machine; None: it is removed. Raises NotShared."""

    async def run(self, settings: MachineSettings) -> None:
        """Follow the other machines, without an end."""


class MachineSettings(Protocol):
    """Those of this machine."""

    async def all(self) -> Mapping[str, str]:
        """Every one, by name."""

    async def follow(self, name: str, value: str | None) -> None:
        """Take over what another machine has set; None: what it has removed. Raises LeftOut."""


class OwnSettings:
    """Where there is no other machine to be told."""

    def check(self, name: str) -> None:
        """Nothing is left out."""

    async def keep(self, name: str, value: str | None) -> None:
        """It counts here."""

    async def run(self, settings: MachineSettings) -> None:
        """There is nobody to follow."""


@dataclass(frozen=True)
class SharedPage:
    """What the machines' pages have in common: ``users``, with API tokens, and ``sessions`` of browsers."""

    users: SharedSettings
    sessions: SharedSettings


class NotOurs(Exception):
    """What NATS has was not written with this secret, or not by this version."""


class Cipher:
    """AES-256-GCM (RFC 5116) with a key made of the cluster's secret (HKDF, RFC 5869).

    What is sealed for one key of NATS can't be read as another one's.
    """

    def __init__(self, secret: str, purpose: bytes = PURPOSE) -> None:
        self._cipher = AESGCM(_key_of(secret, purpose))
        self._names = _key_of(secret, purpose + NAMES)

    def seal(self, key: str, text: str) -> bytes:
        """The text, with its nonce before it."""
        return self.seal_bytes(key, text.encode())

    def seal_bytes(self, key: str, content: bytes) -> bytes:
        """The same for what is no text."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, key.encode())

    def open(self, key: str, sealed: bytes) -> str:
        """Raises NotOurs."""
        return self.open_bytes(key, sealed).decode()

    def open_bytes(self, key: str, sealed: bytes) -> bytes:
        """What `seal_bytes` has made. Raises NotOurs."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], key.encode())
        except (InvalidTag, ValueError) as error:
            raise NotOurs(f"{key} was not written with this machine's secret") from error

    def hidden(self, name: str) -> str:
        """A key for a name that says nothing of it (HMAC, RFC 2104): such as a user's, which a key can't have in it."""
        code = HMAC(self._names, SHA256())
        code.update(name.encode())
        return code.finalize().hex()


def opened(cipher: Cipher, entry: KeyEntry) -> tuple[str, str | None]:
    """A setting's name, and what NATS has of it. Raises NotOurs."""
    try:
        its = json.loads(cipher.open(entry.key, entry.value or b""))
        return str(its["name"]), None if its["value"] is None else str(its["value"])
    except (ValueError, KeyError, TypeError) as error:
        raise NotOurs(f"{entry.key} was written by another version ({error!r})") from error


def _key_of(secret: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(secret.encode())


@dataclass
class EngineSettings:
    """Those of a cluster, as one of its machines has them. ``key``: under which a name is kept; ``what``: for the log.

    A machine writes over nothing that it has not taken over itself: else what it had before would be back.
    """

    bucket: Bucket
    cipher: Cipher
    key: Callable[[str], str] = key_of
    what: str = SETTINGS
    _revisions: dict[str, int] = field(default_factory=dict)  # of what was taken over, or written
    _left_out: set[str] = field(default_factory=set)  # and said so: each watch tells of them again
    _stays: dict[str, Message] = field(default_factory=dict)  # by key: why it can't be changed here

    def check(self, name: str) -> None:
        """Raise NotShared where it can't be changed here."""
        if sentence := self._stays.get(self.key(name)):
            raise NotShared(sentence)

    async def keep(self, name: str, value: str | None) -> None:
        """Over what this machine has last taken over."""
        self.check(name)
        key = self.key(name)
        with told_or_not():
            try:
                revision = await self.bucket.write(key, self._sealed(name, value), self._revisions.get(key, 0))
            except Conflict:
                if await self.bucket.read(key):
                    raise
                revision = await self.bucket.write(key, self._sealed(name, value), 0)  # the servers have lost it
        self._revisions[key] = revision

    async def run(self, settings: MachineSettings) -> None:
        """Also tell what NATS does not have, whenever a watch is begun anew."""
        while True:
            try:
                await self._offer(await settings.all())
                async for entry in self.bucket.watch(QUIET_S):
                    known = self._revisions.get(entry.key, 0)
                    if entry.revision >= known and await self._follow(settings, entry):  # else set here since, or again
                        self._revisions[entry.key] = entry.revision
            except EngineAway as error:
                log.debug("%s: %s", self.what, error)
                await asyncio.sleep(AGAIN_S)

    async def _offer(self, own: Mapping[str, str]) -> None:
        for name, value in own.items():
            key = self.key(name)
            entry = await self.bucket.read(key)
            if entry is None:
                self._revisions.pop(key, None)
                with suppress(Conflict):  # another machine was the first, and the watch tells what it has set
                    self._revisions[key] = await self.bucket.write(key, self._sealed(name, value), 0)
            elif entry.revision < self._revisions.get(key, 0):
                del self._revisions[key]  # the servers had lost it, and have another machine's

    async def _follow(self, settings: MachineSettings, entry: KeyEntry) -> bool:
        """Whether this machine is up to that: what nobody can read may be written over."""
        try:
            name, value = opened(self.cipher, entry)
        except NotOurs as error:
            if entry.key not in self._left_out:
                self._left_out.add(entry.key)
                log.error(  # noqa: TRY400 - the administrator needs the sentence
                    "%s: what another machine has set is left out (%s): see that `secret` under [cluster] is the same "
                    "on each machine",
                    self.what,
                    error,
                )
            return True
        try:
            await settings.follow(name, value)
        except LeftOut as error:
            if error.sentence:
                self._stays[entry.key] = error.sentence
            return False
        except Exception as error:  # noqa: BLE001 - recorded; the other settings are followed
            FAILURES.add(f"{self.what}: {name}", error)
            return False
        self._stays.pop(entry.key, None)
        return True

    def _sealed(self, name: str, value: str | None) -> bytes:
        return self.cipher.seal(self.key(name), json.dumps({"name": name, "value": value}))


@contextmanager
def told_or_not() -> Iterator[None]:
    """What keeps the others from being told is NotShared."""
    try:
        yield
    except Conflict as error:
        said = message("Another machine has changed this just now: look at it again before you change it.")
        raise ChangedElsewhere(said) from error
    except EngineAway as error:
        said = message(
            "NATS has not answered, so nothing was changed: the other machines would not know of it. Look at it again "
            "once the overview shows that it does."
        )
        raise NotShared(said) from error
