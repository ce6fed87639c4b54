"""Which machine answers a text that somebody writes to a line: the one that holds it, and each text once.

Every machine that has the line gets the text. The holder claims it, and answers it. The others keep it in mind for as
long as it may take one of them to become the holder; a text that is claimed by then was answered.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Protocol

from ari_app.cluster.bucket import Bucket, Conflict, EngineAway, key_of

TEXT = "text"
KEPT_S = 2 * 86400.0
"""Longer than a machine is away that then gets from Telegram what it has missed."""
LOOK_S = 0.5  # whether this machine holds the line by now

log = logging.getLogger(__name__)


class TextClaims(Protocol):
    """Gives each text to one machine."""

    async def is_ours(self, line: str, message_id: int) -> bool:
        """Whether a text, by its id in the account, is this machine's to answer."""


class EngineTextClaims:
    """Those of a cluster. ``holds``: whether this machine holds a line; ``patience_s``: how long it waits for that."""

    def __init__(self, bucket: Bucket, machine: str, holds: Callable[[str], bool], patience_s: float) -> None:
        self._bucket = bucket
        self._machine = machine
        self._holds = holds
        self._patience_s = patience_s

    async def is_ours(self, line: str, message_id: int) -> bool:
        """As soon as this machine holds the line. Where the engine is away, the holder answers without a claim."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._patience_s
        while not self._holds(line):
            if clock() >= until:
                return False
            await asyncio.sleep(LOOK_S)
        key = key_of(line, TEXT, message_id)
        try:
            await self._bucket.write(key, json.dumps({"machine": self._machine}).encode(), 0)
        except Conflict:
            return False
        except EngineAway as error:
            log.warning("text %s: the engine is away, it is answered as long as the line is held: %s", key, error)
            return self._holds(line)
        return True


class EveryText:
    """Where there is no cluster."""

    async def is_ours(self, line: str, message_id: int) -> bool:
        """Whose else."""
        return True
