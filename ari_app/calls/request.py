"""What the dialplan asks for: the arguments of `Stasis(telegram,DESTINATION[,option=value...])`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ari_app.calls.registry import LineFull
from ari_app.telegram.errors import Frozen, Limited, NotReady
from ari_app.telegram.line import Line
from ari_app.telegram.lists import Denied
from ari_app.telegram.peers import MalformedDestination


@dataclass(frozen=True)
class Request:
    """One outgoing call, as asked for.

    ``line`` is a number, ``timeout_s`` how long it may ring, ``card`` whether the business card is sent if the person
    does not take the call; None leaves it to the configuration.
    """

    destination: str
    line: str | None = None
    timeout_s: float | None = None
    card: bool | None = None

    @classmethod
    def parse(cls, args: Sequence[str]) -> "Request":
        """Raises MalformedDestination for arguments that make no sense."""
        if not args or not args[0].strip():
            raise MalformedDestination("no destination: Stasis(telegram,DESTINATION[,option=value...])")
        line, timeout_s, card = None, None, None
        for option in filter(str.strip, args[1:]):  # where the dialplan has no options, TELEGRAM_OPTIONS is empty
            name, _, value = option.partition("=")
            match name.strip():
                case "line":
                    line = "+" + value.strip().removeprefix("+")
                case "timeout":
                    timeout_s = _seconds(value)
                case "card":
                    card = _yes_or_no(value)
                case _:
                    raise MalformedDestination(
                        f"{option!r} is no option of Stasis(telegram,...): line=, timeout= or card="
                    )
        return cls(args[0].strip(), line, timeout_s, card)


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0
    if not seconds > 0:
        raise MalformedDestination(f"timeout={value!r} is no time to ring: give seconds, such as timeout=30")
    return seconds


def _yes_or_no(value: str) -> bool:
    word = value.strip().lower()
    if word not in ("yes", "no"):
        raise MalformedDestination(f"card={value!r} is neither card=yes nor card=no")
    return word == "yes"


def by_preference(lines: Sequence[Line], caller: str, calls: Mapping[str, int]) -> list[Line]:
    """The line that is for the caller (their caller id number), then the default one, then the least busy ones.

    ``calls``: how many each line has.
    """

    def preference(line: Line) -> tuple[bool, bool, int]:
        return caller not in line.callers.numbers, not line.callers.default, calls.get(line.number, 0)

    return sorted(lines, key=preference)


class Route:
    """The lines that one outgoing call may go through, the best one first; ``line`` is the one to try now.

    The line asked for, or else all of them `by_preference`. A line that can't call now is passed over. ``busy`` tells
    the calls of each line.
    Raises NotReady, LineFull or Limited where there is none.
    """

    def __init__(
        self, request: Request, caller: str, lines: Sequence[Line], busy: Callable[[], Mapping[str, int]]
    ) -> None:
        self.call_requested = False
        self._busy = busy
        self._refusals: list[Exception] = []
        if request.line:
            self._left = [line for line in lines if line.number == request.line]
            if not self._left:
                raise NotReady(f"there is no line {request.line}")
        else:
            self._left = by_preference(lines, caller, busy())
            if not self._left:
                raise NotReady("there is no line: add one on the admin page, or with `astergram line add`")
        self.line = self._next()

    def move_on(self, refusal: Limited | Denied) -> None:
        """Take the next line. Raises the refusal that counts where there is none, or none may be tried.

        That is so once the callee has been ``asked``. And what a line's own lists forbid is tried through another line
        only if this one stood in for a line that could not call.
        """
        if self.call_requested or (isinstance(refusal, Denied) and not self._refusals):
            raise refusal
        self._refusals.append(refusal)
        self.line = self._next()

    def _next(self) -> Line:
        while self._left:
            line = self._left.pop(0)
            try:
                self._check(line)
            except (NotReady, LineFull, Limited) as refusal:
                self._refusals.append(refusal)
            else:
                return line
        raise min(self._refusals, key=lambda refusal: REFUSALS.index(type(refusal)))

    def _check(self, line: Line) -> None:
        line.require_online()
        line.limits.check()
        calls = self._busy().get(line.number, 0)
        if calls >= line.max_calls:
            raise LineFull(line.number, calls)


REFUSALS: tuple[type[Exception], ...] = (Limited, LineFull, Frozen, Denied, NotReady)
"""Of the refusals of several lines, the dialplan gets the first of these."""
