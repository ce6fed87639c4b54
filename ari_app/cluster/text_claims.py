"""Which machine answers a text that somebody writes to a line: each text is answered by one, or dialled by one.

Every machine that is connected with the line gets the text. Whoever claims it first has it, by compare-and-set:

- The machine with the writer's call, where the text is of keys, as it dials them, whoever holds the line.
- The holder, at once; but later where the text may be another machine's to dial.
- Any other one once nobody else can be about to: the holder may have died, and have been started again within its
  lease, and knows nothing of the text then. It waits for long enough that a holder which is cut off from the engine,
  and answers without a claim, has done so: the account's own message tells of that (`telegram.chat`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable
from typing import Protocol

from ari_app.cluster.bucket import AGAIN_S, Bucket, Conflict, EngineAway, key_of

TEXT = "text"
KEPT_S = 2 * 86400.0
"""Longer than a machine is away that then gets from Telegram what it has missed."""
LOOK_S = 0.5  # whether this machine holds the line by now, or who else
NEW_HOLDER_S = 1.5  # for one that has got the text, and sees that it holds the line, to claim it
KEYS_S = 1.5  # for a machine that dials a text of keys to claim it

log = logging.getLogger(__name__)


class TextClaims(Protocol):
    """Gives each text, by its id in the account, to one machine."""

    async def is_ours(self, line: str, message_id: int, text: str) -> bool:
        """Whether a text is this machine's to answer."""

    async def was_dialled(self, line: str, message_id: int) -> None:
        """Have the others told that a text was dialled here, and needs no answer."""


class EngineTextClaims:
    """Those of a cluster.

    ``holds``: whether this machine holds a line; ``owner``: the program that is known to, None where none is;
    ``may_be_dialled``: whether another machine may be dialling a text of a line's. ``patience_s``: how long this
    machine waits for a line, and then for the engine.
    """

    def __init__(
        self,
        bucket: Bucket,
        machine: str,
        holds: Callable[[str], bool],
        owner: Callable[[str], object],
        may_be_dialled: Callable[[str, str], bool],
        patience_s: float,
    ) -> None:
        self._bucket = bucket
        self._machine = machine
        self._holds = holds
        self._owner = owner
        self._may_be_dialled = may_be_dialled
        self._patience_s = patience_s

    async def is_ours(self, line: str, message_id: int, text: str) -> bool:
        """As soon as this machine holds the line, or nobody else has claimed it.

        Where the engine is away, the holder answers without a claim, but not what may have been dialled.
        """
        may_be_dialled = self._may_be_dialled(line, text)
        if may_be_dialled:
            await asyncio.sleep(KEYS_S)
        await self._its_turn(line)
        try:
            return await self._claimed(line, message_id, lambda: not self._holds(line))
        except EngineAway as error:
            does = self._holds(line) and not may_be_dialled
            said = "answered without a claim" if does else "not answered here"
            log.warning("text %s to line %s: the engine is away, it is %s: %s", message_id, line, said, error)
            return does

    async def was_dialled(self, line: str, message_id: int) -> None:
        """Claim it; keys are dialled before, and whatever comes of this."""
        try:
            if not await self._claimed(line, message_id, lambda: True):
                log.info("text %s to line %s: dialled, and claimed before; it may be answered, too", message_id, line)
        except EngineAway as error:
            said = "text %s to line %s: dialled; the engine is away, so another machine may answer it, too: %s"
            log.warning(said, message_id, line, error)

    async def _its_turn(self, line: str) -> None:
        """Wait until this machine holds a line, or whoever else does could have claimed what has come by now."""
        clock = asyncio.get_running_loop().time
        owner, until = self._owner(line), clock() + self._patience_s
        while not self._holds(line) and clock() < until:
            await asyncio.sleep(LOOK_S)
            if (its := self._owner(line)) not in (owner, None):
                # Whoever held it has ended, or stopped acting for it: nothing of theirs is on its way.
                owner, until = its, min(until, clock() + NEW_HOLDER_S)

    async def _claimed(self, line: str, message_id: int, asks_on: Callable[[], bool]) -> bool:
        """Whether a text is this machine's by its claim.

        While the engine is away it is asked again, for as long as it ``asks_on``. Raises EngineAway at last.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + self._patience_s
        key = key_of(line, TEXT, message_id)
        word = json.dumps({"machine": self._machine, "claim": secrets.token_hex(8)}).encode()
        is_unsure = False
        while True:
            try:
                return await self._claim(key, word, is_unsure=is_unsure)
            except EngineAway:
                if clock() >= until or not asks_on():
                    raise
            is_unsure = True
            await asyncio.sleep(AGAIN_S)

    async def _claim(self, key: str, word: bytes, *, is_unsure: bool) -> bool:
        """Write a claim; ``is_unsure``: this very one may be there, its acknowledgement lost. Raises EngineAway."""
        try:
            await self._bucket.write(key, word, 0)
        except Conflict:
            its = await self._bucket.read(key) if is_unsure else None
            return its is not None and its.value == word
        return True


class EveryText:
    """Where there is no cluster."""

    async def is_ours(self, line: str, message_id: int, text: str) -> bool:
        """Whose else."""
        return True

    async def was_dialled(self, line: str, message_id: int) -> None:
        """Nobody else is there."""
