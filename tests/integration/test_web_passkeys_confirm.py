"""Who has no password, as they come by a provider, confirms a change by a passkey; what is not believed of it."""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from html import unescape

import pytest
from yarl import URL

from tests.authenticator import Authenticator
from tests.integration.test_web_oidc import by_provider, clock, page, provider
from tests.integration.test_web_passkeys import PLACE, added, by_passkey, here, options_in
from tests.integration.test_web_two_factor import CODES
from tests.integration.web_helpers import Answer, Browser, Site, browser, program

__all__ = ["clock", "page", "provider"]

CONFIRMATION = re.compile(r'name="confirmation" value="" data-options="([^"]+)"')


def asked(answer: Answer) -> str:
    """What a page asks a device for before a change; it is the same in each of its forms."""
    (options,) = {unescape(each) for each in CONFIRMATION.findall(answer.text)}
    return options


@asynccontextmanager
async def anna_with(page: Site, key: Authenticator) -> AsyncIterator[tuple[Browser, list[str]]]:
    """Anna, whom the provider has let in, with her key as the only second factor, and her recovery codes."""
    async with browser(page) as anna:
        await by_provider(anna)
        # The same session at localhost, where keys can be used.
        cookies = {each.key: each.value for each in anna.http.cookie_jar}
        anna.url = here(page)
        anna.http.cookie_jar.update_cookies(cookies, URL(anna.url))
        yield anna, CODES.findall((await added(page, anna, key)).text)


async def test_each_change_is_confirmed_by_a_key(page: Site) -> None:
    key, other = Authenticator(here(page)), Authenticator(here(page))
    async with anna_with(page, key) as (anna, codes):
        shown = await anna.get(PLACE)
        assert 'name="password"' not in shown.text
        made = await anna.post(f"{PLACE}/codes", {"code": "", "confirmation": key.get(asked(shown))})
        assert made.status == 200, made.text
        assert not set(codes) & set(CODES.findall(made.text))

        confirmed = key.get(asked(await anna.get(PLACE)))
        assert (await added(page, anna, other, "spare", confirmation=confirmed)).path == PLACE
        confirmed = other.get(asked(await anna.get(PLACE)))
        assert (await anna.post("/account/passkeys/1/remove", {"confirmation": confirmed})).path == PLACE
        assert "YubiKey" not in (await anna.get(PLACE)).text

        confirmed = other.get(asked(await anna.get(PLACE)))
        assert (await anna.post(f"{PLACE}/off", {"confirmation": confirmed})).path == PLACE
        async with browser(page) as again:
            assert (await by_provider(again)).path == "/lines", "nothing more is asked for"


async def test_a_recovery_code_does_where_the_key_is_lost(page: Site) -> None:
    async with anna_with(page, Authenticator(here(page))) as (anna, codes):
        await anna.get(PLACE)
        assert (await anna.post(f"{PLACE}/codes", {"code": codes[0], "confirmation": ""})).status == 200


async def test_what_confirms_nothing(page: Site) -> None:
    key, stranger = Authenticator(here(page)), Authenticator(here(page))
    off = f"{PLACE}/off"
    async with anna_with(page, key) as (anna, _):
        used = key.get(asked(await anna.get(PLACE)))
        assert (await anna.post(f"{PLACE}/codes", {"confirmation": used})).status == 200
        for answer in (
            used,
            "{}",
            key.get(asked(await anna.get(PLACE)), origin="https://evil.example"),
            stranger.get(asked(await anna.get(PLACE))),
        ):
            refused = await anna.post(off, {"confirmation": answer})
            assert (refused.status, "can&#39;t be used" in refused.text) == (422, True), answer
        assert "Last used" in (await anna.get(PLACE)).text, "it is on all the same"


async def test_a_challenge_of_another_browser_or_of_a_sign_in_confirms_nothing(page: Site) -> None:
    key = Authenticator(here(page))
    async with anna_with(page, key) as (anna, _), browser(page) as second, browser(page) as third:
        at_sign_in = await by_provider(second)
        cookies = {each.key: each.value for each in second.http.cookie_jar}
        second.url = third.url = here(page)
        second.http.cookie_jar.update_cookies(cookies, URL(second.url))
        challenge = re.findall(r'name="challenge" value="([\w-]+)"', at_sign_in.text)[0]
        wrong = await second.post("/login/code", {"challenge": challenge, "code": "000000"})
        to_sign_in = key.get(options_in(wrong, "get"))
        await anna.get(PLACE)
        assert (await anna.post(f"{PLACE}/off", {"confirmation": to_sign_in})).status == 422

        wrong = await second.post("/login/code", {"challenge": challenge, "code": "000000"})
        assert (await by_passkey(second, wrong, key.get(options_in(wrong, "get")))).status == 200
        of_second = key.get(asked(await second.get(PLACE)))
        await anna.get(PLACE)
        assert (await anna.post(f"{PLACE}/off", {"confirmation": of_second})).status == 422


async def test_keys_are_not_tried_without_an_end(page: Site) -> None:
    key, stranger = Authenticator(here(page)), Authenticator(here(page))
    async with anna_with(page, key) as (anna, _):
        shown = await anna.get(PLACE)
        for _ in range(8):
            shown = await anna.post(f"{PLACE}/off", {"confirmation": stranger.get(asked(shown))})
        assert shown.status == 429
        assert int(shown.headers["Retry-After"]) > 0


@pytest.mark.parametrize("place", [f"{PLACE}/codes", f"{PLACE}/off", "/account/passkeys/1/remove"])
async def test_who_has_nothing_to_confirm_by_is_told_what_to_do(page: Site, place: str) -> None:
    async with anna_with(page, Authenticator(here(page))) as (anna, _), program(page) as cli:
        with closing(sqlite3.connect(page.database)) as database, database:
            database.execute("UPDATE passkeys SET rp_id = 'old.example.com'")
            database.execute("DELETE FROM recovery_codes")
        shown = await anna.get(PLACE)
        assert "Ask an administrator to turn your two-factor authentication off" in shown.text
        assert CONFIRMATION.findall(shown.text) == []
        refused = await anna.post(place, {"code": "", "confirmation": ""})
        assert (refused.status, "Ask an administrator" in refused.text) == (422, True)
        assert (await cli.ask("DELETE", "/api/users/anna/two-factor")).status == 204
        assert "Ask an administrator" not in (await anna.get(PLACE)).text
        assert CODES.findall((await added(page, anna, Authenticator(here(page)))).text)
