"""Three lights for each line: whether its calls, its account and the bot are as they should be."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.errors import AriConflict, AriRefused
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.bus import ACCOUNT, ASTERISK, BOT, RELOAD, BusEvent, EventBus
from ari_app.calls.drain import Drain
from ari_app.calls.reasons import Draining
from ari_app.i18n import Message, message
from ari_app.telegram.bot import Bot, BotState
from ari_app.telegram.limits import CALL
from ari_app.telegram.line import Line, LineState

FOLLOWED = frozenset((ACCOUNT, ASTERISK, BOT, "drain", "lines", RELOAD))
"""What statuses depend on."""


class Colour(Enum):
    """Red: sign-in or a setting is needed. Orange: waiting for a service. Green: connected. Grey: off, by choice."""

    RED = "red"
    ORANGE = "orange"
    GREEN = "green"
    GREY = "grey"


class Remedy(Enum):
    """What somebody can do about a light; the page has a button for each."""

    SIGN_IN = "sign in"
    APPLICATION = "set the application"
    BOT_TOKEN = "set the bot's token"  # noqa: S105
    START_BOT = "start the bot"
    INLINE_MODE = "switch inline mode on"
    DOCTOR = "look for the cause"


@dataclass(frozen=True)
class StatusLight:
    """A colour, why it is so and what to do about it, and since when (a Unix time)."""

    colour: Colour
    sentence: Message
    since: float = 0.0
    remedy: Remedy | None = None

    def after(self, before: "StatusLight", now: float) -> "StatusLight":
        """The same light; it has changed now, unless it says what it said before."""
        unchanged = (before.colour, before.sentence.text) == (self.colour, self.sentence.text)
        return replace(self, since=before.since if unchanged else now)


@dataclass(frozen=True)
class LineStatus:
    """One line's: calls (Asterisk), client (its Telegram account), bot."""

    asterisk: StatusLight
    account: StatusLight
    bot: StatusLight

    def after(self, before: "LineStatus | None", now: float) -> "LineStatus":
        """The same lights, each with the time when it became so."""
        if before is None:
            return LineStatus(*(replace(light, since=now) for light in (self.asterisk, self.account, self.bot)))
        return LineStatus(
            self.asterisk.after(before.asterisk, now),
            self.account.after(before.account, now),
            self.bot.after(before.bot, now),
        )


@dataclass(frozen=True)
class Readiness:
    """Whether calls can be taken: Asterisk is connected, calls are not being drained, and so many lines are ready."""

    asterisk: bool
    draining: bool
    lines: int
    ready_lines: int

    @property
    def lacks(self) -> Mapping[str, Message]:
        """What is in the way, by where; it names nobody, for anybody may read it. Without any line nothing is: the
        program waits for its administrator.
        """
        found = {
            "asterisk": message("Asterisk is not connected.") if not self.asterisk else None,
            "lines": message("No line is ready.") if self.lines and not self.ready_lines else None,
            "drain": Draining.template if self.draining else None,
        }
        return {where: sentence for where, sentence in found.items() if sentence}

    @property
    def ready(self) -> bool:
        """Whether nothing is."""
        return not self.lacks


class StatusMonitor:
    """The statuses of all lines, and since when they are what they are.

    ``clock`` gives Unix time; ``signed_out``: what is known besides of a line that is not signed in, by its number.
    """

    def __init__(
        self,
        lines: Mapping[str, Line],
        ari: AriClient,
        bot: Bot,
        bus: EventBus,
        drain: Drain | None = None,
        clock: Callable[[], float] = time.time,
        signed_out: Callable[[str], Message | None] = lambda _: None,
    ) -> None:
        self._signed_out = signed_out
        self._lines = lines
        self._ari = ari
        self._bot = bot
        self._bus = bus
        self._drain = drain or Drain()
        self._clock = clock
        self._statuses: dict[str, LineStatus] = {}

    def status(self, line: Line) -> LineStatus:
        """A line's, now."""
        status = self.lights(line).after(self._statuses.get(line.number), self._clock())
        self._statuses[line.number] = status
        return status

    def lights(self, line: Line) -> LineStatus:
        """A line's, now, without since when; where all lines are asked at once."""
        calls = drained_status() if self._drain.active else asterisk_status(self._ari)
        return LineStatus(calls, self._account(line), bot_status(self._bot, line))

    def shared(self) -> Mapping[str, StatusLight]:
        """What is so for all lines, by its name: Asterisk, whether calls are drained or not, and the bot itself."""
        return {"asterisk": asterisk_status(self._ari), "bot": shared_bot_status(self._bot)}

    def of_line(self, line: Line) -> Mapping[str, StatusLight]:
        """What is so for one line only, by its name: its account, and its chat with the bot."""
        shared = shared_bot_status(self._bot)
        bot = dialogue_status(self._bot, line) or shared if shared.colour is Colour.GREEN else None
        return {"account": self._account(line), **({"bot": bot} if bot else {})}

    def _account(self, line: Line) -> StatusLight:
        light = account_status(line)
        said = self._signed_out(line.number) if light.remedy is Remedy.SIGN_IN else None
        return replace(light, sentence=said) if said else light

    def readiness(self) -> Readiness:
        """Whether calls can be taken, now."""
        lights = [account_status(line) for line in self._lines.values()]
        return Readiness(
            asterisk=asterisk_status(self._ari).colour is Colour.GREEN,
            draining=self._drain.active,
            lines=len(lights),
            # Ready, and not frozen; one that Telegram has paused takes calls.
            ready_lines=sum(
                line.state is LineState.READY and light.colour is not Colour.RED
                for line, light in zip(self._lines.values(), lights, strict=True)
            ),
        )

    async def run(self) -> None:
        """Publish "line" for each whose status has changed, until cancelled."""
        published: dict[str, LineStatus] = {}
        with self._bus.subscribe() as changes:
            while True:
                for number in self._statuses.keys() - self._lines.keys():
                    del self._statuses[number]
                for number, line in list(self._lines.items()):
                    status = self.status(line)
                    if published.get(number) != status:
                        published[number] = status
                        self._bus.publish("line", number)
                await self._change(changes)

    async def _change(self, changes: asyncio.Queue[BusEvent]) -> None:
        """Wait for something that a status depends on; what came together is looked at together."""
        kinds: set[str] = set()
        while not kinds & FOLLOWED:
            kinds.add((await changes.get()).kind)
            while not changes.empty():
                kinds.add(changes.get_nowait().kind)
        if kinds & {BOT, RELOAD}:
            for line in self._lines.values():
                line.bot_changed()


def drained_status() -> StatusLight:
    """No line takes calls, whatever Asterisk could."""
    return StatusLight(Colour.ORANGE, Draining.template)


def asterisk_status(ari: AriClient) -> StatusLight:
    """Whether Asterisk can give and take calls."""
    error = ari.refusal if ari.state is ConnectionState.CONNECTED else ari.last_error
    if ari.state is ConnectionState.CONNECTED and error is None:
        return StatusLight(Colour.GREEN, message("Connected to Asterisk."))
    if isinstance(error, AriRefused | AriConflict):
        said = message("Asterisk refuses Astergram's login. {error}", error=error)
        return StatusLight(Colour.RED, said, remedy=Remedy.DOCTOR)
    if error is None:
        return StatusLight(Colour.ORANGE, message("Connecting to Asterisk at {url}.", url=ari.base))
    return StatusLight(
        Colour.ORANGE,
        message("Waiting for Asterisk at {url}; it is tried again and again. {error}", url=ari.base, error=error),
        remedy=Remedy.DOCTOR,
    )


def account_status(line: Line) -> StatusLight:
    """Whether the account is connected, signed in and allowed to call."""
    if line.state is LineState.SIGNED_OUT:
        has_application = line.account.api_id and line.account.api_hash
        return StatusLight(Colour.RED, line.condition, remedy=Remedy.SIGN_IN if has_application else Remedy.APPLICATION)
    if line.state is LineState.CONNECTING:
        return StatusLight(Colour.ORANGE, line.condition)
    if line.frozen:
        said = message(
            "Telegram has frozen this account ({word}): it can neither call nor write. Appeal in the account's own "
            "Telegram app; calls are tried again every hour.",
            word=line.frozen,
        )
        return StatusLight(Colour.RED, said)
    if pauses := line.pauses:
        request = CALL if CALL in pauses else max(pauses, key=lambda each: pauses[each])
        seconds, word = pauses[request]
        minutes = max(1, round(seconds / 60))
        if request == CALL:
            said = message(
                "Telegram limits this account ({word}): it places no calls for {minutes} min more. "
                "Incoming calls go on.",
                word=word,
                minutes=minutes,
            )
        else:
            said = message(
                "Telegram limits this account ({word}): no {request} for {minutes} min more. Calls go on.",
                word=word,
                request=request,
                minutes=minutes,
            )
        return StatusLight(Colour.ORANGE, said)
    return StatusLight(Colour.GREEN, line.condition)


def shared_bot_status(bot: Bot) -> StatusLight:
    """Whether the bot can be used at all; off where there is none, which is no fault."""
    match bot.state:
        case BotState.NO_TOKEN:
            return StatusLight(Colour.GREY, bot.sentence, remedy=Remedy.BOT_TOKEN)
        case BotState.CONNECTING:
            return StatusLight(Colour.ORANGE, bot.sentence)
        case BotState.REFUSED | BotState.CONFLICT:
            return StatusLight(Colour.RED, bot.sentence, remedy=Remedy.BOT_TOKEN)
        case BotState.NO_INLINE:
            return StatusLight(Colour.RED, bot.sentence, remedy=Remedy.INLINE_MODE)
    return StatusLight(Colour.GREEN, bot.sentence)


def bot_status(bot: Bot, line: Line) -> StatusLight:
    """Whether the bot can show its buttons in the line's chats."""
    shared = shared_bot_status(bot)
    return (dialogue_status(bot, line) if shared.colour is Colour.GREEN else None) or shared


def dialogue_status(bot: Bot, line: Line) -> StatusLight | None:
    """What is wrong with a line's chat with the bot; None where nothing is."""
    if line.state is not LineState.READY:
        return None
    if problem := line.bot_problem:
        if problem.passes:
            return StatusLight(Colour.ORANGE, problem.sentence)
        return StatusLight(Colour.RED, problem.sentence, remedy=Remedy.BOT_TOKEN)
    if line.dialogue is False:
        said = message(
            "This line has no chat with @{bot} yet: start it there, or let Astergram do it.", bot=bot.username
        )
        return StatusLight(Colour.RED, said, remedy=Remedy.START_BOT)
    return None
