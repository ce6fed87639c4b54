"""Signing in by OpenID Connect in a browser: to a provider of another site and back, in both languages."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from ari_app.sandbox.debian import Tree
from tests.browser.conftest import PASSWORD, launched, screenshot
from tests.browser.test_users import examined
from tests.integration.web_helpers import Clock, signed_in, site
from tests.oidc_provider import CLIENT, SECRET, oidc_provider

WORDS = {
    "en-US": ("Single sign-on", "Sign in with a password", "Sign out", "has not let you in", "Sign out there, too"),
    "ru-RU": ("Единый вход", "Войти по паролю", "Выйти", "вас не впустил", "Выйти и там"),
}
OIDC = {"users": "create", "role_claim": "groups", "roles": {"pbx-admins": "administrator"}, "emergency_user": "admin"}


@pytest.mark.parametrize("language", WORDS)
async def test_to_the_provider_and_back(tmp_path: Path, chromium: Tree, language: str) -> None:
    button, by_password, sign_out, denied, there_too = WORDS[language]
    clock = Clock(1_800_000_000.0)
    # Another site than 127.0.0.1, so that a browser treats the way back as it would anywhere.
    async with oidc_provider(clock, "localhost") as provider, launched(chromium) as browser:
        provider.asks = True
        provider.person["groups"] = ["pbx-admins"]
        its = {"issuer": provider.url, "client_id": CLIENT, "client_secret": SECRET, **OIDC}
        async with site(tmp_path, clock=clock, oidc=its) as served:
            async with signed_in(served):
                pass
            page = await browser.new_page(locale=language)
            await page.goto(f"{served.url}/users")
            await expect(page).to_have_url(re.compile("/login"))
            await examined(page, "/login")
            await screenshot(page, f"login-oidc-{language}", dark=True, phone=True)

            provider.denies = True
            await page.get_by_role("link", name=button).click()
            await page.get_by_role("button", name="Agree").click()
            await expect(page.locator("[role=alert]")).to_contain_text(denied)
            await examined(page, "/login/oidc/callback")

            provider.denies = False
            await page.get_by_role("link", name=button).click()
            await page.get_by_role("button", name="Agree").click()
            await page.wait_for_url(f"{served.url}/users")  # the page that was wanted
            await expect(page.locator("dl.facts")).to_contain_text(provider.url)
            await expect(page.locator("table.users")).to_contain_text("OpenID Connect")
            await examined(page, "/users")
            await screenshot(page, f"users-oidc-{language}", phone=True)
            await page.goto(f"{served.url}/account")
            await expect(page.locator("[name=old_password]")).to_have_count(0)
            await examined(page, "/account")

            await page.get_by_role("button", name=sign_out, exact=True).click()
            await page.get_by_role("link", name=there_too).click()
            await page.wait_for_url(f"{served.url}/login")
            assert provider.asked[-1] == "/logout"

            provider.broken["/authorize"] = provider.broken["/.well-known/openid-configuration"] = 500
            await page.get_by_text(by_password).click()
            await page.fill("[name=username]", "admin")
            await page.fill("[name=password]", PASSWORD)
            await page.locator("details button").click()
            await page.wait_for_url(f"{served.url}/")
