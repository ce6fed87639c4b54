"""Which line a page is about, and what all pages of a line show."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from ari_app.i18n import Message, message
from ari_app.lines.health import LineStatus, StatusLight
from ari_app.lines.settings import NoSuchLine
from ari_app.telegram.limits import CALL
from ari_app.telegram.line import Line
from ari_app.web.http.context import services
from ari_app.web.http.errors import PageError
from ari_app.web.ui.render import render

LINE = "/lines/{number:[+][0-9]+}"


@dataclass(frozen=True)
class ShownPause:
    """What a line backs off from, for how many more seconds, and Telegram's word for why."""

    what: Message
    seconds: float
    reason: str


@dataclass(frozen=True)
class ShownLine:
    """How a line is now."""

    number: str
    name: str
    status: LineStatus
    calls: int
    max_calls: int
    pauses: list[ShownPause]

    @property
    def state(self) -> str:
        """The worst of its lights: red, orange or green."""
        colours = {light.colour.value for light in self._three}
        return next((colour for colour in ("red", "orange") if colour in colours), "green")

    @property
    def face(self) -> tuple[object, ...]:
        """All that a list shows of it, but for what goes on by itself."""
        status = [(light.colour, str(light.sentence), light.since) for light in self._three]
        return self.number, self.name, status, self.calls, self.max_calls

    @property
    def _three(self) -> tuple[StatusLight, ...]:
        return self.status.asterisk, self.status.account, self.status.bot


def number_of(request: web.Request) -> str:
    """The number in the address, if there is such a line; raises PageError."""
    number = request.match_info["number"]
    try:
        services(request).lines.settings(number)
    except NoSuchLine:
        raise PageError(404, message("There is no line {number}.", number=number)) from None
    return number


def line_of(request: web.Request) -> Line:
    """The line itself; raises PageError."""
    return services(request).lines.line(number_of(request))


def shown(request: web.Request, number: str) -> ShownLine:
    """How a line is now."""
    its = services(request)
    line = its.lines.line(number)
    return ShownLine(
        number,
        line.name,
        its.statuses.status(line),
        its.registry.calls_per_line()[number],
        line.max_calls,
        _pauses(line),
    )


def all_shown(request: web.Request) -> Iterable[ShownLine]:
    """All lines."""
    return [shown(request, line.number) for line in services(request).lines]


def _pauses(line: Line) -> list[ShownPause]:
    def what(request: str) -> Message:
        return message("outgoing calls") if request == CALL else message("Telegram's {request}", request=request)

    return [ShownPause(what(request), seconds, word) for request, (seconds, word) in line.pauses.items()]


def render_line(request: web.Request, template: str, status: int = 200, **values: Any) -> web.StreamResponse:
    """A page about a line."""
    number = number_of(request)
    return render(request, template, status, line=shown(request, number), number=number, **values)
