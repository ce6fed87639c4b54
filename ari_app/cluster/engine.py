"""The cluster's engine: NATS JetStream, by nats-py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from nats.aio.client import Client
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError, NoStreamResponseError
from nats.js.kv import KeyValue

from ari_app.cluster.bucket import Conflict, EngineAway, KeyEntry
from ari_app.tasks import guarded_tasks

ASK_S = 2.0
"""For one answer of the engine; it is asked again by whoever needs it."""
CONNECT_S = 2.0  # to one server; then the next one is tried
PAUSE_S = 0.5  # before a server is tried again
PING_S, PINGS = 5.0, 2  # a server that answers none of so many is gone
CLOSE_S = 2.0

log = logging.getLogger(__name__)


class NatsEngine:
    """A connection to the servers, which is made again without an end; made by `connected`."""

    def __init__(self, client: Client, replicas: int) -> None:
        self._client = client
        self._replicas = replicas
        self.connected = asyncio.Event()
        """Whether there is a server at present."""
        self.trouble: Exception | None = None

    def bucket(self, name: str, keep_s: float | None = None) -> NatsBucket:
        """A bucket, which is made when it is first used; ``keep_s``: after which what is written vanishes."""
        return NatsBucket(self._client, self.connected, name, self._replicas, keep_s)


class NatsBucket:
    """A key-value bucket of JetStream (ADR-8), with a copy on each of ``replicas`` servers."""

    def __init__(
        self, client: Client, connected: asyncio.Event, name: str, replicas: int, keep_s: float | None
    ) -> None:
        self._client = client
        self._connected = connected
        self._name = name
        self._replicas = replicas
        self._keep_s = keep_s
        self._opened: KeyValue | None = None

    async def read(self, key: str) -> KeyEntry | None:
        """What the leader has, or one that does not know yet that it is none any more. Raises EngineAway."""
        async with self._asked() as bucket:
            try:
                its = await bucket.get(key)
            except KeyNotFoundError:
                return None
        assert its.revision is not None
        return KeyEntry(key, its.value, its.revision)

    async def write(self, key: str, value: bytes, last: int) -> int:
        """Write over the revision ``last``, 0 for none; the new one. Raises Conflict, EngineAway."""
        async with self._asked() as bucket:
            try:
                return await (bucket.update(key, value, last) if last else bucket.create(key, value))
            except KeyWrongLastSequenceError:
                raise Conflict(f"{key} of {self._name} has another revision than {last}") from None

    async def watch(self, quiet_s: float) -> AsyncIterator[KeyEntry]:
        """What each key has, then each change, until there is none for ``quiet_s`` seconds. Raises EngineAway."""
        async with self._asked() as bucket:
            watcher: Any = await bucket.watchall()  # its methods have no types
        try:
            while True:
                try:
                    async with asyncio.timeout(quiet_s):
                        its = await watcher.__anext__()
                except TimeoutError:
                    return
                if its is not None:  # None stands between what was there and what is new
                    assert its.revision is not None
                    yield KeyEntry(its.key, None if its.operation else its.value, its.revision)
        finally:
            with suppress(EngineAway):
                async with self._asked():
                    await watcher.stop()

    @asynccontextmanager
    async def _asked(self) -> AsyncIterator[KeyValue]:
        """The bucket; what goes wrong inside, or takes too long, is EngineAway."""
        try:
            async with asyncio.timeout(ASK_S):
                await self._connected.wait()
                if self._opened is None:
                    self._opened = await self._open()
                yield self._opened
        except (BucketNotFoundError, NoStreamResponseError) as error:  # the servers have lost it
            self._opened = None
            raise EngineAway(f"{self._name}: {error}") from error
        except (Error, OSError, TimeoutError) as error:
            raise EngineAway(f"{self._name}: {error or 'no answer'}") from error

    async def _open(self) -> KeyValue:
        stream: JetStreamContext = self._client.jetstream(timeout=ASK_S)
        try:
            return await stream.key_value(self._name)
        except BucketNotFoundError:
            return await stream.create_key_value(bucket=self._name, replicas=self._replicas, ttl=self._keep_s)


@asynccontextmanager
async def connected(servers: Sequence[str], name: str) -> AsyncIterator[NatsEngine]:
    """Connect to servers (``nats://HOST:PORT``), now or as soon as one is there, under the name of this machine.

    Nothing is written later than asked for: a request while there is no connection fails at once.
    """
    client = Client()
    engine = NatsEngine(client, min(len(servers), 3))

    async def on_error(error: Exception) -> None:
        if str(error) != str(engine.trouble):
            log.warning("the cluster's engine: %s", error or type(error).__name__)
        engine.trouble = error

    async def on_disconnected() -> None:
        engine.connected.clear()
        log.warning("the cluster's engine is away; its servers are tried without an end")

    async def on_connected() -> None:
        engine.trouble = None
        engine.connected.set()
        log.info("connected to the cluster's engine at %s", client.connected_url.netloc if client.connected_url else "")

    async def connect() -> None:
        await client.connect(
            list(servers),
            name=name,
            error_cb=on_error,
            disconnected_cb=on_disconnected,
            reconnected_cb=on_connected,
            connect_timeout=CONNECT_S,  # type: ignore[arg-type]
            reconnect_time_wait=PAUSE_S,  # type: ignore[arg-type]
            max_reconnect_attempts=-1,
            ping_interval=PING_S,  # type: ignore[arg-type]
            max_outstanding_pings=PINGS,
            pending_size=0,  # what is asked while there is no connection must not be written later
        )
        await on_connected()

    async with guarded_tasks() as tasks:
        tasks.supervise(connect, "connection to the cluster's engine")
        try:
            yield engine
        finally:
            with suppress(TimeoutError, Error, OSError):
                async with asyncio.timeout(CLOSE_S):
                    await client.close()
