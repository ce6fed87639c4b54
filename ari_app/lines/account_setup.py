"""What a new account needs, of the lines that are connected."""

import logging
from collections.abc import Collection

from ari_app.bus import EventBus
from ari_app.lines.manager import LineManager
from ari_app.logs import line_log
from ari_app.telegram import setup
from ari_app.telegram.bot import Bot, BotState
from ari_app.telegram.setup import BotFacts, Step, StepView

log = logging.getLogger(__name__)


class AccountSetup:
    """Looks at the accounts of lines, and sets them up."""

    def __init__(self, lines: LineManager, bot: Bot, bus: EventBus) -> None:
        self._lines = lines
        self._bot = bot
        self._bus = bus

    async def look(self, number: str) -> list[StepView]:
        """How what a new account needs stands. Raises NoSuchLine, TelegramError."""
        return await setup.look(self._lines.line(number).require_online().session, self._bot_facts())

    async def carry_out(self, number: str, steps: Collection[Step]) -> list[StepView]:
        """Do some of it. Raises NoSuchLine, TelegramError."""
        views = await setup.carry_out(self._lines.line(number).require_online().session, steps, self._bot_facts())
        self._lines.line(number).recheck_bot()
        line_log(log, number).info("account set up: %s", ", ".join(step.value for step in steps))
        self._bus.publish("line", number)
        return views

    def _bot_facts(self) -> BotFacts | None:
        ready = self._bot.state is BotState.READY
        return BotFacts(self._bot.username, ready) if ready or self._bot.state is BotState.NO_INLINE else None
