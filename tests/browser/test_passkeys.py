"""A passkey in a browser, by Chromium's virtual authenticator: added, asked for at a sign-in and a change, removed."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from ari_app.sandbox.debian import Tree
from tests.browser.conftest import PASSWORD, launched, screenshot, window
from tests.browser.test_users import examined
from tests.integration.web_helpers import Clock, Site, signed_in, site
from tests.oidc_provider import CLIENT, SECRET, oidc_provider

WORDS = {
    "en-US": ("Add a passkey or security key", "Use a passkey or security key", "Sign out", "was cancelled"),
    "ru-RU": ("Добавить ключ", "Войти по ключу доступа", "Выйти", "запрос отменён"),
}
SECURITY_KEY = {"protocol": "ctap2", "transport": "usb", "automaticPresenceSimulation": True}


async def plugged_in(page: Page) -> tuple[object, str]:
    """A security key that is touched whenever it is asked."""
    devices = await page.context.new_cdp_session(page)
    await devices.send("WebAuthn.enable")
    made = await devices.send("WebAuthn.addVirtualAuthenticator", {"options": SECURITY_KEY})
    return devices, made["authenticatorId"]


async def sign_in(page: Page, url: str) -> None:
    await page.goto(f"{url}/login")
    await page.fill("[name=username]", "admin")
    await page.fill("[name=password]", PASSWORD)
    await page.click("main button")


async def first_password(page: Page, served: Site, url: str) -> None:
    await page.goto(served.served.first_link.replace("127.0.0.1", "localhost"))
    await page.fill("[name=password]", PASSWORD)
    await page.fill("[name=password_again]", PASSWORD)
    await page.click("main button")
    await expect(page).to_have_url(f"{url}/")


@pytest.mark.parametrize("language", WORDS)
async def test_a_key_from_its_first_touch(tmp_path: Path, chromium: Tree, language: str) -> None:
    add, use, sign_out, stopped = WORDS[language]
    async with site(tmp_path) as served:
        url = served.url.replace("127.0.0.1", "localhost")
        async with window(chromium, url, language=language, away=True) as page:
            devices, key = await plugged_in(page)
            await first_password(page, served, url)
            await page.goto(f"{url}/account/two-factor")
            await page.fill("[name=passkey_name]", "blue key")
            await page.get_by_role("button", name=add).click()
            await expect(page.locator("#made code")).to_contain_text(re.compile(r"^[a-z2-9-]{14}\n"))
            await page.goto(f"{url}/account/two-factor")
            await expect(page.locator("#passkeys table")).to_contain_text("blue key")
            await examined(page, "/account/two-factor")
            await screenshot(page, f"passkeys-{language}", dark=True, phone=True)

            await page.get_by_role("button", name=sign_out, exact=True).click()
            await expect(page).to_have_url(re.compile("/login"))
            await sign_in(page, url)
            await expect(page.get_by_role("button", name=use)).to_be_visible()
            await examined(page, "/login/code")
            await screenshot(page, f"passkey-{language}")
            await page.get_by_role("button", name=use).click()
            await expect(page).to_have_url(f"{url}/")

            await page.get_by_role("button", name=sign_out, exact=True).click()
            await expect(page).to_have_url(re.compile("/login"))
            await sign_in(page, url)
            await devices.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": key})  # type: ignore[attr-defined]
            await devices.send("WebAuthn.addVirtualAuthenticator", {"options": SECURITY_KEY})  # type: ignore[attr-defined]
            await page.get_by_role("button", name=use).click()  # a key that nobody knows
            await expect(page.locator("[data-told]")).to_contain_text(stopped)
            await examined(page, "/login/code, refused")


async def test_a_key_is_removed(tmp_path: Path, chromium: Tree) -> None:
    async with site(tmp_path) as served:
        url = served.url.replace("127.0.0.1", "localhost")
        async with window(chromium, url) as page:
            await plugged_in(page)
            await first_password(page, served, url)
            await page.goto(f"{url}/account/two-factor")
            await page.fill("[name=passkey_name]", "blue key")
            await page.click("#passkeys button.primary")
            await expect(page.locator("#made")).to_be_visible()
            await page.goto(f"{url}/account/two-factor")
            await page.fill("#field-again-remove", PASSWORD)
            await page.get_by_role("button", name="Remove blue key").click()
            await expect(page.locator(".toast")).to_contain_text("removed")
            await expect(page.locator("#passkeys table")).to_have_count(0)


async def test_by_an_address_there_are_none(tmp_path: Path, chromium: Tree) -> None:
    async with site(tmp_path) as served, window(chromium, served.url) as page:
        await page.goto(served.served.first_link)
        await page.fill("[name=password]", PASSWORD)
        await page.fill("[name=password_again]", PASSWORD)
        await page.click("main button")
        await page.goto(f"{served.url}/account/two-factor")
        await expect(page.locator("#passkeys")).to_contain_text("They need an address with a name")
        await examined(page, "/account/two-factor, by an address")


@pytest.mark.parametrize("language", WORDS)
async def test_who_has_no_password_confirms_by_their_key(tmp_path: Path, chromium: Tree, language: str) -> None:
    """They have come by a provider: a touch for new codes, and one before the key is removed."""
    clock = Clock(1_800_000_000.0)
    async with oidc_provider(clock) as provider, launched(chromium) as browser:
        its = {
            "issuer": provider.url,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "users": "create",
            "default_role": "viewer",
        }
        async with site(tmp_path, clock=clock, oidc=its) as served:
            async with signed_in(served):
                pass
            page = await browser.new_page(locale=language)
            await page.goto(f"{served.url}/login/oidc?next=/account")
            await page.wait_for_url(f"{served.url}/account")
            url = served.url.replace("127.0.0.1", "localhost")
            for each in await page.context.cookies():
                at_localhost: Any = {**each, "domain": "localhost"}
                await page.context.add_cookies([at_localhost])
            await plugged_in(page)
            place = f"{url}/account/two-factor"
            await page.goto(place)
            await page.fill("[name=passkey_name]", "blue key")
            await page.click("#passkeys button.primary")
            await expect(page.locator("#made")).to_be_visible()

            await page.goto(place)
            await examined(page, "/account/two-factor, without a password")
            await screenshot(page, f"passkeys-confirm-{language}", phone=True)
            await page.click("form[action$='/codes'] button:not(.danger)")
            await expect(page.locator("#made code")).to_contain_text(re.compile(r"^[a-z2-9-]{14}\n"))

            await page.goto(place)
            await page.get_by_role("row", name="blue key").get_by_role("button").click()
            await expect(page.locator("#passkeys table")).to_have_count(0)
