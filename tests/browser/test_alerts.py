"""Alerts in a browser: shown as they come, muted; who is told is set, and a test arrives."""

from pathlib import Path

import trustme
from playwright.async_api import expect

from ari_app.alerts.book import AlertCondition, AlertKind
from ari_app.i18n import message
from tests.browser.conftest import Admin
from tests.browser.test_users import examined
from tests.integration.web_helpers import site
from tests.unit.mail_server import served

SAID = "Only 7 MB are free."


async def test_an_alert_comes_is_muted_and_goes(tmp_path: Path, administrator: Admin) -> None:
    async with site(tmp_path) as page_of, administrator(page_of.served) as page:
        alerts = page_of.services.alerts
        await alerts.part.change({"disk_free_mb": 0})
        await page.goto(page_of.url)
        await page.get_by_role("link", name="Settings").click()
        await page.get_by_role("link", name="Alerts").first.click()
        await page.get_by_role("link", name="Alerts now").click()
        await expect(page.locator("#alerts")).to_contain_text("There is no alert.")
        alerts._book.look([AlertCondition(AlertKind.DISK, "", message(SAID))], page_of.clock.now)
        alerts._on_change()
        await expect(page.locator("#alerts")).to_contain_text(SAID)
        await examined(page, "/alerts")
        await page.locator("tr select[name=hours]").select_option("24")
        await page.locator("tr button").click()
        await expect(page.locator("tr .badge")).to_have_text("muted")
        await examined(page, "/alerts, muted")
        await page.get_by_role("button", name="End").click()
        await expect(page.locator("tr .badge")).to_have_count(0)
        await page.goto(page_of.url)
        await expect(page.locator("#trouble")).to_contain_text(SAID)
        for _ in range(2):
            page_of.clock.now += 90
            await alerts.look()
        await expect(page.locator("#trouble")).not_to_contain_text(SAID)


async def test_who_is_told_is_set_and_tested(tmp_path: Path, administrator: Admin) -> None:
    async with (
        served(trustme.CA()) as server,
        site(tmp_path) as page_of,
        administrator(page_of.served) as page,
    ):
        await page.goto(f"{page_of.url}/settings/alerts")
        await examined(page, "/settings/alerts")
        await page.fill("[name=mail_to]", "anna@example.com")
        await page.click("main .save button")
        await expect(page.locator(".error").first).to_have_text("To send mail, it is needed.")
        await examined(page, "/settings/alerts, refused")
        await page.fill("[name=mail_from]", "pbx@example.com")
        await page.fill("[name=mail_host]", "127.0.0.1")
        await page.fill("[name=mail_port]", str(server.port))
        await page.select_option("[name=mail_security]", "none")
        await page.click("main .save button")
        await expect(page.locator(".toast")).to_contain_text("Saved.")
        await page.get_by_role("button", name="Send a test").click()
        await expect(page.locator("#deliveries .badge")).to_have_text("Waiting")
        await page_of.services.alerts.outbox.send_due()
        await expect(page.locator("#deliveries .badge")).to_have_text("Delivered")
        assert [mail["To"] for mail in server.mails] == ["anna@example.com"]
