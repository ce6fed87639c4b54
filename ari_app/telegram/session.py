"""A connection to Telegram: the one way to Telethon, which bounds each request in time and maps its errors.

What a line at work may not ask now (`limits`) is refused before it is sent, by the request's TL name.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from telethon import TelegramClient, events
from telethon.tl import TLObject, TLRequest, types
from telethon.tl.alltlobjects import tlobjects

from ari_app.telegram.account import CONNECT_S, Account, disconnect, session_lock
from ari_app.telegram.errors import NotFound, Unreachable, Unreadable, translated
from ari_app.telegram.limits import Limits, tl_name
from ari_app.telegram.line_session import LineSession
from ari_app.telegram.proxy_route import ProxyFailed, ProxyRoute

REQUEST_S = 10.0
UPLOAD_S = 60.0
TYPES = frozenset(each.SUBCLASS_OF_ID for each in tlobjects.values() if not issubclass(each, TLRequest))

OnEvent = Callable[[Any], Any]


@asynccontextmanager
async def _bounded(client: TelegramClient, request: str, timeout: float | None) -> AsyncIterator[None]:
    """Run a request (its TL name) within its time, so that only our own errors come out of it."""
    try:
        with translated(request):
            async with asyncio.timeout(timeout):
                yield
    except Unreachable as error:
        if (failure := _proxy_failure(client)) and failure is not error:
            raise failure from error
        raise


def _proxy_failure(client: TelegramClient) -> ProxyFailed | None:
    route = getattr(client, "_proxy", None)  # Telethon's
    return route.failure if isinstance(route, ProxyRoute) else None


class Session:
    """A client that is connected; made by `connected(...)`. Everything raises TelegramError."""

    def __init__(self, client: TelegramClient) -> None:
        self.client = client

    async def invoke(self, request: Any, timeout: float | None = REQUEST_S) -> Any:
        """Telegram's answer to a TL request, of the type that TL gives it, else Unreadable is raised.

        Without a ``timeout``, for as long as the connection lasts.
        """
        async with _bounded(self.client, tl_name(request), timeout):
            answer = await self.client(request)
        if _is_of_another_type(request, answer):
            raise Unreadable(f"Telegram's answer to {tl_name(request)} is of another type: {type(answer).__name__}")
        return answer

    async def user_peer(self, person_id: int) -> types.InputPeerUser:
        """Somebody whom the account has met; raises NotFound where it has not."""
        unknown = f"this line does not know Telegram id {person_id}: it has met nobody with that id"
        try:
            async with _bounded(self.client, "users.getUsers", REQUEST_S):
                return await self.client.get_input_entity(types.PeerUser(person_id))
        except (NotFound, ValueError) as error:
            raise NotFound(unknown) from error

    async def named_peer(self, username: str) -> types.TypeInputPeer:
        """Whoever has a username: the session knows it, or contacts.resolveUsername; raises NotFound."""
        async with _bounded(self.client, "contacts.resolveUsername", REQUEST_S):
            try:
                return await self.client.get_input_entity(username)
            except ValueError as error:  # Telethon's for USERNAME_NOT_OCCUPIED
                raise NotFound(f"nobody on Telegram is called @{username}") from error

    async def sender(self, event: Any) -> Any:
        """Who wrote a message (TL user), from its event; None where that is not known."""
        async with _bounded(self.client, "users.getUsers", REQUEST_S):
            return await event.get_sender()

    def forget(self, person_id: int) -> None:
        """Write nothing of somebody into the session's file that is not there yet."""
        if isinstance(self.client.session, LineSession):
            self.client.session.forget(person_id)

    async def upload(self, content: bytes, name: str) -> Any:
        """Upload a file (upload.saveFilePart); gives the TL inputFile."""
        async with _bounded(self.client, "upload.saveFilePart", UPLOAD_S):
            return await self.client.upload_file(content, file_name=name)

    async def move(self, dc_id: int, timeout: float) -> None:
        """Go to another data centre, as auth.loginTokenMigrateTo says; Telethon's own QRLogin does it like this."""
        async with _bounded(self.client, "auth.importLoginToken", timeout):
            await self.client._switch_dc(dc_id)

    async def catch_up(self) -> None:
        """Have the updates that were missed sent (updates.getDifference)."""
        await self.client.catch_up()

    @contextmanager
    def on(self, event: events.common.EventBuilder, handler: OnEvent) -> Iterator[None]:
        """Give the updates of a kind to a handler while inside."""
        self.client.add_event_handler(handler, event)
        try:
            yield
        finally:
            self.client.remove_event_handler(handler)

    def on_reconnect(self, handler: Callable[[], None]) -> None:
        """Have this called when Telethon has connected again by itself."""
        self.client.on_reconnect = handler

    @property
    def proxy_failure(self) -> ProxyFailed | None:
        """Why there is no way through the proxy now; None where there is one, or no proxy."""
        return _proxy_failure(self.client)

    @property
    def closed(self) -> "asyncio.Future[Any]":
        """Done when Telethon has given the connection up."""
        closed: asyncio.Future[Any] = self.client.disconnected
        return closed


def _is_of_another_type(request: TLRequest, answer: Any) -> bool:
    """Telethon's requests have the id of the type that answers them; its classes have none of Bool and Vector."""
    if isinstance(answer, TLObject):
        return bool(answer.SUBCLASS_OF_ID != request.SUBCLASS_OF_ID)
    return request.SUBCLASS_OF_ID in TYPES


@asynccontextmanager
async def connected(account: Account, limits: Limits | None = None) -> AsyncIterator[Session]:
    """Hold an account's session file and be connected; raises TelegramError, OSError, sqlite3.Error.

    Which is LineHeld where another program has it, and what Telegram says to a client that connects.
    """
    with session_lock(account.session):
        client = account.client(limits)
        try:
            yield await connect(client, CONNECT_S)
        finally:
            await disconnect(client, account.session.name)


async def connect(client: TelegramClient, timeout: float) -> Session:
    """Connect a client. Raises TelegramError.

    Once more where Telegram closes at once: Telethon's way to the factors of ``pq`` misses them now and then.
    """
    async with _bounded(client, "connect", timeout):
        try:
            await client.connect()
        except asyncio.IncompleteReadError:
            await client.connect()
    return Session(client)
