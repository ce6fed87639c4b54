"""What it takes to be one Telegram account: its application, its session file, and the lock on that."""

import asyncio
import fcntl
import logging
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from telethon import TelegramClient
from telethon.client.telegrambaseclient import DEFAULT_IPV4_IP, DEFAULT_PORT
from telethon.crypto import rsa
from telethon.sessions import MemorySession, SQLiteSession

from ari_app.telegram.connection import Connection, MtProxyConnection
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.limits import LimitedClient, Limits
from ari_app.telegram.line_session import LineSession
from ari_app.telegram.proxy import Proxy, ProxyKind
from ari_app.telegram.proxy_route import ProxyRoute

log = logging.getLogger(__name__)

CONNECT_S = 15.0
DISCONNECT_S = 5.0  # Telethon waits for a socket to close, and for its own tasks
TRY_S = 4.0
"""For one try to reach Telegram: a network that came back is noticed soon."""
PRODUCTION_SERVER = (DEFAULT_IPV4_IP, DEFAULT_PORT)
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


DEVICE = "Astergram"
"""What Telegram calls this program among an account's devices."""
MACHINE = f"{DEVICE} on "
"""How it calls one of several, before the machine's name."""


@dataclass(frozen=True)
class Account:
    """What it takes to be one account; ``machine``: which one of a cluster this is a device of."""

    number: str
    api_id: int
    api_hash: str = field(repr=False)
    session: Path
    server: Server
    proxy: Proxy | None = None
    machine: str = ""

    def client(self, limits: Limits | None = None) -> TelegramClient:
        """A Telethon client on this account's session file; not connected.

        With ``limits`` it is that of a line at work: it keeps to them, and no request of it waits for the file.
        Raises sqlite3.Error, OSError where the file can't be used; see `is_damaged`.
        """
        self.session.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        session = _opened(LineSession if limits else SQLiteSession, self.session)
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
            connection=MtProxyConnection if self.proxy and self.proxy.kind is ProxyKind.MTPROXY else Connection,
            proxy=ProxyRoute(self.proxy) if self.proxy else None,
            connection_retries=-1,  # otherwise it gives up for good after five
            timeout=TRY_S,
            device_model=f"{MACHINE}{self.machine}" if self.machine else DEVICE,
        )


def is_damaged(error: Exception) -> bool:
    """Whether a session file is there, but can't be one any more; else it may be used later."""
    if isinstance(error, sqlite3.OperationalError):  # SQLITE_ERROR: its tables are not as they should be
        return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_ERROR
    return isinstance(error, sqlite3.Error)


def _opened(kind: type[SQLiteSession], path: Path) -> SQLiteSession:
    try:
        return kind(str(path))
    except (TypeError, ValueError) as error:
        raise sqlite3.DatabaseError(f"{path.name} has other rows than Telethon's: {error}") from error


@contextmanager
def session_lock(session: Path) -> Any:
    """Hold a session on this machine; raises LineHeld while another program does."""
    session.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = _lock_of(session)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LineHeld(f"another program holds {session.name}; stop it first ({path} is locked)") from None
        yield


def remove_session_lock(session: Path) -> None:
    """Remove the file of a lock that one holds, and is about to let go of for good."""
    _lock_of(session).unlink(missing_ok=True)


def _lock_of(session: Path) -> Path:
    return session.with_suffix(".lock")


async def disconnect(client: TelegramClient, name: str) -> None:
    """Disconnect for good, within ``DISCONNECT_S``, and let go of the session file, whatever goes wrong with it."""
    try:
        async with asyncio.timeout(DISCONNECT_S):
            await client.disconnect()
    except (sqlite3.Error, OSError) as error:
        log.warning("%s: not closed as it should be: %s", name, error)
    finally:
        # Telethon leaves the file open where its last write fails, and would open it again for another one.
        session, client.session = client.session, MemorySession()
        if isinstance(session, SQLiteSession) and session._conn is not None:
            with suppress(sqlite3.Error):
                session.close()
            if session._conn is not None:
                session._conn.close()
