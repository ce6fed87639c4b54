"""What programs ask for by user events of their own: TelegramSend, TelegramCall, TelegramHangup and TelegramStatus.

AMI does not tell who has sent a user event (measured on 16.28 and 22.10), so a request is signed with the key that
``requesters`` in [ami] has for its User; TelegramStatus tells nothing that its asker would not be told anyway.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ari_app.asterisk.ami import Fields
from ari_app.calls.registry import CallRefused
from ari_app.cooldown import Cooldown, Rate
from ari_app.pbx.events import ReportedEvent, TelegramResponse
from ari_app.pbx.placing import target_of
from ari_app.tasks import GuardedTasks
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.profile import Target
from ari_app.wrong import Told

FRESH_S = 60.0
"""How far the clock of whoever signs may be off; a request can't be repeated by others within that time either."""
ANSWER_S = 30.0
"""For a request; Telegram's own answers are waited for shorter."""
AT_A_TIME = 20
"""Requests; more than people click, and few enough for Telegram's limits to be told one by one."""
ANSWERS = 20
"""TelegramStatus, and refusals, that are answered within `ANSWERS_S`: any AMI user may ask, and what AMI does not take
fast enough costs other events their room."""
ANSWERS_S = 10.0
SAID_S = 60.0
"""That more are asked is logged once in this time."""

log = logging.getLogger(__name__)


class Requestable(Protocol):
    """What can be asked for. They raise TelegramError, CallRefused, and Told for what makes no sense."""

    async def send(self, line: str | None, to: str, text: str) -> None:
        """Send a text to a person."""

    async def call(self, line: str | None, to: str, target: Target) -> str:
        """Ring somebody in the PBX, then call a person; the call's id."""

    def hang_up(self, call_id: str) -> bool:
        """End a call; False where there is no such one."""

    def record(self, user: str, request: str, subject: str) -> None:
        """Tell the audit log that a request of a User was carried out."""


PERHAPS = "it may have been done all the same"


class NotDone(Exception):
    """A request can't be carried out as it is; the text says why."""


@dataclass(frozen=True)
class Answered:
    """What was done."""

    message: str
    call_id: str = ""


OWN_HEADERS: Mapping[str, tuple[str, ...]] = {
    "TelegramSend": ("Line", "Text", "To"),
    "TelegramCall": ("Exten", "Line", "To"),
    "TelegramHangup": ("CallID",),
}
SIGNED = ("ActionID", "Time", "User", "UserEvent")
"""Of every request, beside its own."""


def signature(key: str, headers: Mapping[str, str]) -> str:
    """HMAC-SHA256 (RFC 2104), in hexadecimal, of the lines ``Header: value`` in the order of their headers."""
    signed = "\n".join(f"{name}: {headers[name]}" for name in sorted(headers))
    return hmac.new(key.encode(), signed.encode(), hashlib.sha256).hexdigest()


class AmiRequests:
    """Takes the user events of others. ``keys``: the key of each User that may ask; ``put`` takes the answers.

    ``status`` answers a TelegramStatus by its ActionID; ``clock`` gives Unix time.
    """

    def __init__(
        self,
        services: Requestable,
        keys: Mapping[str, str],
        put: Callable[[ReportedEvent], None],
        status: Callable[[str], None],
        tasks: GuardedTasks,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._services = services
        self._keys = keys
        self._put = put
        self._status = status
        self._tasks = tasks
        self._clock = clock
        self._began = int(clock())  # as most who sign leave the fraction out
        self._seen: dict[tuple[str, str], float] = {}
        self._running = 0
        self._statuses = Rate(ANSWERS, ANSWERS_S)
        self._refusals = Rate(ANSWERS, ANSWERS_S)
        self._said = Cooldown(SAID_S)

    def take(self, event: Fields) -> None:
        """A user event of anybody's, our own among them; never waits."""
        name = _last(event, "UserEvent")
        if name == "TelegramStatus":
            if self._admits(self._statuses, "TelegramStatus"):
                self._status(_last(event, "ActionID"))
        elif name in OWN_HEADERS:
            headers = {each: _text(event, each) for each in (*SIGNED, *OWN_HEADERS[name]) if event.get(each)}
            action_id = headers.get("ActionID", "")
            try:
                self._check(headers, _last(event, "Signature"))
            except NotDone as refusal:
                if self._admits(self._refusals, "requests that are refused"):
                    self._answer(action_id, refusal)
                return
            self._running += 1
            self._tasks.spawn(self._serve(headers), f"AMI request {name} {action_id} of {headers['User']}")

    def _admits(self, rate: Rate, what: str) -> bool:
        if rate.admit():
            return True
        if self._said.admit(what):
            log.warning("AMI: %s are answered %d times in %g s, not oftener", what, ANSWERS, ANSWERS_S)
        return False

    def _check(self, headers: Mapping[str, str], given: str) -> None:
        user, action_id, now = headers.get("User", ""), headers.get("ActionID", ""), self._clock()
        if (key := self._keys.get(user)) is None:
            raise NotDone(f"User {user!r} may not ask: name it in requesters of [ami]")
        if not hmac.compare_digest(signature(key, headers).encode(), given.lower().encode()):
            raise NotDone(f"the Signature is not the one that the key of {user} gives: see docs/events.md")
        if not action_id:
            raise NotDone("there is no ActionID")
        try:
            sent_at = float(headers.get("Time", ""))
        except ValueError:
            raise NotDone("Time is no Unix time in seconds") from None
        if not abs(sent_at - now) <= FRESH_S:
            raise NotDone(f"Time is more than {FRESH_S:g} s off: compare the clocks of both machines")
        if sent_at < self._began:
            raise NotDone("it was signed before Astergram was started, and may have been carried out: sign it anew")
        self._seen = {each: at for each, at in self._seen.items() if at > now - 2 * FRESH_S}
        if (user, action_id) in self._seen:
            raise NotDone("this ActionID was used already")
        if self._running >= AT_A_TIME:
            raise NotDone(f"{AT_A_TIME} requests are being served: ask again when they are answered")
        self._seen[user, action_id] = now

    async def _serve(self, headers: Mapping[str, str]) -> None:
        said: Answered | Exception = NotDone(f"Astergram was stopped; {PERHAPS}")
        try:
            async with asyncio.timeout(ANSWER_S):
                said = await SERVED[headers["UserEvent"]](self._services, headers)
            self._services.record(headers["User"], headers["UserEvent"], headers.get("To") or headers.get("CallID", ""))
        except TimeoutError:
            said = NotDone(f"no answer of Telegram's within {ANSWER_S:g} s; {PERHAPS}")
        except (NotDone, TelegramError, Told, CallRefused) as error:
            said = error
        except Exception:
            said = NotDone("unexpected error; the log has it")
            raise
        finally:
            self._running -= 1
            self._answer(headers["ActionID"], said)

    def _answer(self, action_id: str, said: Answered | Exception) -> None:
        answer = TelegramResponse(
            event_time=self._clock(),
            action_id=action_id,
            result="Success" if isinstance(said, Answered) else "Error",
            message=said.message if isinstance(said, Answered) else str(said),
            call_id=said.call_id if isinstance(said, Answered) else "",
        )
        self._put(answer)


async def _send(services: Requestable, headers: Mapping[str, str]) -> Answered:
    to, text = _required(headers, "To"), _required(headers, "Text")
    await services.send(_line(headers), to, text)
    return Answered(f"Text sent to {to}.")


async def _call(services: Requestable, headers: Mapping[str, str]) -> Answered:
    to, exten = _required(headers, "To"), _required(headers, "Exten")
    if (target := target_of(exten)) is None:
        raise NotDone(f"Exten is {exten!r}: give EXTENSION@CONTEXT, such as 101@phones, or a phone: 101, PJSIP/101")
    call_id = await services.call(_line(headers), to, target)
    return Answered(f"{exten} rings; {to} is called when it answers.", call_id)


async def _hang_up(services: Requestable, headers: Mapping[str, str]) -> Answered:
    call_id = _required(headers, "CallID")
    if not services.hang_up(call_id):
        raise NotDone(f"there is no live call {call_id}")
    return Answered("The call was ended.", call_id)


SERVED: Mapping[str, Callable[[Requestable, Mapping[str, str]], Awaitable[Answered]]] = {
    "TelegramSend": _send,
    "TelegramCall": _call,
    "TelegramHangup": _hang_up,
}


def _line(headers: Mapping[str, str]) -> str | None:
    number = headers.get("Line", "").strip().removeprefix("+")
    return f"+{number}" if number else None


def _required(headers: Mapping[str, str], name: str) -> str:
    if value := headers.get(name, "").strip():
        return value
    raise NotDone(f"{name} is missing")


def _last(event: Fields, name: str) -> str:
    """With ``debug = on`` in manager.conf, Asterisk puts a Line of its own before ours."""
    value = event.get(name, "")
    return value if isinstance(value, str) else value[-1]


def _text(event: Fields, name: str) -> str:
    """A text may have several lines: a header for each."""
    value = event.get(name, "")
    return "\n".join(value) if name == "Text" and not isinstance(value, str) else _last(event, name)
