"""What every page keeps to: headers, languages, themes, errors; and the live events."""

import asyncio
import io
import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from ari_app.tasks import FAILURES
from ari_app.web import areas
from ari_app.web.access.sessions import Sessions
from ari_app.web.http.headers import CONTENT_SECURITY_POLICY
from ari_app.web.server import LARGEST_BODY, SHUTDOWN_S
from tests.integration.web_helpers import Browser, Site, browser, program, signed_in, site

HELD_S = 30.0  # a stream that tells nothing for so long is broken
OPEN_PAGES = ("/login", "/password")
# Every page that needs no line and no call to be there.
PAGES = sorted(
    route.path
    for routes in areas.PAGES
    for route in routes
    if isinstance(route, web.RouteDef) and route.method == "GET" and "{" not in route.path
)
# Without a provider those of single sign-on are not there: test_web_oidc.py.
PAGES = [path for path in PAGES if path not in (*OPEN_PAGES, "/events", "/alive") and "/oidc" not in path]


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as served:
        yield served


# Headers


@pytest.mark.parametrize(
    "path", [*PAGES, *OPEN_PAGES, "/nothing-there", "/api/status", "/api/nothing-there", "/static/astergram.css"]
)
async def test_every_answer_has_the_strict_headers(page: Site, path: str) -> None:
    async with signed_in(page) as admin:
        headers = (await admin.get(path)).headers
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers


async def test_the_policy_allows_nothing_from_elsewhere_and_nothing_inline() -> None:
    rules = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert {*rules.values()} == {"'none'", "'self'", "'self' data:"}


async def test_static_files_are_cached_by_their_content(page: Site) -> None:
    async with browser(page) as visitor:
        html = (await visitor.get("/login")).text
        address = html.partition('rel="stylesheet" href="')[2].partition('"')[0]
        answer = await visitor.get(address)
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
        assert (await visitor.get(URL(f"{page.url}/static/%2e%2e/settings.py", encoded=True))).status in (403, 404)


# The name it is asked for by


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8090", "127.0.0.1.evil.example", "[::1", "localhost.evil.example"]
)
async def test_a_name_that_is_not_ours_is_refused(page: Site, host: str) -> None:
    async with signed_in(page) as admin:
        for path in ("/settings", "/api/status", "/login", "/static/astergram.css"):
            assert (await admin.get(path, headers={"Host": host})).status in (400, 421)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1234", "192.0.2.1:8090", "[::1]:8090", "pbx.example.com", "other.example"]
)
async def test_our_own_names_and_addresses_are_answered(tmp_path: Path, host: str) -> None:
    settings = {"public_url": "http://pbx.example.com", "allowed_hosts": ["other.example"]}
    async with site(tmp_path, settings) as page, browser(page) as visitor:
        answer = await visitor.get(f"http://127.0.0.1:{page.served.port}/login", headers={"Host": host})
        assert answer.status == 200


# Pages


@pytest.mark.parametrize("path", [*PAGES, *OPEN_PAGES, "/nothing-there"])
@pytest.mark.parametrize("language", ["en", "ru"])
async def test_every_page_has_a_language_a_title_and_one_heading(page: Site, path: str, language: str) -> None:
    async with signed_in(page, Accept_Language=language) as admin:
        if path in OPEN_PAGES:
            await admin.post("/logout")
        answer = await admin.get(path)
    assert answer.status == (404 if path == "/nothing-there" else 403 if path == "/password" else 200), answer.text
    html = answer.text
    if "<!DOCTYPE html>" not in html:
        assert path not in OPEN_PAGES  # a part of a page, or a file
        assert "<html" not in html
        return
    assert f'<html lang="{language}"' in html
    assert html.partition("<title>")[2].partition(" · Astergram</title>")[0].strip()
    assert html.count("<h1>") == 1
    assert html.count("<main ") == 1
    assert 'name="viewport"' in html
    assert '="True"' not in html


@pytest.mark.parametrize(
    ("accepted", "shown"),
    [
        ("ru", "ru"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("de,ru;q=0.5,en;q=0.2", "ru"),
        ("en;q=0.3,ru;q=0.2", "en"),
        ("de", "en"),
        ("*", "en"),
        ("ru;q=x,;;,", "en"),
        ("", "en"),
    ],
)
async def test_the_language_is_what_the_browser_asks_for(page: Site, accepted: str, shown: str) -> None:
    async with browser(page, Accept_Language=accepted) as visitor:
        assert f'<html lang="{shown}"' in (await visitor.get("/login")).text


async def test_language_and_theme_are_kept_as_chosen(page: Site) -> None:
    async with browser(page) as visitor:
        html = (await visitor.get("/login")).text
        assert '<html lang="en" data-theme="auto">' in html
        html = (await visitor.post("/choices", {"language": "ru", "theme": "dark", "back": "/login"})).text
        assert '<html lang="ru" data-theme="dark">' in html
        assert "Вход" in html
        html = (await visitor.post("/choices", {"language": "xx", "theme": "<b>", "back": "/login"})).text
        assert '<html lang="ru" data-theme="dark">' in html


async def test_a_choice_leads_to_no_other_site(page: Site) -> None:
    async with browser(page) as visitor:
        await visitor.get("/login")
        answer = await visitor.post("/choices", {"theme": "dark", "back": "//evil.example"}, allow_redirects=False)
        assert answer.headers["Location"] == "/"


async def test_an_error_shows_nothing_of_the_inside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        zone = UTC  # which the page that tells of the error shows, too

        @property
        def company(self) -> str:
            raise RuntimeError("the inside")

    async with site(tmp_path, installation=SimpleNamespace(settings=Broken())) as page, signed_in(page) as admin:
        with caplog.at_level(logging.ERROR):
            answer = await admin.get("/settings")
            fragment = await admin.get("/settings", headers={"HX-Request": "true"})
    assert (answer.status, fragment.status) == (500, 500)
    assert "the inside" not in answer.text + fragment.text
    assert "Traceback" not in answer.text + fragment.text
    assert "<html" in answer.text
    assert "<html" not in fragment.text
    assert "RuntimeError: the inside" in caplog.text


async def test_what_is_not_there_is_said_in_the_layout(page: Site) -> None:
    async with signed_in(page, Accept_Language="ru") as admin:
        answer = await admin.get("/nothing-there")
        assert answer.status == 404
        assert "Не найдено." in answer.text
        assert 'aria-label="Главное"' in answer.text
        answer = await admin.get("/logout")
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_too_large_a_form_is_refused(page: Site) -> None:
    async with signed_in(page) as admin:
        sent = io.BytesIO(f"csrf={admin.csrf}&company=".encode() + b"x" * LARGEST_BODY)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await admin.ask("POST", "/settings/installation", data=sent, headers=headers)
        assert answer.status == 413


# Settings


async def test_secrets_of_the_installation_are_written_and_never_shown(page: Site) -> None:
    async with signed_in(page) as admin:
        fields = {"company": "<b>Acme", "api_id": "12345", "api_hash": "hash-secret", "bot_token": "1:bot-secret"}
        html = (await admin.post("/settings/installation", fields)).text
        assert "hash-secret" not in html
        assert "bot-secret" not in html
        assert 'value="&lt;b&gt;Acme"' in html
        assert "Saved." in html
        assert "Saved." not in (await admin.get("/settings")).text
        # An empty field keeps what is there; a box removes it.
        await admin.post("/settings/installation", {"company": "", "api_id": "", "remove_bot_token": "on"})
        settings = page.services.installation.settings
        assert settings.api_hash
        assert settings.api_hash.get_secret_value() == "hash-secret"
        assert (settings.company, settings.api_id, settings.bot_token) == ("", None, None)


async def test_a_wrong_setting_is_told_at_its_field_and_what_was_typed_stays(page: Site) -> None:
    async with signed_in(page) as admin:
        answer = await admin.post("/settings/installation", {"company": "Acme", "api_id": "twelve"})
        assert answer.status == 422
        assert 'value="twelve"' in answer.text
        assert 'aria-invalid="true"' in answer.text
        assert page.services.installation.settings.company == ""


async def test_a_message_comes_with_a_fragment_too(page: Site) -> None:
    async with signed_in(page) as admin:
        await admin.post("/settings/installation", {"company": "Acme"}, allow_redirects=False)
        html = (await admin.get("/settings", headers={"HX-Request": "true"})).text
        assert 'hx-swap-oob="beforeend"' in html
        assert "Saved." in html


async def test_a_message_waits_for_a_page_that_somebody_asks_for(page: Site) -> None:
    """A part that shows itself anew may belong to the page that is just being left."""
    async with signed_in(page) as admin:
        await admin.post("/settings/installation", {"company": "Acme"}, allow_redirects=False)
        live = {"HX-Request": "true", "X-Live": "1"}
        assert "Saved." not in (await admin.get("/overview/activity", headers=live)).text
        assert "Saved." in (await admin.get("/settings")).text


# Live events


async def events(admin: Browser, path: str = "/events") -> AsyncIterator[tuple[str, Any]]:
    """What a stream tells, until it ends; first ("open", None)."""
    async with admin.http.get(admin.url + path) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        name = ""
        async for line in response.content:
            if line.startswith(b"retry:"):
                yield "open", None
            elif line.startswith(b"event: "):
                name = line[len(b"event: ") :].decode().strip()
            elif line.startswith(b"data: "):
                yield name, json.loads(line[len(b"data: ") :])
            elif line == b":\n":
                yield "heartbeat", None


async def test_news_arrive_as_events(page: Site) -> None:
    async with signed_in(page) as admin, asyncio.timeout(HELD_S):
        told = events(admin)
        assert await anext(told) == ("open", None)
        page.services.bus.publish("call", "c1", state="Звонок\nвторая строка")
        assert await anext(told) == ("call", {"key": "c1", "state": "Звонок\nвторая строка"})
        page.services.bus.publish("line", "+79990000001")
        assert await anext(told) == ("line", {"key": "+79990000001"})


async def test_a_silent_stream_has_heartbeats(tmp_path: Path) -> None:
    async with site(tmp_path, heartbeat_s=0.01) as page, signed_in(page) as admin, asyncio.timeout(HELD_S):
        told = events(admin)
        assert [await anext(told) for _ in range(3)] == [("open", None), ("heartbeat", None), ("heartbeat", None)]


async def test_logging_out_ends_the_stream(page: Site) -> None:
    async with signed_in(page) as admin, signed_in(page) as other, asyncio.timeout(HELD_S):
        ending, going_on = events(admin), events(other)
        await anext(ending)
        await anext(going_on)
        await admin.post("/logout")
        assert [each async for each in ending] == []
        page.services.bus.publish("line")
        assert (await anext(going_on))[0] == "access"
        while (kind := (await anext(going_on))[0]) != "line":
            assert kind == "audit"


async def test_a_session_that_expires_ends_its_stream(tmp_path: Path) -> None:
    settings = {"idle_hours": 1}
    async with site(tmp_path, settings, heartbeat_s=0.01) as page, signed_in(page) as admin, asyncio.timeout(HELD_S):
        told = events(admin)
        await anext(told)
        page.clock.now += 3600
        assert {each async for each in told} <= {("heartbeat", None)}
        assert (await admin.get("/alive")).status == 401


async def test_a_session_that_expires_ends_a_stream_that_is_never_silent(tmp_path: Path) -> None:
    settings = {"idle_hours": 1}
    async with site(tmp_path, settings, heartbeat_s=0.2) as page, signed_in(page) as admin, asyncio.timeout(HELD_S):
        told = events(admin)
        await anext(told)
        page.clock.now += 3600
        page.services.bus.publish("line")
        async for kind, _ in told:
            assert kind in ("heartbeat", "line")
            page.services.bus.publish("line")
            await asyncio.sleep(0.01)


async def test_an_error_in_a_stream_ends_that_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The browser begins another one; nothing else is answered to a request that has been answered."""

    async def failing(sessions: Sessions, digest: str) -> None:
        raise sqlite3.OperationalError("database is locked")

    async with site(tmp_path, heartbeat_s=0.05) as page, signed_in(page) as admin, asyncio.timeout(HELD_S):
        told = events(admin)
        await anext(told)
        failures = FAILURES.count
        with monkeypatch.context() as broken:
            broken.setattr(Sessions, "living", failing)
            assert {kind for kind, _ in await _rest(told)} <= {"heartbeat"}
        assert FAILURES.count == failures + 1
        assert FAILURES.last[-1].task.startswith("live events")
        assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == ["ari_app.tasks"]
        again = events(admin)
        assert await anext(again) == ("open", None)


async def test_the_end_of_the_program_ends_the_streams_at_once(tmp_path: Path) -> None:
    async with AsyncExitStack() as program_runs:
        page = await program_runs.enter_async_context(site(tmp_path))
        async with signed_in(page) as admin, asyncio.timeout(SHUTDOWN_S):
            told = events(admin)
            await anext(told)
            await program_runs.aclose()
            assert await _rest(told) == []


async def _rest(told: AsyncIterator[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [each async for each in told]


async def test_programs_hear_the_events_until_their_token_is_revoked(page: Site) -> None:
    async with program(page) as cli:
        made = await (await cli.ask("POST", "/api/access/tokens", json={"name": "board"})).json()
        async with program(page, made["token"]) as board, asyncio.timeout(HELD_S):
            told = events(board, "/api/events")
            await anext(told)
            page.services.bus.publish("call", "c1")
            assert await anext(told) == ("call", {"key": "c1"})
            await cli.ask("DELETE", f"/api/access/tokens/{made['id']}")
            assert await _rest(told) == []


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET / HTTP/1.1\r\nX: \x00\r\n\r\n"])
async def test_what_is_no_http_fills_no_log(page: Site, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        reader, writer = await asyncio.open_connection("127.0.0.1", page.served.port)
        writer.write(sent)
        async with asyncio.timeout(HELD_S):
            assert b" 400 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
    assert caplog.records == []
