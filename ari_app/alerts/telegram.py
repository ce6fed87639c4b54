"""Alerts by Telegram: written by a line, or by the bot; by the one where the other can't."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

from ari_app.alerts.settings import AlertSettings
from ari_app.alerts.texts import AlertText
from ari_app.telegram.bot import Bot, BotState
from ari_app.telegram.bot_api import BotApiError, BotRequestRefused, Throttled
from ari_app.telegram.errors import Limited, NotFound, Restricted, TelegramError
from ari_app.telegram.line import Line
from ari_app.telegram.lists import Denied
from ari_app.telegram.peers import Destination, Kind
from ari_app.webhooks.queue import SendResult

MOST_LINES = 3
"""That try to write to one person at a time: what three can't, a fourth can't either."""


@dataclass(frozen=True)
class TelegramSender:
    """``people``: the Telegram ids of destinations that a line has found; ``learn`` keeps one more."""

    lines: Mapping[str, Line]
    bot: Bot
    settings: Callable[[], AlertSettings]
    people: dict[str, int] = field(default_factory=dict)
    learn: Callable[[str, int], None] = lambda destination, person_id: None

    async def send(self, to: str, said: AlertText, about: Collection[str] = ()) -> SendResult:
        """Try once; raises nothing that Telegram could bring about. ``about``: the lines that it is about."""
        text = f"{said.subject}\n\n{said.text}"
        ways: list[Callable[[], Awaitable[SendResult]]] = [
            lambda: self._by_lines(to, text, about),
            lambda: self._by_bot(to, text),
        ]
        if self.settings().telegram_by == "bot":
            ways.reverse()
        tried = []
        for way in ways:
            tried.append(await way())
            if tried[-1].taken:
                return tried[-1]
        said_of_it = "; ".join(each.error for each in tried)
        return SendResult(
            taken=False,
            error=said_of_it,
            wait_s=min(each.wait_s for each in tried),
            final=all(each.final for each in tried),
        )

    async def _by_lines(self, to: str, text: str, about: Collection[str]) -> SendResult:
        online = [line for line in self.lines.values() if line.online and not line.frozen]
        online.sort(key=lambda line: line.number in about)
        failed = SendResult(taken=False, error="no line is connected to Telegram")
        for line in online[:MOST_LINES]:
            try:
                callee = await line.look_up(Destination.parse(to))
                self._learn(to, callee.person.id)
                await line.send(callee.peer, text)
            except Limited as error:
                failed = SendResult(taken=False, error=str(error), wait_s=error.seconds or 0.0)
            except (NotFound, Restricted, Denied) as error:
                failed = SendResult(taken=False, error=str(error), final=True)
            except TelegramError as error:
                failed = SendResult(taken=False, error=str(error))
            else:
                return SendResult(taken=True)
        return failed

    async def _by_bot(self, to: str, text: str) -> SendResult:
        person_id = self._person_id(to)
        if person_id is None:
            said = f"the bot does not know {to}: enter a Telegram id, or let a line find them"
            return SendResult(taken=False, error=said, final=True)
        try:
            await self.bot.write(person_id, text)
        except Throttled as error:
            return SendResult(taken=False, error=str(error), wait_s=error.retry_s)
        except BotRequestRefused as error:  # they have not started it, or have blocked it
            return SendResult(taken=False, error=str(error), final=True)
        except BotApiError as error:
            return SendResult(taken=False, error=str(error), final=self.bot.state is BotState.NO_TOKEN)
        return SendResult(taken=True)

    def forget(self, is_them: Callable[[str], bool]) -> None:
        """Know no more who these destinations are."""
        for to in [each for each in self.people if is_them(each)]:
            del self.people[to]

    def _person_id(self, to: str) -> int | None:
        destination = Destination.parse(to)
        return int(destination.value) if destination.kind is Kind.ID else self.people.get(to)

    def _learn(self, to: str, person_id: int) -> None:
        if self.people.get(to) != person_id:
            self.people[to] = person_id
            self.learn(to, person_id)
