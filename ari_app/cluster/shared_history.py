"""The history of calls of all machines: each sends its own calls to a stream, and keeps what the others have sent.

A machine sends the states of calls in the order in which they have changed (`store.changes`), and remembers in its
database how far it has come: what happens while the engine is away is sent when it is back, also by a later run.
It reads in the stream's order, and keeps each message with the number up to which it has read, as one. A call's newer
state wins, so that a message may come twice, late, or once more from the beginning; whoever reads an older state than
it knows sends the newer one again. Where the stream is another one than before, or has lost its end, all is read and
sent anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ari_app.cluster.bucket import WRONG
from ari_app.cluster.stream import OutgoingMessage, Stream, StreamMessage
from ari_app.store.calls import CallRow
from ari_app.store.shared_calls import SharedCall, SharedCallRepository, StreamProgress

BATCH = 100
"""Calls that are sent at once, or kept in one transaction: some milliseconds of the database's thread."""
MOST = 2**62  # that a database takes
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,40}")  # of a subject

log = logging.getLogger(__name__)

_call = TypeAdapter(CallRow)


class SharedHistory:
    """One machine's. ``period_s``: how old a call may be to be kept, as it is set now; ``clock`` gives Unix time."""

    def __init__(
        self,
        stream: Stream,
        repository: SharedCallRepository,
        machine: str,
        period_s: Callable[[], float],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stream = stream
        self._repository = repository
        self._machine = machine
        self._period_s = period_s
        self._clock = clock

    async def exchange(self) -> None:
        """Read all that there is, and send all that there is to be sent. Raises EngineAway, StoreUnavailable."""
        await self._send(await self._read(await self._progress()))

    async def _progress(self) -> StreamProgress:
        state, name = await self._stream.state(), self._stream.name
        known = await self._repository.progress(name)
        if known and known.stream == state.id and await self._has(known, state.last):
            return known
        return await self._begin_anew(state.id, known)

    async def _has(self, progress: StreamProgress, last: int) -> bool:
        """Whether the stream has had what it is known to have had: its servers may have lost the end of it, and have
        given the same numbers to other messages since.
        """
        number, digest = progress.known
        if number == 0 or last <= number:
            return last >= number
        found = await self._stream.after(number - 1, 1)  # it may be gone: a newer state of the call has replaced it
        return not found or found[0].number != number or digest_of(found[0].value) == digest

    async def _begin_anew(self, stream: str, before: StreamProgress | None) -> StreamProgress:
        if before:
            log.warning("the NATS servers have lost calls of the history: this machine sends and reads all once more")
        anew = StreamProgress(stream, round=before.round + 1 if before else 0)
        await self._repository.save_progress(self._stream.name, anew)
        return anew

    async def _read(self, progress: StreamProgress) -> StreamProgress:
        while messages := await self._stream.after(progress.received, BATCH):
            last = messages[-1]
            known = max(progress.known, (last.number, digest_of(last.value)))
            progress = replace(progress, received=last.number, known=known)
            await self._repository.receive(self._stream.name, list(self._calls(messages)), progress)
        return progress

    def _calls(self, messages: Sequence[StreamMessage]) -> Iterator[SharedCall]:
        oldest = self._clock() - self._period_s()
        for each in messages:
            try:
                shared = parsed(each.value, self._machine)
            except WRONG as error:
                log.warning("call %d of the cluster's history is not understood, and left out: %s", each.number, error)
                continue
            if shared.call.began_at >= oldest:
                yield shared

    async def _send(self, progress: StreamProgress) -> None:
        while calls := await self._repository.to_send(progress.sent, BATCH):
            messages = [self._message(each, progress.round) for each in calls]
            numbers = await self._stream.publish(messages)
            kept = sorted(
                (n, digest_of(each.value)) for n, each in zip(numbers, messages, strict=True) if n is not None
            )
            if kept and kept[0][0] <= progress.known[0]:
                await self._begin_anew(progress.stream, progress)
                return
            sent = calls[-1].change, calls[-1].call.id
            progress = replace(progress, sent=sent, known=kept[-1] if kept else progress.known)
            await self._repository.save_progress(self._stream.name, progress)

    def _message(self, shared: SharedCall, round: int) -> OutgoingMessage:
        machine = shared.call.machine or self._machine
        call = replace(shared.call, machine=machine)
        value = json.dumps({"version": shared.version, "call": asdict(call)}, ensure_ascii=False).encode()
        id = f"{self._machine}:{call.id}:{shared.version}:{shared.change}:{round}"
        return OutgoingMessage(f"{machine}.{call.id}", id, value)


def digest_of(value: bytes) -> str:
    """By which a message is known again."""
    return hashlib.sha256(value).hexdigest()[:16]


def parsed(value: bytes, own: str) -> SharedCall:
    """What a message says, as the machine ``own`` keeps it. Raises ValueError, KeyError, TypeError."""
    said: dict[str, Any] = json.loads(value)
    try:
        call = _call.validate_python(said["call"])
    except ValidationError as error:
        raise ValueError(f"{error.error_count()} of its fields") from None  # it may have names in it
    version = said["version"]
    if not isinstance(version, int) or not (TOKEN.fullmatch(call.id) and TOKEN.fullmatch(call.machine)):
        raise ValueError("its version, id or machine")
    if any(abs(each) > MOST for each in (version, call.person_id or 0, call.cause or 0)):
        raise ValueError("a number of it")
    if call.status is None:
        raise ValueError("it goes on")
    return SharedCall(replace(call, machine="") if call.machine == own else call, version)
