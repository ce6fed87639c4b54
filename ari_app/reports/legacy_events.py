"""Reads the events and end reasons of calls that were kept as English text, which was so before they had types.

No text is written any more; what is none of these is shown as it is.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import TypeVar

from ari_app.calls import events, reasons
from ari_app.calls.events import CallEvent, Note, Side
from ari_app.calls.reasons import EndReason

SIDES = {"telegram": Side.TELEGRAM, "keypad": Side.TELEGRAM, "keys": Side.TELEGRAM, "asterisk": Side.ASTERISK}

T = TypeVar("T")
Fields = dict[str, str]

REASONS: tuple[tuple[str, Callable[[Fields], EndReason]], ...] = (
    ("Astergram stops", lambda _: reasons.Stopped()),
    ("audio lost: {detail}", lambda its: reasons.AudioLost(its["detail"])),
    ("Asterisk was away for {seconds} s", lambda its: reasons.AsteriskAway(float(its["seconds"]))),
    ("Telegram's media did not connect within {seconds} s", lambda its: reasons.NoMedia(float(its["seconds"]))),
    ("accepted, but no audio path came up: redialled", lambda _: reasons.Redialled()),
    ("no answer within {seconds} s", lambda its: reasons.NotAnswered(float(its["seconds"]))),
    ("ended by the administrator", lambda _: reasons.EndedByAdministrator()),
    ("the line's session on Telegram has ended", lambda _: reasons.SessionEnded()),
    ("the line has {calls} calls already", lambda its: reasons.LineBusy(int(its["calls"]))),
    (
        "ended on Telegram ({reason}, {seconds} s by Telegram's count)",
        lambda its: reasons.EndedOnTelegram(its["reason"], int(its["seconds"])),
    ),
    ("ended on Telegram ({reason})", lambda its: reasons.EndedOnTelegram(its["reason"])),
    ("not taken on Telegram ({reason})", lambda its: reasons.NotTaken(its["reason"])),
    ("answered on another device", lambda _: reasons.AnsweredElsewhere()),
    ("taken by another device of the line", lambda _: reasons.AnsweredElsewhere()),
    ("the caller gave up (cause {cause})", lambda its: reasons.PbxCallerGaveUp(int(its["cause"]))),
    ("the caller gave up (not taken within {seconds} s)", lambda its: reasons.OfferExpired(float(its["seconds"]))),
    ("the caller gave up ({reason})", lambda its: reasons.CallerGaveUp(its["reason"])),
    ("ended by the PBX (cause {cause})", lambda its: reasons.EndedByPbx(int(its["cause"]))),
    ("{person} is in the line's deny list", lambda its: reasons.OnDenyList(its["person"])),
    ("{person} is not in the line's allow list", lambda its: reasons.NotOnAllowList(its["person"])),
    (
        "{person} is no contact of the line's, which has only_contacts",
        lambda its: reasons.NotAContact(its["person"]),
    ),
    (
        "their app can't talk to Astergram: it speaks {theirs}, Astergram {ours}",
        lambda its: reasons.IncompatibleApp(its["theirs"], its["ours"]),
    ),
    ("the program stopped during the call", lambda _: reasons.Crashed()),
)

EVENTS: tuple[tuple[str, Callable[[Fields], CallEvent]], ...] = (
    ("rings", lambda _: events.TelegramRinging()),
    ("the dialplan answered", lambda _: events.PbxAnswered("", "")),
    ("accepted, key agreed", lambda _: events.TelegramAnswered()),
    ("both sides talk", lambda _: events.Connected()),
    ("{person} is to be called back", lambda its: events.CallBackRequested(its["person"])),
    ("rings at {extension}@{context}", lambda its: events.PbxRinging(its["extension"], its["context"])),
    ("found {person}, calls through {line}", lambda its: events.CalleeFound(its["person"], its["line"])),
    ("asked to call", lambda _: events.CallRequested()),
    ("who was found earlier is not there any more: asks again", lambda _: events.CalleeOutdated()),
    ("bridged, audio over {transport}", lambda its: events.Bridged(its["transport"])),
    ("transferred to {channel}", lambda its: events.Transferred(its["channel"])),
    ("away, but its audio comes: the call goes on", lambda _: events.AsteriskAwayWithAudio()),
    ("not connected within {seconds} s", lambda its: events.MediaTimedOut(float(its["seconds"]))),
    ("connected", lambda _: events.MediaConnected()),
    ("signalling fails, the call goes on: {error}", lambda its: events.SignallingFailed(its["side"], its["error"])),
    ("signalling works again", lambda its: events.SignallingRestored(its["side"])),
    ("shown", lambda _: events.KeypadShown()),
    ("not shown; a hint was sent", lambda _: events.KeypadHintSent()),
    ("hidden", lambda _: events.KeypadHidden()),
    ("a key was pressed", lambda _: events.DigitsDialled(1)),
    ("{count} keys were pressed", lambda its: events.DigitsDialled(int(its["count"]))),
    ("a key was lost: {error}", lambda its: events.DigitsLost(1, its["error"])),
    ("{count} keys were lost: {error}", lambda its: events.DigitsLost(int(its["count"]), its["error"])),
    ("more steps than are kept: the log has them", lambda _: events.EventsOmitted()),
    ("somebody dials {destination}", lambda its: events.Dialled("", its["destination"])),
    ("{caller} dials {destination}", lambda its: events.Dialled(its["caller"], its["destination"])),
    ("{caller} calls", lambda its: events.CallOffered(its["caller"])),
    (
        "{status}, cause {cause}: {detail}",
        lambda its: events.CallEnded(its["status"], int(its["cause"]), end_reason(its["detail"])),
    ),
)


def event(side: str, text: str) -> CallEvent:
    """An event, from the side that it was kept with and its text."""
    where = SIDES.get(side, Side.ASTERGRAM).value
    return _first(EVENTS, text, side=where) or Note(where, text)


def end_reason(text: str) -> EndReason:
    """Why a call ended, from its text."""
    return _first(REASONS, text) or reasons.Failed(text)


def _first(table: Iterable[tuple[str, Callable[[Fields], T]]], text: str, **known: str) -> T | None:
    for template, made in table:
        if found := _pattern(template).fullmatch(text):
            try:
                return made(known | found.groupdict())
            except (ValueError, KeyError):  # it only looks alike
                continue
    return None


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """What is between the braces of a template is taken as it is."""
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(f"(?P<{part}>.*?)" if i % 2 else re.escape(part) for i, part in enumerate(parts)), re.S)
