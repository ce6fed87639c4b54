"""Which keypads are shown in chats, for the other machines: one that dies can't hide its own.

A line's messages have the same ids on all devices of its account, so that whoever acts for the line can hide them. What
NATS has of a keypad is its line, its message's id and its machine: nobody's name, and nothing that presses could be
forged with.

A machine that is started again in time goes on with its calls, and with their keypads; its word of itself (`Members`)
comes back by then. So a keypad is nobody's, and is hidden, once its machine has been silent for ``carried_s``, which it
has said itself: for how long its calls may go on after its death, and its next run may take to begin. One that is only
cut off from NATS is taken for dead; what is pressed on its keypads could not reach it either.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from ari_app.cluster.bucket import AGAIN_S, WRONG, Bucket, Conflict, EngineAway, KeyEntry, changes_of, key_of
from ari_app.cluster.engine_leases import boottime

KEPT_S = 2 * 86400.0
"""Longer than a machine is looked for that has died; then NATS may forget what it has shown."""
LOOK_S = 5.0  # between two looks for keypads of machines that are gone
HIDE_AGAIN_S = 60.0  # where one could not be hidden, as Telegram was away
WHAT = "keypads of the cluster"
HIDDEN = b""
"""In the place of a keypad that is hidden."""

log = logging.getLogger(__name__)


class SharedKeypads(Protocol):
    """Tells other machines of keypads. Nothing here waits for them, but for `hide_left`."""

    def shown(self, line: str, message_id: int) -> None:
        """A keypad is in a chat of a line's; ``message_id``: as the line's account knows it."""

    def hidden(self, line: str, message_id: int) -> None:
        """It is there no more."""

    async def hide_left(self, line: str, hide: Callable[[int], Awaitable[bool]]) -> None:
        """Have those hidden that machines which are gone have left in a line's chats, while this one acts for it.

        ``hide`` gives whether it could. Without an end, but where there are no other machines.
        """


class OwnKeypads:
    """Where there is no other machine."""

    def shown(self, line: str, message_id: int) -> None:
        """Nobody else is told."""

    def hidden(self, line: str, message_id: int) -> None:
        """Nobody else is told."""

    async def hide_left(self, line: str, hide: Callable[[int], Awaitable[bool]]) -> None:
        """Nobody has left any."""


@dataclass(frozen=True)
class ShownKeypad:
    """One, as NATS has it, and since when (by our clock) we know of it."""

    line: str
    message_id: int
    machine: str
    carried_s: float
    revision: int
    seen_at: float


@dataclass
class EngineKeypads:
    """Those of a cluster, as one of its machines sees them; `watch` and `send` have to run.

    ``carried_s``: for how long its calls may be carried after its death. ``holds``: whether this machine acts for a
    line; ``silent_s``: for how long another one has said nothing, None where nothing is known of it.
    """

    bucket: Bucket
    machine: str
    carried_s: Callable[[], float]
    holds: Callable[[str], bool]
    silent_s: Callable[[str], float | None]
    clock: Callable[[], float] = boottime
    _own: dict[str, bytes] = field(default_factory=dict)
    _known: dict[str, ShownKeypad] = field(default_factory=dict)
    _unsent: dict[str, bytes] = field(default_factory=dict)
    _has_unsent: asyncio.Event = field(default_factory=asyncio.Event)

    def shown(self, line: str, message_id: int) -> None:
        """Tell the others."""
        its = {"line": line, "message": message_id, "machine": self.machine, "carried_s": self.carried_s()}
        self._own[key_of(line, message_id)] = value = json.dumps(its).encode()
        self._put(line, message_id, value)

    def hidden(self, line: str, message_id: int) -> None:
        """Tell the others, of whichever machine it was."""
        self._own.pop(key_of(line, message_id), None)
        self._known.pop(key_of(line, message_id), None)
        self._put(line, message_id, HIDDEN)

    def _put(self, line: str, message_id: int, value: bytes) -> None:
        self._unsent[key_of(line, message_id)] = value
        self._has_unsent.set()

    async def hide_left(self, line: str, hide: Callable[[int], Awaitable[bool]]) -> None:
        """Look for them now and then, without an end."""
        while True:
            could = True
            if self.holds(line):
                for each in [its for its in self._known.values() if its.line == line and self._is_left(its)]:
                    could = await hide(each.message_id) and could
            await asyncio.sleep(LOOK_S if could else HIDE_AGAIN_S)

    def _is_left(self, its: ShownKeypad) -> bool:
        if its.machine == self.machine or key_of(its.line, its.message_id) in self._unsent:
            return False
        known_s, silent_s = self.clock() - its.seen_at, self.silent_s(its.machine)
        return (known_s if silent_s is None else min(known_s, silent_s)) >= its.carried_s

    async def watch(self) -> None:
        """Take note of what is shown, without an end."""
        async for entry in changes_of(self.bucket, WHAT, self._tell_again):
            known = self._known.get(entry.key)
            if known is None or known.revision != entry.revision:  # else a watch has begun anew
                self._take(entry)

    def _tell_again(self) -> None:
        """The servers may have lost them."""
        self._unsent = {**self._own, **self._unsent}
        self._has_unsent.set()

    def _take(self, entry: KeyEntry) -> None:
        self._known.pop(entry.key, None)
        if not entry.value:
            return
        try:
            its = json.loads(entry.value)
            self._known[entry.key] = ShownKeypad(
                str(its["line"]),
                int(its["message"]),
                str(its["machine"]),
                float(its["carried_s"]),
                entry.revision,
                self.clock(),
            )
        except WRONG:
            log.warning("%s: %s is not understood: another version may have written it", WHAT, entry.key)

    async def send(self) -> None:
        """Write what is to be told, without an end; what is hidden before it could be written leaves nothing."""
        while True:
            await self._has_unsent.wait()
            self._has_unsent.clear()
            while self._unsent:
                key, value = next(iter(self._unsent.items()))
                try:
                    await self._write(key, value)
                except EngineAway as error:
                    log.debug("%s: %s", WHAT, error)
                    await asyncio.sleep(AGAIN_S)
                except Conflict:
                    continue  # another machine has hidden it just now
                else:
                    if self._unsent.get(key) == value:
                        del self._unsent[key]

    async def _write(self, key: str, value: bytes) -> None:
        known = await self.bucket.read(key)
        if (known.value if known else HIDDEN) != value:
            await self.bucket.write(key, value, known.revision if known else 0)
