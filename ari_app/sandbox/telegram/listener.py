"""The TCP side of the server: connections, key exchanges, sessions, and the way of a request to its handler."""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from . import crypto
from .faults import Faults
from .handshake import Handshake, HandshakeError
from .rpc import Client, Router, RpcError
from .session import Session
from .store import Store
from .tl import method_name, write
from .transport import Connection, TransportError, accept

log = logging.getLogger(__name__)

EVEN_ANONYMOUS = "AUTH_KEY_DUPLICATED"
"""The end of a session that also requests get for which nobody has to be signed in."""
UNKNOWN_KEY = struct.pack("<i", -404)  # the transport error for an authorization key that the server does not have


class Listener:
    """Accepts clients; `session.Office` for their sessions.

    Args:
        sessions: kept up to date with the sessions that are connected.
        tasks: owns every task of the server.
        peers: the phone numbers that a request is about, for faults.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        faults: Faults,
        sessions: set[Session],
        tasks: asyncio.TaskGroup,
        peers: Callable[[Client, Any], set[str]],
    ) -> None:
        self._store = store
        self._router = router
        self._faults = faults
        self._sessions = sessions
        self._tasks = tasks
        self._peers = peers
        self.counted: Counter[tuple[str, str]] = Counter()  # requests, by method and the account's phone number
        self.addresses: set[str] = set()  # from which clients have connected
        self._open: set[Connection] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._answers = asyncio.Event()
        self._answers.set()

    async def listen(self, host: str, port: int) -> int:
        """Begin to accept clients; the port, chosen by the system for 0."""
        self._server = await asyncio.start_server(self._accepted, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop accepting, cut every connection, end every task."""
        if self._server is None:
            return
        self.leave()
        for task in self._running:
            task.cancel()
        await self._server.wait_closed()

    def leave(self) -> None:
        """Stop accepting and cut every connection, until `listen` is called again."""
        assert self._server is not None
        self._server.close()
        self.cut(None)

    def be_silent(self, silent: bool) -> None:
        """Keep every connection, and answer nothing, or go on answering."""
        if silent:
            self._answers.clear()
        else:
            self._answers.set()

    def cut(self, keys: set[int] | None) -> None:
        """Cut the connections of these authorization keys, or all."""
        cut = {session.connection for session in self._sessions if keys is not None and session.key_id in keys}
        for connection in set(self._open) if keys is None else cut:
            connection.abort()
            self._forget(connection)

    def tell(self, key: int, message: Any) -> None:
        """Send an update to the sessions of an authorization key."""
        for session in self._sessions:
            if session.key_id == key:
                session.send(message)

    def is_connected(self, key: int) -> bool:
        """Whether a device has a connection."""
        return any(session.key_id == key for session in self._sessions)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.addresses.add(str(writer.get_extra_info("peername")[0]))
        self.spawn(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: Connection | None = None
        try:
            connection = await accept(reader, writer)
            self._open.add(connection)
            await self._converse(connection)
        except (asyncio.IncompleteReadError, OSError):
            log.debug("a client disconnected")
        except (TransportError, HandshakeError, crypto.DamagedMessage) as error:
            log.warning("a connection was closed: %s", error)
        except Exception:
            log.exception("a connection was closed by a packet that the local Telegram cannot read")
        finally:
            if connection is not None:
                self._forget(connection)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _converse(self, connection: Connection) -> None:
        handshake = Handshake(self._store.rsa_key, self.keep_key)
        session: Session | None = None
        while True:
            packet = await connection.read()
            await self._answers.wait()
            key_id = struct.unpack_from("<q", packet)[0]
            if key_id == 0:
                answer = await handshake.answer(packet)
                if answer:
                    connection.write(answer)
                continue
            key = self._store.auth_key(key_id)  # which may have been forgotten since the last packet
            if key is None:
                connection.write(UNKNOWN_KEY)
                return
            plain = crypto.decrypt(key.key, packet)
            session_id = struct.unpack_from("<q", plain, 8)[0]
            if session is None or (session.key_id, session.id) != (key.id, session_id):
                self._sessions.discard(session) if session else None
                session = Session(self, connection, key, session_id)
                self._sessions.add(session)
            session.receive(plain)

    def keep_key(self, auth_key: bytes) -> None:
        """An authorization key that a device has agreed on."""
        created = int(time.time())
        row = {"id": crypto.key_id(auth_key), "key": auth_key, "created": created, "active": created}
        self._store.put("auth_keys", row | {"api_id": 0, "device": "", "app": ""})

    # What sessions ask (session.Office)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine in the server's task group."""
        task = self._tasks.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def describe(self, session: Session, request: Any) -> None:
        """Note what a client says about itself (`initConnection`)."""
        told = {"api_id": request.api_id, "device": request.device_model, "app": request.app_version}
        self._store.update_auth_key(session.key_id, active=time.time(), **told)

    def forget_key(self, session: Session) -> None:
        """Destroy the authorization key of a session."""
        self._store.run("DELETE FROM auth_keys WHERE id = ?", session.key_id)

    async def perform(self, session: Session, request: Any) -> bytes:
        """The serialized result of a request. Raises `RpcError`."""
        key = self._store.auth_key(session.key_id)
        if key is None:
            raise RpcError("AUTH_KEY_INVALID")
        if key.ended == EVEN_ANONYMOUS:
            raise RpcError(EVEN_ANONYMOUS)
        user = self._store.user(key.user_id) if key.user_id else None
        client = Client(session, key, user)
        method = method_name(request)
        phone = user.phone if user else ""
        self.counted[method, phone] += 1
        peers = partial(self._peers, client, request)
        if delay_s := self._faults.strike(method, phone, peers):
            await asyncio.sleep(delay_s)
        try:
            right = await self._router.call(client, request)
            answer = self._faults.answer(method, phone, peers, right)
            result = answer if isinstance(answer, bytes) else write(answer)
        except RpcError:
            raise
        except Exception as error:  # one broken handler must not end every other session
            log.exception("%s failed in the local Telegram", method)
            raise RpcError("INTERNAL", code=500) from error
        if delay_s := self._faults.strike(method, phone, peers, carried_out=True):
            await asyncio.sleep(delay_s)
        return result

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._sessions -= {session for session in self._sessions if session.connection is connection}
