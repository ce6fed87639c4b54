"""Who sees badly, hears the page read out, or has no mouse: axe on every page, and the keyboard.

axe-core comes with the wheel of axe-playwright-python, so a test asks nothing of the network.
"""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page, expect

from ari_app.calls.outcome import Direction, by_administrator
from ari_app.lines.health import Colour
from ari_app.lines.settings import LineSettings
from ari_app.sandbox.debian import Tree
from ari_app.sandbox.telegram import LocalTelegram
from ari_app.web import areas
from tests.browser.conftest import Admin, goes_on, launched, set_first_password
from tests.integration.web_calls import calls_site, put_into, some_calls, talking
from tests.integration.web_helpers import Site
from tests.integration.web_lines import LINE, ManyLines, lines_site
from tests.pictures import png

HEIGHT = 900
LOOKS = {
    "en": ((360, "light"), (768, "dark"), (1280, "light")),
    "ru": ((360, "dark"), (768, "light"), (1280, "dark")),
}
"""Widths and themes in which a page is examined in each language: any two of the three are seen together."""
PARTS = re.compile(
    r"/(now|view|export|steps|findings|audio|pauses|today|doctor|events|alive|overview/\w+|try/call|texts|card/{[^/]+|\w+/list"
    r"|deliveries|file)$|\.csv$|^/login/oidc"
)
"""What is fetched besides pages, files included, and what leads on to one; single sign-on has test_oidc.py."""
FOCUSED = """() => {
  const {left, top, width, height} = document.activeElement.getBoundingClientRect();
  const there = document.elementFromPoint(left + width / 2, top + height / 2);
  return {what: document.activeElement.outerHTML, seen: document.activeElement.contains(there)};
}"""
LIVE = "\n; document.querySelector('[data-live]') !== null"
FOUND = """async (theme) => {
  const html = document.documentElement;
  html.dataset.theme = theme;
  const { violations } = await axe.run(document, {resultTypes: ["violations"], preload: false});
  return {
    violations: violations.flatMap(({ id, nodes }) => nodes.map((node) => [id, node.html])),
    language: html.lang, width: html.scrollWidth,
  };
}"""


@dataclass
class Examination:
    """What axe finds on pages: each thing once, with where it was seen first."""

    page: Page
    wrong: dict[tuple[str, str], str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    async def of(self, site: Site, path: str) -> None:
        """Examine a page in its looks."""
        self.seen.add(path)
        for language, looks in LOOKS.items():
            cookie: Any = {"name": "astergram-language", "value": language, "url": site.url}
            await self.page.context.add_cookies([cookie])
            await self.page.goto(site.url + path)
            if await self.page.locator("#api-docs").count():  # it is drawn by a library, which takes a moment
                await self.page.wait_for_selector("#api-docs .opblock")
            if await self.page.evaluate(AXE_SCRIPT + LIVE):
                await goes_on(self.page)
            for width, theme in looks:
                await self.page.set_viewport_size({"width": width, "height": HEIGHT})
                found = await self.page.evaluate(FOUND, theme)
                where = f"{path} ({language}, {theme}, {width} px)"
                assert found["language"] == language, where
                for rule, html in found["violations"]:
                    self.wrong.setdefault((rule, html), where)
                if found["width"] > width:
                    self.wrong.setdefault(("wider than the window", where), where)


@asynccontextmanager
async def examined(chromium: Tree) -> AsyncIterator[Examination]:
    """Fails at the end for whatever was found."""
    async with launched(chromium) as browser:
        page = await (await browser.new_context(locale="en-US")).new_page()
        examination = Examination(page)
        yield examination
    told = [f"{rule} on {where}: {html}" for (rule, html), where in examination.wrong.items()]
    assert not told, "\n".join(told)


@pytest.mark.timeout(300)
async def test_axe_finds_nothing_on_any_page(tmp_path: Path, chromium: Tree) -> None:
    """In both languages, both themes and three widths."""
    number, other = LINE, "+79990000009"
    settings = [LineSettings.of({"number": number, "name": "Sales"}), LineSettings.of({"number": other})]
    line = f"/lines/{number}"
    async with LocalTelegram(tmp_path / "telegram.db") as telegram, examined(chromium) as examination:
        telegram.add_user(number, "Astergram")
        async with lines_site(tmp_path, telegram, settings) as shown:
            site, page = shown.site, examination.page
            await examination.of(site, "/login")  # nobody has set a password
            await examination.of(site, site.served.first_link.removeprefix(site.url))
            await set_first_password(page, site.served)
            await site.services.card_files.put(number, "picture", "us.png", png())
            calls = some_calls(60, time.time(), seed=1)  # more than a page shows
            await put_into(site.services.store, *calls)
            hook = await site.services.webhooks.add({"url": "http://127.0.0.1:1/hook"})
            site.services.webhooks.test(hook.id)
            hooks = "/settings/webhooks"
            async with talking(site.services.registry) as call:
                for path in (
                    "/", "/lines", "/lines/add", "/lines/add?application", line, f"{line}/settings", f"{line}/card",
                    f"{line}/lists", f"{line}/limits", f"{line}/texts/en", f"{line}/setup", f"{line}/try",
                    f"{line}/signin", "/calls?page=2", f"/calls/{calls[0].id}", f"/calls/{call.id}", "/charts",
                    "/connect", "/connect/freepbx", "/connect/api", "/settings", "/users", "/audit", "/people?q=maria",
                    f"/people/{calls[0].person_id}", "/account", "/account/two-factor", hooks, f"{hooks}/{hook.id}",
                        "/alerts", "/settings/alerts", "/settings/backups",
                    "/nothing-there",
                ):  # fmt: skip
                    await examination.of(site, path)
                call.end(by_administrator(Direction.IN, talking=True))
            for way in ("qr", "code"):
                await page.goto(f"{site.url}{line}/signin")
                await page.click(f"form[action$='/signin/{way}'] button")
                await page.wait_for_selector(f"[data-state={way}]", state="attached")
                await examination.of(site, f"{line}/signin")
            await page.goto(f"{site.url}/settings")
            await page.click("header form button")
            await page.wait_for_url(f"{site.url}/login")
            await examination.of(site, "/login")
        assert [path for path in page_paths() if not any(map(path.fullmatch, examination.seen))] == []


@pytest.mark.timeout(300)
async def test_axe_finds_nothing_where_there_are_many_lines(tmp_path: Path, chromium: Tree) -> None:
    lines = ManyLines(120)
    lines.change("+79990000003", Colour.RED, "Sign in, please.")
    lines.change("+79990000004", Colour.ORANGE, "Waiting for Telegram.")
    async with calls_site(tmp_path, lines=lines, statuses=lines) as site, examined(chromium) as examination:
        await set_first_password(examination.page, site.served)
        for path in ("/", "/lines?q=line&page=2"):
            await examination.of(site, path)


def page_paths() -> list[re.Pattern[str]]:
    """A pattern for the address of each page that there is."""
    routes = [route for routes in areas.PAGES for route in routes if isinstance(route, web.RouteDef)]
    paths = {route.path for route in routes if route.method == "GET"}
    pattern = re.compile(r"\{\w+(?::([^}]*))?\}")
    made = [pattern.sub(lambda found: f"({found[1] or '[^/]+'})", path) for path in paths if not PARTS.search(path)]
    return [re.compile(path + r"(\?.*)?") for path in made]


async def test_the_menu_of_a_narrow_window_goes_by_keyboard(tmp_path: Path, administrator: Admin) -> None:
    async with calls_site(tmp_path) as site, administrator(site.served, size="phone") as page:
        button, menu = page.get_by_role("button", name="Menu"), page.get_by_role("navigation", name="Main")
        await expect(menu).to_be_hidden()
        await button.focus()
        await page.keyboard.press("Enter")
        await expect(button).to_have_attribute("aria-expanded", "true")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Overview")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(menu).to_be_hidden()
        await expect(button).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.locator("main a:focus")).to_have_count(1)


async def test_tab_reaches_nothing_that_is_not_seen(tmp_path: Path, administrator: Admin) -> None:
    async with calls_site(tmp_path) as site, administrator(site.served) as page:
        reached = []
        for _ in range(12):
            await page.keyboard.press("Tab")
            reached.append(await page.evaluate(FOCUSED))
        assert [each["what"] for each in reached if not each["seen"]] == []
