"""Activity on the overview in a browser: it comes by itself, to each reader what they may see."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from playwright.async_api import Page, expect

from ari_app import __version__
from ari_app.asterisk.errors import AriUnreachable
from ari_app.asterisk.reconnecting import ConnectionState
from ari_app.bus import ACCOUNT, ASTERISK, EventBus
from ari_app.calls.registry import CallRegistry
from ari_app.i18n import message
from ari_app.lines.health import StatusMonitor
from ari_app.pbx.activity import RecentActivity
from ari_app.pbx.reporting import Reporting
from ari_app.sandbox.debian import Tree
from ari_app.tasks import guarded_tasks
from ari_app.telegram.bot import Bot
from ari_app.telegram.limits import CALL
from ari_app.telegram.line import LineState
from tests.browser.conftest import PASSWORD, SIZES, Admin, goes_on, sign_in, window
from tests.browser.test_users import examined
from tests.integration.web_helpers import Clock, Site, browser, program, signed_in, site, user

LINE, NOBODY = "+79990000001", "http://127.0.0.1:1"
LONG = "Verkaufsabteilung" * 4


@dataclass(frozen=True)
class Watched:
    """A page over a line and an Asterisk that a test changes; what follows them is real."""

    site: Site
    line: Any
    ari: Any

    def pause(self, seconds: int = 300) -> None:
        """Telegram lets the line place no calls for so long."""
        self.line.pauses[CALL] = (seconds, f"FLOOD_WAIT_{seconds}")
        self.site.services.bus.publish(ACCOUNT, LINE)

    def lose_asterisk(self) -> None:
        """It does not answer any more."""
        self.ari.state = ConnectionState.WAITING
        self.ari.last_error = AriUnreachable(NOBODY)
        self.site.services.bus.publish(ASTERISK)


@asynccontextmanager
async def watched(folder: Path, name: str = "Sales") -> AsyncIterator[Watched]:
    """Serve the page of a line that works."""
    clock, bus = Clock(1_800_000_000.0), EventBus()
    registry = CallRegistry(bus)
    ari: Any = SimpleNamespace(state=ConnectionState.CONNECTED, refusal=None, last_error=None, base=NOBODY)
    line: Any = SimpleNamespace(
        number=LINE, name=name, max_calls=4, state=LineState.READY, condition=message("Ready."), frozen="", pauses={}
    )
    lines = {LINE: line}
    statuses = StatusMonitor(lines, ari, Bot(), bus, registry.drain, clock)
    activity = RecentActivity(lines, statuses, bus, clock)
    parts: dict[str, Any] = {"bus": bus, "registry": registry, "statuses": statuses, "activity": activity}
    async with site(folder, clock=clock, **parts) as page_of, guarded_tasks() as tasks:
        tasks.supervise(statuses.run, "status")
        tasks.supervise(activity.run, "activity")
        Reporting([activity.put], lines, statuses, registry, bus).begin(tasks)
        yield Watched(page_of, line, ari)


async def told(page: Page, *said: str) -> None:
    """An entry that has all of that is there, or comes."""
    entry = page.locator("#activity li")
    for each in said:
        entry = entry.filter(has_text=each)
    await expect(entry).to_be_visible()


async def test_what_happens_comes_to_an_administrator_by_itself(tmp_path: Path, administrator: Admin) -> None:
    async with watched(tmp_path) as at, administrator(at.site.served) as page, program(at.site) as cli:
        await cli.ask("POST", "/api/users", json={"name": "anna", "role": "operator", "password": PASSWORD})
        await goes_on(page)
        await told(page, f"Astergram {__version__} was started")
        await told(page, "User added: anna", "Command line")
        await page.evaluate("window.stays = true")
        at.pause()
        await told(page, "Sales: paused, Telegram said FLOOD_WAIT_300 (phone.requestCall)")
        at.lose_asterisk()
        await told(page, "Waiting for Asterisk")
        at.site.services.registry.begin_drain()
        await told(page, "New calls were stopped")
        async with browser(at.site, "127.0.0.2") as anna:
            await anna.log_in("a wrong guess", name="anna")
            await told(page, "Sign-in failed: anna", "127.0.0.2")
            await anna.log_in(name="anna")
            await told(page, "Signed in", "anna")
        at.site.clock.now += 1
        await cli.ask("PATCH", "/api/installation", json={"company": "Acme"})
        await expect(page.locator("#activity li").first).to_contain_text("Settings changed")
        assert await page.evaluate("window.stays"), "nobody has loaded the page anew"
        await examined(page, "/")
        await page.locator("#activity").get_by_role("link", name="Audit log").press("Enter")
        await expect(page.locator("table.audit tbody tr").first).to_contain_text("Settings changed")


async def test_who_is_no_administrator_is_told_of_the_program_only(tmp_path: Path, chromium: Tree) -> None:
    async with (
        watched(tmp_path) as at,
        signed_in(at.site),
        program(at.site) as cli,
        window(chromium, at.site.url) as page,
    ):
        for role, seconds in (("viewer", 300), ("operator", 900)):
            async with user(at.site, role):
                await page.context.clear_cookies()
                await sign_in(page, f"the-{role}")
            await goes_on(page)
            await cli.ask("PATCH", "/api/installation", json={"company": role})
            at.pause(seconds)
            await told(page, f"FLOOD_WAIT_{seconds} (phone.requestCall)")
            shown = page.locator("#activity")
            for hidden in ("Signed in", "User added", "Settings changed", "Audit log"):
                await expect(shown).not_to_contain_text(hidden)
            await expect(shown.get_by_role("link", name="Alerts")).to_be_visible()


async def test_it_fits_a_phone_in_russian(tmp_path: Path, administrator: Admin) -> None:
    async with (
        watched(tmp_path, name=LONG) as at,
        administrator(at.site.served, language="ru-RU", size="phone") as page,
        program(at.site) as cli,
    ):
        await goes_on(page)
        at.pause()
        await told(page, f"{LONG}: пауза, Telegram ответил FLOOD_WAIT_300")
        await cli.ask("PATCH", "/api/installation", json={"company": "Acme"})
        await told(page, "Изменены настройки", "Командная строка")
        await expect(page.get_by_role("heading", name="Активность")).to_be_visible()
        await examined(page, "/, ru")
        assert await page.evaluate("document.documentElement.scrollWidth") <= SIZES["phone"]["width"]
