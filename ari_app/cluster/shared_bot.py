"""The bot of a cluster: one machine fetches what is meant for it, the one that holds its lease."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from ari_app.cluster.bucket import EngineAway
from ari_app.cluster.duty import ByLease
from ari_app.cluster.members import Members, address_of
from ari_app.cluster.messenger import Messenger
from ari_app.telegram.bot_machines import Answer, MachineAway

BOT = "bot"
"""What its lease is called, among those of lines."""

log = logging.getLogger(__name__)


class FetchingBot(Protocol):
    """`telegram.bot.Bot`."""

    @property
    def can_fetch(self) -> bool:
        """Whether this machine could fetch what is meant for it."""

    def fetching(self) -> AbstractContextManager[None]:
        """Fetch it while inside."""


class BotDuty(ByLease):
    """Who fetches. A machine needs no Asterisk for that."""

    BEGUN = "bot: this machine fetches what is meant for it now (lease %d)"
    OVER = "bot: this machine fetches what is meant for it no more"
    UNFIT = "bot: it could not be fetched for here for %g s: another machine may do so"

    def _log(self, line: str) -> logging.LoggerAdapter[logging.Logger]:
        return logging.LoggerAdapter(log)


@dataclass(frozen=True)
class SharedBot:
    """This machine among those that the bot works for, see `telegram.bot_machines.Machines`."""

    machine: str
    messenger: Messenger
    duty: BotDuty
    members: Members

    @property
    def address(self) -> str:
        """Of this machine."""
        return address_of(self.machine)

    def fetches(self) -> bool:
        """Whether the bot's lease is ours."""
        return self.duty.holds(BOT)

    def others(self) -> Sequence[str]:
        """Those that have said something lately."""
        return [address_of(each.machine) for each in self.members.others(self.machine)]

    async def ask(self, address: str, what: str, question: bytes) -> bytes:
        """Raises MachineAway."""
        try:
            return await self.messenger.ask(address, what, question)
        except EngineAway as error:
            raise MachineAway(str(error)) from error

    def serve(self, what: str, answer: Answer) -> None:
        """Answer what the others ask."""
        self.messenger.serve(what, answer)

    async def keep(self, bot: FetchingBot) -> None:
        """Fetch whenever this machine can and no other one does, until cancelled."""
        await self.duty.keep(BOT, lambda: bot.can_fetch, bot.fetching)

    def leave(self) -> None:
        """Have another machine fetch, if there is one; where it does not, this one goes on."""
        for other in self.members.others(self.machine):
            if not other.draining and self.duty.hand_over(BOT, other.machine):
                return
