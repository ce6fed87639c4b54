"""Passkeys of an earlier host name, after the installation got another: of no use, and no way round a second factor."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pyotp

from tests.authenticator import Authenticator
from tests.integration.test_web_oidc import by_provider, clock, page_with, provider
from tests.integration.test_web_passkeys import (
    OPTIONS,
    PLACE,
    added,
    at_localhost,
    by_passkey,
    here,
    options_in,
    page,
)
from tests.integration.test_web_passkeys_confirm import anna_with
from tests.integration.test_web_two_factor import CODES, KEY, with_code
from tests.integration.web_helpers import PASSWORD, Answer, Browser, Clock, Site, browser, program, site
from tests.oidc_provider import OidcProvider

__all__ = ["clock", "page", "provider"]

OLD = "old.example.com"
REQUIRED = {"require_two_factor": ["administrator"]}


def renamed(page: Site) -> None:
    """The installation has another host name since: what keys there are, are for the old one."""
    with closing(sqlite3.connect(page.database)) as database, database:
        assert database.execute("UPDATE passkeys SET rp_id = ?", [OLD]).rowcount


async def with_old_key(page: Site, who: Browser, key: Authenticator) -> list[str]:
    """An administrator has a key of the old name only; their recovery codes."""
    await at_localhost(page, who)
    codes = CODES.findall((await added(page, who, key)).text)
    renamed(page)
    return codes


async def asked_for_a_code(page: Site, who: Browser) -> Answer:
    who.url = here(page)
    return await who.log_in()


async def test_who_has_such_keys_only_needs_a_recovery_code(page: Site) -> None:
    key = Authenticator(here(page))
    async with browser(page) as who, browser(page) as other, browser(page, "127.0.5.1") as thief:
        codes = await with_old_key(page, who, key)
        asked = await asked_for_a_code(page, thief)
        assert OPTIONS.findall(asked.text) == []
        assert f"another host name ({OLD})" in asked.text
        assert "ask an administrator" in asked.text
        for answer in (
            await with_code(thief, asked, ""),
            await with_code(thief, asked, "000000"),
            await by_passkey(thief, asked, key.get('{"challenge": "AAAA"}')),
        ):
            assert answer.status == 403
        assert (await thief.get("/lines")).path.startswith("/login")

        answer = await with_code(other, await asked_for_a_code(page, other), codes[0])
        assert answer.path == PLACE
        assert "None of your devices works at this address" in answer.text
        assert f"{OLD} <span" in answer.text
        assert (await other.get("/lines")).path == "/lines"
        async with browser(page, "127.0.5.2") as again:  # it works once
            assert (await with_code(again, await asked_for_a_code(page, again), codes[0])).status == 403


async def test_a_link_to_set_a_password_is_no_way_round(page: Site) -> None:
    async with browser(page) as who, browser(page) as thief, program(page) as cli:
        await with_old_key(page, who, Authenticator(here(page)))
        link = (await (await cli.ask("POST", "/api/users/admin/link")).json())["link"]
        thief.url = here(page)
        link = link.replace("127.0.0.1", "localhost")
        await thief.get(link)
        fields = {"password": PASSWORD, "password_again": PASSWORD, "tokens": "keep"}
        asked = await thief.post("/password", {"link": link.partition("link=")[2], **fields})
        assert 'name="challenge"' in asked.text
        assert (await thief.get("/lines")).path.startswith("/login")


async def test_without_a_recovery_code_an_administrator_turns_it_off(page: Site) -> None:
    async with browser(page) as who, browser(page) as other, program(page) as cli:
        codes = await with_old_key(page, who, Authenticator(here(page)))
        with closing(sqlite3.connect(page.database)) as database, database:
            database.execute("DELETE FROM recovery_codes")
        assert (await with_code(other, await asked_for_a_code(page, other), codes[0])).status == 403
        assert (await cli.ask("DELETE", "/api/users/admin/two-factor")).status == 204
        assert (await other.log_in()).path == "/"


async def test_an_app_beside_them_goes_on(page: Site) -> None:
    async with browser(page) as who, browser(page) as other:
        admin = await at_localhost(page, who)
        totp = pyotp.TOTP(KEY.findall((await admin.get(PLACE)).text)[0])
        await admin.post(PLACE, {"code": totp.at(page.clock.now)})
        await added(page, admin, Authenticator(here(page)), password=PASSWORD)
        renamed(page)
        page.clock.now += 30
        asked = await asked_for_a_code(page, other)
        assert ("another host name" in asked.text, "ask an administrator" in asked.text) == (True, False)
        assert (await with_code(other, asked, totp.at(page.clock.now))).path == "/"
        shown = await other.get(PLACE)
        assert ("not at this address" in shown.text, "None of your devices" in shown.text) == (True, False)


async def test_a_key_of_another_name_is_no_second_factor_that_a_role_needs(tmp_path: Path) -> None:
    """Whoever is in by a recovery code adds one here, and says their password for it; then the old one may go."""
    async with site(tmp_path, REQUIRED) as page, browser(page) as who, browser(page) as other:
        codes = await with_old_key(page, who, Authenticator(here(page)))
        answer = await with_code(other, await asked_for_a_code(page, other), codes[0])
        assert (answer.path, "Your role needs one to go on" in answer.text) == (PLACE, True)
        for place in ("/", "/settings", "/lines"):
            assert (await other.get(place)).path == PLACE
        key = Authenticator(here(page))
        assert (await added(page, other, key)).status == 422
        assert (await other.get("/settings")).path == PLACE
        assert (await added(page, other, key, password=PASSWORD)).path == PLACE
        assert (await other.get("/settings")).path == "/settings"

        refused = await other.post("/account/passkeys/2/remove", {"password": PASSWORD})
        assert (refused.status, "Your role needs" in refused.text) == (422, True)
        assert (await other.post("/account/passkeys/1/remove", {"password": PASSWORD})).path == PLACE
        assert OLD not in (await other.get(PLACE)).text
        async with browser(page) as again:
            asked = await asked_for_a_code(page, again)
            assert (await by_passkey(again, asked, key.get(options_in(asked, "get")))).path == "/"


async def test_who_comes_by_the_provider_is_asked_all_the_same(
    tmp_path: Path, provider: OidcProvider, clock: Clock
) -> None:
    async with page_with(tmp_path, provider, clock) as page, anna_with(page, Authenticator(here(page))) as (_, codes):
        renamed(page)
        async with browser(page) as again:
            asked = await by_provider(again)
            assert 'name="challenge"' in asked.text
            assert (await again.get("/lines")).path.startswith("/login")
            assert (await with_code(again, asked, codes[0])).path == PLACE


async def test_by_an_address_a_role_needs_something_that_works_there(tmp_path: Path) -> None:
    async with site(tmp_path, REQUIRED) as page, browser(page) as who, browser(page) as other:
        await at_localhost(page, who)
        codes = CODES.findall((await added(page, who, Authenticator(here(page)))).text)
        assert (await who.get("/settings")).path == "/settings"
        assert (await with_code(other, await other.log_in(), codes[0])).path == PLACE
        assert (await other.get("/settings")).path == PLACE
        totp = pyotp.TOTP(KEY.findall((await other.get(PLACE)).text)[0])
        fields = {"new_code": totp.at(page.clock.now), "password": PASSWORD}
        assert (await other.post(PLACE, fields)).status == 200
        assert (await other.get("/settings")).path == "/settings"
