"""Webhooks in a browser: one is added, its receiver fails, and what it did not take is sent again by the button."""

from pathlib import Path

from playwright.async_api import expect

from ari_app.pbx.events import TelegramCallEnded
from tests.browser.conftest import Admin
from tests.browser.test_users import examined
from tests.integration.web_helpers import site
from tests.unit.fake_ari import eventually
from tests.unit.webhook_receiver import receiver

BUSY = 503


async def test_a_delivery_that_was_refused_is_sent_again(tmp_path: Path, administrator: Admin) -> None:
    async with site(tmp_path) as page_of, administrator(page_of.served) as page, receiver() as crm:
        await page.goto(f"{page_of.url}/settings/webhooks")
        await page.fill("[name=url]", crm.url)
        await page.get_by_label("(call.ended)").check()
        await page.get_by_role("button", name="Add a webhook").click()
        secret = (await page.locator("#made code").inner_text()).strip()
        await examined(page, "/settings/webhooks, made")

        crm.answer = lambda place: BUSY
        hooks = page_of.services.webhooks
        [outbox] = hooks.all()
        hooks.put(TelegramCallEnded(call_id="1", reason="<b>hung up</b>"))
        await eventually(lambda: bool(outbox.queue.error))
        await page.goto(f"{page_of.url}/settings/webhooks/{outbox.row.id}")
        row = page.locator("#deliveries tbody tr", has_text="call.ended")
        await expect(row).to_contain_text(str(BUSY))
        await row.locator("summary").first.click()
        await expect(row.locator("pre").first).to_contain_text("<b>hung up</b>")
        await examined(page, "/settings/webhooks/ID, refused")

        crm.answer = lambda place: 200
        async with page.expect_navigation():
            await row.get_by_role("button", name="Send again").click()
        await eventually(lambda: hooks.delivered == 1)
        await page.reload()
        await expect(row.locator(".badge.green")).to_be_visible()
        assert [each["type"] for each in crm.verified(secret)] == ["call.ended"] * 2
        assert len(set(crm.ids)) == 1, "the receiver knows that it is the same event"

        page.on("dialog", lambda dialog: dialog.accept())
        await page.get_by_role("button", name="Remove").click()
        await expect(page.locator("#webhooks")).to_contain_text("There is no webhook yet.")
