"""People's data in a browser: somebody is found, their data is exported, and erased once that is confirmed."""

import json
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Dialog, Page, expect

from tests.browser.conftest import Admin, screenshot
from tests.integration.web_calls import ANNA, a_call, calls_site, put

FOUND = """async () => (await axe.run(document, {resultTypes: ["violations"], preload: false})).violations.map((each) =>
  [each.id, each.nodes.map((node) => node.html)])"""


async def examined(page: Page, where: str) -> None:
    await page.evaluate(AXE_SCRIPT)
    found: list[Any] = await page.evaluate(FOUND)
    assert found == [], where


async def test_a_person_is_found_exported_and_erased(tmp_path: Path, administrator: Admin) -> None:
    asked: list[str] = []

    async def dismissed(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await dialog.dismiss()

    async def accepted(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await dialog.accept()

    async with calls_site(tmp_path) as site, administrator(site.served) as page:
        annas = {"person_id": ANNA.id, "name": ANNA.name, "phone": ANNA.phone, "username": ANNA.username}
        await put(site, a_call(1, site.clock(), **annas), a_call(2, site.clock()))
        await page.get_by_role("link", name="Settings").click()
        await page.get_by_role("link", name="People's data").click()
        await expect(page.get_by_role("link", name="Settings")).to_have_attribute("aria-current", "page")
        await examined(page, "/people")
        await page.get_by_label("Search").fill(ANNA.phone)
        await page.get_by_role("button", name="Search").click()
        await examined(page, "/people?q=")
        await screenshot(page, "people", dark=True, phone=True)
        await page.get_by_role("link", name=ANNA.name).click()
        await expect(page.locator("#kind-calls")).to_contain_text("2")
        await examined(page, "/people/7")
        await screenshot(page, "person", phone=True)

        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="Export").click()
        file = tmp_path / "anna.json"
        await (await downloading.value).save_as(file)
        assert [call["name"] for call in json.loads(file.read_text())["calls"]] == [ANNA.name, "Anna"]

        erase = page.get_by_role("button", name="Erase")
        await page.get_by_label("Reference").fill("Request 17")
        page.once("dialog", dismissed)
        await erase.click()
        await expect(page.locator("#kind-calls")).to_contain_text("2")
        assert "can't be undone" in asked[-1]
        page.once("dialog", accepted)
        await erase.click()
        await expect(page.locator(".toast")).to_contain_text("Erased.")
        await page.goto(f"{site.url}/people/7")
        await expect(page.get_by_text("Nothing is kept of such a person.")).to_be_visible()
        await page.goto(f"{site.url}/audit?action=person+erased")
        await expect(page.get_by_role("cell", name="Request 17")).to_be_visible()
        assert ANNA.name not in await page.content()


async def test_a_storage_period_is_changed_once_it_is_confirmed(tmp_path: Path, administrator: Admin) -> None:
    async with calls_site(tmp_path) as site, administrator(site.served) as page:
        await page.goto(f"{site.url}/people")
        days = page.get_by_label("How long a call stays in the history, days")
        await days.fill("90")
        save = page.get_by_role("button", name="Save")
        page.once("dialog", lambda dialog: dialog.dismiss())
        await save.click()
        await expect(days).to_have_value("90")
        assert site.services.installation.settings.history_days == 400
        page.once("dialog", lambda dialog: dialog.accept())
        await save.click()
        await expect(page.locator(".toast")).to_contain_text("Saved.")
        await expect(page.locator("#kind-calls")).to_contain_text("90 days")
