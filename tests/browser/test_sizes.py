"""What is drawn and counted, at the sizes of a phone, a tablet and a desktop."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from ari_app.calls import outcome
from ari_app.calls.outcome import Direction
from ari_app.sandbox.debian import Tree
from tests.browser.conftest import launched
from tests.browser.test_idle import set_first_password
from tests.integration.web_calls import a_call, calls_site, put, some_calls, talking
from tests.integration.web_helpers import Site

WIDTHS = (360, 768, 1280)
SCROLLS = "(it) => it.parentElement.scrollWidth > it.parentElement.clientWidth"
LINES = """(it) => {
  const range = document.createRange();
  range.selectNodeContents(it);
  return new Set([...range.getClientRects()].map((line) => line.top)).size;
}"""


@asynccontextmanager
async def opened(chromium: Tree, folder: Path, language: str) -> AsyncIterator[tuple[Site, Page, str]]:
    """A reader of a history of 60 days, in which one call has a minute of audio; the call's id."""
    async with (
        calls_site(folder) as site,
        launched(chromium) as browser,
        await browser.new_context(base_url=site.url, locale=language) as context,
    ):
        await put(site, *some_calls(200, site.clock.now, seed=3, days=60))
        await put(site, *(a_call(1000 + number, site.clock.now, line=f"+7999000010{number}") for number in range(5)))
        async with talking(site.services.registry) as call:
            call.end(outcome.by_administrator(Direction.IN, talking=True))
        page = await context.new_page()
        await set_first_password(page, site)
        yield site, page, call.id


async def inside(page: Page, element: Locator) -> bool:
    """Whether all of it is to be seen without scrolling to the side."""
    box = await element.bounding_box()
    assert box is not None
    assert page.viewport_size is not None
    return box["x"] >= 0 and box["x"] + box["width"] <= page.viewport_size["width"]


@pytest.mark.parametrize("language", ["en-GB", "ru-RU"])
async def test_charts_and_set_up_times_fit_every_width(chromium: Tree, tmp_path: Path, language: str) -> None:
    async with opened(chromium, tmp_path, language) as (_, page, call):
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 900})
            for period in ("7d", "30d", "90d", "365d", "today", "own"):
                await page.goto(f"/charts?period={period}")
                drawings = page.locator("svg[role=img]:visible")
                await expect(drawings.first).to_be_visible()
                for drawing in await drawings.all():
                    assert await inside(page, drawing), (width, period)
                    assert not await drawing.evaluate(SCROLLS), (width, period)
                assert await inside(page, drawings.first.locator("rect").last), (width, period)
                if period in ("7d", "30d", "90d", "own"):  # of today, 15 January
                    assert await inside(page, drawings.first.locator("text", has_text=re.compile("^15 "))), width
            numbers = page.locator(".chart:visible text:visible", has_text="+79990")
            assert len(set(await numbers.all_text_contents())) == 6, "lines without a name are told apart"
            for number in await numbers.all():
                assert await inside(page, number), width

            await page.goto(f"/calls/{call}")
            for place in await page.locator("dl.facts").last.locator("dd").all():
                assert await place.evaluate(LINES) == 1, (width, await place.text_content())
            for address in (f"/calls/{call}", "/calls", "/", "/charts?period=own", "/settings"):
                await page.goto(address)
                whole = await page.evaluate("document.documentElement.scrollWidth")
                assert whole <= width, (width, address)
