"""Three lights for each line: whether its calls, its account and the bot are as they should be."""

from dataclasses import dataclass, replace
from enum import Enum

from ari_app.asterisk.ari import AriClient
from ari_app.asterisk.errors import AriConflict, AriRefused
from ari_app.asterisk.websocket import ConnectionState
from ari_app.sentence import Sentence, say
from ari_app.telegram.bot import Bot, BotState
from ari_app.telegram.limits import CALL
from ari_app.telegram.line import Line, LineState


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
class Light:
    """A colour, why it is so and what to do about it, and since when (a Unix time)."""

    colour: Colour
    sentence: Sentence
    since: float = 0.0
    remedy: Remedy | None = None

    def after(self, before: "Light", now: float) -> "Light":
        """The same light; it has changed now, unless it says what it said before."""
        unchanged = (before.colour, before.sentence.text) == (self.colour, self.sentence.text)
        return replace(self, since=before.since if unchanged else now)


@dataclass(frozen=True)
class Lights:
    """One line's: calls (Asterisk), client (its Telegram account), bot."""

    calls: Light
    client: Light
    bot: Light

    def after(self, before: "Lights | None", now: float) -> "Lights":
        """The same lights, each with the time when it became so."""
        if before is None:
            return Lights(*(replace(light, since=now) for light in (self.calls, self.client, self.bot)))
        return Lights(
            self.calls.after(before.calls, now), self.client.after(before.client, now), self.bot.after(before.bot, now)
        )


def calls_light(ari: AriClient) -> Light:
    """Whether Asterisk can give and take calls."""
    error = ari.refusal if ari.state is ConnectionState.CONNECTED else ari.last_error
    if ari.state is ConnectionState.CONNECTED and error is None:
        return Light(Colour.GREEN, say("Connected to Asterisk."))
    if isinstance(error, AriRefused | AriConflict):
        said = say("Asterisk does not let Astergram in. {error}", error=error)
        return Light(Colour.RED, said, remedy=Remedy.DOCTOR)
    if error is None:
        return Light(Colour.ORANGE, say("Connecting to Asterisk at {url}.", url=ari.base))
    return Light(
        Colour.ORANGE,
        say("Waiting for Asterisk at {url}; it is tried again and again. {error}", url=ari.base, error=error),
        remedy=Remedy.DOCTOR,
    )


def client_light(line: Line) -> Light:
    """Whether the account is connected, signed in and allowed to call."""
    if line.state is LineState.SIGNED_OUT:
        has_application = line.account.api_id and line.account.api_hash
        return Light(Colour.RED, line.condition, remedy=Remedy.SIGN_IN if has_application else Remedy.APPLICATION)
    if line.state is LineState.CONNECTING:
        return Light(Colour.ORANGE, line.condition)
    if line.frozen:
        said = say(
            "Telegram has frozen this account ({word}): it can neither call nor write. Appeal in the account's own "
            "Telegram app; calls are tried again every hour.",
            word=line.frozen,
        )
        return Light(Colour.RED, said)
    if pauses := line.pauses:
        request = CALL if CALL in pauses else max(pauses, key=lambda each: pauses[each])
        seconds, word = pauses[request]
        minutes = max(1, round(seconds / 60))
        if request == CALL:
            said = say(
                "Telegram limits this account ({word}): it places no calls for {minutes} min more. "
                "Incoming calls go on.",
                word=word,
                minutes=minutes,
            )
        else:
            said = say(
                "Telegram limits this account ({word}): it leaves out {request} for {minutes} min more. Calls go on.",
                word=word,
                request=request,
                minutes=minutes,
            )
        return Light(Colour.ORANGE, said)
    return Light(Colour.GREEN, line.condition)


def bot_light(bot: Bot, line: Line) -> Light:
    """Whether the bot can show its buttons in the line's chats; off where there is none, which is no fault."""
    match bot.state:
        case BotState.NO_TOKEN:
            return Light(Colour.GREY, bot.sentence, remedy=Remedy.BOT_TOKEN)
        case BotState.CONNECTING:
            return Light(Colour.ORANGE, bot.sentence)
        case BotState.REFUSED | BotState.CONFLICT:
            return Light(Colour.RED, bot.sentence, remedy=Remedy.BOT_TOKEN)
        case BotState.NO_INLINE:
            return Light(Colour.RED, bot.sentence, remedy=Remedy.INLINE_MODE)
    if line.state is LineState.READY and (problem := line.bot_problem):
        if problem.passes:
            return Light(Colour.ORANGE, problem.sentence)
        return Light(Colour.RED, problem.sentence, remedy=Remedy.BOT_TOKEN)
    if line.state is LineState.READY and line.dialogue is False:
        said = say(
            "This line has no dialogue with @{bot} yet: start it there, or let Astergram do it.", bot=bot.username
        )
        return Light(Colour.RED, said, remedy=Remedy.START_BOT)
    return Light(Colour.GREEN, bot.sentence)
