"""What goes on by itself: one stream for all tabs, parts that change in place, times that tick, edits that stay."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Dialog, Page, expect

from ari_app.calls.outcome import Direction, by_administrator
from ari_app.lines.health import Colour
from ari_app.sandbox.debian import Tree
from ari_app.telegram.peers import Person
from ari_app.web.access.sessions import Sessions
from tests.browser.conftest import PASSWORD, PATIENCE_MS, Admin, Watch, goes_on, screenshot, set_first_password, window
from tests.integration.web_calls import a_call, calls_site, measured, put, talking
from tests.integration.web_helpers import Clock, Site, page_served
from tests.integration.web_lines import ManyLines

NEW_PASSWORD = "battery horse correct"
BORIS = Person(9, phone="+79990000009", first_name="Boris")
TABS = 8  # HTTP/1.1 allows a browser six connections to a host
PATIENCE_S = PATIENCE_MS / 1000
HEARTBEAT_S = 0.5  # by which the server learns that a stream's other end has gone
LONGEST_OVERVIEW_PX = 2000
HIDE = """(hidden) => {
  Object.defineProperty(document, "visibilityState", {configurable: true, get: () => hidden ? "hidden" : "visible"});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with calls_site(tmp_path, clock=Clock(time.time()), heartbeat_s=HEARTBEAT_S) as served:
        yield served


async def until(true: Callable[[], bool]) -> None:
    """Wait for something of this process; fails when it does not come."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - nothing tells when a stream has ended
            await asyncio.sleep(0.02)


def streams(site: Site) -> int:
    """How many streams of live events are open."""
    return len(site.services.bus._subscribers)


# One stream


async def test_the_seventh_tab_works_and_all_go_on_with_one_stream(site: Site, administrator: Admin) -> None:
    async with administrator(site.served) as first:
        tabs = [first, *[await first.context.new_page() for _ in range(TABS - 1)]]
        watches = [Watch(tab, site.url, away=False) for tab in tabs[1:]]
        for tab in tabs:
            await tab.goto("/")
            await expect(tab.locator("#live-calls")).to_contain_text("Nobody is talking now.")
        async with talking(site.services.registry) as call:
            for tab in tabs:
                await expect(tab.locator(".live-call")).to_contain_text("Анна")
            assert streams(site) == 1
            call.end(by_administrator(Direction.IN, talking=True))
        for tab in tabs:
            await expect(tab.locator("#live-calls")).to_contain_text("Nobody is talking now.")
        assert [watch.wrong for watch in watches] == [[]] * len(watches)


@pytest.mark.parametrize("shared", [True, False])
async def test_a_hidden_tab_has_no_stream_and_catches_up_when_it_is_looked_at(
    site: Site, administrator: Admin, shared: bool
) -> None:
    """Also in a browser that has no SharedWorker, as on some telephones."""
    async with administrator(site.served) as page:
        if not shared:
            await page.add_init_script("delete window.SharedWorker")
        await page.goto("/")
        await goes_on(page)
        await until(lambda: streams(site) == 1)
        await page.evaluate(HIDE, True)
        await until(lambda: streams(site) == 0)
        async with talking(site.services.registry) as call:
            await expect(page.locator(".live-call")).to_have_count(0)
            await page.evaluate(HIDE, False)
            await expect(page.locator(".live-call")).to_contain_text("Анна")
            assert streams(site) == 1
            call.end(by_administrator(Direction.IN, talking=True))
        await expect(page.locator(".live-call")).to_have_count(0)
        await page.close()
        await until(lambda: streams(site) == 0)


async def test_every_tab_hears_of_the_sign_out_in_one_of_them(site: Site, administrator: Admin) -> None:
    async with administrator(site.served, away=True) as page:
        other = await page.context.new_page()
        await other.goto("/calls")
        await goes_on(other)
        await page.click("header form button")
        await expect(page).to_have_url(f"{site.url}/login")
        await expect(other).to_have_url(f"{site.url}/login?next=/calls")


@pytest.mark.parametrize(
    ("step", "button", "answered"),
    [
        ("end", "header form button", "/login"),
        ("start", "form[action='/account/password'] button", "/account"),
    ],
)
async def test_a_late_answer_is_not_lost_to_the_end_of_the_session(
    site: Site, administrator: Admin, monkeypatch: pytest.MonkeyPatch, step: str, button: str, answered: str
) -> None:
    """Signing out and a new password end the session, and its stream, before the browser has the answer."""
    taken = getattr(Sessions, step)

    async def late(*given: Any) -> Any:
        if step == "end":
            await taken(*given)
        await other.wait_for_url("**/login?next=/calls")
        return None if step == "end" else await taken(*given)

    async with administrator(site.served, away=True) as page:
        other = await page.context.new_page()
        await other.goto("/calls")
        await goes_on(other)
        await page.goto("/account")
        await goes_on(page)
        await page.fill("[name=old_password]", PASSWORD)
        await page.fill("[name=new_password]", NEW_PASSWORD)
        await page.fill("[name=password_again]", NEW_PASSWORD)
        monkeypatch.setattr(Sessions, step, late)
        await page.click(button)
        await expect(page.locator("form[action='/login'], .toast")).to_have_count(1)
        await expect(page).to_have_url(site.url + answered)
        if answered == "/account":
            await expect(page.locator(".toast")).to_contain_text("The password is changed.")


# Parts that change in place


async def test_a_call_event_leaves_the_focus_on_hang_up(site: Site, administrator: Admin) -> None:
    async with administrator(site.served) as page, AsyncExitStack() as talk:
        call = await talk.enter_async_context(talking(site.services.registry))
        button = page.locator(".live-call", has_text="Анна").get_by_role("button", name="Hang up")
        await goes_on(page)
        await button.focus()
        async with talking(site.services.registry, BORIS) as another:
            await expect(page.locator(".live-call")).to_have_count(2)
            await expect(button).to_be_focused()
            another.end(by_administrator(Direction.IN, talking=True))
        await expect(page.locator(".live-call")).to_have_count(1)
        await expect(button).to_be_focused()
        # Once its call is over there is nothing to press; the keyboard goes on from where the call was.
        call.end(by_administrator(Direction.IN, talking=True))
        await talk.aclose()
        await expect(page.locator(".live-call")).to_have_count(0)
        await expect(page.locator("#live-calls")).to_be_focused()


async def test_an_open_table_stays_open_while_the_audio_is_measured(site: Site, administrator: Admin) -> None:
    registry = site.services.registry
    async with administrator(site.served) as page, talking(registry) as call:
        await page.goto(f"/calls/{call.id}")
        await goes_on(page)
        table = page.locator(".chart-table").first
        await table.locator("summary").click()
        for second in (6, 7):
            async with page.expect_response("**/audio"):
                measured(registry, call, second)
            await expect(page.locator(".htmx-request, .htmx-settling")).to_have_count(0)
        await expect(table.locator("table")).to_be_visible()
        await expect(table.locator("summary")).to_be_focused()
        call.end(by_administrator(Direction.IN, talking=True))


async def test_new_calls_leave_the_focus_in_the_history(site: Site, administrator: Admin) -> None:
    async with administrator(site.served) as page:
        now = site.clock.now
        await put(site, a_call(1, now - 60, name="Maria"), a_call(2, now - 120, name="Oleg"))
        await page.goto("/calls")
        await goes_on(page)
        link = page.get_by_role("link", name="Maria")
        await link.focus()
        await put(site, a_call(3, now, name="Vera"))
        site.services.bus.publish("call", "3")
        await expect(page.locator(".calls tbody tr")).to_have_count(3)
        await expect(link).to_be_focused()


async def test_what_somebody_has_typed_outlives_a_change_around_it(site: Site, administrator: Admin) -> None:
    """Into a field, a box, a choice: whatever a live part has; what nobody has touched follows."""
    async with administrator(site.served) as page:
        await goes_on(page)
        await page.evaluate(
            """() => {
              const part = document.querySelector("#today");
              part.innerHTML = `<p>before</p><input name="a" value="1"><input name="b" value="1">
                <input type="checkbox" name="c" checked><select name="d"><option>1</option><option>2</option></select>
                <textarea name="e"></textarea>`;
            }"""
        )
        await page.fill("#today [name=a]", "typed")
        await page.uncheck("#today [name=c]")
        await page.select_option("#today [name=d]", "2")
        await page.fill("#today [name=e]", "typed too")
        await page.evaluate(
            """() => htmx.swap(document.querySelector("#today"), `<p>after</p><input name="a" value="1">
                <input name="b" value="2"><input type="checkbox" name="c" checked>
                <select name="d"><option>1</option><option>2</option></select><textarea name="e"></textarea>`,
                {swapStyle: "morph:innerHTML"}, {contextElement: document.body})"""
        )
        await expect(page.locator("#today p")).to_have_text("after")
        await expect(page.locator("#today [name=a]")).to_have_value("typed")
        await expect(page.locator("#today [name=b]")).to_have_value("2")
        await expect(page.locator("#today [name=c]")).not_to_be_checked()
        await expect(page.locator("#today [name=d]")).to_have_value("2")
        await expect(page.locator("#today [name=e]")).to_have_value("typed too")


# Two hundred lines


async def test_two_hundred_lines_are_looked_through(tmp_path: Path, administrator: Admin) -> None:
    """The overview stays short; a search leaves the focus in its field, and news send only the rows that changed."""
    lines = ManyLines(200)
    lines.change("+79990000120", Colour.RED, "Sign in, please.")
    async with calls_site(tmp_path, lines=lines, statuses=lines) as site, administrator(site.served) as page:
        await goes_on(page)
        rows = page.locator(".lines tbody tr")
        await expect(rows).to_have_count(10)
        await expect(rows.first).to_contain_text("Sign in, please.")
        assert await page.evaluate("document.documentElement.scrollHeight") < LONGEST_OVERVIEW_PX
        await screenshot(page, "overview-200", dark=True, phone=True)

        await page.click("nav >> text=Lines")
        await goes_on(page)
        await expect(rows).to_have_count(50)
        await screenshot(page, "lines-200", dark=True, phone=True, whole=False)
        await page.click(".pages >> text=Next")
        await expect(page).to_have_url(f"{site.url}/lines?page=2#found-lines")
        await page.click("[name=q]")
        await page.keyboard.type("line 12")
        await expect(rows).to_have_count(11)
        await expect(page).to_have_url(f"{site.url}/lines?q=line+12")
        await expect(page.locator("[name=q]")).to_be_focused()

        link = page.get_by_role("link", name="Line 125")
        await link.focus()
        lines.change("+79990000124", Colour.ORANGE, "Waiting for Telegram.")
        async with page.expect_response("**/lines?*live=1") as answer:
            site.services.bus.publish("line", "+79990000124")
        await expect(page.locator("[data-line='+79990000124']")).to_contain_text("Waiting for Telegram.")
        sent = await (await answer.value).text()
        assert (sent.count("data-line="), sent.count("data-same")) == (1, 10)
        await expect(rows).to_have_count(11)
        await expect(link).to_be_focused()
        await page.click(".states >> text=waiting")
        await expect(rows).to_have_count(1)


# Times


@pytest.mark.parametrize(
    ("language", "ages"),
    [
        ("en-US", [(0, "1 second ago"), (70, "1 minute ago"), (5 * 60, "5 minutes ago"), (2 * 3600, "2 hours ago")]),
        ("ru", [(0, "1 секунду назад"), (70, "1 минуту назад"), (5 * 60, "5 минут назад"), (2 * 3600, "2 часа назад")]),
    ],
)
async def test_ago_ticks(site: Site, administrator: Admin, language: str, ages: list[tuple[int, str]]) -> None:
    """In the words that the server would use, whatever the clock of the browser's machine says."""
    async with administrator(site.served, language=language) as page:
        await page.clock.install(time=site.clock.now + 7200)
        await page.goto("/account")
        shown = page.locator("td:nth-child(4) time")
        passed = 0
        for age, words in ages:
            await page.clock.fast_forward(1000 * (age - passed) + (1000 if age > passed else 0))
            passed = age
            await expect(shown).to_have_text(words)


async def test_a_live_call_counts_on_through_changes(site: Site, administrator: Admin) -> None:
    async with administrator(site.served) as page, talking(site.services.registry) as call:
        shown = page.locator(".live-call .running")
        for time_shown in ("0:02", "0:04"):
            await expect(shown).to_have_text(time_shown)
            site.services.bus.publish("call", call.id)
        call.end(by_administrator(Direction.IN, talking=True))


# Edits


async def typed(page: Page, field: str, text: str) -> None:
    """As a person does, or else browsers don't ask when one leaves."""
    await page.click(field)
    await page.keyboard.type(text)


async def test_leaving_with_unsaved_edits_is_asked_about(site: Site, administrator: Admin) -> None:
    async with administrator(site.served) as page:
        asked: list[str] = []

        async def stay(dialog: Dialog) -> None:
            asked.append(dialog.type)
            await dialog.dismiss()

        await page.goto("/settings")
        await page.click("nav >> text=Calls")  # nothing was typed
        await expect(page).to_have_url(f"{site.url}/calls")
        await page.goto("/settings")
        page.on("dialog", stay)
        await typed(page, "[name=company]", "Acme")
        await page.click("nav >> text=Calls", no_wait_after=True)
        await until(lambda: asked == ["beforeunload"])
        await expect(page).to_have_url(f"{site.url}/settings")
        await expect(page.locator("[name=company]")).to_have_value("Acme")
        await page.click("form[action='/settings/installation'] button.primary")
        await expect(page.locator(".toast")).to_contain_text("Saved")
        await page.click("nav >> text=Calls")
        await expect(page).to_have_url(f"{site.url}/calls")
        assert asked == ["beforeunload"]
        # What was refused is not saved either.
        await page.goto("/settings")
        await typed(page, "[name=api_id]", "twelve")
        await page.click("form[action='/settings/installation'] button.primary")
        await expect(page.locator(".field.wrong")).to_have_count(1)
        await page.click("h1")
        await page.click("nav >> text=Calls", no_wait_after=True)
        await until(lambda: asked == ["beforeunload"] * 2)


async def test_saving_while_the_program_restarts_keeps_what_was_typed(site: Site, chromium: Tree) -> None:
    async with AsyncExitStack() as browser, AsyncExitStack() as first_run:
        served = await first_run.enter_async_context(page_served(site.services))
        page = await browser.enter_async_context(window(chromium, served.url, away=True))
        await set_first_password(page, served)
        await page.goto("/settings")
        await typed(page, "[name=company]", "Acme")
        await first_run.aclose()
        save = page.locator("form[action='/settings/installation'] button.primary")
        await save.click()
        await expect(page.locator(".toast.failed")).to_contain_text("Nothing was sent")
        await expect(page.locator("[name=company]")).to_have_value("Acme")
        async with page_served(site.services, served.port):
            await expect(page.locator("#away")).to_be_hidden()
            await save.click()
            await expect(page.locator(".toast")).to_contain_text("Saved")
            assert site.services.installation.settings.company == "Acme"
            await browser.aclose()


async def test_saving_after_the_session_has_ended_keeps_what_was_typed(site: Site, chromium: Tree) -> None:
    """One signs in again in another tab, and saves in this one."""
    async with window(chromium, site.url, away=True) as page:
        await set_first_password(page, site.served)
        await page.goto("/settings")
        await typed(page, "[name=company]", "Acme")
        await page.context.clear_cookies()
        save = page.locator("form[action='/settings/installation'] button.primary")
        await save.click()
        await expect(page.locator(".toast.failed")).to_contain_text("You are signed out")
        other = await page.context.new_page()
        await other.goto("/login")
        await other.fill("[name=password]", PASSWORD)
        await other.click("main button")
        await expect(other).to_have_url(f"{site.url}/")
        await save.click()
        await expect(page.locator(".toast").last).to_contain_text("Saved")
        assert site.services.installation.settings.company == "Acme"
