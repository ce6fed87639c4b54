"""Sessions: encrypted messages on a connection, in both directions.

https://core.telegram.org/mtproto/description and https://core.telegram.org/mtproto/service_messages
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import logging
import struct
import time
from collections.abc import Callable, Coroutine
from hashlib import sha256
from typing import Any, Protocol

from telethon.errors.common import TypeNotFoundError
from telethon.tl import functions, types
from telethon.tl.core.gzippacked import GzipPacked
from telethon.tl.core.messagecontainer import MessageContainer

from . import crypto
from .rpc import RpcError
from .store import AuthKey
from .tl import read, write_bytes
from .transport import Connection

log = logging.getLogger(__name__)

RPC_RESULT = 0xF35C6D01
GZIP_ABOVE = 1024
KEEP_MESSAGE_IDS = 400
BAD_SALT = 48
SALT_LIFETIME_S = 86400
WRAPPERS = (
    functions.InvokeWithLayerRequest,
    functions.InitConnectionRequest,
    functions.InvokeAfterMsgRequest,
    functions.InvokeAfterMsgsRequest,
    functions.InvokeWithoutUpdatesRequest,
)


class Office(Protocol):
    """What a session needs from the server around it."""

    async def perform(self, session: Session, request: Any) -> bytes:
        """The serialized result of a request. Raises `RpcError`."""
        ...

    def describe(self, session: Session, request: Any) -> None:
        """Note what a client says about itself (`initConnection`)."""
        ...

    def forget_key(self, session: Session) -> None:
        """Destroy the authorization key of a session."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine in the server's task group."""
        ...


class Session:
    """One session of one authorization key on one connection.

    A session lives as long as its connection: Telethon begins a new one whenever it reconnects.
    """

    def __init__(self, office: Office, connection: Connection, key: AuthKey, session_id: int) -> None:
        self.office = office
        self.connection = connection
        self.key_id = key.id
        self.id = session_id
        self.salt = int.from_bytes(sha256(key.key + b"salt").digest()[:8], "little", signed=True)
        self.wants_updates = True
        self._auth_key = key.key
        self._last_id = 0
        self._content_count = 0
        self._greeted = False
        self._work: dict[int, asyncio.Task[None]] = {}
        self._seen: dict[int, None] = {}
        self._service: dict[type, Callable[[int, Any], None]] = {
            functions.PingRequest: lambda i, m: self._reply(i, types.Pong(i, m.ping_id)),
            functions.PingDelayDisconnectRequest: lambda i, m: self._reply(i, types.Pong(i, m.ping_id)),
            functions.GetFutureSaltsRequest: self._future_salts,
            functions.DestroySessionRequest: lambda i, m: self._reply(i, types.DestroySessionNone(m.session_id)),
            functions.DestroyAuthKeyRequest: self._destroy_auth_key,
            functions.RpcDropAnswerRequest: self._drop_answer,
            types.MsgsStateReq: self._state_request,
            types.MsgResendReq: self._state_request,
            types.MsgsAck: _ignore,
            types.MsgsStateInfo: _ignore,
            types.MsgsAllInfo: _ignore,
            types.HttpWait: _ignore,
        }

    # From the client

    def receive(self, plain: bytes) -> None:
        """Take a decrypted packet: salt, session_id, msg_id, seq_no, length, body."""
        salt, _, msg_id, seq_no, length = struct.unpack_from("<qqqii", plain)
        if salt != self.salt:
            self._reply(msg_id, types.BadServerSalt(msg_id, seq_no, BAD_SALT, self.salt))
            return
        if not self._greeted:
            self._greeted = True
            self.send(types.NewSessionCreated(msg_id, self.id, self.salt))
        self._take(msg_id, plain[32 : 32 + length])

    def _take(self, msg_id: int, body: bytes) -> None:
        try:
            message = read(body)
        except (TypeNotFoundError, BufferError, struct.error, RuntimeError) as error:
            log.warning("a message could not be read, does the client speak another layer? %s", type(error).__name__)
            self._error(msg_id, RpcError("INPUT_METHOD_INVALID"))
            return
        self._dispatch(msg_id, message)

    def _dispatch(self, msg_id: int, message: Any) -> None:
        if isinstance(message, MessageContainer):
            for inner in message.messages:
                self._dispatch(inner.msg_id, inner.obj)
            return
        if isinstance(message, GzipPacked):
            self._take(msg_id, message.data)
            return
        if msg_id in self._seen:
            return
        self._seen[msg_id] = None
        for old in list(itertools.islice(self._seen, max(0, len(self._seen) - KEEP_MESSAGE_IDS))):
            del self._seen[old]
        service = self._service.get(type(message))
        if service is not None:
            service(msg_id, message)
            return
        self._work[msg_id] = task = self.office.spawn(self._perform(msg_id, message))
        task.add_done_callback(lambda _: self._work.pop(msg_id, None))

    async def _perform(self, msg_id: int, request: Any) -> None:
        while isinstance(request, WRAPPERS):
            if isinstance(request, functions.InitConnectionRequest):
                self.office.describe(self, request)
            elif isinstance(request, functions.InvokeWithoutUpdatesRequest):
                self.wants_updates = False
            elif isinstance(request, functions.InvokeAfterMsgRequest | functions.InvokeAfterMsgsRequest):
                await self._done(getattr(request, "msg_ids", None) or [getattr(request, "msg_id", 0)])
            request = request.query
        try:
            self._result(msg_id, await self.office.perform(self, request))
        except RpcError as error:
            self._error(msg_id, error)

    async def _done(self, msg_ids: list[int]) -> None:
        earlier = [self._work[i] for i in msg_ids if i in self._work]
        if earlier:
            await asyncio.wait(earlier)

    def _future_salts(self, msg_id: int, request: Any) -> None:
        started = int(time.time())
        salt = struct.pack("<iiq", started, started + SALT_LIFETIME_S, self.salt)
        body = struct.pack("<Iqii", types.FutureSalts.CONSTRUCTOR_ID, msg_id, started, 1) + salt
        self._write(body, content=False, answer=True)

    def _drop_answer(self, msg_id: int, request: Any) -> None:
        task = self._work.get(request.req_msg_id)
        if task is not None:
            task.cancel()
        self._result(msg_id, bytes(types.RpcAnswerDroppedRunning() if task else types.RpcAnswerUnknown()))

    def _state_request(self, msg_id: int, request: Any) -> None:
        states = bytes(4 if i in self._seen else 1 for i in request.msg_ids)
        body = struct.pack("<Iq", types.MsgsStateInfo.CONSTRUCTOR_ID, msg_id) + write_bytes(states)
        self._write(body, content=False, answer=True)

    def _destroy_auth_key(self, msg_id: int, request: Any) -> None:
        self._reply(msg_id, types.DestroyAuthKeyOk())
        self.office.forget_key(self)

    # To the client

    def send(self, message: Any) -> None:
        """Send something the client did not ask for: an update."""
        self._write(bytes(message), content=True)

    def _reply(self, msg_id: int, message: Any) -> None:
        self._write(bytes(message), content=False, answer=True)

    def _error(self, msg_id: int, error: RpcError) -> None:
        self._result(msg_id, bytes(types.RpcError(error.code, error.name)))

    def _result(self, msg_id: int, body: bytes) -> None:
        if len(body) > GZIP_ABOVE:
            body = struct.pack("<I", GzipPacked.CONSTRUCTOR_ID) + write_bytes(gzip.compress(body, 1))
        self._write(struct.pack("<Iq", RPC_RESULT, msg_id) + body, content=True, answer=True)

    def _write(self, body: bytes, *, content: bool, answer: bool = False) -> None:
        # Server msg_ids: 1 modulo 4 for an answer, else 3; an odd seq_no asks to be acknowledged.
        self._last_id = max(int(time.time() * (1 << 32)) & ~3, (self._last_id & ~3) + 4) | (1 if answer else 3)
        seq_no = self._content_count * 2 + content
        self._content_count += content
        head = struct.pack("<qqqii", self.salt, self.id, self._last_id, seq_no, len(body))
        self.connection.write(crypto.encrypt(self._auth_key, head + body))


def _ignore(msg_id: int, message: Any) -> None:
    """Acknowledgements and their kin: nothing is ever sent twice here, so there is nothing to forget."""
