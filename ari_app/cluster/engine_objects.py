"""An object store of NATS JetStream (ADR-20), by nats-py.

Its pieces are read by their numbers, as a stream is (`engine_stream`): nats-py's own way has a consumer, which waits
for ever for pieces that were removed meanwhile.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import BucketNotFoundError, NotFoundError, ObjectNotFoundError
from nats.js.object_store import OBJ_CHUNKS_PRE_TEMPLATE, OBJ_META_PRE_TEMPLATE, OBJ_STREAM_TEMPLATE, ObjectStore

from ari_app.cluster.engine import NatsEngine
from ari_app.cluster.messenger import ASK_S

WHOLE_S = 30.0
"""For all pieces of an object; each is acknowledged, and a server that syncs each to its disk takes 10 to 50 ms."""
MOST_BYTES = 32_000_000  # of an object, whatever somebody has written there


class NatsObjects:
    """Made when it is first used, with a copy on as many servers as the buckets have."""

    def __init__(self, engine: NatsEngine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._stream = OBJ_STREAM_TEMPLATE.format(bucket=name)
        self._opened: tuple[Client, ObjectStore] | None = None

    async def names(self) -> set[str]:
        """By asking which subjects the stream has."""
        async with self._asked(ASK_S) as (stream, _):
            before = OBJ_META_PRE_TEMPLATE.format(bucket=self._name, obj="")
            info = await stream.stream_info(self._stream, subjects_filter=f"{before}>")
            found = set()
            for subject in info.state.subjects or ():
                with suppress(ValueError):  # else it is nobody's of a cluster
                    found.add(base64.urlsafe_b64decode(subject.removeprefix(before)).decode())
            return found

    async def put(self, name: str, content: bytes) -> None:
        """It is there once all of it is."""
        async with self._asked(WHOLE_S) as (_, store):
            await store.put(name, content)

    async def get(self, name: str) -> bytes | None:
        """The leader's."""
        async with self._asked(WHOLE_S) as (stream, store):
            try:
                info = await store.get_info(name)
                size = min(info.size or 0, MOST_BYTES)
                content, number = bytearray(), 0
                subject = OBJ_CHUNKS_PRE_TEMPLATE.format(bucket=self._name, obj=info.nuid)
                while len(content) < size:
                    piece = await stream.get_msg(self._stream, seq=number + 1, subject=subject, next=True)
                    assert piece.seq is not None
                    number = piece.seq
                    content += piece.data or b""
            except NotFoundError:
                return None
            return bytes(content) if len(content) == info.size else None

    async def remove(self, name: str) -> None:
        """With what nats-py leaves in its place, which would stay for good."""
        async with self._asked(ASK_S) as (stream, store):
            with suppress(ObjectNotFoundError):
                await store.delete(name)
            encoded = base64.urlsafe_b64encode(name.encode()).decode()
            subject = OBJ_META_PRE_TEMPLATE.format(bucket=self._name, obj=encoded)
            await stream.purge_stream(self._stream, subject=subject)

    @asynccontextmanager
    async def _asked(self, within_s: float) -> AsyncIterator[tuple[JetStreamContext, ObjectStore]]:
        """Whatever goes wrong with the engine inside is EngineAway."""
        async with self._engine.asked(self._name, self._lost), asyncio.timeout(within_s):
            client = await self._engine.connection()
            stream = client.jetstream(timeout=ASK_S)
            yield stream, await self._open(client, stream)

    def _lost(self) -> None:
        self._opened = None

    async def _open(self, client: Client, stream: JetStreamContext) -> ObjectStore:
        if self._opened and self._opened[0] is client:
            return self._opened[1]
        try:
            store = await stream.object_store(self._name)
        except BucketNotFoundError:
            store = await stream.create_object_store(self._name, replicas=self._engine.replicas)
        self._opened = client, store
        return store
