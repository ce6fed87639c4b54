"""The cluster's engine: NATS JetStream, by nats-py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import (
    BucketNotFoundError,
    KeyNotFoundError,
    KeyWrongLastSequenceError,
    NoStreamResponseError,
    NotFoundError,
)
from nats.js.kv import KeyValue

from ari_app.backoff import Backoff
from ari_app.cluster.bucket import Conflict, EngineAway, KeyEntry
from ari_app.cluster.members import address_of
from ari_app.cluster.messenger import ASK_S
from ari_app.tasks import GuardedTasks, cancellation_kept, guarded_tasks

CONNECT_S = 2.0  # to one server; then the next one is tried
PAUSE_S = 0.5  # before a server is tried again
PING_S, PINGS = 1.5, 2  # a server that answers none of so many is gone, as one whose machine has lost its power
CLOSE_S = 2.0
AGAIN = Backoff(first_s=1.0, last_s=30.0)
"""Where the servers have ended a connection for good, as they do with one that is not allowed any more."""
REPLICAS_MOST = 3
ROUNDING_S = 1.0  # of a time for which something is kept
ASKED = "astergram.{address}.{what}"
"""The subject that a machine is asked under (docs.nats.io, request-reply)."""

log = logging.getLogger(__name__)


class NatsEngine:
    """A connection to the servers, which is made again without an end; made by `connected`."""

    def __init__(self, servers: Sequence[str], name: str, user: str, password: str, tasks: GuardedTasks) -> None:
        self.client: Client | None = None
        """None while there is no connection."""
        self.trouble: str | None = "not connected yet"
        """Why it does not answer; None where it does."""
        self.connected = asyncio.Event()
        self._servers = list(servers)
        self._name = name
        self._user, self._password = user or None, password or None
        self._answers: dict[str, Callable[[bytes], bytes]] = {}
        self._slow_answers: dict[str, Callable[[bytes], Awaitable[bytes]]] = {}
        self._tasks = tasks

    def bucket(self, name: str, keep_s: float | Callable[[], float] | None = None) -> NatsBucket:
        """A bucket, which is made when it is first used.

        ``keep_s``: after which what is written vanishes; a function where it can be set to another time.
        """
        return NatsBucket(self, name, self.replicas, keep_s)

    @property
    def replicas(self) -> int:
        """How many servers have a copy of what is kept."""
        return min(len(self._servers), REPLICAS_MOST)

    async def connection(self) -> Client:
        """What there is now, or as soon as there is one. Raises ConnectionError, and TimeoutError after ASK_S."""
        async with asyncio.timeout(ASK_S):
            await self.connected.wait()
        if self.client is None:
            raise ConnectionError("the connection is being closed")
        return self.client

    async def ask(self, address: str, what: str, question: bytes, within_s: float = ASK_S) -> bytes:
        """What another machine (`address_of`) answers.

        Raises EngineAway, also where that machine does not answer: it may have done what it was asked to all the same.
        """
        try:
            with cancellation_kept():
                async with asyncio.timeout(within_s):
                    await self.connected.wait()
                    if self.client is None:
                        raise ConnectionError("the connection is being closed")  # noqa: TRY301
                    subject = ASKED.format(address=address, what=what)
                    return (await self.client.request(subject, question, within_s)).data
        except Exception as error:
            raise EngineAway(f"machine {address} does not answer {what}: {_said(error)}") from error

    def serve(self, what: str, answer: Callable[[bytes], bytes]) -> None:
        """Answer what the other machines ask this one, in their order and without waiting."""
        self._answers[what] = answer

    def serve_in_tasks(self, what: str, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        """The same for what takes time: several are answered at once."""
        self._slow_answers[what] = answer

    async def _answer(self, asked: Msg) -> None:
        what = asked.subject.rpartition(".")[2]
        if slow := self._slow_answers.get(what):
            self._tasks.spawn(_answer_slowly(asked, slow), f"answer to another machine: {what}")
        if answer := self._answers.get(what):  # else of another version, or not at work yet: nothing is answered
            try:
                await asked.respond(answer(asked.data))
            except Exception:
                log.exception("what another machine has asked was not answered: %s", what)

    def answers(self) -> None:
        """It has, to a request."""
        if self.trouble is not None:
            log.info("the cluster's NATS servers answer")
        self.trouble = None

    def fails(self, error: BaseException) -> str:
        """It has not; gives why, in words."""
        said = _said(error)
        if self.trouble is None:
            log.warning("the cluster's NATS servers do not answer, and are asked again without an end: %s", said)
        self.trouble = said
        return said

    @asynccontextmanager
    async def asked(self, what: str, lost: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
        """Whatever goes wrong with the engine inside is EngineAway, but for a Conflict.

        ``what`` is asked for; ``lost`` is called where the servers have it no more.
        """
        try:
            with cancellation_kept():
                yield
        except Conflict:
            raise
        except Exception as error:
            if isinstance(error, NotFoundError | NoStreamResponseError):
                lost()
            raise EngineAway(f"{what}: {self.fails(error)}") from error
        else:
            self.answers()

    async def keep_connected(self) -> None:
        """Connect, and again whenever the servers have ended the connection, until cancelled."""
        failures = 0
        while True:
            client, closed = Client(), asyncio.Event()
            try:
                await self._connect(client, closed)
                failures = 0
                await closed.wait()
            except Exception as error:  # noqa: BLE001 - nats-py lets through whatever its parsing comes upon
                self.fails(error)
            finally:
                self.client = None
                self.connected.clear()
                with suppress(Exception):
                    async with asyncio.timeout(CLOSE_S):
                        await client.close()
            failures += 1
            self.fails(ConnectionError(self.trouble or "the servers have closed the connection"))
            await asyncio.sleep(AGAIN.pause_s(failures))

    async def _connect(self, client: Client, closed: asyncio.Event) -> None:
        async def on_error(error: Exception) -> None:
            log.debug("NATS: %r", error)

        async def on_disconnected() -> None:
            self.connected.clear()

        async def on_connected() -> None:
            self.connected.set()
            if url := client.connected_url:  # which may have a password in it
                log.info("connected to the NATS server %s:%s", url.hostname, url.port)

        async def on_closed() -> None:
            closed.set()

        await client.connect(
            self._servers,
            name=self._name,
            user=self._user,
            password=self._password,
            error_cb=on_error,
            disconnected_cb=on_disconnected,
            reconnected_cb=on_connected,
            closed_cb=on_closed,
            connect_timeout=CONNECT_S,  # type: ignore[arg-type]
            reconnect_time_wait=PAUSE_S,  # type: ignore[arg-type]
            max_reconnect_attempts=-1,
            ping_interval=PING_S,  # type: ignore[arg-type]
            max_outstanding_pings=PINGS,
            pending_size=0,  # what is asked while there is no connection must not be written later
        )
        await client.subscribe(ASKED.format(address=address_of(self._name), what="*"), cb=self._answer)
        self.client = client
        await on_connected()


def _said(error: BaseException) -> str:
    """What an error says, to an administrator."""
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


async def _answer_slowly(asked: Msg, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
    found = await answer(asked.data)
    try:
        await asked.respond(found)
    except Exception as error:  # noqa: BLE001 - the connection is gone meanwhile, which its own task tells
        log.debug("an answer to another machine: %r", error)


class NatsBucket:
    """A key-value bucket of JetStream (ADR-8), with a copy on each of ``replicas`` servers.

    ``keep_s``: as for `NatsEngine.bucket`.
    """

    def __init__(
        self, engine: NatsEngine, name: str, replicas: int, keep_s: float | Callable[[], float] | None
    ) -> None:
        self._engine = engine
        self._name = name
        self._replicas = replicas
        self._keep_s = keep_s
        self._opened: tuple[Client, KeyValue, float | None] | None = None

    async def read(self, key: str) -> KeyEntry | None:
        """What the leader has, or one that does not know yet that it is none any more. Raises EngineAway."""
        async with self._engine.asked(self._name, self._lost), asyncio.timeout(ASK_S):
            bucket = await self._open()
            try:
                its = await bucket.get(key)
            except KeyNotFoundError:
                return None
            assert its.revision is not None
            return KeyEntry(key, its.value, its.revision)

    async def write(self, key: str, value: bytes, last: int) -> int:
        """Write over the revision ``last``, 0 for none; the new one. Raises Conflict, EngineAway."""
        async with self._engine.asked(self._name, self._lost), asyncio.timeout(ASK_S):
            bucket = await self._open()
            try:
                return await (bucket.update(key, value, last) if last else bucket.create(key, value))
            except KeyWrongLastSequenceError:
                raise Conflict(f"{key} of {self._name} has another revision than {last}") from None

    async def watch(self, quiet_s: float) -> AsyncGenerator[KeyEntry, None]:
        """What each key has, then each change, until there is none for ``quiet_s`` seconds. Raises EngineAway."""
        # Bounded by nats-py itself: a watch that is cancelled while it begins would stay for good.
        async with self._engine.asked(self._name, self._lost):
            watcher: Any = await (await self._open()).watchall()  # its methods have no types
        try:
            while True:
                try:
                    with cancellation_kept():
                        async with asyncio.timeout(quiet_s):
                            its = await watcher.__anext__()
                except (TimeoutError, StopAsyncIteration):
                    return
                if its is not None:  # None stands between what was there and what is new
                    yield KeyEntry(its.key, None if its.operation else its.value, its.revision)
        finally:
            with suppress(Exception):  # where the connection is gone, the server has forgotten it
                await watcher.stop()

    def _lost(self) -> None:
        self._opened = None

    async def _open(self) -> KeyValue:
        client = await self._engine.connection()
        keep_s = self._keep_s() if callable(self._keep_s) else self._keep_s
        if self._opened and self._opened[0] is client and self._opened[2] == keep_s:
            return self._opened[1]
        stream = client.jetstream(timeout=ASK_S)
        try:
            bucket = await stream.key_value(self._name)
        except BucketNotFoundError:
            bucket = await stream.create_key_value(bucket=self._name, replicas=self._replicas, ttl=keep_s)
        if callable(self._keep_s):  # it may be set to another time, or may have been since
            its = (await bucket.status()).stream_info.config
            if abs((its.max_age or 0.0) - (keep_s or 0.0)) > ROUNDING_S:
                await stream.update_stream(its, max_age=keep_s)
        self._opened = client, bucket, keep_s
        return bucket


@asynccontextmanager
async def connected(servers: Sequence[str], name: str, user: str = "", password: str = "") -> AsyncIterator[NatsEngine]:
    """Connect to servers (``nats://HOST:PORT``), now or as soon as one is there, under the name of this machine.

    Nothing is written later than asked for: a request while there is no connection fails.
    """
    async with guarded_tasks() as tasks:
        engine = NatsEngine(servers, name, user, password, tasks)
        tasks.supervise(engine.keep_connected, "connection to the cluster's NATS servers")
        yield engine
