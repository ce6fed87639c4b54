"""What is kept of one call only, its events and its measurements: asked for where the call is, and kept nowhere else.

Whoever may use NATS may ask: an answer tells of a person what the history's stream has, too, and a question changes
nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass

from pydantic import TypeAdapter, ValidationError

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.messenger import ASK_S, Messenger
from ari_app.store.calls import CallRow, Details
from ari_app.store.errors import StoreUnavailable

DETAILS = "call-details"
"""What a machine is asked; the question is the call's id."""
MOST_BYTES = 900_000
"""Of an answer: NATS takes 1 MiB in a message. A call has 300 events and 240 samples at most, some 50 kB."""
AT_ONCE = 4  # questions that are answered, so that whoever asks much holds up nothing else
ID = re.compile(rb"[0-9a-f]{12}")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ToldCall:
    """A call as the machine that has it knows it now; ``state`` is a `CallState`'s value."""

    call: CallRow
    state: str
    details: Details


_told: TypeAdapter[ToldCall | None] = TypeAdapter(ToldCall | None)


class NotTold(Exception):
    """A machine has answered, and what is not understood: it has another version, or can't read its database."""


class CallDetails:
    """``others``: the address of each machine that is there, by its name; ``own``: a call of this one."""

    def __init__(
        self,
        messenger: Messenger,
        others: Callable[[], dict[str, str]],
        own: Callable[[str], Awaitable[ToldCall | None]],
    ) -> None:
        self._messenger = messenger
        self._others = others
        self._own = own
        self._answering = asyncio.Semaphore(AT_ONCE)

    def serve(self) -> None:
        """Answer the other machines from now on."""
        self._messenger.serve_in_tasks(DETAILS, self._answer)

    async def of(self, machine: str, call_id: str) -> ToldCall | None:
        """What another machine has of its call; None where it has none. Raises EngineAway, NotTold."""
        if (address := self._others().get(machine)) is None:
            raise EngineAway(f"machine {machine} is not in the cluster now")
        if not ID.fullmatch(question := call_id.encode(errors="replace")):
            return None
        return _parsed(await self._messenger.ask(address, DETAILS, question), call_id)

    async def anywhere(self, call_id: str) -> tuple[str, ToldCall] | None:
        """Which machine has a call, and what; None where none that answers has it."""

        async def ask(machine: str) -> ToldCall | None:
            try:
                return await self.of(machine, call_id)
            except (EngineAway, NotTold) as error:
                log.debug("call %s on another machine: %s", call_id, error)
                return None

        machines = sorted(self._others())
        found = await asyncio.gather(*map(ask, machines))
        return next(((machine, its) for machine, its in zip(machines, found, strict=True) if its), None)

    async def _answer(self, question: bytes) -> bytes:
        """Nothing where it can't be told."""
        if not ID.fullmatch(question):
            return b""
        with suppress(TimeoutError, StoreUnavailable):
            async with asyncio.timeout(ASK_S), self._answering:  # after it nobody waits any more
                told = await self._own(question.decode())
                answer = json.dumps(told and asdict(told)).encode()
                if len(answer) <= MOST_BYTES:
                    return answer
                log.warning("call %s: too large to be shown on another machine", question.decode())
        return b""


def _parsed(answer: bytes, call_id: str) -> ToldCall | None:
    try:
        told = _told.validate_json(answer)
    except ValidationError as error:
        raise NotTold(f"{error.error_count()} errors in it") from None  # which may have names in them
    if told is None:
        return None
    if told.call.id != call_id or not all(math.isfinite(n) for n in astuple(told.call) if isinstance(n, float)):
        raise NotTold("another call, or no numbers")
    return told
