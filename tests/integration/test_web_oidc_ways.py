"""OpenID Connect beside passwords: who may still use one, second factors, sessions, signing out, and what is shown."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientSession
from pydantic import ValidationError
from yarl import URL

from ari_app.api_client import RequestRefused
from ari_app.api_client import program as api_of
from ari_app.cli import api as cli
from ari_app.cli.parser import parse
from ari_app.web.oidc.settings import OidcSettings
from tests.integration.test_web_oidc import CREATE, begun, by_provider, clock, page, page_with, provider, sign_ins
from tests.integration.test_web_two_factor import turned_on, with_code
from tests.integration.web_helpers import PASSWORD, Clock, Site, browser, program, signed_in, site, user
from tests.oidc_provider import ACCESS_TOKEN, CLIENT, SECRET, OidcProvider

__all__ = ["clock", "page", "provider"]


# Passwords


@pytest.fixture
async def emergency(tmp_path: Path, provider: OidcProvider, clock: Clock) -> AsyncIterator[Site]:
    async with page_with(tmp_path, provider, clock, emergency_user="Admin") as served:
        yield served


async def test_only_the_emergency_user_signs_in_with_a_password(emergency: Site, provider: OidcProvider) -> None:
    async with program(emergency) as socket, browser(emergency) as anna, browser(emergency) as admin:
        body = {"name": "boris", "role": "administrator", "password": PASSWORD}
        assert (await socket.ask("POST", "/api/users", json=body)).status == 201
        refused = await anna.log_in(name="boris")
        unknown = await anna.log_in(name="nobody")
        assert (refused.status, "The user name or the password is wrong." in refused.text) == (403, True)
        assert refused.text.replace("boris", "nobody").count("wrong") == unknown.text.count("wrong")
        assert "one administrator only" in unknown.text
        assert (await admin.log_in()).path == "/"
        assert (await by_provider(anna)).path == "/lines"


async def test_a_link_to_set_a_password_lets_nobody_else_in(emergency: Site) -> None:
    async with program(emergency) as socket, browser(emergency) as boris:
        await socket.ask("POST", "/api/users", json={"name": "boris", "role": "administrator"})
        link = (await (await socket.ask("POST", "/api/users/boris/link")).json())["link"]
        answer = await boris.get(link)
        assert (answer.status, "provider" in answer.text) == (403, True)
        assert (await boris.post("/password", {"link": link.partition("link=")[2], "password": PASSWORD})).status == 403
        assert (await boris.get("/")).path == "/login"
        answer = await socket.ask("POST", "/api/access/link")  # for the one who may use it
        assert (await boris.set_password((await answer.json())["link"], "another password")).path == "/"


async def test_sessions_of_other_passwords_end_once_they_are_off(
    tmp_path: Path, provider: OidcProvider, clock: Clock
) -> None:
    async with site(tmp_path, clock=clock) as before:
        port = before.served.port
        async with signed_in(before) as admin, user(before, "viewer", "anna") as anna:
            cookies = [{each.key: each.value for each in who.http.cookie_jar} for who in (admin, anna)]
    async with page_with(tmp_path, provider, clock, {"port": port}, emergency_user="admin") as now:
        for kept, path in zip(cookies, ("/lines", "/login"), strict=True):
            async with browser(now) as again:
                again.http.cookie_jar.update_cookies(kept)
                assert (await again.get("/lines")).path.partition("?")[0] == path


async def test_sessions_of_the_provider_end_once_there_is_none(
    tmp_path: Path, provider: OidcProvider, clock: Clock
) -> None:
    async with page_with(tmp_path, provider, clock) as before, browser(before) as anna:
        await by_provider(anna)
        port, kept = before.served.port, {each.key: each.value for each in anna.http.cookie_jar}
    async with site(tmp_path, {"port": port}, clock=clock) as now, browser(now) as anna:
        anna.http.cookie_jar.update_cookies(kept)
        assert (await anna.get("/lines")).path.startswith("/login")
        assert (await anna.get("/login/oidc")).status == 404
        assert "/login/oidc" not in (await anna.get("/login")).text


# Second factors


async def test_a_second_factor_is_asked_for_after_the_provider_too(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as anna, browser(page) as again:
        await by_provider(anna)
        totp, _ = await turned_on(page, anna)
        page.clock.now += 30
        asked = await by_provider(again)
        assert (await again.get("/lines")).path.startswith("/login")
        assert (await with_code(again, asked, totp.at(page.clock.now), next="/lines")).path == "/lines"
        assert (await again.post("/logout")).path == "/login?left=oidc"
    assert (await sign_ins(page))[-2] == ("sign-in", "anna", {"way": ["", "OpenID Connect"]})


@pytest.mark.parametrize(("second", "path"), [("astergram", "/account/two-factor"), ("provider", "/lines")])
async def test_a_role_that_needs_one(
    tmp_path: Path, provider: OidcProvider, clock: Clock, second: str, path: str
) -> None:
    web = {"require_two_factor": ["viewer"]}
    async with page_with(tmp_path, provider, clock, web, second_factor=second) as page, browser(page) as anna:
        assert (await by_provider(anna)).path == path


async def test_the_provider_may_be_trusted_with_it(tmp_path: Path, provider: OidcProvider, clock: Clock) -> None:
    async with page_with(tmp_path, provider, clock, second_factor="provider") as page, browser(page) as anna:
        await by_provider(anna)
        await turned_on(page, anna)
        async with browser(page) as again:
            assert (await by_provider(again)).path == "/lines"


async def test_who_has_no_password_says_a_code_in_its_place(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as anna:
        await by_provider(anna)
        account = await anna.get("/account")
        assert 'name="old_password"' not in account.text
        totp, codes = await turned_on(page, anna)
        shown = await anna.get("/account/two-factor")
        assert ('name="password"' in shown.text, 'name="code"' in shown.text) == (False, True)
        for place in ("/account/two-factor/codes", "/account/two-factor/off"):
            assert (await anna.post(place, {"code": "000000"})).status == 422
            assert (await anna.post(place, {"password": ""})).status == 422
        page.clock.now += 30
        answer = await anna.post("/account/two-factor/codes", {"code": totp.at(page.clock.now)})
        assert answer.status == 200
        assert codes[0] not in answer.text
        page.clock.now += 30
        assert (
            await anna.post("/account/two-factor/off", {"code": totp.at(page.clock.now)})
        ).path == "/account/two-factor"
        assert (await by_provider(anna)).path == "/lines"


async def test_its_codes_are_not_guessed_there(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as anna:
        await by_provider(anna)
        await turned_on(page, anna)
        await anna.get("/account/two-factor")
        statuses = [(await anna.post("/account/two-factor/off", {"code": "000000"})).status for _ in range(8)]
        assert statuses[-1] == 429


# Sessions, and signing out


async def test_a_session_ends_as_others_do(tmp_path: Path, provider: OidcProvider, clock: Clock) -> None:
    web = {"session_hours": 10, "idle_hours": 5}
    async with page_with(tmp_path, provider, clock, web) as page, browser(page) as anna:
        await by_provider(anna)
        page.clock.now += 4 * 3600
        assert (await anna.get("/lines")).path == "/lines"
        page.clock.now += 5 * 3600
        assert (await anna.get("/lines")).path.startswith("/login")


async def test_signing_out_offers_the_provider_too(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as anna, browser(page) as admin:
        await by_provider(anna)
        answer = await anna.post("/logout")
        assert (answer.path, 'href="/login/oidc/logout"' in answer.text) == ("/login?left=oidc", True)
        assert (await anna.get("/lines")).path.startswith("/login")
        answer = await anna.get("/login/oidc/logout", allow_redirects=False)
        place = URL(answer.headers["Location"])
        assert (str(place.with_query(None)), dict(place.query)) == (
            f"{provider.url}/logout",
            {"client_id": CLIENT, "post_logout_redirect_uri": f"{page.url}/login"},
        )
        assert (await anna.get("/login/oidc/logout")).path == "/login"
        await admin.log_in()
        assert (await admin.post("/logout")).path == "/login"


async def test_a_provider_that_offers_no_signing_out(page: Site, provider: OidcProvider) -> None:
    provider.metadata = {"end_session_endpoint": ""}
    async with browser(page) as anna:
        assert (await anna.get("/login/oidc/logout")).path == "/login"


# Behind a proxy


async def test_browsers_come_back_to_the_public_address(tmp_path: Path, provider: OidcProvider, clock: Clock) -> None:
    public = "https://pbx.example.com"
    its = {"issuer": provider.url, "client_id": CLIENT, "client_secret": SECRET, **CREATE}
    async with site(tmp_path, {"public_url": public}, clock=clock, oidc=its) as served:
        here = f"http://127.0.0.1:{served.served.port}/login/oidc"
        async with ClientSession() as http:
            async with http.get(here, allow_redirects=False) as answer:  # by another name: first to the right one
                assert answer.headers["Location"] == f"{public}/login/oidc?led=1&next=/"
            async with http.get(here + "?led=1", allow_redirects=False) as answer:
                assert answer.headers["Location"].startswith(provider.url)  # a proxy that hides the name
            async with http.get(here, headers={"Host": "pbx.example.com"}, allow_redirects=False) as answer:
                place = URL(answer.headers["Location"])
                assert place.query["redirect_uri"] == f"{public}/login/oidc/callback"
                (cookie,) = [each for each in answer.headers.getall("Set-Cookie") if "oidc" in each]
                assert cookie.startswith("__Host-astergram-oidc-")
                assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))


async def test_what_the_provider_is_asked_for(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as anna:
        answers = [await anna.get("/login/oidc", allow_redirects=False) for _ in range(2)]
    first, second = (dict(URL(each.headers["Location"]).query) for each in answers)
    kept = {
        name: first[name] for name in ("response_type", "client_id", "scope", "code_challenge_method", "redirect_uri")
    }
    assert kept == {
        "response_type": "code",
        "client_id": CLIENT,
        "scope": "openid profile email",
        "code_challenge_method": "S256",
        "redirect_uri": f"{page.url}/login/oidc/callback",
    }
    different = ("state", "nonce", "code_challenge")
    assert len({each[name] for each in (first, second) for name in different}) == 6
    assert SECRET not in str(first)


# What is set


async def test_what_is_set_is_shown_without_the_secret(page: Site, capsys: pytest.CaptureFixture[str]) -> None:
    settings: Any = SimpleNamespace(socket=page.socket)
    async with program(page) as socket, browser(page) as admin, api_of(settings) as api:
        await admin.log_in()
        told = await (await socket.get("/api/access/oidc")).json()
        assert (told["client_secret"], told["redirect_uri"]) == ("set", f"{page.url}/login/oidc/callback")
        shown = (await admin.get("/users")).text
        assert f"{page.url}/login/oidc/callback" in shown
        assert "pbx-admins" in shown
        await cli.web(parse(["web", "oidc"]), api)
        await cli.web(parse(["web", "oidc", "--json"]), api)
        printed = capsys.readouterr().out
        assert told["issuer"] in printed
        assert SECRET not in str(told) + shown + printed
        assert "answers as it should" in (await admin.post("/users/oidc/test")).text
        await cli.web(parse(["web", "oidc", "--test"]), api)
        assert "answers as it should" in capsys.readouterr().out


async def test_a_provider_that_is_away_is_told(page: Site, provider: OidcProvider) -> None:
    provider.broken["/keys"] = 500
    settings: Any = SimpleNamespace(socket=page.socket)
    async with browser(page) as admin, api_of(settings) as api:
        await admin.log_in()
        await admin.get("/users")
        assert "HTTP 500" in (await admin.post("/users/oidc/test")).text
        with pytest.raises(RequestRefused, match="HTTP 500"):
            await cli.web(parse(["web", "oidc", "--test"]), api)


async def test_where_there_is_none(tmp_path: Path) -> None:
    settings: Any = SimpleNamespace(socket=tmp_path / "astergram.sock")
    async with site(tmp_path) as page, signed_in(page) as admin, program(page) as socket, api_of(settings) as api:
        assert (await socket.get("/api/access/oidc")).status == 404
        assert (await admin.post("/users/oidc/test")).status == 404
        assert "/users/oidc/test" not in (await admin.get("/users")).text
        with pytest.raises(RequestRefused, match=r"\[oidc\]"):
            await cli.web(parse(["web", "oidc"]), api)


async def test_a_user_who_was_added_for_it_needs_no_link(emergency: Site) -> None:
    async with browser(emergency) as admin:
        await admin.log_in()
        await admin.get("/users")
        made = await admin.post("/users", {"name": "boris", "role": "viewer"})
        assert (made.status, "/password?link=" in made.text, "signs in by the provider" in made.text) == (
            200,
            False,
            True,
        )


WHOLE = {"issuer": "https://login.example.com", "client_id": "astergram"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"issuer": "http://login.example.com"}, "https://"),
        ({"issuer": "https://login.example.com?tenant=1"}, "https://"),
        ({"issuer": "login.example.com"}, "https://"),
        ({"scopes": ["profile"]}, "openid"),
        ({"role_claim": "groups"}, "go together"),
        ({"roles": {"staff": "viewer"}}, "go together"),
        ({"users": "create"}, "nobody"),
        ({"client_secret": ""}, "at least 1"),
        ({"roles": {"staff": "root"}, "role_claim": "groups"}, "administrator"),
    ],
    ids=str,
)
def test_settings_that_let_nobody_in_or_everybody(wrong: dict[str, Any], said: str) -> None:
    OidcSettings.model_validate(WHOLE)
    with pytest.raises(ValidationError, match=said):
        OidcSettings.model_validate(WHOLE | wrong)


@pytest.mark.parametrize(
    "issuer", ["https://login.example.com/realms/pbx/", "http://127.0.0.1:1", "http://localhost:1"]
)
def test_issuers(issuer: str) -> None:
    assert OidcSettings.model_validate(WHOLE | {"issuer": issuer}).issuer == issuer


async def test_nothing_of_a_sign_in_is_kept_or_logged(
    page: Site, provider: OidcProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with browser(page) as anna:
        back = await begun(anna)
        (cookie,) = [each.value for each in anna.http.cookie_jar if "oidc" in each.key]
        assert (await anna.get(back)).status == 200
    secrets = [back.query["code"], cookie.partition(".")[0], SECRET, ACCESS_TOKEN]
    kept = page.database.read_bytes() + b"".join(each.read_bytes() for each in page.folder.glob("astergram.db-*"))
    assert [each for each in secrets if each in caplog.text or each.encode() in kept] == []
