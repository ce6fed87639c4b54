"""Orders to erase a person, from the machine on which an administrator has erased them to all others.

The calls themselves need none: without its person, a call is sent as any other change of it. What else a machine has
of them, and calls that it has not sent yet, are erased when it reads the order.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from ari_app.cluster.bucket import WRONG
from ari_app.cluster.stream import OutgoingMessage, Stream, StreamMessage
from ari_app.store.shared_calls import SharedCallRepository, StreamProgress

KEPT_S = 30 * 86400.0
"""How long an order waits for a machine that is away."""
AT_ONCE = 20
AGAIN_S = 30.0
"""Before an order that has to wait, as for the end of a call, is tried again."""

Obey = Callable[[dict[str, Any]], Awaitable[bool]]
"""Erases a person (`people.data_subject.DataSubject.as_data`); False where that has to wait."""

log = logging.getLogger(__name__)


class Erasures:
    """One machine's."""

    def __init__(self, stream: Stream, repository: SharedCallRepository, machine: str) -> None:
        self._stream = stream
        self._repository = repository
        self._machine = machine
        self._told: set[str] = set()
        self._waits_until = 0.0
        self._clock = asyncio.get_running_loop().time

    async def tell(self, who: dict[str, Any]) -> None:
        """Have the others erase somebody. Raises EngineAway; then they may do so, or not."""
        await self._stream.state()  # it has to be there
        id = uuid.uuid4().hex
        self._told.add(id)
        order = {"id": id, "machine": self._machine, "who": who}
        value = json.dumps(order, ensure_ascii=False).encode()
        await self._stream.publish([OutgoingMessage(self._machine, id, value)])

    async def obey(self, erase: Obey) -> None:
        """Obey what has been ordered since, in its order. Raises EngineAway, StoreUnavailable."""
        if self._clock() < self._waits_until:
            return
        progress = await self._progress()
        while messages := await self._stream.after(progress.received, AT_ONCE):
            for each in messages:
                if not await self._is_obeyed(each, erase):
                    self._waits_until = self._clock() + AGAIN_S
                    return
                progress = replace(progress, received=each.number)
                await self._repository.save_progress(self._stream.name, progress)

    async def _progress(self) -> StreamProgress:
        state, name = await self._stream.state(), self._stream.name
        known = await self._repository.progress(name)
        if known and known.stream == state.id and known.received <= state.last:
            return known
        # A machine that joins has nothing of who was erased before; a new stream has no order of before.
        is_lost = known is not None and known.stream != state.id
        anew = StreamProgress(state.id, received=0 if is_lost else state.last)
        await self._repository.save_progress(name, anew)
        return anew

    async def _is_obeyed(self, message: StreamMessage, erase: Obey) -> bool:
        try:
            order: dict[str, Any] = json.loads(message.value)
            id, machine, who = str(order["id"]), str(order["machine"]), dict(order["who"])
        except WRONG:
            log.error("an order to erase a person (%d) is not understood: erase them on this machine", message.number)  # noqa: TRY400
            return True
        if id in self._told:
            return True
        log.info("machine %s has erased a person: this one does, too", machine)
        return await erase(who)
