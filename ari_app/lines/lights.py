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
    """Red: sign-in or a setting is needed. Orange: waiting for a service. Green: connected."""

    RED = "red"
    ORANGE = "orange"
    GREEN = "green"


@dataclass(frozen=True)
class Light:
    """A colour, why it is so and what to do about it, and since when (a Unix time)."""

    colour: Colour
    sentence: Sentence
    since: float = 0.0

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
        return Light(Colour.RED, say("Asterisk does not let Astergram in. {error}", error=error))
    if error is None:
        return Light(Colour.ORANGE, say("Connecting to Asterisk at {url}.", url=ari.base))
    return Light(
        Colour.ORANGE,
        say("Waiting for Asterisk at {url}; it is tried again and again. {error}", url=ari.base, error=error),
    )


def client_light(line: Line) -> Light:
    """Whether the account is connected, signed in and allowed to call."""
    if line.state is LineState.SIGNED_OUT:
        return Light(Colour.RED, line.condition)
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
    """Whether the bot can show its buttons in the line's chats."""
    if bot.state is not BotState.READY:
        return Light(Colour.ORANGE if bot.state is BotState.CONNECTING else Colour.RED, bot.sentence)
    if line.state is LineState.READY and (problem := line.bot_problem):
        return Light(Colour.ORANGE if problem.passes else Colour.RED, problem.sentence)
    if line.state is LineState.READY and line.dialogue is False:
        return Light(
            Colour.RED,
            say("This line has no dialogue with @{bot} yet: start it there, or let Astergram do it.", bot=bot.username),
        )
    return Light(Colour.GREEN, bot.sentence)
