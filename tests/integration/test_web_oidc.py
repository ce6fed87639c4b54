"""Sign-in by OpenID Connect, tried against a provider of the tests' own: who is let in, and what is not believed."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from ari_app.web.oidc import provider as oidc_client
from ari_app.web.oidc.provider import LEEWAY_S, METADATA_S
from tests.integration.web_helpers import PASSWORD, Answer, Browser, Clock, Site, browser, program, signed_in, site
from tests.oidc_provider import CLIENT, SECRET, OidcProvider, oidc_provider

CALLBACK = "/login/oidc/callback"
CREATE = {"users": "create", "role_claim": "groups", "roles": {"pbx-admins": "administrator", "staff": "viewer"}}
PATIENCE_S = 2.0


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture
async def provider(clock: Clock) -> AsyncIterator[OidcProvider]:
    async with oidc_provider(clock) as its:
        its.person["groups"] = ["staff", "everybody"]
        yield its


@asynccontextmanager
async def page_with(
    folder: Path, provider: OidcProvider, clock: Clock, web: Mapping[str, Any] | None = None, **oidc: Any
) -> AsyncIterator[Site]:
    """The page with that provider; `admin` has a password."""
    its = {"issuer": provider.url, "client_id": CLIENT, "client_secret": SECRET, **CREATE, **oidc}
    async with site(folder, web, clock=clock, oidc=its) as served:
        provider.redirects = [served.url + CALLBACK]
        async with signed_in(served):
            pass
        yield served


@pytest.fixture
async def page(tmp_path: Path, provider: OidcProvider, clock: Clock) -> AsyncIterator[Site]:
    async with page_with(tmp_path, provider, clock) as served:
        yield served


async def begun(who: Browser, next: str = "/lines") -> URL:
    """A browser that is signed in nowhere here goes to the provider, which sends it back to this address."""
    who.http.cookie_jar.clear()
    answer = await who.get(f"/login/oidc?next={next}", allow_redirects=False)
    assert answer.status == 303, answer.text
    answer = await who.get(URL(answer.headers["Location"], encoded=True), allow_redirects=False)
    assert answer.status == 302, answer.text
    return URL(answer.headers["Location"], encoded=True)


async def by_provider(who: Browser, next: str = "/lines") -> Answer:
    """Signs in, if all is well; the page that a browser is led to then."""
    answer = await who.get(await begun(who, next))
    led = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', answer.text)
    return await who.get(led[1]) if led else answer


async def sign_ins(page: Site) -> list[tuple[str, str, Any]]:
    """What the audit log has of it after the first password, the oldest first."""
    async with program(page) as cli:
        told = (await (await cli.get("/api/audit")).json())["entries"]
        return [(each["action"], each["who"], each["changes"]) for each in reversed(told)][2:]


async def users(page: Site) -> dict[str, str]:
    async with program(page) as cli:
        return {each["name"]: each["role"] for each in await (await cli.get("/api/users")).json()}


# Who is let in


async def test_somebody_signs_in_for_the_first_time_and_again(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as anna:
        assert 'href="/login/oidc?next=/lines"' in (await anna.get("/login?next=/lines")).text
        assert (await by_provider(anna)).path == "/lines"
        assert (await anna.get("/settings")).status == 403
        async with browser(page) as again:
            assert (await by_provider(again, "/calls?q=1")).path == "/calls?q=1"
        assert await users(page) == {"admin": "administrator", "anna": "viewer"}
    way = {"way": ["", "OpenID Connect"]}
    assert await sign_ins(page) == [
        ("user added", "anna", {"role": [None, "viewer"]}),
        ("sign-in", "anna", way),
        ("sign-in", "anna", way),
    ]


async def test_a_role_follows_the_provider_at_each_sign_in(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as anna, browser(page) as again:
        await by_provider(anna)
        provider.person["groups"] = ["staff", "pbx-admins"]
        assert (await by_provider(again, "/settings")).path == "/settings"
        assert (await anna.get("/settings")).status == 200
        provider.person["groups"] = []
        async with browser(page) as later:
            assert (await by_provider(later)).status == 403
        assert ("role changed", "anna", {"role": ["viewer", "administrator"]}) in await sign_ins(page)


async def test_who_has_another_name_since_is_the_same_and_who_has_their_name_is_not(
    page: Site, provider: OidcProvider
) -> None:
    async with browser(page) as anna, browser(page) as thief:
        await by_provider(anna)
        provider.person["preferred_username"] = "anna.married"
        assert (await by_provider(anna)).path == "/lines"
        provider.person |= {"sub": "6666", "preferred_username": "Anna"}
        assert (await by_provider(thief)).status == 403
        for name in ("admin", "ADMIN"):
            provider.person["preferred_username"] = name
            answer = await by_provider(thief)
            assert (answer.status, "another user of your name" in answer.text) == (403, True)
        assert (await users(page)).keys() == {"admin", "anna"}


async def test_who_is_removed_is_out_and_comes_back_only_if_the_provider_says_so(
    page: Site, provider: OidcProvider
) -> None:
    async with browser(page) as anna, program(page) as cli:
        await by_provider(anna)
        await cli.ask("DELETE", "/api/users/anna")
        assert (await anna.get("/lines")).path.startswith("/login")
        assert (await by_provider(anna)).path == "/lines"


async def test_only_users_that_were_added_where_it_is_set_so(
    tmp_path: Path, provider: OidcProvider, clock: Clock
) -> None:
    async with (
        page_with(tmp_path, provider, clock, users="existing", role_claim="", roles={}) as page,
        browser(page) as anna,
        program(page) as cli,
    ):
        answer = await by_provider(anna)
        assert (answer.status, "ask an administrator to add you" in answer.text) == (403, True)
        await cli.ask("POST", "/api/users", json={"name": "anna", "role": "operator"})
        assert (await by_provider(anna)).path == "/lines"
        assert await users(page) == {"admin": "administrator", "anna": "operator"}
        listed = {each["name"]: each["oidc"] for each in await (await cli.get("/api/users")).json()}
        assert listed == {"admin": False, "anna": True}


async def test_a_user_with_a_password_is_not_taken_by_a_name(
    tmp_path: Path, provider: OidcProvider, clock: Clock
) -> None:
    async with (
        page_with(tmp_path, provider, clock, users="existing") as page,
        browser(page) as thief,
        program(page) as cli,
    ):
        await cli.ask("POST", "/api/users", json={"name": "anna", "role": "operator", "password": PASSWORD})
        assert (await by_provider(thief)).status == 403


async def test_nobody_is_let_in_before_the_first_administrator(
    tmp_path: Path, provider: OidcProvider, clock: Clock
) -> None:
    """Else whoever the provider calls admin would be it."""
    provider.person["preferred_username"] = "admin"
    its = {"issuer": provider.url, "client_id": CLIENT, "client_secret": SECRET, **CREATE, "users": "existing"}
    async with site(tmp_path, clock=clock, oidc=its) as page, browser(page) as thief:
        assert (await by_provider(thief)).status == 403
        assert (await thief.get("/")).path == "/login"


async def test_the_administrator_of_the_first_start_is_nobody_at_the_provider_by_the_name_alone(
    tmp_path: Path, provider: OidcProvider, clock: Clock
) -> None:
    provider.person["preferred_username"] = "admin"
    its = {"issuer": provider.url, "client_id": CLIENT, "client_secret": SECRET, "users": "existing"}
    async with site(tmp_path, clock=clock, oidc=its) as page, browser(page) as thief, program(page) as cli:
        provider.redirects = [page.url + CALLBACK]
        await cli.ask("POST", "/api/users", json={"name": "boris", "role": "administrator", "password": PASSWORD})
        answer = await by_provider(thief)
        assert (answer.status, "another user of your name" in answer.text) == (403, True)
        await cli.ask("DELETE", "/api/users/admin")
        await cli.ask("POST", "/api/users", json={"name": "admin", "role": "viewer"})
        assert (await by_provider(thief)).path == "/lines", "who was added for it may"


async def test_the_last_administrator_is_not_made_less(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as anna, program(page) as cli, browser(page) as again:
        provider.person["groups"] = ["pbx-admins"]
        await by_provider(anna)
        await cli.ask("DELETE", "/api/users/admin")
        provider.person["groups"] = ["staff"]
        answer = await by_provider(again)
        assert (answer.status, "only administrator" in answer.text) == (403, True)
        assert await users(page) == {"anna": "administrator"}


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"groups": "pbx-admins"}, "administrator"),
        ({"groups": ["staff", 7, None, {"pbx-admins": 1}]}, "viewer"),
        ({"groups": ["others"]}, None),
        ({"groups": {"pbx-admins": True}}, None),
        ({}, None),
    ],
    ids=str,
)
async def test_roles_of_groups(page: Site, provider: OidcProvider, claims: dict[str, Any], role: str | None) -> None:
    provider.person = {"sub": "1", "preferred_username": "anna", **claims}
    async with browser(page) as anna:
        assert ((await by_provider(anna)).status == 403) == (role is None)
    assert (await users(page)).get("anna") == role


async def test_roles_inside_of_other_claims_and_one_for_everybody(
    tmp_path: Path, provider: OidcProvider, clock: Clock
) -> None:
    provider.person["realm_access"] = {"roles": ["pbx-admins"]}
    its: dict[str, Any] = {"role_claim": "realm_access.roles", "default_role": "operator"}
    async with page_with(tmp_path, provider, clock, **its) as page, browser(page) as anna:
        await by_provider(anna)
        assert (await users(page))["anna"] == "administrator"
        del provider.person["realm_access"]
        await by_provider(anna)
        async with browser(page) as again:
            await by_provider(again)
        assert (await users(page))["anna"] == "operator"


@pytest.mark.parametrize("name", [None, 7, "", "anna karenina", "анна", "-anna", "a" * 65, "<b>"], ids=repr)
async def test_a_name_that_does_not_do(page: Site, provider: OidcProvider, name: Any) -> None:
    provider.person["preferred_username"] = name
    async with browser(page) as anna:
        assert (await by_provider(anna)).status == 403


@pytest.mark.parametrize("verified", [None, False, "yes"])
async def test_an_address_as_a_name_has_to_be_verified(
    tmp_path: Path, provider: OidcProvider, clock: Clock, verified: Any
) -> None:
    provider.person |= {"email": "Anna@Example.com", "email_verified": verified}
    async with (
        page_with(tmp_path, provider, clock, name_claim="email") as page,
        browser(page) as anna,
        program(page) as cli,
    ):
        answer = await by_provider(anna)
        assert (answer.status, "does not say that your e-mail address is verified" in answer.text) == (403, True)
        assert "anna@example.com" not in await users(page)
        await cli.ask("POST", "/api/users", json={"name": "anna@example.com", "role": "viewer"})
        assert (await by_provider(anna)).status == 403, "nor is it the user of that name"
        provider.person["email_verified"] = True
        assert (await by_provider(anna)).path == "/lines"
        provider.person["email_verified"] = verified
        assert (await by_provider(anna)).path == "/lines", "who is known is known by the subject"


async def test_an_address_may_be_believed_where_it_is_set_so(
    tmp_path: Path, provider: OidcProvider, clock: Clock
) -> None:
    provider.person |= {"email": "Anna@Example.com", "email_verified": None}
    async with (
        page_with(tmp_path, provider, clock, name_claim="email", unverified_email=True) as page,
        browser(page) as anna,
    ):
        assert (await by_provider(anna)).path == "/lines"
        assert "anna@example.com" in await users(page)


@pytest.mark.parametrize("subject", [None, "", 5, "x" * 256, "a\nb"], ids=repr)
async def test_a_subject_that_does_not_do(page: Site, provider: OidcProvider, subject: Any) -> None:
    provider.person["sub"] = subject
    async with browser(page) as anna:
        assert (await by_provider(anna)).status == 403


# What is not believed


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "another client"}, "aud"),
        ({"aud": ["another client"], "azp": CLIENT}, "aud"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "azp"),
        ({"aud": None}, "aud"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"exp": 1_800_000_000 - LEEWAY_S - 1}, "expired"),
        ({"exp": None}, "exp"),
        ({"iat": 1_800_000_000 + 3600}, "in the future"),
        ({"nbf": 1_800_000_000 + 3600}, "not yet valid"),
        ({"at_hash": "of another token"}, "at_hash"),
    ],
    ids=str,
)
async def test_an_id_token_that_is_not_for_us_now(
    page: Site, provider: OidcProvider, claims: dict[str, Any], why: str
) -> None:
    provider.claims = claims
    async with browser(page) as anna:
        answer = await by_provider(anna)
        assert (answer.status, why in answer.text) == (403, True), answer.text
        assert (await anna.get("/")).path == "/login"
        provider.claims = {}
        assert (await by_provider(anna)).path == "/lines"
    assert "anna" in await users(page)


async def test_clocks_that_are_a_little_apart(page: Site, provider: OidcProvider, clock: Clock) -> None:
    provider.claims = {"iat": int(clock.now) + LEEWAY_S - 5, "exp": int(clock.now) - LEEWAY_S + 5}
    async with browser(page) as anna:
        assert (await by_provider(anna)).path == "/lines"


async def test_a_key_that_nobody_knows_and_one_that_is_new(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as anna:
        await by_provider(anna)
        provider.rotate(publish=False)
        answer = await by_provider(anna := Browser(anna.url, anna.http))
    async with browser(page) as again:
        answer = await by_provider(again)
        assert (answer.status, "kid" in answer.text) == (403, True)
        provider.rotate()
        asked = provider.asked.count("/keys")
        assert (await by_provider(again)).path == "/lines"
        assert provider.asked.count("/keys") == asked + 1


async def test_a_key_of_a_kind_that_we_do_not_know_is_no_trouble(page: Site, provider: OidcProvider) -> None:
    provider.other_keys = [{"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA", "kid": "1"}, {"kty": None}, 7]
    async with browser(page) as anna:
        assert (await by_provider(anna)).path == "/lines"
        provider.published = []
        async with program(page) as cli:
            assert (await cli.ask("POST", "/api/access/oidc/test")).status == 502


async def test_a_signature_by_another_key_of_the_same_name(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as thief:
        provider.rotate(publish=False, kid=provider.key.kid)
        assert (await by_provider(thief)).status == 403


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_a_token_without_a_signature_of_the_providers(
    page: Site, provider: OidcProvider, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from joserfc import jwt
    from joserfc.jwk import OctKey

    def forged(nonce: str) -> str:
        claims = {"iss": provider.url, "aud": CLIENT, "iat": 1_800_000_000, "exp": 1_800_000_300, "nonce": nonce}
        key = OctKey.import_key(SECRET)
        return jwt.encode({"alg": algorithm, "kid": provider.key.kid}, claims | provider.person, key, [algorithm])

    monkeypatch.setattr(provider, "id_token", forged)
    provider.metadata = {"id_token_signing_alg_values_supported": ["RS256", algorithm]}
    async with browser(page) as thief:
        answer = await by_provider(thief)
        assert (answer.status, "alg" in answer.text) == (403, True), answer.text


async def test_a_code_and_a_state_work_once(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as anna, browser(page) as thief:
        back = await begun(anna)
        kept = {each.key: each.value for each in anna.http.cookie_jar}
        answer = await thief.get(back)
        assert (answer.status, "not begun in this browser" in answer.text) == (403, True)
        assert (await anna.get(back)).status == 200
        assert (await anna.get("/lines")).path == "/lines"
        assert (await anna.get(back)).status == 403  # once more: the cookie is gone
        thief.http.cookie_jar.update_cookies({name: value for name, value in kept.items() if "oidc" in name})
        answer = await thief.get(back)  # with the cookie, too: the provider has given a token for that code
        assert (answer.status, "invalid_grant" in answer.text) == (403, True)
        assert (await thief.get("/")).path == "/login"


@pytest.mark.parametrize("state", ["", "guessed", "é", "0" * 64])
async def test_an_answer_that_nobody_has_asked_for(page: Site, provider: OidcProvider, state: str) -> None:
    """As another site would have a browser sign in as somebody else."""
    async with browser(page) as anna, browser(page) as thief:
        code = (await begun(thief)).query["code"]
        await begun(anna)
        answer = await anna.get(URL(f"{page.url}{CALLBACK}").with_query(code=code, state=state))
        assert answer.status == 403
        assert (await anna.get("/")).path == "/login"


async def test_an_answer_of_another_provider(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as anna:
        answer = await anna.get((await begun(anna)).update_query(iss="https://evil.example"))
        assert answer.status == 403
        assert (await anna.get((await begun(anna)).update_query(iss=provider.url))).status == 200


async def test_somebody_who_denies(page: Site, provider: OidcProvider) -> None:
    provider.denies = True
    async with browser(page) as anna:
        answer = await by_provider(anna)
        assert (answer.status, "has not let you in" in answer.text) == (403, True)
        assert 'name="password"' in answer.text
    assert await sign_ins(page) == []


async def test_whatever_the_provider_says_is_no_markup(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as anna:
        answer = await anna.get(
            (await begun(anna)).with_query(state=(await begun(anna)).query["state"], error="<b>x</b>")
        )
        assert "<b>x" not in answer.text


@pytest.mark.parametrize("next", ["https://evil.example/", "//evil.example", "/%5Cevil.example", "/%09/evil.example"])
async def test_it_leads_to_no_other_site(page: Site, next: str) -> None:
    async with browser(page) as anna:
        answer = await anna.get(await begun(anna, next))
        assert (re.findall(r'url=([^"]+)"', answer.text), "evil" in answer.text) == (["/"], False)


# When the provider is away


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
@pytest.mark.parametrize("trouble", ["asleep", 500, 503])
async def test_a_provider_that_does_not_answer(
    page: Site, provider: OidcProvider, path: str, trouble: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trouble == "asleep":
        monkeypatch.setattr(oidc_client, "PROVIDER_S", PATIENCE_S)
        provider.asleep.add(path)
    else:
        provider.broken[path] = int(trouble)
    async with browser(page) as anna:
        answer = await by_provider(anna) if path == "/token" else await anna.get("/login/oidc")
        said = "no answer within" if trouble == "asleep" else f"HTTP {trouble}"
        assert (answer.status, said in answer.text, 'name="password"' in answer.text) == (502, True, True), answer.text
        assert (await anna.log_in()).path == "/"  # passwords remain


async def test_a_provider_that_is_gone_and_comes_back(tmp_path: Path, clock: Clock) -> None:
    async with oidc_provider(clock) as gone:
        pass
    async with page_with(tmp_path, gone, clock) as page, browser(page) as anna, program(page) as cli:
        assert (await anna.get("/login/oidc")).status == 502
        assert (await cli.ask("POST", "/api/access/oidc/test")).status == 502


@pytest.mark.parametrize(
    "metadata", [{"issuer": "https://evil.example"}, {"jwks_uri": None}, {"jwks_uri": "no address"}], ids=str
)
async def test_a_provider_that_says_something_odd(page: Site, provider: OidcProvider, metadata: dict[str, Any]) -> None:
    provider.metadata = metadata
    async with browser(page) as anna:
        assert (await anna.get("/login/oidc")).status == 502


async def test_a_wrong_client_secret_is_told(tmp_path: Path, provider: OidcProvider, clock: Clock) -> None:
    async with page_with(tmp_path, provider, clock, client_secret="of another time") as page, browser(page) as anna:
        answer = await by_provider(anna)
        assert (answer.status, "invalid_client" in answer.text) == (403, True)


@pytest.mark.parametrize("methods", [["client_secret_basic"], ["client_secret_post"], []], ids=str)
async def test_how_the_secret_is_sent(page: Site, provider: OidcProvider, methods: list[str]) -> None:
    provider.metadata = {"token_endpoint_auth_methods_supported": methods}
    async with browser(page) as anna:
        assert (await by_provider(anna)).path == "/lines"


async def test_a_public_client(tmp_path: Path, provider: OidcProvider, clock: Clock) -> None:
    provider.secret = ""
    async with page_with(tmp_path, provider, clock, client_secret=None) as page, browser(page) as anna:
        assert (await by_provider(anna)).path == "/lines"


async def test_its_addresses_and_keys_are_asked_for_again_after_a_while(page: Site, provider: OidcProvider) -> None:
    async with browser(page) as anna:
        for _ in range(3):
            await begun(anna)
        assert provider.asked.count("/keys") == 1
        page.steady.now += METADATA_S
        await begun(anna)
        assert provider.asked.count("/keys") == 2
