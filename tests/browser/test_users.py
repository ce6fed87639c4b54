"""Users in a browser: invited, with their role; two-factor authentication; the audit log."""

import re
from pathlib import Path
from typing import Any

import pyotp
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page, expect

from ari_app.sandbox.debian import Tree
from tests.browser.conftest import PASSWORD, Admin, launched
from tests.integration.web_calls import calls_site, talking
from tests.integration.web_helpers import Site

PAGES = ("/", "/lines", "/calls", "/charts", "/connect", "/account", "/account/two-factor")
CHANGES = "main form[method=post]:not([action^='/account']) button, main [hx-post]"
"""What a page offers that changes something which is not the reader's own."""
FOUND = """async () => (await axe.run(document, {resultTypes: ["violations"], preload: false})).violations.map((each) =>
  [each.id, each.nodes.map((node) => node.html)])"""


async def examined(page: Page, where: str) -> None:
    await page.evaluate(AXE_SCRIPT)
    found: list[Any] = await page.evaluate(FOUND)
    assert found == [], where


async def invited(site: Site, admin: Page, name: str, role: str) -> str:
    """The link that an administrator is shown for a new user."""
    await admin.goto(f"{site.url}/users")
    await admin.fill("[name=name]", name)
    await admin.select_option("#field-role", role)
    await admin.get_by_role("button", name="Add the user").click()
    return (await admin.locator("#made code").inner_text()).strip()


async def test_a_viewer_sees_much_and_changes_nothing(tmp_path: Path, administrator: Admin, chromium: Tree) -> None:
    async with calls_site(tmp_path) as site, administrator(site.served) as admin, launched(chromium) as browser:
        link = await invited(site, admin, "anna", "viewer")
        await examined(admin, "/users")
        page = await browser.new_page(locale="en-US")
        await page.goto(link)
        await page.fill("[name=password]", PASSWORD)
        await page.fill("[name=password_again]", PASSWORD)
        await page.click("main button")
        await page.wait_for_url(f"{site.url}/")
        async with talking(site.services.registry) as call:
            for path in (*PAGES, f"/calls/{call.id}"):
                await page.goto(site.url + path)
                await expect(page.locator("h1").first).to_be_visible()
                await expect(page.locator(CHANGES)).to_have_count(0)
                await examined(page, path)
            await expect(page.get_by_role("link", name="Settings")).to_have_count(0)
            await admin.goto(f"{site.url}/users")
            await admin.select_option("[aria-label='Role of anna']", "operator")
            await expect(admin.locator(".toast")).to_contain_text("Saved")
            await page.goto(site.url)
            await expect(page.get_by_role("button", name="Hang up")).to_be_visible()
            site.services.registry.hang_up(call.id)
        await admin.goto(f"{site.url}/users")
        admin.once("dialog", lambda dialog: dialog.accept())
        await admin.locator("form[action='/users/anna/remove'] button").click()
        # The page finds out by itself.
        await page.wait_for_url(re.compile("/login"))


async def test_two_factor_authentication_from_its_beginning(tmp_path: Path, administrator: Admin) -> None:
    async with calls_site(tmp_path) as site, administrator(site.served, away=True) as page:
        await page.goto(f"{site.url}/account/two-factor")
        await examined(page, "/account/two-factor")
        totp = pyotp.TOTP((await page.locator("figure.code code").inner_text()).strip())
        await page.fill("[name=code]", totp.at(site.clock.now))
        await page.get_by_role("button", name="Turn it on").click()
        await expect(page.locator("#made code")).to_contain_text(re.compile(r"^[a-z2-9-]{14}\n"))
        await page.click("header form button")
        await page.wait_for_url(re.compile("/login"))
        site.clock.now += 30
        await page.fill("[name=username]", "admin")
        await page.fill("[name=password]", PASSWORD)
        await page.click("main button")
        await expect(page.locator("[name=code]")).to_be_visible()
        await examined(page, "/login/code")
        await page.fill("[name=code]", totp.at(site.clock.now))
        await page.click("main button")
        await page.wait_for_url(f"{site.url}/")
        await page.goto(f"{site.url}/audit")
        await expect(page.get_by_role("cell", name="Two-factor authentication turned on")).to_be_visible()
        await examined(page, "/audit")
