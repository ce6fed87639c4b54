"""Updates that wait for a bot to fetch them with getUpdates (https://core.telegram.org/bots/api#getting-updates).

They are kept in memory: a restart of the local Telegram loses what no bot has fetched. Their numbers go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from .bot_errors import OTHER_POLL, BotApiError
from .store import Store

# What the public telegram-bot-api keeps a question for, when its bot is away; anything else waits for a day.
KEEP_S = {"inline_query": 30.0, "callback_query": 150.0}
KEEP_OTHERS_S = 86400.0
Update = dict[str, Any]


@dataclass
class Mailbox:
    """The updates of one bot, oldest first, each with the time when it is of no more use."""

    waiting: list[tuple[Update, float]] = field(default_factory=list)
    allowed: frozenset[str] = frozenset()  # empty is all
    poll: asyncio.Future[None] | None = None


class BotMail:
    """A mailbox for each bot."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._boxes: dict[int, Mailbox] = {}

    def _box(self, bot_id: int) -> Mailbox:
        return self._boxes.setdefault(bot_id, Mailbox())

    def put(self, bot_id: int, kind: str, content: dict[str, Any]) -> None:
        """Add an update such as "callback_query", unless the bot did not ask for that kind."""
        box = self._box(bot_id)
        if box.allowed and kind not in box.allowed:
            return
        update = {"update_id": self._next_id(bot_id), kind: content}
        box.waiting.append((update, time.monotonic() + KEEP_S.get(kind, KEEP_OTHERS_S)))
        if box.poll is not None and not box.poll.done():
            box.poll.set_result(None)

    def _next_id(self, bot_id: int) -> int:
        self._store.put("bot_updates", {"bot": bot_id})
        self._store.run("UPDATE bot_updates SET last = coalesce(last, 0) + 1 WHERE bot = ?", bot_id)
        row = self._store.one("SELECT last FROM bot_updates WHERE bot = ?", bot_id)
        return int(row["last"]) if row else 1

    def count(self, bot_id: int) -> int:
        """How many updates wait."""
        return len(self._fresh(self._box(bot_id)))

    def clear(self, bot_id: int) -> None:
        """Forget every update that waits."""
        self._box(bot_id).waiting.clear()

    def interrupt(self, bot_id: int, error: BotApiError) -> None:
        """End the getUpdates that waits, if one does, with an error."""
        poll = self._box(bot_id).poll
        if poll is not None and not poll.done():
            poll.set_exception(error)

    async def take(
        self, bot_id: int, offset: int, limit: int, timeout_s: float, allowed: Collection[str] | None
    ) -> list[Update]:
        """The earliest updates from `offset` on; earlier ones are confirmed by it, and forgotten.

        Waits for `timeout_s` when there is none. A second call ends the first one, which raises `BotApiError`.
        """
        box = self._box(bot_id)
        self.interrupt(bot_id, BotApiError(409, OTHER_POLL))
        if allowed is not None:
            box.allowed = frozenset(allowed)
        if offset < 0:
            box.waiting = box.waiting[offset:]
        box.waiting = [(update, until) for update, until in box.waiting if update["update_id"] >= offset]
        if not self._fresh(box) and timeout_s > 0:
            await self._wait(box, timeout_s)
        return self._fresh(box)[:limit]

    async def _wait(self, box: Mailbox, timeout_s: float) -> None:
        poll = box.poll = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait([poll], timeout=timeout_s)
            if poll.done():
                poll.result()
        finally:
            if box.poll is poll:
                box.poll = None

    def _fresh(self, box: Mailbox) -> list[Update]:
        now = time.monotonic()
        box.waiting = [(update, until) for update, until in box.waiting if until > now]
        return [update for update, _ in box.waiting]
