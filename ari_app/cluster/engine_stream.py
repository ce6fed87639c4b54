"""A stream of NATS JetStream (docs.nats.io, Streams; ADR-8 and ADR-31 for reading by number), by nats-py.

Read by asking for the next message after a number, and not by a consumer: there is nothing that could die in silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from nats.js import JetStreamContext
from nats.js.api import Header, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError

from ari_app.cluster.engine import ROUNDING_S, NatsEngine
from ari_app.cluster.messenger import ASK_S
from ari_app.cluster.stream import OutgoingMessage, StreamMessage, StreamState

MOST_MESSAGES = 1_000_000
"""Then the oldest go: as many calls as a history has, some 0.6 GB."""
DUPLICATES_S = 120.0  # a message that comes once more within it is left out
NO_MESSAGE, STREAM_EXISTS = 10037, 10058  # github.com/nats-io/nats-server, server/errors.json


class NatsStream:
    """``name`` is also how its subjects begin. ``keep_s``: for how long what is written stays, as it is set now.

    ``one_each``: of a subject only the last message stays.
    """

    def __init__(self, engine: NatsEngine, name: str, keep_s: Callable[[], float], *, one_each: bool) -> None:
        self.name = name
        self._engine = engine
        self._keep_s = keep_s
        self._one_each = one_each
        self._set_s: float | None = None

    async def state(self) -> StreamState:
        """Make it where there is none; have it keep things for as long as is set, at the start and after a change."""
        async with self._asked() as stream:
            info = await self._there(stream)
            if (keep_s := self._keep_s()) != self._set_s:  # else another machine may have another setting
                if abs((info.config.max_age or 0.0) - keep_s) > ROUNDING_S:
                    info = await stream.update_stream(info.config, max_age=keep_s)
                self._set_s = keep_s
            made_at = info.created.isoformat() if info.created else ""
            return StreamState(made_at, info.state.last_seq)

    async def after(self, number: int, most: int) -> list[StreamMessage]:
        """The leader's; it has all that comes before a message that it has."""
        found: list[StreamMessage] = []
        while len(found) < most:
            async with self._asked() as stream:
                try:
                    its = await stream.get_msg(self.name, seq=number + 1, subject=f"{self.name}.>", next=True)
                except NotFoundError as error:
                    if error.err_code == NO_MESSAGE:
                        return found
                    raise
                assert its.seq is not None
                number = its.seq
                found.append(StreamMessage(number, its.data or b""))
        return found

    async def publish(self, messages: Sequence[OutgoingMessage]) -> list[int | None]:
        """All at once: whether it has those of a try that fails is not known."""
        async with self._asked() as stream:
            kept = await asyncio.gather(
                *(
                    stream.publish(
                        f"{self.name}.{each.subject}",
                        each.value,
                        timeout=ASK_S,
                        stream=self.name,
                        headers={Header.MSG_ID.value: each.id},
                    )
                    for each in messages
                )
            )
            return [None if each.duplicate else each.seq for each in kept]

    async def _there(self, stream: JetStreamContext) -> StreamInfo:
        try:
            return await stream.stream_info(self.name)
        except NotFoundError:
            pass
        wanted = StreamConfig(
            name=self.name,
            subjects=[f"{self.name}.>"],
            max_age=self._keep_s(),
            max_msgs=MOST_MESSAGES,
            max_msgs_per_subject=1 if self._one_each else -1,
            num_replicas=self._engine.replicas,
            duplicate_window=DUPLICATES_S,
        )
        try:
            return await stream.add_stream(wanted)
        except APIError as error:
            if error.err_code != STREAM_EXISTS:
                raise
        return await stream.stream_info(self.name)  # another machine has made it at the same time

    @asynccontextmanager
    async def _asked(self) -> AsyncIterator[JetStreamContext]:
        """Whatever goes wrong with the engine inside is EngineAway."""
        async with self._engine.asked(self.name), asyncio.timeout(ASK_S):
            yield (await self._engine.connection()).jetstream(timeout=ASK_S)
