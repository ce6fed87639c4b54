"""What a PBX may ask for without calling anybody: who somebody is, a text or a card for them, how a line is."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ari_app.calls.card import Cards
from ari_app.calls.registry import CallRegistry
from ari_app.calls.request import by_preference
from ari_app.tasks import GuardedTasks
from ari_app.telegram.buttons import MaybeSent, is_refused
from ari_app.telegram.errors import Limited, NotFound, NotReady, TelegramError
from ari_app.telegram.limits import CALL
from ari_app.telegram.line import Line, LineState
from ari_app.telegram.peers import Callee, Destination, Person
from ari_app.telegram.texts import MESSAGE_LENGTH
from ari_app.wrong import Told


class MalformedText(Told):
    """Nothing that could be sent; the sentence says what is wrong with it."""


class LineCondition(Enum):
    """How a line is, for a dialplan and for programs."""

    ONLINE = "online"
    CONNECTING = "connecting"
    SIGNED_OUT = "signed-out"
    FROZEN = "frozen"


CONDITIONS = {
    LineState.READY: LineCondition.ONLINE,
    LineState.CONNECTING: LineCondition.CONNECTING,
    LineState.SIGNED_OUT: LineCondition.SIGNED_OUT,
}


@dataclass(frozen=True)
class LineFacts:
    """A line, now: ``free_calls`` could begin, were it not for ``pause_s``, for which Telegram lets it place none."""

    condition: LineCondition
    free_calls: int
    pause_s: float


class PbxServices:
    """Everything goes through the line whose number is named; else, like a call, through the one that is for ``caller``
    (a phone's caller id), the default one, or the least busy one of those that are connected.

    A line's lists hold, as for calls. ``tasks``: where a card is sent.
    """

    def __init__(self, lines: Mapping[str, Line], registry: CallRegistry, cards: Cards, tasks: GuardedTasks) -> None:
        self._lines = lines
        self._registry = registry
        self._cards = cards
        self._tasks = tasks

    async def find(self, line: str | None, to: str, caller: str = "") -> Person:
        """Who a destination (see `Destination.parse`) is.

        Raises MalformedDestination, TelegramError: NotFound where nobody is there, Limited where Telegram, or the
        line's ``lookups_per_minute``, does not let it be asked now.
        """
        through, _, callee = await self._found(line, to, caller)
        return through.templates.with_language(callee.person)

    async def send(self, line: str | None, to: str, text: str, caller: str = "") -> None:
        """Send a text.

        Raises MalformedDestination, MalformedText, TelegramError; MaybeSent where it may have been sent all the same.
        """
        if not text.strip():
            raise MalformedText("there is no text to send")
        if len(text) > MESSAGE_LENGTH:
            raise MalformedText(f"the text has {len(text)} characters, and Telegram takes {MESSAGE_LENGTH}")
        through, dialled, callee = await self._found(line, to, caller)
        try:
            await _send(through, callee, text)
        except NotFound:
            if not callee.cached:
                raise
            await _send(through, await through.look_up(dialled, fresh=True), text)

    async def send_card(self, line: str | None, to: str, caller: str = "") -> None:
        """Send the line's business card, whatever its switches are; it is sent to its end, also if this is cancelled.

        Raises MalformedDestination, TelegramError; MaybeSent where it may have been sent all the same.
        """
        through, _, callee = await self._found(line, to, caller)

        async def send() -> TelegramError | str:
            try:
                await self._cards.send_now(through, callee.person)
            except TelegramError as error:
                return error
            return "sent"

        task = self._tasks.spawn(send(), f"card of {through.number} for {callee.person.handle}")
        if isinstance(outcome := await asyncio.shield(task), TelegramError):
            raise outcome
        if outcome is None:
            raise TelegramError("an unexpected error has kept the card from being sent; see the log")

    def line(self, number: str) -> LineFacts | None:
        """How a line is now; None where there is none of that number."""
        line = self._lines.get(number)
        if line is None:
            return None
        condition = LineCondition.FROZEN if line.frozen else CONDITIONS[line.state]
        free = line.max_calls - self._registry.calls_per_line()[number] if line.state is LineState.READY else 0
        if (room := self._registry.room) is not None:
            free = min(free, room)
        pause_s, _ = line.pauses.get(CALL, (0.0, ""))
        return LineFacts(condition, max(free, 0), pause_s)

    def choose(self, number: str | None, caller: str = "") -> Line:
        """The line for something that one line does. Raises NotReady where there is none."""
        for line in self._to_try(number, caller):
            return line
        raise NotReady("no line is connected to Telegram")

    async def _found(self, number: str | None, to: str, caller: str) -> tuple[Line, Destination, Callee]:
        """Somebody, and the line that has found them: the next one is tried where Telegram limits one."""
        limited: Limited | None = None
        for line in self._to_try(number, caller):
            dialled = line.destination(to)
            try:
                return line, dialled, await line.look_up(dialled)
            except Limited as error:
                limited = limited or error
        raise limited or NotReady("no line is connected to Telegram")

    def _to_try(self, number: str | None, caller: str) -> list[Line]:
        if number is None:
            lines = by_preference(list(self._lines.values()), caller, self._registry.calls_per_line())
            return [line for line in lines if line.online]
        if number not in self._lines:
            raise NotReady(f"there is no line {number}")
        return [self._lines[number]]


async def _send(line: Line, callee: Callee, text: str) -> None:
    try:
        await line.send(callee.peer, text)
    except TelegramError as error:
        if isinstance(error, NotReady) or is_refused(error):
            raise
        raise MaybeSent(str(error)) from error
