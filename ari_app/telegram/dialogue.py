"""Whether a line's account can use the installation's bot in its chats; Telegram is asked seldom, and for a reason."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from telethon import events

from ari_app.i18n import Message, message
from ari_app.telegram.errors import Limited, NotFound, SignedOut, TelegramError, Unreachable
from ari_app.telegram.peers import bot_peer
from ari_app.telegram.session import Session
from ari_app.telegram.setup import has_dialogue

log = logging.getLogger(__name__)

ASK_EVERY_S = 3600.0  # a chat with a bot seldom comes or goes
ASK_AGAIN_S = 60.0  # after Telegram has given no answer; and not sooner because of a keypad that could not be sent


@dataclass(frozen=True)
class BotProblem:
    """Why the bot can't be used in a line's chats; ``passes``: nobody has to do anything, Telegram is asked again."""

    sentence: Message
    passes: bool


class BotDialogue:
    """What is known of one account's chat with the bot.

    ``name`` gives the bot's username, empty while it can't be used. ``open``: whether there is a chat; None: it is not
    known; True, too, once a message of the bot's could be sent. ``problem``: None where nothing is known against
    using the bot.
    """

    def __init__(self, name: Callable[[], str], on_change: Callable[[], None]) -> None:
        self.open: bool | None = None
        self.problem: BotProblem | None = None
        self._name = name
        self._on_change = on_change
        self._asked_for = ""
        self._worked_for = ""  # of which bot a message could be sent: it needs no chat to be open
        self._asked_at = 0.0
        self._bot_id = 0
        self._due = asyncio.Event()

    def forget(self) -> None:
        """Another session may know better."""
        self._asked_for = self._worked_for = ""
        self._learn(None, None)

    def look(self) -> None:
        """The bot may be another one now."""
        name = self._name()
        if name and name != self._asked_for:
            self._due.set()

    def recheck(self) -> None:
        """Somebody may have started the chat."""
        self._due.set()

    def doubt(self) -> None:
        """A message of the bot's could not be sent."""
        self._worked_for = ""
        if asyncio.get_running_loop().time() > self._asked_at + ASK_AGAIN_S:
            self._due.set()

    def works(self) -> None:
        """A message of the bot's was sent."""
        self._worked_for = self._name()
        self._learn(True, None)

    async def watch(self, session: Session) -> None:
        """Ask at once, when something may have changed, and every hour; until cancelled."""
        with session.on(events.NewMessage(func=self._is_with_bot), self._on_message):
            while True:
                self._due.clear()
                wait_s = await self._ask(session)
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._due.wait()

    async def _ask(self, session: Session) -> float | None:
        """Returns after how many seconds to ask again; None: when there is a bot to be used."""
        name = self._name()
        if not name:
            return None
        self._asked_for, self._asked_at = name, asyncio.get_running_loop().time()
        try:
            self._bot_id = (await bot_peer(session, name)).user_id
            has_chat = await has_dialogue(session, name)
            self._learn(has_chat or self._worked_for == name, None)
        except NotFound:
            said = message("There is no @{bot} on Telegram: check the bot.", bot=name)
            self._learn(None, BotProblem(said, passes=False))
        except (SignedOut, Unreachable) as error:  # which the line itself finds out, and says
            log.info("bot dialogue: %s", error)
            return ASK_AGAIN_S
        except TelegramError as error:
            said = message(
                "Telegram does not let this line ask for @{bot}; asking again. ({error})", bot=name, error=error
            )
            self._learn(None, BotProblem(said, passes=True))
            return max(ASK_AGAIN_S, error.seconds or 0.0) if isinstance(error, Limited) else ASK_AGAIN_S
        return ASK_EVERY_S

    def _is_with_bot(self, event: events.NewMessage.Event) -> bool:
        return bool(self._bot_id and event.chat_id == self._bot_id)

    async def _on_message(self, event: events.NewMessage.Event) -> None:
        if not self.open:
            self._due.set()

    def _learn(self, is_open: bool | None, problem: BotProblem | None) -> None:
        if (is_open, problem) != (self.open, self.problem):
            self.open, self.problem = is_open, problem
            self._on_change()
