"""What a dialplan asks by AGI(agi://HOST/SCRIPT,ARGUMENTS), and the variables that it gets: docs/dialplan.md."""

import logging
import math
from collections.abc import Callable, Mapping
from enum import Enum

from ari_app.asterisk.agi import Script, ServerStops, UnknownScript, Variables
from ari_app.asterisk.agi_request import AgiRequest
from ari_app.calls.outcome import failed
from ari_app.calls.registry import CallRegistry
from ari_app.pbx.services import PbxServices
from ari_app.reports.audit import Actor
from ari_app.tasks import FAILURES
from ari_app.telegram.buttons import MaybeSent
from ari_app.telegram.errors import NotFound, TelegramError
from ari_app.telegram.peers import Person
from ari_app.wrong import Told

LINE = "line="
LINKEDID = "CHANNEL(linkedid)"

log = logging.getLogger(__name__)


class AgiStatus(Enum):
    """TELEGRAM_AGI_STATUS: whether a request was carried out; otherwise TELEGRAM_AGI_REASON says why not."""

    OK = "OK"
    NOTFOUND = "NOTFOUND"
    RESTRICTED = "RESTRICTED"
    LIMITED = "LIMITED"
    UNAVAILABLE = "UNAVAILABLE"
    MALFORMED = "MALFORMED"
    TIMEOUT = "TIMEOUT"
    ERROR = "ERROR"


EXISTS = {AgiStatus.NOTFOUND: "no", AgiStatus.LIMITED: "limited"}
"""TELEGRAM_EXISTS after a lookup that found nobody; "unknown" after any other."""
NOBODY = {name: "" for name in Person(0).variables() if name.startswith("TELEGRAM_")}
NO_LINE = {"TELEGRAM_LINE_STATE": "unknown", "TELEGRAM_LINE_FREE": "0", "TELEGRAM_LINE_PAUSE": "0"}


class MalformedArguments(Told):
    """What a script was given that it does not take."""


class AgiScripts:
    """The scripts by their names; `failed` says what is set where one has not done what was asked.

    ``record``: tells the audit log who has done what, to whom.
    """

    def __init__(
        self, services: PbxServices, registry: CallRegistry, record: Callable[[Actor, str, str], None]
    ) -> None:
        self._services = services
        self._registry = registry
        self._record = record
        self.by_name: Mapping[str, Script] = {
            "lookup": self._lookup,
            "identity": self._identity,
            "send": self._send,
            "card": self._card,
            "line": self._line,
        }

    async def _lookup(self, request: AgiRequest) -> Variables:
        to, line = _destination(request)
        person = (await self._services.find(line, to, request.caller)).variables()
        return _done(request, {"TELEGRAM_EXISTS": "yes", **{name: person[name] for name in NOBODY}})

    async def _identity(self, request: AgiRequest) -> Variables:
        call = self._registry.of_linkedid(await request.get(LINKEDID))
        if call is None:
            raise NotFound("the channel belongs to no call of Telegram's that is live")
        return _done(request, call.variables())

    async def _send(self, request: AgiRequest) -> Variables:
        to, *text = request.arguments or [""]
        line = _line_number(text.pop()) if text and text[-1].startswith(LINE) else None
        await self._services.send(line, to, ",".join(text).strip(), request.caller)
        self._record(_actor(request), "text sent", to.strip())
        return _done(request, {"TELEGRAM_SENT": "yes"})

    async def _card(self, request: AgiRequest) -> Variables:
        to, line = _destination(request)
        await self._services.send_card(line, to, request.caller)
        self._record(_actor(request), "card sent", to.strip())
        return _done(request, {"TELEGRAM_CARD": "yes"})

    async def _line(self, request: AgiRequest) -> Variables:
        number = _line_number(",".join(request.arguments))
        facts = self._services.line(number) if number else None
        if facts is None:
            raise NotFound(f"there is no line {number}")
        return _done(
            request,
            {
                "TELEGRAM_LINE_STATE": facts.condition.value,
                "TELEGRAM_LINE_FREE": str(facts.free_calls),
                "TELEGRAM_LINE_PAUSE": str(math.ceil(facts.pause_s)),
            },
        )

    def failed(self, request: AgiRequest, error: Exception) -> Variables:
        """What is set after an error, each variable of the script's among it: an earlier request may have set it."""
        status = _status(request, error)
        reason = str(error) or type(error).__name__
        if status is AgiStatus.TIMEOUT:
            reason = "it took longer than timeout_s in [agi]"
        log.log(
            logging.INFO if status is AgiStatus.NOTFOUND else logging.WARNING,
            "FastAGI: %s %s: %s, %s",
            request.script,
            request.arguments[:1],
            status.value,
            reason,
        )
        return {
            **_unanswered(request.script, status, error),
            "TELEGRAM_AGI_REASON": reason,
            "TELEGRAM_AGI_STATUS": status.value,
        }


def _actor(request: AgiRequest) -> Actor:
    """Who asks: a place in the dialplan of the Asterisk at an address."""
    return Actor("FastAGI", request.place, request.address)


def _unanswered(script: str, status: AgiStatus, error: Exception) -> Variables:
    refused = isinstance(error, TelegramError | Told) and not isinstance(error, MaybeSent)
    sent = "no" if refused else "unknown"
    match script:
        case "lookup":
            return {"TELEGRAM_EXISTS": EXISTS.get(status, "unknown"), **NOBODY}
        case "send":
            return {"TELEGRAM_SENT": sent}
        case "card":
            return {"TELEGRAM_CARD": sent}
        case "line":
            return NO_LINE
    return {}


def _done(request: AgiRequest, variables: Variables) -> Variables:
    log.info("FastAGI: %s %s: done", request.script, request.arguments[:1])
    return {**variables, "TELEGRAM_AGI_REASON": "", "TELEGRAM_AGI_STATUS": AgiStatus.OK.value}


def _status(request: AgiRequest, error: Exception) -> AgiStatus:
    match error:
        case TimeoutError():
            return AgiStatus.TIMEOUT
        case ServerStops():
            return AgiStatus.UNAVAILABLE
        case Told() | UnknownScript():
            return AgiStatus.MALFORMED
        case TelegramError():
            return AgiStatus.__members__.get(failed(error).status.name, AgiStatus.ERROR)
    FAILURES.add(f"FastAGI script {request.script}", error)
    return AgiStatus.ERROR


def _destination(request: AgiRequest) -> tuple[str, str | None]:
    """DESTINATION[,line=NUMBER]. Raises MalformedArguments."""
    to, *line = request.arguments or [""]
    if len(line) > 1:
        raise MalformedArguments(f"{request.script} takes a destination, and perhaps line=NUMBER; it got {line}, too")
    return to, _line_number(line[0]) if line else None


def _line_number(text: str) -> str | None:
    """A line's number, with or without `line=` and the plus; None where it is left open."""
    number = text.strip().removeprefix(LINE).strip().removeprefix("+")
    return f"+{number}" if number else None
