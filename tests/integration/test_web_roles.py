"""Roles: the whole table of routes, walked by each of them, and what their pages offer."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest
from aiohttp import web

from ari_app.lines.settings import LineSettings
from ari_app.sandbox.telegram import LocalTelegram
from ari_app.web import areas, server
from ari_app.web.areas import ROLES
from ari_app.web.http.operation import Operation, check_people_only
from ari_app.web.http.roles import ANYBODY, Role
from tests.integration.web_calls import put_into, some_calls, talking
from tests.integration.web_helpers import CSRF_FIELD, Browser, Site, browser, program, site, user
from tests.integration.web_lines import LINE, lines_site
from tests.unit.test_route_roles import ALL

DONE = "the handler was asked"
VALUES = {"number": LINE, "name": "anna"}
SENT = re.compile(r'(?:<form method="post"[^>]*? action|hx-post)="([^"]+)"')
LED_TO = re.compile(r'<a [^>]*?href="(/[^"#?]*)')


def addresses() -> dict[str, str]:
    """An address that each route takes, by the route's path."""
    paths = [each.path for routes in areas.PAGES for each in routes if isinstance(each, web.RouteDef)]
    paths += [operation.path for operation in areas.OPERATIONS]
    place = re.compile(r"\{(\w+)(?::([^}]*))?\}")

    def value(found: re.Match[str]) -> str:
        return VALUES.get(found[1]) or (found[2] or "1").partition("|")[0]

    return {place.sub(r"{\1}", path): place.sub(value, path) for path in paths}


ADDRESSES = addresses()


@pytest.fixture
async def stubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """The page with all its routes and rules, of which none does anything; but signing in works."""

    async def done(request: web.Request) -> web.Response:
        return web.Response(text=DONE, status=203)

    def stubbed(routes: web.RouteTableDef) -> list[web.AbstractRouteDef]:
        return [
            each if each.path == "/login" else web.RouteDef(each.method, each.path, done, each.kwargs)
            for each in routes
            if isinstance(each, web.RouteDef)
        ]

    handle = Operation.handle

    async def handled(operation: Operation, request: web.Request) -> web.StreamResponse:
        if request.transport is None or _by_socket(request):
            return await handle(operation, request)
        check_people_only(request)
        return await done(request)

    monkeypatch.setattr(Operation, "handle", handled)
    monkeypatch.setattr(server, "PAGES", [stubbed(routes) for routes in areas.PAGES])
    async with site(tmp_path) as served:
        yield served


def _by_socket(request: web.Request) -> bool:
    assert request.transport is not None
    return not request.transport.get_extra_info("peername")


async def walk(who: Browser) -> dict[tuple[str, str], int]:
    """The status of each route's answer; 203: its handler was asked."""
    return {
        (method, path): (
            await who.ask(method, ADDRESSES[path], headers={"X-CSRF-Token": who.csrf}, allow_redirects=False)
        ).status
        for method, path in ALL
        if path not in ("/login", "/api/openapi.json")
    }


@pytest.mark.parametrize("role", Role)
async def test_every_route_is_open_to_the_roles_that_it_needs_and_to_no_other(stubs: Site, role: Role) -> None:
    async with user(stubs, role.value) as signed:
        signed.csrf = await csrf_of(signed)
        for (method, path), status in (await walk(signed)).items():
            assert status == (203 if ROLES.may(role, path, method) else 403), (method, path)


async def csrf_of(signed: Browser) -> str:
    """The token of a page that is no stub: one that isn't there."""
    return str(CSRF_FIELD.findall((await signed.get("/nothing-there")).text)[0])


async def test_every_route_but_those_of_the_sign_in_is_closed_to_visitors(stubs: Site) -> None:
    async with browser(stubs) as visitor:
        await visitor.get("/login")
        for (method, path), status in (await walk(visitor)).items():
            if ROLES.need(method, path) == ANYBODY:
                assert status == 203, (method, path)
            else:
                assert status == (401 if path.startswith(("/api/", "/events", "/metrics")) else 303), (method, path)


@pytest.mark.parametrize(("right", "role"), [("read", Role.VIEWER), ("write", Role.ADMINISTRATOR)])
async def test_a_token_may_what_its_role_may_but_makes_no_way_in(stubs: Site, right: str, role: Role) -> None:
    async with program(stubs) as cli:
        made = await (await cli.ask("POST", "/api/access/tokens", json={"name": "x", "right": right})).json()
    async with program(stubs, made["token"]) as its:
        for (method, path), status in (await walk(its)).items():
            if path.startswith("/api/"):
                may = ROLES.may(role, path, method) and (method, path) not in ROLES.people_only
                assert status == (203 if may else 403), (method, path)


PAGES = (
    "/", "/lines", "/calls", "/charts", "/connect", "/account", f"/lines/{LINE}", f"/lines/{LINE}/try",
    f"/lines/{LINE}/settings", f"/lines/{LINE}/card", f"/lines/{LINE}/texts/en", f"/lines/{LINE}/signin", "/lines/add",
    "/settings", "/users", "/people", "/people/7", "/nothing-there",
)  # fmt: skip


@pytest.mark.parametrize("role", Role)
async def test_a_page_offers_nothing_that_its_reader_may_not_do(tmp_path: Path, role: Role) -> None:
    router = web.Application()
    for routes in areas.PAGES:
        router.add_routes(routes)
    settings = [LineSettings.of({"number": LINE, "name": "Sales"})]
    async with (
        LocalTelegram(tmp_path / "telegram.db") as telegram,
        lines_site(tmp_path, telegram, settings) as shown,
        user(shown.site, role.value) as reader,
    ):
        calls = some_calls(3, shown.site.clock(), seed=1)
        await put_into(shown.site.services.store, *calls)
        async with talking(shown.site.services.registry) as call:
            seen = 0
            for path in (*PAGES, f"/calls/{call.id}"):
                page = await reader.get(path)
                assert page.status in (200, 403, 404), page.text
                seen += page.status == 200
                for address in SENT.findall(page.text):
                    offered = routed(router, "POST", unescape(address))
                    assert ROLES.may(role, offered, "POST"), (path, address)
                for address in LED_TO.findall(page.text):
                    leads = routed(router, "GET", unescape(address))
                    assert not leads or ROLES.may(role, leads, "GET"), (path, address)
            shown.site.services.registry.hang_up(call.id)
        assert seen >= {Role.VIEWER: 8, Role.OPERATOR: 9, Role.ADMINISTRATOR: 17}[role]


def routed(app: web.Application, method: str, address: str) -> str:
    """The path of the route that takes an address; empty for none."""
    path = address.partition("?")[0]
    for resource in app.router.resources():
        its_own = any(route.method == method for route in resource)
        if its_own and isinstance(resource, web.Resource) and resource._match(path) is not None:
            return resource.canonical
    return ""
