"""Settings, language, theme and who may: what an administrator does besides lines and calls."""

import re

from playwright.async_api import expect

from ari_app.lines.health import Colour
from tests.browser.conftest import PASSWORD, Admin, screenshot
from tests.e2e.conftest import PlayMaker
from tests.e2e.test_status import until

ANOTHER = "battery staple horse"


async def test_the_bots_token_is_set_and_the_light_follows(play: PlayMaker, admin: Admin) -> None:
    async with play() as stage, admin(stage) as page:
        token = stage.stage.bot()["token"]
        await page.goto("/settings")
        await page.fill("[name=company]", "Acme")
        await page.fill("[name=bot_token]", token)
        await page.click("form[action='/settings/installation'] button")
        await expect(page.locator(".toast").first).to_be_visible()  # the page that comes back
        await expect(page.get_by_text("Set. Leave it empty to keep it.").last).to_be_visible()
        assert token not in await page.content()
        await stage.app.bot.first_attempt_done()
        assert stage.app.services.installation.settings.company == "Acme"
        light = await until(stage, "bot", Colour.RED)  # the line has no dialogue with it yet
        assert "no chat" in str(light.sentence)
        await screenshot(page, "settings", dark=True, phone=True)


async def test_language_and_theme(play: PlayMaker, admin: Admin) -> None:
    async with play() as stage, admin(stage) as page:
        assert await page.get_attribute("html", "lang") == "en"
        await page.select_option("[name=language]", "ru")
        await expect(page.locator("h1")).to_have_text("Обзор")
        assert await page.get_attribute("html", "lang") == "ru"
        await page.select_option("[name=theme]", "dark")
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        await screenshot(page, "overview-ru-dark")
        await page.goto("/lines")
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.select_option("[name=theme]", "light")
        await expect(page.locator("html")).to_have_attribute("data-theme", "light")
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


async def test_signing_out_and_in_and_another_password(play: PlayMaker, admin: Admin) -> None:
    async with play() as stage, admin(stage, away=True) as page:
        await page.goto("/account")
        await page.fill("[name=old_password]", PASSWORD)
        await page.fill("[name=new_password]", ANOTHER)
        await page.fill("form[action='/account/password'] [name=password_again]", ANOTHER)
        await page.click("form[action='/account/password'] button")
        await expect(page.locator(".toast").first).to_be_visible()
        await page.click("header form button")
        await expect(page).to_have_url(re.compile("/login"))
        await screenshot(page, "login", dark=True, phone=True)
        await page.goto("/calls")
        await expect(page).to_have_url(re.compile("/login"))
        await page.fill("[name=password]", PASSWORD)
        await page.click("main button")
        await expect(page.locator(".error, .wrong").first).to_be_visible()
        await page.fill("[name=password]", ANOTHER)
        await page.click("main button")
        await expect(page).to_have_url(f"{stage.app.web.url}/calls")


async def test_a_token_is_shown_once(play: PlayMaker, admin: Admin) -> None:
    async with play() as stage, admin(stage) as page:
        await page.goto("/settings")
        await page.fill("[name=name]", "Zabbix")
        await page.click("form[action='/settings/tokens'] button")
        token = (await page.locator("#made code, #made pre").first.inner_text()).strip()
        headers = {"Authorization": f"Bearer {token}"}
        answer = await page.request.get("/api/status", headers=headers)
        assert answer.ok
        refused = await page.request.post(
            f"/api/lines/{stage.app.lines.all_settings()[0].number}/reset", headers=headers
        )
        assert refused.status == 403
        await page.goto("/settings")
        assert token not in await page.content()
        await expect(page.get_by_role("cell", name="Zabbix", exact=True)).to_be_visible()
        page.once("dialog", lambda dialog: dialog.accept())
        await page.click("form[action*='/revoke'] button")
        await expect(page.get_by_role("cell", name="Zabbix", exact=True)).to_have_count(0)
        assert (await page.request.get("/api/status", headers=headers)).status == 401
