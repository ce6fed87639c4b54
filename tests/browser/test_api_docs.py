"""The API's description for people, drawn within the page's Content-Security-Policy; a console error fails the test."""

from pathlib import Path

from playwright.async_api import expect

from ari_app.web.areas import OPERATIONS
from tests.browser.conftest import Admin, screenshot
from tests.integration.web_helpers import site


async def test_the_api_is_described_with_examples_and_can_be_tried(tmp_path: Path, administrator: Admin) -> None:
    async with site(tmp_path) as served, administrator(served.served) as page:
        await page.goto("/settings")
        await page.get_by_role("link", name="its description, with examples").click()
        operations = page.locator("#api-docs .opblock")
        await expect(operations).to_have_count(len(OPERATIONS))
        one = page.locator("#api-docs .opblock", has_text="/api/status")
        await one.locator(".opblock-summary").click()
        await expect(one.locator(".opblock-description")).to_contain_text('curl -H "Authorization: Bearer $TOKEN"')
        await expect(one.locator(".responses-table .example").first).to_contain_text('"version"')
        await one.get_by_role("button", name="Try it out").click()
        await one.get_by_role("button", name="Execute").click()
        await expect(one.locator(".live-responses-table .response").first).to_contain_text("200")
        await screenshot(page, "api-docs", whole=False, phone=True)

        change = page.locator("#api-docs .opblock-post", has_text="/api/access/tokens")
        await change.locator(".opblock-summary").click()
        await expect(change.locator(".body-param__example")).to_contain_text('"name": "Prometheus"')
        await expect(change.get_by_role("button", name="Try it out")).to_have_count(0)
