"""A message of the bot's that is edited to what is newest, at the pace at which Telegram lets it be edited."""

import asyncio
import logging
from enum import Enum

from ari_app.telegram.buttons import ButtonBot, EditRefused, Keyboard

log = logging.getLogger(__name__)

EDIT_TRIES = 5


class EditOutcome(Enum):
    """What has become of the last that was to be shown."""

    DONE = "done"
    GONE = "gone"
    """The message can't be edited any more: the person has deleted it."""
    NOT_NOW = "not now"
    """It might be another time."""


class EditedMessage:
    """One message; ``every_s``: between two edits, what was to be shown meanwhile is shown by the second one."""

    def __init__(self, bot: ButtonBot, message_id: str, every_s: float = 0.0, tries: float = EDIT_TRIES) -> None:
        self._bot = bot
        self._message_id = message_id
        self._every_s = every_s
        self._tries = tries
        self._newest: tuple[str, Keyboard] = "", ()
        self._last = False
        self._changed = asyncio.Event()

    def show(self, text: str, buttons: Keyboard, *, last: bool = False) -> None:
        """Have the message say this; after the ``last``, `run` returns."""
        self._newest, self._last = (text, buttons), last
        self._changed.set()

    async def run(self) -> EditOutcome:
        """Edit the message until the last is shown, or can't be shown."""
        tries, gone = 0, False
        while tries < self._tries:
            await self._changed.wait()
            self._changed.clear()
            if gone:
                if self._last:
                    return EditOutcome.GONE
                continue
            text, buttons = self._newest
            try:
                await self._bot.edit(self._message_id, text, buttons)
                tries = 0
            except EditRefused as refusal:
                log.info("a message of the bot's was not edited: %s", refusal)
                if refusal.retry_s is None:
                    gone = True
                    if self._last:
                        return EditOutcome.GONE
                    continue
                tries += 1
                self._changed.set()
                await asyncio.sleep(max(refusal.retry_s, self._every_s))
                continue
            if self._last and not self._changed.is_set():
                return EditOutcome.DONE
            await asyncio.sleep(self._every_s)
        return EditOutcome.NOT_NOW
