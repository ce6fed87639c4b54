"""One Telegram account that takes and places calls."""

import asyncio
import fcntl
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from telethon import TelegramClient
from telethon.crypto import rsa
from telethon.sessions import SQLiteSession

from ari_app.telegram.errors import NotReady, SignedOut, TelegramError, translated
from ari_app.telegram.peers import Callee, Destination, find
from ari_app.telegram.phone import Offer, Phone
from media.types import EngineProtocol

log = logging.getLogger(__name__)

CONNECT_S = 15.0
RETRY_FIRST_S = 1.0
RETRY_MOST_S = 30.0
TEST_SERVER = ("149.154.167.40", 80)  # core.telegram.org/api/auth#test-accounts, DC 2


class LineHeld(TelegramError):
    """Another program holds this line: Telegram revokes a session that is used from two places at once."""


class LineState(Enum):
    """Whether a line can take and place calls."""

    CONNECTING = "connecting"
    SIGNED_OUT = "signed out"
    READY = "ready"


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


@dataclass(frozen=True)
class Account:
    """What it takes to be one account."""

    number: str
    api_id: int
    api_hash: str
    session: Path
    server: Server

    def client(self) -> TelegramClient:
        """A Telethon client on this account's session file; not connected."""
        self.session.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        session = SQLiteSession(str(self.session))
        self.session.chmod(0o600)
        self.server.apply(session)
        return TelegramClient(
            session,
            self.api_id,
            self.api_hash,
            sequential_updates=True,  # a call's updates have an order
            flood_sleep_threshold=0,  # Telethon would sleep in silence and start a call late
            request_retries=0,  # CALL_OCCUPY_FAILED is a 500 to Telethon, which would ask again for 10 s
            raise_last_call_error=True,
            connection_retries=-1,  # otherwise it gives up for good after five
            device_model="Astergram",
        )


@contextmanager
def lease(session: Path) -> Any:
    """Hold a session on this machine; raises LineHeld while another program does."""
    session.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = session.with_suffix(".lock")
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LineHeld(f"another program holds {session.name}; stop it first ({path} is locked)") from None
        yield


@asynccontextmanager
async def connected(account: Account) -> AsyncIterator[TelegramClient]:
    """A client that holds its session and is connected; raises LineHeld, Unreachable."""
    with lease(account.session):
        client = account.client()
        try:
            with translated("connect"):
                async with asyncio.timeout(CONNECT_S):
                    await client.connect()
            yield client
        finally:
            await client.disconnect()


class Line:
    """One account, connected and signed in for as long as its `run` goes on.

    ``on_offer`` is called for each incoming call; ``max_calls`` bounds the calls at a time, both ways together.
    """

    def __init__(
        self,
        account: Account,
        engine: EngineProtocol,
        on_offer: Callable[["Line", Offer], None],
        *,
        name: str = "",
        context: str = "from-telegram",
        max_calls: int = 1,
    ) -> None:
        self.number = account.number
        self.name = name or account.number
        self.context = context
        self.max_calls = max_calls
        self.state = LineState.CONNECTING
        self._account = account
        self._engine = engine
        self._on_offer = on_offer
        self._client: TelegramClient | None = None
        self._phone: Phone | None = None
        self._settled = asyncio.Event()

    @property
    def phone(self) -> Phone:
        """Its calls; raises NotReady."""
        if self.state is LineState.READY and self._phone:
            return self._phone
        raise NotReady(f"line {self.number} is {self.state.value}: {HINTS[self.state]}")

    async def find(self, destination: Destination) -> Callee:
        """Who a destination is; raises TelegramError."""
        self.phone  # noqa: B018 - says why, when the line is not ready
        return await find(self._client, destination)

    async def settled(self) -> LineState:
        """Wait until the first try to connect is over."""
        await self._settled.wait()
        return self.state

    async def run(self) -> None:
        """Hold the line until cancelled; connects, and connects again with backoff, and says so in the log."""
        wait_s = RETRY_FIRST_S
        while True:
            try:
                await self._hold()
                wait_s = RETRY_FIRST_S
            except SignedOut as error:
                self._become(LineState.SIGNED_OUT)
                log.warning("line %s: %s: %s", self.number, error, HINTS[self.state])
                return
            except TelegramError as error:
                log.warning("line %s: %s; trying again in %.0f s", self.number, error, wait_s)
            self._become(LineState.CONNECTING)
            self._settled.set()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_MOST_S)

    async def _hold(self) -> None:
        async with connected(self._account) as client:
            with translated("users.getUsers"):
                async with asyncio.timeout(CONNECT_S):
                    if not await client.is_user_authorized():
                        raise SignedOut("not signed in")
            async with Phone(client, self._engine, lambda offer: self._on_offer(self, offer)) as phone:
                self._client, self._phone = client, phone
                self._become(LineState.READY)
                log.info("line %s: ready", self.number)
                try:
                    await client.disconnected
                finally:
                    self._client = self._phone = None

    def _become(self, state: LineState) -> None:
        self.state = state
        self._settled.set()


HINTS = {
    LineState.CONNECTING: "Telegram can't be reached at the moment",
    LineState.SIGNED_OUT: "sign in with `astergram signin`",
    LineState.READY: "ready",
}
