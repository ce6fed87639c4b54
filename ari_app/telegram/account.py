"""What it takes to be one Telegram account: its application, its session file, and the lease on it."""

import asyncio
import fcntl
import logging
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from telethon import TelegramClient
from telethon.crypto import rsa
from telethon.network.connection import ConnectionTcpFull
from telethon.sessions import SQLiteSession

from ari_app.telegram.errors import TelegramError, translated
from ari_app.telegram.limits import LimitedClient, Limits

log = logging.getLogger(__name__)

CONNECT_S = 15.0
DISCONNECT_S = 5.0  # Telethon waits for a socket to close, and for its own tasks
TRY_S = 4.0
"""For one try to reach Telegram: a network that came back is noticed soon."""
UNACKNOWLEDGED_S = 4.0
TEST_SERVER = ("149.154.167.40", 80)  # core.telegram.org/api/auth#test-accounts, DC 2


class LineHeld(TelegramError):
    """Another program holds this line: Telegram revokes a session that is used from two places at once."""


@dataclass(frozen=True)
class Server:
    """Which Telegram: the real one by default, its test servers, or one of your own (the sandbox's)."""

    dc_id: int = 2
    host: str = ""
    port: int = 443
    public_key: str = ""
    test_mode: bool = False

    def apply(self, session: SQLiteSession) -> None:
        """Point a session at it."""
        if self.public_key:
            rsa.add_key(self.public_key, old=False)
        if self.host:
            session.set_dc(self.dc_id, self.host, self.port)
        elif self.test_mode and not session.auth_key:
            session.set_dc(self.dc_id, *TEST_SERVER)


class LineSession(SQLiteSession):  # type: ignore[misc]  # Telethon has no type hints
    """The session of a line that is signed in: a disk that is full costs no request, only what would be remembered.

    Telethon writes to it whenever Telegram tells of a person, and again at each connection.
    """

    _conn: Any  # sqlite3.Connection; None while it is closed

    def process_entities(self, tlo: Any) -> None:
        """Remember access hashes."""
        with self._spared():
            super().process_entities(tlo)

    def set_update_state(self, entity_id: int, state: Any) -> None:
        """Remember how far updates have come."""
        with self._spared():
            super().set_update_state(entity_id, state)

    def save(self) -> None:
        """Commit."""
        with self._spared():
            super().save()

    def close(self) -> None:
        """Commit and close; a session that can't be committed is closed all the same."""
        with self._spared():
            super().close()
        connection, self._conn = self._conn, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _update_session_table(self) -> None:
        key = self._auth_key.key if self._auth_key else b""
        row = self._execute("select dc_id, server_address, port, auth_key from sessions")
        if row != (self._dc_id, self._server_address, self._port, key):
            super()._update_session_table()

    @contextmanager
    def _spared(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            log.warning("%s: what Telegram told is not remembered: %s", self.filename, error)


class Connection(ConnectionTcpFull):  # type: ignore[misc]  # Telethon has no type hints
    """TCP that breaks when the other side has gone without a word, so that Telethon connects again (tcp(7))."""

    async def _connect(self, timeout: float | None = None, ssl: Any = None) -> None:
        await super()._connect(timeout=timeout, ssl=ssl)
        opened = self._writer.get_extra_info("socket")
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNACKNOWLEDGED_S * 1000))


@dataclass(frozen=True)
class Account:
    """What it takes to be one account."""

    number: str
    api_id: int
    api_hash: str = field(repr=False)
    session: Path
    server: Server

    def client(self, limits: Limits | None = None) -> TelegramClient:
        """A Telethon client on this account's session file; not connected. It keeps to the limits."""
        self.session.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        session = (LineSession if limits else SQLiteSession)(str(self.session))
        self.session.chmod(0o600)
        self.server.apply(session)
        kind = partial(LimitedClient, limits=limits) if limits else TelegramClient
        return kind(
            session,
            self.api_id,
            self.api_hash,
            sequential_updates=True,  # a call's updates have an order
            flood_sleep_threshold=0,  # Telethon would sleep in silence and start a call late
            request_retries=0,  # CALL_OCCUPY_FAILED is a 500 to Telethon, which would ask again for 10 s
            raise_last_call_error=True,
            connection=Connection,
            connection_retries=-1,  # otherwise it gives up for good after five
            timeout=TRY_S,
            device_model="Astergram",
        )


@contextmanager
def lease(session: Path) -> Any:
    """Hold a session on this machine; raises LineHeld while another program does."""
    session.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = _lock_of(session)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LineHeld(f"another program holds {session.name}; stop it first ({path} is locked)") from None
        yield


def remove_lease(session: Path) -> None:
    """Remove the file of a lease that one holds, and is about to let go of for good."""
    _lock_of(session).unlink(missing_ok=True)


def _lock_of(session: Path) -> Path:
    return session.with_suffix(".lock")


@asynccontextmanager
async def connected(account: Account, limits: Limits | None = None) -> AsyncIterator[TelegramClient]:
    """A client that holds its session and is connected; raises TelegramError, OSError, sqlite3.Error.

    Which is LineHeld where another program has it, and what Telegram says to a client that connects.
    """
    with lease(account.session):
        client = account.client(limits)
        try:
            with translated("connect"):
                async with asyncio.timeout(CONNECT_S):
                    await client.connect()
            yield client
        finally:
            try:
                async with asyncio.timeout(DISCONNECT_S):
                    await client.disconnect()
            except (sqlite3.Error, OSError) as error:
                log.warning("%s: not closed as it should be: %s", account.session.name, error)
