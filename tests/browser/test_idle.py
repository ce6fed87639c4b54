"""A tab that is left open: it goes on by itself, and keeps nobody signed in thereby."""

import re
from pathlib import Path

from playwright.async_api import Page, expect

from ari_app.calls import outcome
from ari_app.calls.outcome import Direction
from ari_app.sandbox.debian import Tree
from tests.browser.conftest import PASSWORD, launched
from tests.integration.web_calls import calls_site, talking
from tests.integration.web_helpers import Site

HOUR_S = 3600.0
IDLE_HOURS = 5
HEARTBEAT_S = 0.2  # so that the end of the session is noticed soon


async def set_first_password(page: Page, site: Site) -> None:
    await page.goto(site.served.first_link)
    await page.fill("[name=password]", PASSWORD)
    await page.fill("[name=password_again]", PASSWORD)
    await page.click("main button")
    await page.wait_for_url(f"{site.url}/")


async def test_a_session_ends_though_a_tab_is_open(chromium: Tree, tmp_path: Path) -> None:
    """Calls come and go on the overview and in the history all the time, and nobody is there to see them."""
    settings = {"session_hours": 100, "idle_hours": IDLE_HOURS}
    async with (
        calls_site(tmp_path, settings=settings, heartbeat_s=HEARTBEAT_S) as site,
        launched(chromium) as browser,
        await browser.new_context(base_url=site.url) as context,
    ):
        page = await context.new_page()
        await set_first_password(page, site)
        for address, place in (("/", "#live-calls"), ("/calls", "#found")):
            await page.goto(address)
            for _ in range(2):
                site.clock.now += 2 * HOUR_S
                async with talking(site.services.registry) as call:
                    await expect(page.locator(place)).to_contain_text("Анна")
                    call.end(outcome.by_administrator(Direction.IN, talking=True))
                await expect(page.locator(place).get_by_text(re.compile("Now|Talking"))).to_have_count(0)
        site.clock.now += 2 * HOUR_S
        await page.wait_for_url(re.compile(r"/login\?next=/calls$"))
