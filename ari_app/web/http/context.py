"""What every request can reach, and who is asking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from ari_app.web.http.cookies import Cookies
from ari_app.web.http.roles import Role
from ari_app.web.http.services import Services
from ari_app.web.http.settings import WebSettings

ACCESS = "access"
"""The event that is published when a session or a token has ended."""


@dataclass(frozen=True)
class Web:
    """What the page and the API work with; ``url`` is where it is (for links), without a slash at its end.

    A part that belongs to one feature, or to drawing, has a key of its own, there.
    """

    url: str
    settings: WebSettings
    services: Services
    cookies: Cookies
    clock: Callable[[], float]
    steady: Callable[[], float]
    started: float


@dataclass(frozen=True)
class Identity:
    """Who is asking, and what they may: a visitor has not signed in (yet), and no role.

    ``kind``: a network is one whose programs need no token for what they ask. ``name``: the user's, or the token's.
    ``digest``: of their session or token. ``csrf``: what their pages have to send back with each change. ``way``: by
    which their session has begun (`SessionRow`).
    """

    kind: Literal["visitor", "session", "token", "socket", "network"]
    role: Role | None
    digest: str = ""
    csrf: str = ""
    name: str = ""
    user_id: int | None = None
    token_id: int | None = None
    way: str = ""
    must_enrol: bool = False
    """Their role needs two-factor authentication, and they have none yet: they may do nothing else."""

    @property
    def asker(self) -> str:
        """Who it is, in one word that no other token or user has; the command line of the server is one, too."""
        if self.token_id is not None:
            return f"token-{self.token_id}"
        return self.kind if self.user_id is None else f"user-{self.user_id}"

    def may(self, role: Role) -> bool:
        """Whether they have that role, or one that may more."""
        return self.role is not None and self.role.has(role)


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
