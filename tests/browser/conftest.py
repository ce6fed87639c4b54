"""A browser before the whole program: Debian's Chromium, driven by Playwright.

What a page writes to the console as an error, and whatever it asks of another origin, fails the test.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request, ViewportSize, async_playwright, expect

from ari_app.sandbox import debian
from ari_app.web.server import Served
from tests.e2e.conftest import Play, flows, play, pytest_runtest_makereport

__all__ = ["flows", "play", "pytest_runtest_makereport"]

PASSWORD = "correct horse battery"
SCREENS = Path(__file__).parents[2] / "var" / "screens"
CHROMIUM = "usr/lib/chromium/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
SIZES: dict[str, ViewportSize] = {
    "desktop": {"width": 1280, "height": 900},
    "phone": {"width": 390, "height": 844},
}
PATIENCE_MS, START_MS = 20_000, 60_000
REFUSED = re.compile(r"the server responded with a status of (422|403 .*/(password\?|login$)|404 .*/lines/)")
"""How Chromium tells of what we mean to refuse: a form that was filled in wrongly, a used link, a line that is gone."""
AWAY = re.compile(
    REFUSED.pattern + r"|/events|/alive|vendor/htmx|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|a status of 401"
)
"""And how it tells that the program, or the session, is gone, of which what is on its way has not heard."""

Size = Literal["desktop", "phone"]
Admin = Callable[..., AbstractAsyncContextManager[Page]]


@pytest.fixture(scope="session")
def chromium() -> debian.Tree:
    """The unpacked browser; the first time, that takes a while."""
    return debian.unpack("chromium")


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """For what a busy machine takes longer over."""
    expect.set_options(timeout=PATIENCE_MS)
    yield


@asynccontextmanager
async def launched(chromium: debian.Tree) -> AsyncIterator[Browser]:
    """A browser that is gone, with all its processes, before the program is."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium.root / CHROMIUM,
            env={**os.environ, **chromium.environment()},
            args=ARGUMENTS,
            timeout=START_MS,
        )
        try:
            yield browser
        finally:
            await browser.close()


class Watch:
    """What a page must not do; ``away``: the program leaves it for a while, and may be missed."""

    def __init__(self, page: Page, origin: str, away: bool) -> None:
        self.wrong: list[str] = []
        self._allowed = AWAY if away else REFUSED
        self._host = urlsplit(origin).netloc
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"page error: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        told = f"{message.text} {message.location.get('url')}"
        if message.type == "error" and not self._allowed.search(told):
            self.wrong.append(f"console: {told}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != self._host:
            self.wrong.append(f"request to another origin: {request.url}")


@asynccontextmanager
async def window(
    chromium: debian.Tree, url: str, language: str = "en-US", size: Size = "desktop", away: bool = False
) -> AsyncIterator[Page]:
    """A browser's first tab, before a page that is served somewhere."""
    async with launched(chromium) as browser:
        context = await browser.new_context(
            base_url=url, locale=language, viewport=SIZES[size], reduced_motion="reduce"
        )
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        watch = Watch(page, url, away)
        try:
            yield page
        except BaseException:
            await screenshot(page, "failed")
            raise
    assert watch.wrong == []


@pytest.fixture
def visitor(chromium: debian.Tree) -> Admin:
    """Opens a browser for somebody who has not signed in; `async with visitor(stage) as page`."""

    def opened(stage: Play, **options: Any) -> AbstractAsyncContextManager[Page]:
        return window(chromium, stage.app.web.url, **options)

    return opened


@pytest.fixture
def admin(visitor: Admin) -> Admin:
    """Opens a browser for an administrator who sets the first password; the arguments are those of `visitor`."""

    @asynccontextmanager
    async def opened(stage: Play, **options: Any) -> AsyncIterator[Page]:
        async with visitor(stage, **options) as page:
            await set_first_password(page, stage.app.web)
            yield page

    return opened


@pytest.fixture
def administrator(chromium: debian.Tree) -> Admin:
    """Opens a browser for an administrator of a page that is served with no Asterisk."""

    @asynccontextmanager
    async def opened(served: Served, **options: Any) -> AsyncIterator[Page]:
        async with window(chromium, served.url, **options) as page:
            await set_first_password(page, served)
            yield page

    return opened


async def set_first_password(page: Page, served: Served) -> None:
    """Open the one-time link, and set the password."""
    await page.goto(served.first_link)
    await page.fill("[name=password]", PASSWORD)
    await page.fill("[name=password_again]", PASSWORD)
    await page.click("main button")
    await page.wait_for_url(f"{served.url}/")


async def sign_in(page: Page, name: str) -> None:
    """As a user whom `tests.integration.web_helpers.user` has made."""
    await page.goto("/login")
    await page.fill("[name=username]", name)
    await page.fill("[name=password]", PASSWORD)
    await page.click("main button")
    await page.wait_for_url("**/")


async def goes_on(page: Page) -> None:
    """Live events have begun, and what may have changed before is shown."""
    await page.wait_for_selector("html[data-stream=open]", state="attached")
    await expect(page.locator("[data-live].htmx-request")).to_have_count(0)


async def screenshot(page: Page, name: str, *, dark: bool = False, phone: bool = False, whole: bool = True) -> None:
    """Keep what is shown as var/screens/<name>.png, and as <name>-dark.png and <name>-phone.png where asked."""
    await asyncio.to_thread(SCREENS.mkdir, parents=True, exist_ok=True)
    await page.screenshot(path=SCREENS / f"{name}.png", full_page=whole)
    if dark:
        await page.emulate_media(color_scheme="dark")
        await page.screenshot(path=SCREENS / f"{name}-dark.png", full_page=whole)
        await page.emulate_media(color_scheme="light")
    if phone:
        before = page.viewport_size
        await page.set_viewport_size(SIZES["phone"])
        width = await page.evaluate("document.documentElement.scrollWidth")
        await page.screenshot(path=SCREENS / f"{name}-phone.png", full_page=whole)
        if before:
            await page.set_viewport_size(before)
        assert width <= SIZES["phone"]["width"], f"{name} is {width} px wide on a phone"
