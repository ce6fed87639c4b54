"""What calls leave in the chats of a line, and what becomes of it."""

from functools import partial

from ari_app.calls.callback import CallBackHandler
from ari_app.calls.keypad import Keypads
from ari_app.tasks import guarded_tasks
from ari_app.telegram.line import Line


class ChatCleanUp:
    """Removes keypads, and puts cards right, that a killed program, a lost connection or a dead machine has left."""

    def __init__(self, keypads: Keypads, callbacks: CallBackHandler) -> None:
        self._keypads = keypads
        self._callbacks = callbacks

    async def run(self, line: Line) -> None:
        """Whenever the line is ready again; beside the line, until it stops."""
        async with guarded_tasks() as tasks:
            tasks.supervise(partial(self._repair_cards, line), f"line {line.number}: cards")
            tasks.supervise(partial(self._callbacks.repair_left_cards, line), f"line {line.number}: cards of others")
            tasks.supervise(partial(self._keypads.clean_up_others, line), f"line {line.number}: keypads of others")
            await self._keypads.clean_up_when_ready(line)

    async def _repair_cards(self, line: Line) -> None:
        await line.until_ready()
        await self._callbacks.repair_cards(line)

    async def at_last(self, line: Line) -> None:
        """Before a line is removed or signed out: keypads would stay in people's chats for good."""
        await self._keypads.clean_up_at_last(line)
