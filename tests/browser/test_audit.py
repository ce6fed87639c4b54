"""The audit log in a browser: found by the keyboard, gone through and exported, by administrators only."""

import asyncio
import csv
import io
import re
from pathlib import Path

from playwright.async_api import expect

from ari_app.reports.audit import Actor
from ari_app.sandbox.debian import Tree
from tests.browser.conftest import SIZES, Admin, goes_on, launched, sign_in
from tests.browser.test_users import examined
from tests.integration.web_helpers import Site, signed_in, site, user

DAY_S = 86400.0
LINE, HASH = "+79990000001", "0123456789abcdef0123456789abcdef"
LONG = "Verkaufsabteilung" * 10


def some_entries(page_of: Site, many: int = 1) -> None:
    """What anna has done a month ago."""
    page_of.clock.now -= 30 * DAY_S
    for number in range(many):
        changes = {"max_calls": (number, number + 1)}
        page_of.services.audit.record(Actor("user", "anna", "192.0.2.7"), "line changed", LINE, changes)
    page_of.clock.now += 30 * DAY_S


async def test_who_did_what_is_found_by_the_keyboard_and_exported(tmp_path: Path, administrator: Admin) -> None:
    async with site(tmp_path) as page_of:
        some_entries(page_of)
        page_of.services.audit.record(Actor("FastAGI", "from-telegram"), "text sent", LINE)
        async with administrator(page_of.served) as page:
            await goes_on(page)
            await page.get_by_role("link", name="Settings").click()
            for field, value in (("company", "Acme"), ("api_id", "12345"), ("api_hash", HASH)):
                await page.fill(f"[name={field}]", value)
            await page.click("form[action='/settings/installation'] button")
            await expect(page.locator(".toast")).to_contain_text("Saved")
            await page.locator(".tabs").get_by_role("link", name="Audit log").click()
            rows = page.locator("table.audit tbody tr")
            await expect(rows).to_have_count(5)
            await expect(rows.first).to_contain_text("company: – → Acme")
            await expect(rows.first).to_contain_text("api_hash: – → set")
            assert HASH not in await page.content()
            await examined(page, "/audit")

            await page.get_by_role("searchbox", name="Search").focus()
            await page.keyboard.type("anna")
            await expect(rows).to_have_count(1)
            await expect(rows).to_contain_text("max_calls: 0 → 1")
            await page.keyboard.press("Control+A")
            await page.keyboard.press("Delete")
            await expect(rows).to_have_count(5)

            await page.keyboard.press("Tab")
            await page.keyboard.type("User")
            await expect(page).to_have_url(f"{page_of.url}/audit?by=user")
            await expect(rows).to_have_count(4)
            await page.keyboard.press("Tab")
            await page.keyboard.press("Tab")
            await expect(page.get_by_label("From")).to_be_focused()
            await page.keyboard.type("01012027")  # the first of a month, in whatever order the browser has them
            await expect(page).to_have_url(f"{page_of.url}/audit?by=user&from=2027-01-01")
            await expect(rows).to_have_count(3)
            await expect(page.get_by_label("From")).to_be_focused()
            await page.get_by_label("Action").focus()
            await page.keyboard.type("Signed")
            await expect(rows).to_have_count(1)
            await expect(page.get_by_label("Action")).to_be_focused()

            await page.reload()  # the address has all of it
            await expect(rows).to_contain_text("Signed in")
            async with page.expect_download() as downloading:
                await page.get_by_role("link", name="Export as CSV").press("Enter")
            download = await downloading.value
            text = await asyncio.to_thread(Path(await download.path()).read_text, "utf-8-sig")
            assert download.suggested_filename == "audit.csv"
            (row,) = csv.DictReader(io.StringIO(text))
            assert (row["name"], row["action"]) == ("admin", "sign-in")


async def test_it_is_gone_through_in_russian_on_a_phone(tmp_path: Path, administrator: Admin) -> None:
    async with site(tmp_path) as page_of:
        some_entries(page_of, 58)
        log = page_of.services.audit
        log.record(
            Actor("FastAGI", LONG, "2001:db8:85a3:8d3:1319:8a2e:370:7348"), "card sent", LONG, {LONG: ("", LONG)}
        )
        async with administrator(page_of.served, language="ru-RU", size="phone") as page:
            await goes_on(page)
            await page.get_by_role("button", name="Меню").click()
            await page.get_by_role("link", name="Настройки").click()
            await page.locator(".tabs").get_by_role("link", name="Журнал аудита").click()
            rows = page.locator("table.audit tbody tr")
            await expect(page.locator("#found [role=status]")).to_have_text("61 запись")
            await expect(rows.first).to_contain_text("Пароль задан по ссылке")
            await examined(page, "/audit, ru")
            assert await page.evaluate("document.documentElement.scrollWidth") <= SIZES["phone"]["width"]

            await page.get_by_role("link", name="Старше").click()
            await expect(page.locator(".pages")).to_contain_text("Страница 2 из 2")
            await expect(rows).to_have_count(11)
            await page.get_by_label("Действие").select_option("Вход выполнен")
            await expect(page).to_have_url(f"{page_of.url}/audit?action=sign-in")
            await expect(rows).to_have_count(1)
            await page.go_back()
            await expect(page.locator(".pages")).to_contain_text("Страница 2 из 2")


async def test_nobody_else_sees_it(tmp_path: Path, chromium: Tree) -> None:
    async with site(tmp_path) as page_of, signed_in(page_of), launched(chromium) as browser:
        page = await browser.new_page(base_url=page_of.url, locale="en-US")
        for role in ("viewer", "operator"):
            async with user(page_of, role):
                await page.context.clear_cookies()
                await sign_in(page, f"the-{role}")
            await expect(page.get_by_role("heading", name="Activity")).to_be_visible()
            await expect(page.get_by_role("link", name=re.compile("Settings|Audit log"))).to_have_count(0)
            answer = await page.goto("/audit")
            assert answer is not None
            assert answer.status == 403
            await expect(page.locator("main")).to_contain_text("Your role does not allow this")
            await expect(page.locator("table")).to_have_count(0)
