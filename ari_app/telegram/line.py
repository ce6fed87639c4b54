"""One Telegram account that takes and places calls."""

import asyncio
import fcntl
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from telethon import TelegramClient
from telethon.crypto import rsa
from telethon.sessions import SQLiteSession
from telethon.tl import types

from ari_app.telegram.buttons import ButtonBot, ButtonMessage, delete, send_buttons
from ari_app.telegram.card import Contact, send_contact, send_picture
from ari_app.telegram.chat import Chat, OnText, Recently
from ari_app.telegram.errors import NotReady, SignedOut, TelegramError, translated
from ari_app.telegram.limits import LimitedClient, Limits
from ari_app.telegram.lists import Denied, Lists
from ari_app.telegram.peers import Callee, Destination, Directory, Person, known_peer
from ari_app.telegram.phone import Offer, Phone
from ari_app.telegram.texts import Wording
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

    def client(self, limits: Limits | None = None) -> TelegramClient:
        """A Telethon client on this account's session file; not connected. It keeps to the limits."""
        self.session.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        session = SQLiteSession(str(self.session))
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
async def connected(account: Account, limits: Limits | None = None) -> AsyncIterator[TelegramClient]:
    """A client that holds its session and is connected; raises LineHeld, Unreachable."""
    with lease(account.session):
        client = account.client(limits)
        try:
            with translated("connect"):
                async with asyncio.timeout(CONNECT_S):
                    await client.connect()
            yield client
        finally:
            await client.disconnect()


@dataclass(frozen=True)
class Callers:
    """Whose outgoing calls a line is for: phones by their caller id number; ``default``: those of nobody's line."""

    numbers: frozenset[str] = frozenset()
    default: bool = False


class Line:
    """One account, connected and signed in for as long as its `run` goes on.

    ``on_offer`` is called for each incoming call, ``on_text`` for each text that a person writes; ``own`` tells the
    accounts that are lines. ``max_calls`` bounds the calls at a time, both ways together. ``bare_number_prefix`` makes
    phone numbers of dialled digits, see `Destination.parse`.
    """

    def __init__(
        self,
        account: Account,
        engine: EngineProtocol,
        on_offer: Callable[["Line", Offer], None],
        *,
        limits: Limits,
        directory: Directory,
        lists: Lists = Lists(),  # noqa: B008 - frozen
        callers: Callers = Callers(),
        bare_number_prefix: str = "",
        name: str = "",
        context: str = "from-telegram",
        max_calls: int = 1,
        wording: Wording | None = None,
        on_text: Callable[["Line", int, str], bool] = lambda *_: False,
        own: Callable[[Person], bool] = lambda _: False,
    ) -> None:
        self.number = account.number
        self.name = name or account.number
        self.context = context
        self.max_calls = max_calls
        self.limits = limits
        self.lists = lists
        self.callers = callers
        self._directory = directory
        self._bare_number_prefix = bare_number_prefix
        self.wording = wording or Wording(company=self.name, line=self.name, number=self.number)
        self.user_id: int | None = None  # once it has been signed in
        self.state = LineState.CONNECTING
        self._on_text: OnText = lambda person_id, text: on_text(self, person_id, text)
        self._own = own
        self._answered = Recently()
        self._account = account
        self._engine = engine
        self._on_offer = on_offer
        self._client: TelegramClient | None = None
        self._phone: Phone | None = None
        self._chat: Chat | None = None
        self._settled = asyncio.Event()
        self._ready = asyncio.Event()

    @property
    def phone(self) -> Phone:
        """Its calls; raises NotReady."""
        if self.state is LineState.READY and self._phone:
            return self._phone
        raise NotReady(f"line {self.number} is {self.state.value}: {HINTS[self.state]}")

    @property
    def chat(self) -> Chat:
        """Its private messages; raises NotReady."""
        if self.state is LineState.READY and self._chat:
            return self._chat
        raise NotReady(f"line {self.number} is {self.state.value}: {HINTS[self.state]}")

    @property
    def pauses(self) -> dict[str, tuple[float, str]]:
        """The requests that this line leaves out now: each one's seconds left, and Telegram's word for why."""
        return self.limits.pauses

    def destination(self, dialled: str) -> Destination:
        """Read what somebody dialled; raises MalformedDestination."""
        return Destination.parse(dialled, self._bare_number_prefix)

    async def find(self, destination: Destination, *, fresh: bool = False) -> Callee:
        """Who a destination is, if the line's lists let it be called; ``fresh``: Telegram is asked, whatever is cached.

        Raises TelegramError; Denied for the lists.
        """
        self.phone  # noqa: B018 - says why, when the line is not ready
        self._require(self.lists.denies(destination))
        callee = await self._directory.find(self._client, destination, fresh=fresh)
        if callee.cached and self.lists.only_contacts and not callee.person.contact:
            callee = await self._directory.find(self._client, destination, fresh=True)  # he may be one by now
        self._require(self.lists.refuses(callee.person, destination))
        return callee

    def _require(self, refusal: str) -> None:
        if refusal:
            raise Denied(f"line {self.number} may not call: {refusal}")

    async def send_buttons(self, bot: ButtonBot, peer: types.TypeInputPeer, message: ButtonMessage) -> int:
        """Send a message of the bot's to a person; its id in this account. Raises BotUnavailable, TelegramError."""
        self.chat  # noqa: B018 - says why, when the line is not ready
        assert self._client is not None
        assert self.user_id is not None
        return await send_buttons(self._client, self.user_id, bot, peer, message)

    async def send_card_part(self, peer: types.TypeInputPeer, part: Contact | Path) -> None:
        """Send a contact, or a picture from its file. Raises TelegramError, OSError, ValueError for no UTF-8."""
        self.chat  # noqa: B018 - says why, when the line is not ready
        assert self._client is not None
        if isinstance(part, Contact):
            await send_contact(self._client, peer, part)
        else:
            await send_picture(self._client, peer, part)

    async def peer(self, person_id: int) -> types.InputPeerUser:
        """Somebody whom this line has met, by Telegram id. Raises TelegramError."""
        self.chat  # noqa: B018 - says why, when the line is not ready
        assert self._client is not None
        return await known_peer(self._client, person_id)

    async def delete_messages(self, message_ids: list[int]) -> None:
        """Delete messages of this account's chats for both sides. Raises TelegramError."""
        self.chat  # noqa: B018 - says why, when the line is not ready
        assert self._client is not None
        await delete(self._client, message_ids)

    async def until_ready(self) -> None:
        """Wait until it can take and place calls."""
        await self._ready.wait()

    async def settled(self) -> LineState:
        """Wait until the first try to connect is over."""
        await self._settled.wait()
        return self.state

    async def run(self) -> None:
        """Hold the line until cancelled; connects, and connects again with backoff, and says so in the log."""
        async with self.limits:
            await self._keep_connected()

    async def _keep_connected(self) -> None:
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
        async with connected(self._account, self.limits) as client:
            with translated("users.getUsers"):
                async with asyncio.timeout(CONNECT_S):
                    if not await client.is_user_authorized():
                        raise SignedOut("not signed in")
                    self.user_id = (await client.get_me(input_peer=True)).user_id
            async with (
                Chat(client, self.wording, self._on_text, self._own, self._answered) as chat,
                Phone(client, self._engine, lambda offer: self._on_offer(self, offer)) as phone,
            ):
                self._client, self._phone, self._chat = client, phone, chat
                self._become(LineState.READY)
                log.info("line %s: ready", self.number)
                try:
                    await client.disconnected
                finally:
                    self._client = self._phone = self._chat = None

    def _become(self, state: LineState) -> None:
        self.state = state
        self._settled.set()
        if state is LineState.READY:
            self._ready.set()
        else:
            self._ready.clear()


HINTS = {
    LineState.CONNECTING: "Telegram can't be reached at the moment",
    LineState.SIGNED_OUT: "sign in with `astergram signin`",
    LineState.READY: "ready",
}
