"""What calls are in words: their directions, states and endings, and each step of their ladders.

A call's story is kept as English text. Each text that it may have is in a table here, with the sentence that a page
says in its place; one that is not there (an error of another program, say) is shown as it is.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ari_app.calls.outcome import Direction, Status
from ari_app.calls.progress import CallState
from ari_app.sentence import Sentence, say

Way = Literal["", "to", "from", "answer"]
"""Seen from Astergram: it tells a side, or is told; "answer" is told by whoever is called."""

DIRECTIONS: dict[Direction, Sentence] = {
    Direction.IN: say("From Telegram"),
    Direction.OUT: say("To Telegram"),
    Direction.BACK: say("Call back"),
}

STATES: dict[CallState, Sentence] = {
    CallState.BEGUN: say("Begins"),
    CallState.RINGING: say("Rings"),
    CallState.ANSWERED: say("Answered, connects"),
    CallState.TALKING: say("Talking"),
    CallState.ENDING: say("Ends"),
    CallState.ENDED: say("Ended"),
}

STATUSES: dict[Status, Sentence] = {
    Status.ANSWER: say("Answered"),
    Status.BUSY: say("Busy"),
    Status.NOANSWER: say("No answer"),
    Status.UNAVAILABLE: say("Unavailable"),
    Status.NOTFOUND: say("Not found"),
    Status.RESTRICTED: say("Not allowed"),
    Status.LIMITED: say("Limited by Telegram"),
    Status.CANCEL: say("Cancelled"),
    Status.ERROR: say("Failed"),
}

REASONS: dict[str, Sentence] = {
    "hangup": say("hung up"),
    "busy": say("busy or declined"),
    "missed": say("not answered"),
    "disconnect": say("connection lost"),
    "no reason": say("no reason given"),
    "moved on to a group call": say("it went on as a group call"),
    "before it could be taken": say("before the call could be taken"),
}


@dataclass(frozen=True)
class Phrase:
    """A text of a call's story: its pattern, as it is kept, and what is said in its place."""

    kept: re.Pattern[str]
    said: Sentence
    way: Way = ""


@dataclass(frozen=True)
class Said:
    """A step in words, and which way it goes between Astergram and its side."""

    sentence: Sentence
    way: Way = ""


def _phrase(kept: str, said: Sentence, way: Way = "") -> Phrase:
    """``kept`` has the names of its values in braces; what is between them is taken as it is."""
    literal = re.split(r"\{(\w+)\}", kept)
    pattern = "".join(f"(?P<{part}>.*?)" if index % 2 else re.escape(part) for index, part in enumerate(literal))
    return Phrase(re.compile(pattern, re.S), said, way)


ENDINGS = (
    _phrase("Astergram stops", say("Astergram was stopped.")),
    _phrase("audio lost: {detail}", say("The audio was lost: {detail}")),
    _phrase("Asterisk was away for {seconds} s", say("Asterisk was away for {seconds} s.")),
    _phrase(
        "Telegram's media did not connect within {seconds} s",
        say("Telegram's audio did not connect within {seconds} s."),
    ),
    _phrase("accepted, but no audio path came up: redialled", say("Accepted, but no audio came up: dialled again.")),
    _phrase("no answer within {seconds} s", say("No answer within {seconds} s.")),
    _phrase("ended by the administrator", say("Ended by the administrator.")),
    _phrase("the line's session on Telegram has ended", say("The line's session on Telegram has ended.")),
    _phrase("the line has {calls} calls already", say("The line has as many calls as it may: {calls}.")),
    _phrase(
        "ended on Telegram ({reason}, {seconds} s by Telegram's count)",
        say("Ended on Telegram: {reason}. By Telegram's count they talked for {seconds} s."),
    ),
    _phrase("ended on Telegram ({reason})", say("Ended on Telegram: {reason}.")),
    _phrase("not taken on Telegram ({reason})", say("Not taken on Telegram: {reason}.")),
    _phrase("answered on another device", say("Answered on another device of the line.")),
    _phrase("taken by another device of the line", say("Answered on another device of the line.")),  # of earlier calls
    _phrase("the caller gave up (cause {cause})", say("The caller in the PBX gave up (cause {cause}).")),
    _phrase(
        "the caller gave up (not taken within {seconds} s)",
        say("The call was not taken within {seconds} s, and Telegram did not end it."),
    ),
    _phrase("the caller gave up ({reason})", say("The caller on Telegram gave up: {reason}.")),
    _phrase("ended by the PBX (cause {cause})", say("Ended by the PBX (cause {cause}).")),
    _phrase("{person} is in the line's deny list", say("{person} is in the line's deny list.")),
    _phrase("{person} is not in the line's allow list", say("{person} is not in the line's allow list.")),
    _phrase(
        "{person} is no contact of the line's, which has only_contacts",
        say("{person} is no contact of the line's, which takes and makes calls with its contacts only."),
    ),
    _phrase(
        "their app can't talk to Astergram: it speaks {theirs}, Astergram {ours}",
        say(
            "The Telegram app of the person can't talk to Astergram: it has versions {theirs} of Telegram's calls, "
            "Astergram {ours}. Ask them to update it."
        ),
    ),
    _phrase("the program stopped during the call", say("The program stopped during the call.")),
)

STEPS = (
    _phrase("rings", say("It rings"), "answer"),
    _phrase("the dialplan answered", say("The dialplan answered"), "from"),
    _phrase("accepted, key agreed", say("Accepted, key agreed"), "answer"),
    _phrase("both sides talk", say("Both sides hear each other")),
    _phrase("{person} is to be called back", say("{person} is to be called back"), "from"),
    _phrase("rings at {extension}", say("Rings at {extension}"), "to"),
    _phrase("found {person}, calls through {line}", say("Found {person}, calls through {line}"), "to"),
    _phrase("asked to call", say("Asked to call"), "to"),
    _phrase(
        "who was found earlier is not there any more: asks again",
        say("Who was found earlier is not there any more: asks again"),
        "to",
    ),
    _phrase("bridged, audio over {transport}", say("Bridged, audio over {transport}"), "to"),
    _phrase("transferred to {channel}", say("Transferred to {channel}"), "from"),
    _phrase(
        "away, but its audio comes: the call goes on",
        say("Asterisk is away, but its audio comes: the call goes on"),
    ),
    _phrase("not connected within {seconds} s", say("Telegram's audio did not connect within {seconds} s.")),
    _phrase("connected", say("Telegram's audio is connected")),
    _phrase(
        "signalling fails, the call goes on: {error}",
        say("Signals about the audio's path do not get through, the call goes on: {error}"),
    ),
    _phrase("signalling works again", say("Signals about the audio's path get through again")),
    _phrase("shown", say("Keypad shown"), "to"),
    _phrase("not shown; a hint was sent", say("Keypad not shown; a hint was sent"), "to"),
    _phrase("hidden", say("Keypad hidden"), "to"),
    _phrase("a key was pressed", say("A key was pressed"), "from"),
    _phrase("{count} keys were pressed", say("Keys pressed: {count}"), "from"),
    _phrase("a key was lost: {error}", say("A key was lost: {error}"), "from"),
    _phrase("{count} keys were lost: {error}", say("Keys lost: {count}, {error}"), "from"),
    _phrase("more steps than are kept: the log has them", say("More steps than are kept here: the log has them")),
    _phrase("somebody dials {destination}", say("Somebody dials {destination}"), "from"),
    _phrase("{caller} dials {destination}", say("{caller} dials {destination}"), "from"),
    _phrase("{caller} calls", say("{caller} calls"), "from"),
)

_ENDED = re.compile(r"(?P<status>[A-Z]+), cause (?P<cause>\d+): (?P<detail>.*)", re.S)


def ending(detail: str) -> Sentence:
    """Why a call ended, as it is kept; anything else as it is."""
    said = _found(ENDINGS, detail)
    return said.sentence if said else _as_it_is(detail)


def step(text: str) -> Said:
    """A step of a ladder, as it is kept; anything else as it is."""
    if ended := _ENDED.fullmatch(text):
        sentence = say(
            "{status}, cause {cause}: {detail}",
            status=status(ended["status"]),
            cause=ended["cause"],
            detail=ending(ended["detail"]),
        )
        return Said(sentence)
    return _found((*STEPS, *ENDINGS), text) or Said(_as_it_is(text))


def direction(word: str) -> Sentence:
    """A call's direction, as it is kept."""
    return DIRECTIONS[Direction(word)]


def status(word: str | None) -> Sentence:
    """TELEGRAM_STATUS, as it is kept; nothing for a call that goes on."""
    try:
        return STATUSES[Status(word)]
    except ValueError:
        return _as_it_is(word or "")


def way(said: Said, direction: Direction) -> Literal["", "to", "from"]:
    """Where a step goes in a call of this direction: towards its side, away from it, or nowhere."""
    if said.way == "answer":
        return "to" if direction is Direction.IN else "from"
    return said.way


def _found(phrases: Iterable[Phrase], text: str) -> Said | None:
    for phrase in phrases:
        if found := phrase.kept.fullmatch(text):
            values = {name: REASONS.get(value, value) for name, value in found.groupdict().items()}
            return Said(Sentence(phrase.said.text, values), phrase.way)
    return None


def _as_it_is(text: str) -> Sentence:
    return Sentence("{text}", {"text": text})
