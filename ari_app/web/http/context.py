"""What every request can reach, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

    from ari_app.web.access.access import Access
    from ari_app.web.connect.checkup import Checkup
    from ari_app.web.http.cookies import Cookies
    from ari_app.web.http.flash import Flashes
    from ari_app.web.http.services import Services
    from ari_app.web.http.settings import WebSettings
    from ari_app.web.http.sse import Streams
    from ari_app.web.ui.render import Templates

ACCESS = "access"
"""The event that is published when a session or a token has ended."""

Right = Literal["read", "write"]


@dataclass(frozen=True)
class Web:
    """The page's own parts; ``url`` is where it is (for links), without a slash at its end."""

    url: str
    settings: WebSettings
    services: Services
    access: Access
    cookies: Cookies
    templates: Templates
    flashes: Flashes
    streams: Streams
    checkup: Checkup
    clock: Callable[[], float]
    steady: Callable[[], float]
    started: float


@dataclass(frozen=True)
class Identity:
    """Who is asking, and what they may: nobody has no right, a visitor has not signed in (yet).

    ``digest``: of their session or token. ``csrf``: what their pages have to send back with each change.
    """

    kind: Literal["visitor", "session", "token", "socket"]
    right: Right | None
    digest: str = ""
    csrf: str = ""
    token_id: int | None = None

    def may(self, right: Right) -> bool:
        """Whether they have it; who may write may read."""
        return self.right == "write" or self.right == right


WEB = web.AppKey("web", Web)
IDENTITY = web.RequestKey("identity", Identity)


def web_of(request: web.Request) -> Web:
    """The page's own parts."""
    return request.config_dict[WEB]


def services(request: web.Request) -> Services:
    """The parts of the running program."""
    return web_of(request).services


def identity(request: web.Request) -> Identity:
    """Who is asking."""
    return request[IDENTITY]
