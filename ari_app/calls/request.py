"""What the dialplan asks for: the arguments of `Stasis(telegram,DESTINATION[,option=value...])`."""

from collections.abc import Sequence
from dataclasses import dataclass

from ari_app.telegram.errors import NotReady
from ari_app.telegram.line import Line, LineState
from ari_app.telegram.peers import MalformedDestination


@dataclass(frozen=True)
class Request:
    """One outgoing call, as asked for; `line` is a number, `timeout_s` how long it may ring."""

    destination: str
    line: str | None = None
    timeout_s: float | None = None

    @classmethod
    def parse(cls, args: Sequence[str]) -> "Request":
        """Raises MalformedDestination for arguments that make no sense."""
        if not args or not args[0].strip():
            raise MalformedDestination("no destination: Stasis(telegram,DESTINATION[,option=value...])")
        line, timeout_s = None, None
        for option in args[1:]:
            name, _, value = option.partition("=")
            match name.strip():
                case "line":
                    line = "+" + value.strip().removeprefix("+")
                case "timeout":
                    timeout_s = _seconds(value)
                case _:
                    raise MalformedDestination(f"{option!r} is no option of Stasis(telegram,...): line= or timeout=")
        return cls(args[0].strip(), line, timeout_s)


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0
    if not seconds > 0:
        raise MalformedDestination(f"timeout={value!r} is no time to ring: give seconds, such as timeout=30")
    return seconds


def line_for(request: Request, lines: Sequence[Line], busy: dict[str, int]) -> Line:
    """The line to call through: the one asked for; else the first with room; `busy` counts the calls of each number.

    Raises NotReady where there is none.
    """
    if request.line:
        for line in lines:
            if line.number == request.line:
                return line
        raise NotReady(f"there is no line {request.line}")
    ready = [line for line in lines if line.state is LineState.READY]
    if not ready:
        raise NotReady("no line is connected to Telegram")
    return next((line for line in ready if busy.get(line.number, 0) < line.max_calls), ready[0])
