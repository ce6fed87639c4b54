"""Roles, and which one each route needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from aiohttp import web

from ari_app.i18n import Message, message

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Anybody = Literal["anybody"]
ANYBODY: Anybody = "anybody"
"""Of a route that is open to whoever has not signed in."""


class Role(Enum):
    """What a user may do; each may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"

    def has(self, needed: Role) -> bool:
        """Whether it is that role, or one that may more."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


Need = Role | Anybody

NAMES: Mapping[Role, Message] = {
    Role.ADMINISTRATOR: message("Administrator"),
    Role.OPERATOR: message("Operator"),
    Role.VIEWER: message("Viewer"),
}
MAY: Mapping[Role, Message] = {
    Role.ADMINISTRATOR: message("Everything."),
    Role.OPERATOR: message("Place and end calls, send texts and cards, and see all but the settings."),
    Role.VIEWER: message("See all but the settings, and change nothing."),
}


@dataclass(frozen=True)
class RouteRoles:
    """Which role each route needs: a viewer's to read, an administrator's to change, but for ``exceptions``.

    Those are by method and path, as the route was added but without patterns: {number}. ``people_only``: what no API
    token may do, whatever its rights: what would outlive the token, and what is of somebody's own account.
    """

    exceptions: Mapping[tuple[str, str], Need]
    people_only: frozenset[tuple[str, str]] = frozenset()

    def need(self, method: str, path: str) -> Need:
        """What a route needs."""
        key = ("GET" if method == "HEAD" else method, path)
        return self.exceptions.get(key, Role.VIEWER if method in SAFE_METHODS else Role.ADMINISTRATOR)

    def is_open(self, path: str) -> bool:
        """Whether whoever has not signed in gets an answer there, be it that there is no such file or method."""
        return path.startswith("/static/") or any(
            need == ANYBODY and path == known for (_, known), need in self.exceptions.items()
        )

    def may(self, role: Role | None, path: str, method: str = "POST") -> bool:
        """Whether somebody with a role may use a route; None is nobody's."""
        need = self.need(method, path)
        return need == ANYBODY or (role is not None and isinstance(need, Role) and role.has(need))


ROUTE_ROLES = web.AppKey("route_roles", RouteRoles)


def route_roles_of(request: web.Request) -> RouteRoles:
    """Those of the page."""
    return request.config_dict[ROUTE_ROLES]


def route_of(request: web.Request) -> tuple[str, str] | None:
    """The method and the path by which a request's route was added; None where there is none."""
    resource = request.match_info.route.resource
    return (request.method, resource.canonical) if resource is not None else None
