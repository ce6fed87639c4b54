"""Who gets in, and who does not."""

import asyncio
import logging
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from ari_app.web.access.passwords import SHORTEST
from ari_app.web.access.users import RESET_LINK_S
from tests.integration.web_helpers import CSRF_FIELD, PASSWORD, Clock, Site, browser, program, signed_in, site

HOUR_S = 3600.0
LOGGER = "ari_app.web.access"
DOCUMENT = Path(__file__).parents[2] / "docs" / "users.md"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as served:
        yield served


async def new_link(page: Site) -> str:
    async with program(page) as cli:
        return str((await (await cli.ask("POST", "/api/access/link")).json())["link"])


async def new_token(page: Site, right: str) -> str:
    async with program(page) as cli:
        made = await cli.ask("POST", "/api/access/tokens", json={"name": "exporter", "right": right})
        return str((await made.json())["token"])


# The first password


async def test_the_first_link_sets_the_password_and_signs_in(page: Site) -> None:
    async with browser(page) as admin:
        answer = await admin.set_password(page.served.first_link)
        assert (answer.status, answer.path) == (200, "/")
        assert (await admin.get("/settings")).path == "/settings"


async def test_a_link_works_once(page: Site) -> None:
    async with browser(page) as admin, browser(page) as late:
        await late.get(page.served.first_link)
        await admin.set_password(page.served.first_link)
        answer = await late.set_password(page.served.first_link, "another password")
        assert answer.status == 403
        assert (await late.log_in("another password")).status == 403
        assert (await late.log_in()).path == "/"


async def test_a_guessed_link_does_not_work(page: Site) -> None:
    async with browser(page) as guesser:
        assert (await guesser.set_password(f"{page.url}/password?link=guess")).status == 403
        assert (await guesser.get("/password")).status == 403


async def test_opening_a_link_does_not_use_it_up(page: Site) -> None:
    async with browser(page) as preview:
        assert (await preview.get(page.served.first_link)).status == 200
    async with browser(page) as admin:
        assert (await admin.set_password(page.served.first_link)).path == "/"


async def test_a_start_with_a_password_prints_no_link(tmp_path: Path) -> None:
    async with site(tmp_path) as page, signed_in(page):
        pass
    async with site(tmp_path) as again:
        assert again.served.first_link == ""


async def test_a_start_without_a_password_makes_the_earlier_link_worthless(tmp_path: Path) -> None:
    async with site(tmp_path) as page:
        before = page.served.first_link.partition("?")[2]
    async with site(tmp_path) as page, browser(page) as admin:
        assert (await admin.get(f"/password?{before}")).status == 403
        assert (await admin.get(page.served.first_link)).status == 200


async def test_a_forgotten_password_is_set_again_by_a_link_from_the_server(page: Site) -> None:
    async with signed_in(page) as before, browser(page) as admin:
        answer = await admin.set_password(await new_link(page), "a new password")
        assert answer.path == "/"
        assert (await before.get("/")).path == "/login"
        assert (await before.log_in()).status == 403
        assert (await before.log_in("a new password")).path == "/"


async def test_a_link_for_a_forgotten_password_expires(page: Site) -> None:
    async with signed_in(page), browser(page) as admin:
        link = await new_link(page)
        page.clock.now += RESET_LINK_S - 1
        assert (await admin.get(link)).status == 200
        page.clock.now += 1
        assert (await admin.get(link)).status == 403


async def test_a_new_link_is_not_to_be_had_over_http(page: Site) -> None:
    async with program(page, await new_token(page, "write")) as other:
        answer = await other.ask("POST", "/api/access/link")
        assert answer.status == 403
        assert "astergram web link" in (await answer.json())["detail"]


@pytest.mark.parametrize("password", ["x" * (SHORTEST - 1), "x" * 1025])
async def test_a_password_of_a_wrong_length_is_refused(page: Site, password: str) -> None:
    async with browser(page) as admin:
        assert (await admin.set_password(page.served.first_link, password)).status == 422
        assert (await admin.set_password(page.served.first_link)).path == "/"


async def test_two_passwords_that_differ_are_refused(page: Site) -> None:
    async with browser(page) as admin:
        assert (await admin.set_password(page.served.first_link, PASSWORD, PASSWORD + "x")).status == 422


async def test_a_password_is_any_text(page: Site) -> None:
    async with browser(page) as admin:
        assert (await admin.set_password(page.served.first_link, " пароль с пробелами ")).path == "/"
    async with browser(page) as admin:
        assert (await admin.log_in("пароль с пробелами")).status == 403
        assert (await admin.log_in(" пароль с пробелами ")).path == "/"


# Nobody in particular


@pytest.mark.parametrize("path", ["/", "/settings", "/nothing-there"])
async def test_a_page_without_a_session_leads_to_the_login(page: Site, path: str) -> None:
    async with browser(page) as visitor:
        assert (await visitor.get(path)).path.startswith("/login")


@pytest.mark.parametrize("path", ["/api/status", "/api/openapi.json", "/api/events", "/api/nothing-there", "/events"])
async def test_the_api_without_a_token_is_401(page: Site, path: str) -> None:
    async with browser(page) as visitor:
        assert (await visitor.get(path)).status == 401


async def test_a_fragment_without_a_session_is_401(page: Site) -> None:
    async with browser(page) as visitor:
        assert (await visitor.get("/settings", headers={"HX-Request": "true"})).status == 401


async def test_after_login_the_wanted_page_opens(page: Site) -> None:
    async with signed_in(page):
        pass
    async with browser(page) as admin:
        assert (await admin.get("/settings")).path == "/login?next=/settings"
        assert (await admin.log_in(next="/settings")).path == "/settings"


@pytest.mark.parametrize("next", ["https://evil.example/", "//evil.example/", "/\\evil.example", "/\t/evil.example"])
async def test_login_leads_to_no_other_site(page: Site, next: str) -> None:
    async with signed_in(page):
        pass
    async with browser(page) as admin:
        await admin.get("/login")
        fields = {"username": "admin", "password": PASSWORD, "next": next}
        answer = await admin.post("/login", fields, allow_redirects=False)
        assert answer.headers["Location"] == "/"


# Sessions


async def test_the_session_cookie_is_for_our_pages_only(page: Site) -> None:
    async with browser(page) as admin:
        answer = await admin.set_password(page.served.first_link)
        cookie = next(each for each in _cookies(answer.response.history[0].headers) if "visitor" not in each)
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
        assert "Domain" not in cookie


async def test_behind_tls_the_session_cookie_is_secure(tmp_path: Path) -> None:
    async with site(tmp_path, {"public_url": "https://pbx.example.com"}) as page:
        assert page.served.first_link.startswith("https://pbx.example.com/password?link=")
        link = page.served.first_link.partition("=")[2]
        # The test plays the proxy that speaks TLS.
        here = f"http://127.0.0.1:{page.served.port}/password"
        headers = {"Host": "pbx.example.com", "Origin": "https://pbx.example.com"}
        async with ClientSession(headers=headers) as http:
            async with http.get(here, params={"link": link}) as answer:
                csrf = CSRF_FIELD.findall(await answer.text())[0]
                visitor = answer.headers["Set-Cookie"]
            fields = {"csrf": csrf, "link": link, "password": PASSWORD, "password_again": PASSWORD}
            sent = {"Cookie": visitor.partition(";")[0]}
            async with http.post(here, data=fields, headers=sent, allow_redirects=False) as answer:
                assert answer.status == 303
                session = answer.headers.getall("Set-Cookie")[0]
        for cookie in (visitor, session):
            assert cookie.startswith("__Host-astergram-")
            assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))


async def test_tabs_that_ask_for_the_sign_in_at_once_can_all_sign_in(page: Site) -> None:
    """After signing out, and when the session has ended elsewhere: no cookie takes another tab's CSRF token away."""
    async with signed_in(page) as tab:
        left = await tab.post("/logout", allow_redirects=False)
        first, second = await asyncio.gather(tab.get("/login"), tab.get("/login"))
        assert left.status == 303
        assert CSRF_FIELD.findall(first.text) == CSRF_FIELD.findall(second.text)
        assert (await tab.log_in()).path == "/"
        async with signed_in(page) as elsewhere:
            await elsewhere.post("/account/sessions/others")
        first, second = await asyncio.gather(tab.get("/"), tab.get("/"))
        assert first.path.startswith("/login")
        assert CSRF_FIELD.findall(first.text) == CSRF_FIELD.findall(second.text)
        assert (await tab.log_in()).path == "/"


def _cookies(headers: object) -> list[str]:
    return list(headers.getall("Set-Cookie"))  # type: ignore[attr-defined]


async def test_a_session_expires_however_much_it_is_used(tmp_path: Path) -> None:
    async with site(tmp_path, {"session_hours": 10, "idle_hours": 5}) as page, signed_in(page) as admin:
        for _ in range(3):
            page.clock.now += 3 * HOUR_S
            assert (await admin.get("/settings")).path == "/settings"
        page.clock.now += 1 * HOUR_S
        assert (await admin.get("/settings")).path.startswith("/login")


async def test_a_session_that_is_not_used_expires(tmp_path: Path) -> None:
    async with site(tmp_path, {"session_hours": 100, "idle_hours": 5}) as page, signed_in(page) as admin:
        page.clock.now += 5 * HOUR_S - 1
        assert (await admin.get("/settings")).path == "/settings"
        page.clock.now += 5 * HOUR_S
        assert (await admin.get("/settings")).path.startswith("/login")


LIVE = {"X-Live": "1"}
"""What a page sends with what it asks for by itself; tests/browser/test_idle.py shows that it does."""


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/overview/calls", LIVE),
        ("HEAD", "/overview/calls", LIVE),
        ("GET", "/alive", {}),
        ("GET", "/events", {}),
    ],
)
async def test_what_a_page_asks_for_by_itself_keeps_no_session(
    tmp_path: Path, method: str, path: str, headers: dict[str, str]
) -> None:
    async with site(tmp_path, {"session_hours": 100, "idle_hours": 5}) as page, signed_in(page) as admin:
        await admin.get("/settings")
        for _ in range(2):
            page.clock.now += 2 * HOUR_S
            async with admin.http.request(method, page.url + path, headers=headers) as answer:
                assert answer.status in (200, 204)
        page.clock.now += 2 * HOUR_S
        assert (await admin.get("/settings")).path.startswith("/login")


@pytest.mark.parametrize("headers", [{}, LIVE])
async def test_a_change_keeps_a_session_wherever_its_button_stands(tmp_path: Path, headers: dict[str, str]) -> None:
    async with site(tmp_path, {"session_hours": 100, "idle_hours": 5}) as page, signed_in(page) as admin:
        await admin.get("/settings")
        for _ in range(3):
            page.clock.now += 4 * HOUR_S
            headers = headers | {"X-CSRF-Token": admin.csrf}
            async with admin.http.post(page.url + "/calls/0/hangup", headers=headers, allow_redirects=False) as answer:
                assert answer.headers["Location"] == "/calls/0"


async def test_a_session_outlives_a_restart_of_the_program(tmp_path: Path) -> None:
    clock = Clock(1_800_000_000.0)
    async with site(tmp_path, clock=clock) as page, signed_in(page) as admin:
        port = int(page.url.rpartition(":")[2])
        cookies = {cookie.key: cookie.value for cookie in admin.http.cookie_jar}
        csrf = admin.csrf
    async with site(tmp_path, {"port": port}, clock=clock) as page, browser(page) as again:
        again.http.cookie_jar.update_cookies(cookies)
        again.csrf = csrf
        assert (await again.post("/settings/installation", {"company": "Acme"})).path == "/settings"


async def test_logging_out_ends_the_session_itself(page: Site) -> None:
    async with signed_in(page) as admin:
        cookies = {cookie.key: cookie.value for cookie in admin.http.cookie_jar}
        assert (await admin.post("/logout")).path == "/login"
        admin.http.cookie_jar.update_cookies(cookies)
        assert (await admin.get("/settings")).path.startswith("/login")


async def test_a_changed_password_signs_every_other_browser_out(page: Site) -> None:
    async with signed_in(page) as admin, signed_in(page) as other:
        await admin.get("/settings")
        fields = {"old_password": PASSWORD, "new_password": "a new password", "password_again": "a new password"}
        assert (await admin.post("/account/password", fields)).path == "/account"
        assert (await other.get("/settings")).path.startswith("/login")
        assert (await admin.get("/settings")).path == "/settings"


CHANGE = {"old_password": PASSWORD, "new_password": "a new password", "password_again": "a new password"}


@pytest.mark.parametrize(("answer", "status"), [("keep", 200), ("revoke", 401)])
async def test_a_changed_password_asks_what_becomes_of_the_tokens(page: Site, answer: str, status: int) -> None:
    async with signed_in(page) as admin, program(page, await new_token(page, "write")) as writer:
        asked = await admin.get("/account")
        assert 'name="tokens"' in asked.text
        assert "exporter" in asked.text
        unanswered = await admin.post("/account/password", CHANGE)
        assert (unanswered.status, "Choose what happens to the API tokens." in unanswered.text) == (422, True)
        assert (await writer.get("/api/status")).status == 200
        done = await admin.post("/account/password", CHANGE | {"tokens": answer})
        assert (done.path, "the API tokens are revoked" in done.text) == ("/account", answer == "revoke")
        assert (await writer.get("/api/status")).status == status


@pytest.mark.parametrize(("answer", "status"), [("keep", 200), ("revoke", 401)])
async def test_a_forgotten_password_asks_it_too(page: Site, answer: str, status: int) -> None:
    async with signed_in(page):
        pass
    token, link = await new_token(page, "write"), await new_link(page)
    fields = {"link": link.partition("link=")[2], "password": "a new password", "password_again": "a new password"}
    async with browser(page) as admin, program(page, token) as writer:
        assert 'name="tokens"' in (await admin.get(link)).text
        assert (await admin.post("/password", fields)).status == 422
        assert (await admin.post("/password", fields | {"tokens": answer})).path == "/"
        assert (await writer.get("/api/status")).status == status


async def test_where_there_are_no_tokens_nothing_is_asked(page: Site) -> None:
    async with signed_in(page) as admin:
        assert 'name="tokens"' not in (await admin.get("/account")).text
        assert (await admin.post("/account/password", CHANGE)).path == "/account"


async def test_the_command_line_that_changes_the_password_can_revoke_all_tokens(page: Site) -> None:
    async with signed_in(page), program(page) as cli, program(page, await new_token(page, "write")) as writer:
        body = {"old": PASSWORD, "new": "a new password"}
        assert (await cli.ask("POST", "/api/access/password", json=body)).status == 204
        assert (await writer.get("/api/status")).status == 200
        back = {"old": "a new password", "new": PASSWORD, "revoke_tokens": True}
        assert (await cli.ask("POST", "/api/access/password", json=back)).status == 204
        assert (await writer.get("/api/status")).status == 401
        assert await (await cli.get("/api/access/tokens")).json() == []


async def test_a_wrong_password_revokes_nothing(page: Site) -> None:
    async with signed_in(page) as admin, program(page, await new_token(page, "write")) as writer:
        await admin.get("/settings")
        refused = await admin.post("/account/password", CHANGE | {"old_password": "wrong", "tokens": "revoke"})
        assert refused.status == 422
        assert (await writer.get("/api/status")).status == 200


async def test_changing_the_password_needs_the_old_one(page: Site) -> None:
    async with signed_in(page) as admin:
        fields = {
            "old_password": "wrong password",
            "new_password": "a new password",
            "password_again": "a new password",
        }
        answer = await admin.post("/account/password", fields)
        assert answer.status == 422
        assert "This is not the password." in answer.text


async def test_other_browsers_can_be_signed_out(page: Site) -> None:
    async with signed_in(page) as admin, signed_in(page, User_Agent="Lost phone") as lost:
        assert "Lost phone" in (await admin.get("/account")).text
        assert "Lost phone" not in (await admin.post("/account/sessions/others")).text
        assert (await lost.get("/settings")).path.startswith("/login")


# Cross-site request forgery


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
async def test_a_change_without_the_right_csrf_token_is_refused(page: Site, token: str) -> None:
    async with signed_in(page) as admin:
        for sent in ({"data": {"csrf": token, "company": "Evil"}}, {"headers": {"X-CSRF-Token": token or "x"}}):
            assert (await admin.ask("POST", "/settings/installation", **sent)).status == 403
        assert page.services.installation.settings.company == ""


async def test_the_csrf_token_of_another_session_is_refused(page: Site) -> None:
    async with signed_in(page) as admin, signed_in(page) as other:
        other.csrf = admin.csrf
        assert (await other.post("/settings/installation", {"company": "Evil"})).status == 403


async def test_the_csrf_token_counts_in_a_header_too(page: Site) -> None:
    async with signed_in(page) as admin:
        headers = {"X-CSRF-Token": admin.csrf}
        answer = await admin.ask("POST", "/settings/installation", data={"company": "Acme"}, headers=headers)
        assert answer.status == 200
        assert page.services.installation.settings.company == "Acme"


async def test_the_api_asks_browsers_for_the_csrf_token(page: Site) -> None:
    async with signed_in(page) as admin:
        body = {"name": "exporter"}
        assert (await admin.ask("POST", "/api/access/tokens", json=body)).status == 403
        headers = {"X-CSRF-Token": admin.csrf}
        assert (await admin.ask("POST", "/api/access/tokens", json=body, headers=headers)).status == 201


async def test_login_needs_a_csrf_token(page: Site) -> None:
    async with signed_in(page), browser(page) as visitor:
        answer = await visitor.ask("POST", "/login", data={"username": "admin", "password": PASSWORD})
        assert answer.status == 403
        assert (await visitor.get("/settings")).path.startswith("/login")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_a_change_that_another_site_asks_for_is_refused(page: Site, headers: dict[str, str]) -> None:
    async with signed_in(page) as admin:
        assert (await admin.post("/settings/installation", {"company": "Evil"}, headers=headers)).status == 403
        assert page.services.installation.settings.company == ""


async def test_our_own_origin_is_right(page: Site) -> None:
    async with signed_in(page) as admin:
        headers = {"Origin": page.url, "Sec-Fetch-Site": "same-origin"}
        assert (await admin.post("/settings/installation", {"company": "Acme"}, headers=headers)).status == 200


# Guessing


async def test_wrong_passwords_slow_their_address_down_and_nobody_else(page: Site) -> None:
    async with signed_in(page):
        pass
    async with browser(page, "127.0.0.2") as guesser, browser(page, "127.0.0.3") as other:
        for _ in range(5):
            assert (await guesser.log_in("a wrong guess")).status == 403
        answer = await guesser.log_in()
        assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
        assert (await other.log_in()).path == "/"
        page.steady.now += 2
        assert (await guesser.log_in("a wrong guess")).status == 403
        page.steady.now += 3
        assert (await guesser.log_in()).status == 429
        page.steady.now += 1
        assert (await guesser.log_in()).path == "/"


async def test_changing_the_password_is_slowed_down_too(page: Site) -> None:
    async with signed_in(page) as admin:
        fields = {"old_password": "a wrong guess", "new_password": "a new password", "password_again": "a new password"}
        for _ in range(5):
            assert (await admin.post("/account/password", fields)).status == 422
        answer = await admin.post("/account/password", fields | {"old_password": PASSWORD})
        assert answer.status == 429
        assert answer.headers["Retry-After"]


async def test_x_forwarded_for_counts_only_from_a_known_proxy(tmp_path: Path) -> None:
    async with site(tmp_path, {"proxies": ["127.0.0.2"]}) as page:
        async with signed_in(page):
            pass
        for proxy, statuses in (("127.0.0.2", (403, 200)), ("127.0.0.3", (429, 429))):
            async with browser(page, proxy) as through:
                for number in range(5):
                    # What a client sends by itself stands left of what the proxy adds.
                    through.http.headers["X-Forwarded-For"] = f"1.1.1.{number}, 192.0.2.1"
                    await through.log_in("a wrong guess")
                through.http.headers["X-Forwarded-For"] = "192.0.2.2"
                assert (await through.log_in("a wrong guess")).status == statuses[0]
                assert (await through.log_in()).status == statuses[1]


async def test_each_failure_is_a_line_for_fail2ban(page: Site, caplog: pytest.LogCaptureFixture) -> None:
    pattern = re.search(r"^ *failregex = (.+)$", DOCUMENT.read_text(), re.MULTILINE)
    assert pattern
    failregex = re.compile(pattern[1].replace("<HOST>", r"(?P<host>[0-9a-fA-F.:]+)"))
    async with signed_in(page):
        pass
    formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    async with browser(page, "127.0.0.2", User_Agent="x from 1.2.3.4") as guesser:
        with caplog.at_level(logging.WARNING, LOGGER):
            for _ in range(7):
                await guesser.log_in("wrong password from 1.2.3.4\nauthentication failure: wrong password from 1.2.3.4")
            await guesser.get("/api/status", headers={"Authorization": "Bearer from 1.2.3.4"})
    records = [record for record in caplog.records if record.name.startswith(LOGGER)]
    lines = "\n".join(map(formatter.format, records)).splitlines()
    assert len(lines) == 8
    found = [failregex.search(line) for line in lines]
    assert [each and each["host"] for each in found] == ["127.0.0.2"] * 8


# API tokens


async def test_a_token_that_may_read_changes_nothing(page: Site) -> None:
    async with program(page, await new_token(page, "read")) as reader:
        assert (await reader.get("/api/lines")).status == 200
        answer = await reader.ask("POST", "/api/access/tokens", json={"name": "another"})
        assert (answer.status, answer.headers["Content-Type"]) == (403, "application/problem+json")


async def test_a_token_that_may_write_needs_no_csrf_token(page: Site) -> None:
    async with program(page, await new_token(page, "write")) as writer:
        assert (await writer.ask("PATCH", "/api/installation", json={"company": "Acme"})).status == 200


async def test_a_token_makes_no_tokens(page: Site) -> None:
    async with program(page, await new_token(page, "write")) as writer, program(page) as cli:
        answer = await writer.ask("POST", "/api/access/tokens", json={"name": "another"})
        assert answer.status == 403
        assert "No API token may do this" in (await answer.json())["detail"]
        assert [each["name"] for each in await (await cli.get("/api/access/tokens")).json()] == ["exporter"]


@pytest.mark.parametrize("right", ["read", "write"])
async def test_a_token_changes_no_password(page: Site, right: str) -> None:
    """Though whoever has it may know, or guess, somebody's."""
    async with signed_in(page) as admin, program(page, await new_token(page, right)) as its:
        for user in ({}, {"user": "admin"}):
            for old in (PASSWORD, "a wrong guess"):
                body = {"old": old, "new": "a new password", **user}
                answer = await its.ask("POST", "/api/access/password", json=body)
                assert (answer.status, "No API token may do this" in answer.text) == (403, True)
        assert (await admin.get("/settings")).path == "/settings"
        assert (await admin.post("/account/password", CHANGE | {"tokens": "keep"})).path == "/account"


async def test_a_token_opens_no_page(page: Site) -> None:
    async with program(page, await new_token(page, "write")) as writer:
        assert (await writer.get("/settings")).path.startswith("/login")


async def test_a_revoked_token_is_worth_nothing(page: Site) -> None:
    async with program(page) as cli, program(page, await new_token(page, "read")) as reader:
        assert (await reader.get("/api/status")).status == 200
        kept = await (await cli.get("/api/access/tokens")).json()
        assert (await cli.ask("DELETE", f"/api/access/tokens/{kept[0]['id']}")).status == 204
        answer = await reader.get("/api/status")
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await cli.ask("DELETE", f"/api/access/tokens/{kept[0]['id']}")).status == 404


async def test_a_token_of_a_scope_may_what_it_says_until_it_expires(page: Site) -> None:
    body = {"name": "dialler", "scope": "calls", "expires_at": page.clock.now + 60}
    async with program(page) as cli:
        made = await (await cli.ask("POST", "/api/access/tokens", json=body)).json()
        assert (made["scope"], made["right"], made["expires_at"]) == ("calls", "read", page.clock.now + 60)
        async with program(page, made["token"]) as dialler:
            assert (await (await dialler.get("/api/account")).json())["role"] == "operator"
            assert (await dialler.ask("POST", "/api/calls/0123456789ab/hangup")).status == 404
            assert (await dialler.ask("PATCH", "/api/installation", json={"company": "Acme"})).status == 403
            page.clock.now += 60
            answer = await dialler.get("/api/account")
            assert (answer.status, "expired" in answer.text) == (401, True)
        for wrong in ({"scope": "all"}, {"expires_at": -1}, {"expires_at": "soon"}):
            assert (await cli.ask("POST", "/api/access/tokens", json={"name": "x", **wrong})).status == 422


async def test_a_token_is_made_on_the_page_with_its_scope_and_its_end(page: Site) -> None:
    async with signed_in(page) as admin:
        await admin.get("/settings")
        await admin.post("/settings/tokens", {"name": "CRM", "scope": "admin", "lasts": "30"})
        await admin.post("/settings/tokens", {"name": "odd", "scope": "root", "lasts": "9999999"})
        async with program(page) as cli:
            crm, odd = await (await cli.get("/api/access/tokens")).json()
        assert (crm["scope"], crm["made_by"], crm["expires_at"]) == ("admin", "admin", page.clock.now + 30 * 86400)
        assert (odd["scope"], odd["expires_at"]) == ("read", None)
        page.clock.now += 31 * 86400
        async with browser(page) as later:
            await later.log_in()
            assert "expired" in (await later.get("/settings")).text


@pytest.mark.parametrize("id", ["0", "9" * 30, "9" * 5000, "one", "²"], ids=len)
async def test_revoking_a_token_that_there_is_not(page: Site, id: str) -> None:
    async with signed_in(page) as admin:
        await admin.get("/settings")
        assert (await admin.post(f"/settings/tokens/{id}/revoke", {})).status == 404


async def test_a_token_is_shown_once_and_says_when_it_was_used(page: Site) -> None:
    async with signed_in(page) as admin:
        made = await admin.post("/settings/tokens", {"name": "<script>alert(1)</script>", "right": "read"})
        token = re.findall(r"astergram_[\w-]+", made.text)[0]
        after = await admin.get("/settings")
        assert token not in after.text
        assert "<script>alert" not in made.text + after.text
        assert "&lt;script&gt;alert" in after.text
        page.clock.now += 5
        async with program(page, token) as reader, program(page) as cli:
            assert (await reader.get("/api/lines")).status == 200
            assert (await (await cli.get("/api/access/tokens")).json())[0]["used_at"] == page.clock.now


async def test_a_wrong_authorization_is_not_saved_by_a_cookie(page: Site) -> None:
    async with signed_in(page) as admin:
        for wrong in ("Bearer nonsense", "Basic YTpi", "Bearer", ""):
            expected = 401 if wrong else 200
            assert (await admin.get("/api/status", headers={"Authorization": wrong})).status == expected


async def test_secrets_are_not_in_the_database(page: Site) -> None:
    async with signed_in(page) as admin:
        secrets = [cookie.value for cookie in admin.http.cookie_jar if cookie.value]
        secrets += [PASSWORD, await new_token(page, "read"), (await new_link(page)).partition("link=")[2], admin.csrf]
        async with program(page, secrets[-3]) as reader:
            assert (await reader.get("/api/status")).status == 200
    with sqlite3.connect(page.database) as database:
        dumped = "\n".join(database.iterdump())
    database.close()
    assert "$argon2id$" in dumped
    assert [secret for secret in secrets if secret in dumped] == []


# The Unix socket


async def test_the_socket_is_the_administrators_only(page: Site) -> None:
    assert page.socket.stat().st_mode & 0o777 == 0o600
    async with program(page) as cli:
        assert (await cli.get("/api/status")).status == 200
        assert (await cli.get("/settings")).status == 404


async def test_the_socket_goes_with_the_program_and_comes_after_a_kill(tmp_path: Path) -> None:
    async with site(tmp_path) as page:
        assert page.socket.exists()
    assert not page.socket.exists()
    page.socket.touch()
    async with site(tmp_path) as page, program(page) as cli:
        assert (await cli.get("/api/status")).status == 200
