"""Backups in a browser: made, prepared to be restored, and removed."""

from pathlib import Path

from playwright.async_api import expect

from tests.browser.conftest import Admin
from tests.browser.test_users import examined
from tests.integration.web_helpers import site

PASSPHRASE = "correct horse battery"


async def test_one_is_made_and_restored_at_the_next_start(tmp_path: Path, administrator: Admin) -> None:
    async with site(tmp_path) as page_of, administrator(page_of.served) as page:
        await page.goto(f"{page_of.url}/settings")
        await page.get_by_role("link", name="Backups").click()
        await expect(page.locator("#backups")).to_contain_text("Backups are not encrypted")
        await page.fill("main [name=passphrase]", PASSPHRASE)
        await page.select_option("[name=schedule]", "daily")
        await page.click("main .save button")
        await expect(page.locator(".toast")).to_contain_text("Saved.")
        await page.get_by_role("button", name="Make a backup now").click()
        row = page.locator("#backups tbody tr")
        await expect(row).to_have_count(1)
        await expect(row).to_contain_text(".tar.gz.age")
        await row.locator("summary").click()
        await examined(page, "/settings/backups")
        page.on("dialog", lambda dialog: dialog.accept())
        await row.locator("[name=passphrase]").fill("another passphrase")
        async with page.expect_event("requestfinished", lambda request: request.url.endswith("/backups/list")):
            await row.get_by_role("button", name="Restore").click()
        await page.evaluate("new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)))")
        await expect(row.locator(".error")).to_contain_text("is encrypted with another passphrase")
        await row.locator("[name=passphrase]").fill(PASSPHRASE)
        await row.get_by_role("button", name="Restore").click()
        await expect(page.locator("#backups")).to_contain_text("is put in place when Astergram is started again")
        await examined(page, "/settings/backups, prepared")
        await page.get_by_role("button", name="Restore nothing").click()
        await expect(page.locator("#backups")).not_to_contain_text("is put in place")
        await row.get_by_role("button", name="Remove").click()
        await expect(page.locator("#backups")).to_contain_text("There is no backup yet.")
