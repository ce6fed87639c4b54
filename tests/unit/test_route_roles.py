"""Who may use which route: each one of the page and of the API, with each role, and with none."""

from collections.abc import Iterator

import pytest
from aiohttp import web

from ari_app.web import areas
from ari_app.web.areas import ROLES
from ari_app.web.audit.actions import ACTIONS, NOT_RECORDED, RECORDED, action_of
from ari_app.web.http.mount import mount
from ari_app.web.http.roles import ANYBODY, SAFE_METHODS, Role

OPEN = {
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/login/code"),
    ("GET", "/login/oidc"),
    ("GET", "/login/oidc/callback"),
    ("GET", "/login/oidc/logout"),
    ("GET", "/password"),
    ("POST", "/password"),
    ("POST", "/choices"),
}
"""For whoever has not signed in."""
ANSWERS_ANYBODY = {("GET", "/static"), ("GET", "/alive"), ("GET", "/health"), ("GET", "/ready")}
OWN = {
    "/logout",
    "/account/password",
    "/account/sessions/others",
    "/account/two-factor",
    "/account/two-factor/codes",
    "/account/two-factor/off",
    "/account/passkeys",
    "/account/passkeys/{id}/remove",
    "/api/access/password",
}
CHANGES_NOTHING = ("preview", "preview/{name}")


def routes() -> Iterator[tuple[str, str]]:
    """Each route, as the router names it."""
    app = web.Application()
    for each in areas.PAGES:
        app.add_routes(each)
    mount(app, areas.OPERATIONS, ROLES)
    for route in app.router.routes():
        if route.method != "HEAD":
            assert route.resource is not None
            yield route.method, route.resource.canonical


ALL = sorted(set(routes()))


def test_the_table_names_no_route_that_there_is_not() -> None:
    assert (set(ROLES.exceptions) | ROLES.people_only) - set(ALL) - {("GET", "/static")} == set()


@pytest.mark.parametrize("route", ALL, ids=" ".join)
def test_who_may_use_a_route(route: tuple[str, str]) -> None:
    method, path = route
    assert ROLES.may(None, path, method) is (route in OPEN | ANSWERS_ANYBODY)
    assert ROLES.may(Role.ADMINISTRATOR, path, method)
    if method not in SAFE_METHODS and route not in OPEN and path not in OWN and not path.endswith(CHANGES_NOTHING):
        assert not ROLES.may(Role.VIEWER, path, method), "a viewer changes nothing"
    if ROLES.may(Role.VIEWER, path, method):
        assert ROLES.may(Role.OPERATOR, path, method)
    assert ROLES.need("HEAD", path) == ROLES.need("GET", path)


@pytest.mark.parametrize(
    "path", ["/api/installation", "/api/access/tokens", "/api/lines/{number}/settings", "/api/lines/{number}/setup"]
)
def test_settings_are_for_administrators_by_the_api_too(path: str) -> None:
    assert ("GET", path) in ALL
    assert ROLES.need("GET", path) is Role.ADMINISTRATOR


def test_no_token_changes_what_is_somebodys_own() -> None:
    """A viewer changes nothing but that, so whatever else such a token is let into is not changed by it."""
    own = {(method, path) for method, path in ALL if method not in SAFE_METHODS and path.startswith("/api/")}
    own = {(method, path) for method, path in own if ROLES.may(Role.VIEWER, path, method)}
    assert ("POST", "/api/access/password") in own
    assert {route for route in own if not route[1].endswith(CHANGES_NOTHING)} <= ROLES.people_only


def test_a_new_route_is_read_by_viewers_and_changed_by_administrators() -> None:
    assert ROLES.need("GET", "/new") is Role.VIEWER
    assert all(ROLES.need(method, "/new") is Role.ADMINISTRATOR for method in ("POST", "PUT", "PATCH", "DELETE"))
    assert ROLES.need("GET", "/static") == ANYBODY


@pytest.mark.parametrize("route", ALL, ids=" ".join)
def test_the_audit_log_has_words_for_whatever_changes_something(route: tuple[str, str]) -> None:
    action = action_of(*route)
    if route[0] not in SAFE_METHODS:
        assert action or route in NOT_RECORDED
    assert not action or action in ACTIONS, "give it words in web/audit/actions.py"


def test_the_audit_log_knows_no_route_that_there_is_not() -> None:
    assert (set(RECORDED) | NOT_RECORDED) - set(ALL) == set()
