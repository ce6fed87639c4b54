"""Passkeys and security keys as a second factor: added, asked for, removed, and what is not believed of them."""

import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any

import pyotp
import pytest

from ari_app.web.access.throttle import CODES as CODES_TRIES
from ari_app.web.access.two_factor import RECOVERY_CODES, STEP_S
from tests.authenticator import Authenticator
from tests.integration.test_web_two_factor import CODES, KEY, with_code
from tests.integration.web_helpers import PASSWORD, Answer, Browser, Site, browser, program, site

PLACE = "/account/two-factor"
OPTIONS = re.compile(r'data-passkey="(create|get)" data-options="([^"]+)"')
CHALLENGE = re.compile(r'name="challenge" value="([\w-]+)"')


def options_in(answer: Answer, kind: str) -> str:
    """What a page asks a device for."""
    (found,) = [unescape(each) for its, each in OPTIONS.findall(answer.text) if its == kind]
    return found


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as served:
        yield served


def here(of: Site) -> str:
    """The same page by the name localhost: an address can have no passkeys."""
    return of.url.replace("127.0.0.1", "localhost")


async def at_localhost(of: Site, who: Browser, name: str = "admin") -> Browser:
    """A browser that has signed in by that name."""
    who.url = here(of)
    await who.get("/login")
    if name == "admin" and of.served.first_link and 'name="password"' not in (await who.get("/login")).text:
        await who.set_password(of.served.first_link.replace("127.0.0.1", "localhost"))
    else:
        await who.log_in(name=name)
    return who


async def added(of: Site, who: Browser, key: Authenticator, name: str = "YubiKey", **fields: str) -> Answer:
    options = options_in(await who.get(PLACE), "create")
    return await who.post("/account/passkeys", {"passkey_name": name, "credential": key.create(options), **fields})


async def by_passkey(who: Browser, asked: Answer, credential: str, **fields: str) -> Answer:
    challenge = CHALLENGE.findall(asked.text)[0]
    return await who.post("/login/code", {"challenge": challenge, "credential": credential, **fields})


async def test_a_key_is_added_and_lets_in(page: Site) -> None:
    key = Authenticator(here(page))
    async with browser(page) as who, browser(page) as other:
        admin = await at_localhost(page, who)
        answer = await added(page, admin, key)
        codes = CODES.findall(answer.text)
        assert len(set(codes)) == RECOVERY_CODES, answer.text
        assert "YubiKey" in (await admin.get(PLACE)).text
        other.url = here(page)
        asked = await other.log_in(next="/lines")
        assert (await other.get("/lines")).path.startswith("/login")
        page.clock.now += 60
        assert (await by_passkey(other, asked, key.get(options_in(asked, "get")), next="/lines")).path == "/lines"
        async with browser(page) as lost:
            assert (await with_code(lost, await lost.log_in(), codes[0])).path == PLACE  # by the address, too
    async with program(page) as cli:
        assert [each["two_factor"] for each in await (await cli.get("/api/users")).json()] == [True]
        told = (await (await cli.get("/api/audit")).json())["entries"]
        assert [each["action"] for each in told if "passkey" in each["action"]] == ["passkey added"]


async def test_it_stands_beside_an_authenticator_app(page: Site) -> None:
    key = Authenticator(here(page))
    async with browser(page) as who, browser(page) as other:
        admin = await at_localhost(page, who)
        totp = pyotp.TOTP(KEY.findall((await admin.get(PLACE)).text)[0])
        first = CODES.findall((await admin.post(PLACE, {"code": totp.at(page.clock.now)})).text)
        assert (await added(page, admin, key)).status == 422  # who has one already says their password again
        assert (await added(page, admin, key, password="wrong")).status == 422
        answer = await added(page, admin, key, password=PASSWORD)
        assert (answer.path, CODES.findall(answer.text)) == (PLACE, [])  # the recovery codes stay
        page.clock.now += STEP_S
        other.url = here(page)
        assert (await with_code(other, await other.log_in(), totp.at(page.clock.now))).path == "/"
        async with browser(page) as again:
            again.url = here(page)
            asked = await again.log_in()
            assert (await by_passkey(again, asked, key.get(options_in(asked, "get")))).path == "/"
        async with browser(page) as lost:
            assert (await with_code(lost, await lost.log_in(), first[0])).path == PLACE


async def test_it_is_removed_with_the_password_only(page: Site) -> None:
    key = Authenticator(here(page))
    async with browser(page) as who:
        admin = await at_localhost(page, who)
        await added(page, admin, key)
        (place,) = set(re.findall(r'formaction="(/account/passkeys/\d+/remove)"', (await admin.get(PLACE)).text))
        assert (await admin.post(place, {"password": "wrong"})).status == 422
        assert (await admin.post("/account/passkeys/999/remove", {"password": PASSWORD})).status == 404
        assert (await admin.post("/account/passkeys/x/remove", {"password": PASSWORD})).status == 404
        assert (await admin.post(place, {"password": PASSWORD})).path == PLACE
        async with browser(page) as other:
            other.url = here(page)
            assert (await other.log_in()).path == "/"


async def test_of_somebody_else_it_is_not_removed(page: Site) -> None:
    key = Authenticator(here(page))
    async with browser(page) as who, program(page) as cli, browser(page) as anna:
        await at_localhost(page, who)
        await added(page, who, key)
        await cli.ask("POST", "/api/users", json={"name": "anna", "role": "viewer", "password": PASSWORD})
        await anna.log_in(name="anna")
        await anna.get("/account")
        assert (await anna.post("/account/passkeys/1/remove", {"password": PASSWORD})).status == 404


async def test_an_administrator_turns_it_off(page: Site) -> None:
    key = Authenticator(here(page))
    async with browser(page) as who, program(page) as cli, browser(page) as other:
        await at_localhost(page, who)
        await added(page, who, key)
        assert (await cli.ask("DELETE", "/api/users/admin/two-factor")).status == 204
        assert (await other.log_in()).path == "/"
    with closing(sqlite3.connect(page.database)) as database:
        assert database.execute("SELECT count(*) FROM passkeys").fetchone() == (0,)


async def test_a_role_that_needs_a_second_factor_may_add_a_key(tmp_path: Path) -> None:
    async with site(tmp_path, {"require_two_factor": ["administrator"]}) as page, browser(page) as who:
        admin = await at_localhost(page, who)
        assert (await admin.get("/settings")).path == PLACE
        await added(page, admin, Authenticator(here(page)))
        assert (await admin.get("/settings")).path == "/settings"


async def test_the_last_one_stays_where_a_second_factor_is_demanded(tmp_path: Path) -> None:
    async with site(tmp_path, {"require_two_factor": ["administrator"]}) as page, browser(page) as who:
        admin = await at_localhost(page, who)
        for _ in range(2):
            await added(page, admin, Authenticator(here(page)), password=PASSWORD)
        assert "/account/two-factor/off" not in (await admin.get(PLACE)).text
        refused = await admin.post(f"{PLACE}/off", {"password": PASSWORD})
        assert (refused.status, "Your role needs" in refused.text) == (422, True)
        assert (await admin.post("/account/passkeys/1/remove", {"password": PASSWORD})).status == 200
        refused = await admin.post("/account/passkeys/2/remove", {"password": PASSWORD})
        assert (refused.status, "Your role needs" in refused.text) == (422, True)
        assert (await admin.get("/settings")).path == "/settings"


async def test_two_browsers_have_challenges_of_their_own(page: Site) -> None:
    async with browser(page) as one, browser(page) as two:
        await at_localhost(page, one)
        await at_localhost(page, two)
        asked = [json.loads(options_in(await who.get(PLACE), "create"))["challenge"] for who in (one, two, one)]
        assert (asked[0] == asked[2], asked[0] == asked[1]) == (True, False)


async def test_a_key_is_asked_for_where_it_can_be_used_only(tmp_path: Path, page: Site) -> None:
    key = Authenticator(here(page))
    async with browser(page) as who, browser(page) as by_address:
        await at_localhost(page, who)
        await added(page, who, key)
        asked = await by_address.log_in()
        assert OPTIONS.findall(asked.text) == []
        assert "recovery code" in asked.text
        assert (await by_passkey(by_address, asked, key.get(json.dumps({"challenge": "AAAA"})))).status == 403


async def test_behind_a_proxy_it_is_for_the_public_name(tmp_path: Path) -> None:
    settings = {"public_url": "https://pbx.example.com", "proxies": ["127.0.0.1"]}
    async with site(tmp_path, settings) as page, browser(page, Host="pbx.example.com") as admin:
        admin.url = f"http://127.0.0.1:{page.served.port}"
        # The cookies are for TLS only, which the test's client does not speak: it sends them by hand.
        link = page.served.first_link.replace("https://pbx.example.com", admin.url)
        async with admin.http.get(link, headers={"Host": "pbx.example.com"}) as answer:
            text, visitor = await answer.text(), answer.headers["Set-Cookie"].partition(";")[0]
        csrf = re.findall(r'name="csrf" value="(\w+)"', text)[0]
        fields = {"csrf": csrf, "link": link.partition("link=")[2], "password": PASSWORD, "password_again": PASSWORD}
        sent = {"Cookie": visitor, "Host": "pbx.example.com", "Origin": "https://pbx.example.com"}
        async with admin.http.post(f"{admin.url}/password", data=fields, headers=sent, allow_redirects=False) as answer:
            session = answer.headers.getall("Set-Cookie")[0].partition(";")[0]
        async with admin.http.get(f"{admin.url}{PLACE}", headers=sent | {"Cookie": session}) as answer:
            text = await answer.text()
        (options,) = [json.loads(unescape(each)) for _, each in OPTIONS.findall(text)]
        assert options["rp"] == {"name": "Astergram", "id": "pbx.example.com"}


# What is not believed


@pytest.mark.parametrize(
    ("change", "client"),
    [
        ({}, {"origin": "https://evil.example"}),
        ({}, {"challenge": "AAAA"}),
        ({}, {"type": "webauthn.get"}),
        ({"rp_id": "evil.example"}, {}),
        ({"flags": 0}, {}),
    ],
    ids=str,
)
async def test_an_odd_key_is_not_added(page: Site, change: dict[str, Any], client: dict[str, Any]) -> None:
    key = Authenticator(here(page), **change)
    async with browser(page) as who:
        await at_localhost(page, who)
        made = key.create(options_in(await who.get(PLACE), "create"), **client)
        answer = await who.post("/account/passkeys", {"passkey_name": "x", "credential": made})
        assert (answer.status, "can&#39;t be used" in answer.text) == (422, True)
        made = Authenticator(here(page)).create(options_in(answer, "create"))  # the page asks anew
        assert (await who.post("/account/passkeys", {"passkey_name": "x", "credential": made})).status == 200


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb"], ids=repr)
async def test_a_name_that_does_not_do(page: Site, name: str) -> None:
    async with browser(page) as who:
        await at_localhost(page, who)
        assert (await added(page, who, Authenticator(here(page)), name)).status == 422


GARBAGE = (
    "",
    "x",
    "{}",
    "[]",
    "null",
    '{"id": 1}',
    '{"id": "AAAA"}',
    '{"id": "AAAA", "rawId": "AAAA", "type": "x", "response": {}}',
    "[" * 100_000,
)


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda text: text[:30])
async def test_what_is_no_answer_at_all(page: Site, garbage: str) -> None:
    key = Authenticator(here(page))
    async with browser(page) as who, browser(page) as other:
        await at_localhost(page, who)
        await who.get(PLACE)
        assert (await who.post("/account/passkeys", {"passkey_name": "x", "credential": garbage})).status == 422
        await added(page, who, key)
        other.url = here(page)
        asked = await other.log_in()
        assert (await by_passkey(other, asked, garbage)).status == 403


async def test_parts_of_answers(page: Site) -> None:
    """Every byte string of an answer, cut and changed: refused, and never an error of ours."""
    key = Authenticator(here(page))
    async with browser(page) as who:
        await at_localhost(page, who)
        for name in ("clientDataJSON", "attestationObject"):
            for change in (
                lambda text: text[:-7],
                lambda text: "AAAA" + text,
                lambda text: "",
                lambda text: 7,
                lambda text: "!",
            ):
                made = json.loads(key.create(options_in(await who.get(PLACE), "create")))
                made["response"][name] = change(made["response"][name])
                answer = await who.post("/account/passkeys", {"passkey_name": "x", "credential": json.dumps(made)})
                assert answer.status == 422, (name, answer.text)


async def tried(page: Site, key: Authenticator, number: int = 1, **client: Any) -> int:
    """The status of a sign-in with what a key answers; each address has to wait after some wrong ones."""
    async with browser(page, f"127.0.5.{number}") as other:
        other.url = here(page)
        asked = await other.log_in()
        return (await by_passkey(other, asked, key.get(options_in(asked, "get"), **client))).status


async def test_an_answer_that_proves_nothing(page: Site) -> None:
    key, stranger = Authenticator(here(page)), Authenticator(here(page))
    async with browser(page) as who:
        await at_localhost(page, who)
        await added(page, who, key)
    odd = ({"origin": "https://evil.example"}, {"challenge": "AAAA"}, {"type": "webauthn.create"})
    for number, client in enumerate(odd, 1):
        assert await tried(page, key, number, **client) == 403
    assert await tried(page, stranger, 8) == 403
    stranger.id = key.id
    assert await tried(page, stranger, 9) == 403
    assert await tried(page, key, 10) == 429  # as after so many wrong codes
    page.steady.now += CODES_TRIES.first_delay_s
    assert await tried(page, key, 11) == 200


async def test_a_copy_of_a_key_is_found_by_its_counter(page: Site) -> None:
    key = Authenticator(here(page))
    async with browser(page) as who:
        await at_localhost(page, who)
        await added(page, who, key)
    assert await tried(page, key) == 200
    key.count = 0
    assert await tried(page, key) == 403


async def test_a_counter_is_that_of_one_key(page: Site) -> None:
    """Of one that took the place in the database of another, too."""
    key, other = Authenticator(here(page), count=100), Authenticator(here(page))
    async with browser(page) as who:
        await at_localhost(page, who)
        await added(page, who, key)
        assert await tried(page, key) == 200
        await who.post("/account/passkeys/1/remove", {"password": PASSWORD})
        await added(page, who, other)
    assert await tried(page, other, 2) == 200


async def test_localhost_at_another_port_is_another_page(page: Site) -> None:
    """Who may have made its answers: it is no part of what was configured."""
    key = Authenticator(here(page))
    async with browser(page) as who, browser(page, Host="localhost:1") as thief:
        await at_localhost(page, who)
        await added(page, who, key)
        asked = await thief.log_in()
        assert OPTIONS.findall(asked.text) == []
        key.origin = "http://localhost:1"
        assert (await by_passkey(thief, asked, key.get('{"challenge": "AAAA"}'))).status == 403


async def test_an_answer_works_once(page: Site) -> None:
    key = Authenticator(here(page), counts=False)
    async with browser(page) as who, browser(page) as other, browser(page) as thief:
        await at_localhost(page, who)
        await added(page, who, key)
        other.url = thief.url = here(page)
        asked = await other.log_in()
        answer = key.get(options_in(asked, "get"))
        assert (await by_passkey(other, asked, answer)).path == "/"
        await thief.get("/login")
        assert (await by_passkey(thief, asked, answer)).status == 403
        later = await thief.log_in()
        assert (await by_passkey(thief, later, answer)).status == 403


async def test_a_key_of_somebody_else_lets_nobody_in(page: Site) -> None:
    keys = [Authenticator(here(page)) for _ in range(2)]
    async with browser(page) as who, program(page) as cli, browser(page) as anna, browser(page) as thief:
        await at_localhost(page, who)
        await added(page, who, keys[0])
        await cli.ask("POST", "/api/users", json={"name": "anna", "role": "viewer", "password": PASSWORD})
        await at_localhost(page, anna, "anna")
        assert (await added(page, anna, keys[0])).status == 422  # it is known already
        await added(page, anna, keys[1])
        thief.url = here(page)
        asked = await thief.log_in(name="anna")
        assert (await by_passkey(thief, asked, keys[0].get(options_in(asked, "get")))).status == 403


async def test_it_is_gone_with_its_user(page: Site) -> None:
    async with browser(page) as who, program(page) as cli, browser(page) as anna:
        await at_localhost(page, who)
        await cli.ask("POST", "/api/users", json={"name": "anna", "role": "viewer", "password": PASSWORD})
        await at_localhost(page, anna, "anna")
        await added(page, anna, Authenticator(here(page)))
        await cli.ask("DELETE", "/api/users/anna")
    with closing(sqlite3.connect(page.database)) as database:
        assert database.execute("SELECT count(*) FROM passkeys").fetchone() == (0,)
