"""Calls on the admin page, live and afterwards; charts, Connect, and what happens when something is away."""

import asyncio
import csv
import io
import re
import time
from pathlib import Path

from playwright.async_api import Dialog, Page, expect

from ari_app.sandbox.debian import Tree
from ari_app.sandbox.processes import frozen
from ari_app.sandbox.stage import ANNA, LINE
from tests.browser.conftest import PASSWORD, Admin, launched, screenshot
from tests.e2e.conftest import PERSON_HZ, PlayMaker
from tests.integration.web_calls import a_call, put_into, some_calls
from tests.integration.web_helpers import page_served

MALLORY = "+79990000005"
SCRIPT = "<script>alert(1)</script>"
SILENT = -60  # dBFS


def confirming(page: Page) -> list[str]:
    """Say yes to every question of the page; gives the questions."""
    asked: list[str] = []

    async def yes(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await dialog.accept()

    page.on("dialog", yes)
    return asked


async def test_a_call_is_placed_on_the_overview(play: PlayMaker, admin: Admin) -> None:
    """The phone rings, then the person, and the page shows the call."""
    async with (
        play() as stage,
        admin(stage) as page,
        stage.phone(auto_answer=True) as phone,
        stage.person(ANNA) as anna,
    ):
        await page.get_by_text("Place a call").click()
        await page.get_by_label("Who rings first").fill("101@phones")
        await page.get_by_label("Whom to call").fill(ANNA)
        await page.get_by_role("button", name="Place the call").click()
        await page.wait_for_url("**/calls/*")
        call = await anna.incoming()
        await call.ring()
        await call.accept(None, None)
        await phone.established()
        await expect(page.locator("h2 .badge")).to_have_text("Talking")
        await call.hang_up()


async def test_a_call_comes_goes_on_and_is_ended_on_the_overview(play: PlayMaker, admin: Admin) -> None:
    """It appears by itself, its meters and its time move, the button ends it, and it is in the history."""
    async with play() as stage, admin(stage) as page, stage.phone(auto_answer=True), stage.person(ANNA) as anna:
        asked = confirming(page)
        await expect(page.locator("#live-calls")).to_contain_text("Nobody is talking now.")
        call = await anna.call(LINE)
        shown = page.locator(".live-call")
        await expect(shown).to_contain_text("Анна")
        await call.confirm(stage.tone("anna", PERSON_HZ), None)
        await expect(shown).to_contain_text("Talking")
        for meter in await shown.locator("meter").all():
            await expect(meter).not_to_have_js_property("value", SILENT)
        before = await shown.locator(".running").inner_text()
        await expect(shown.locator(".running")).not_to_have_text(before)
        await screenshot(page, "overview", dark=True, phone=True)

        await shown.get_by_role("link", name="Анна").click()
        await expect(page.locator("h1")).to_have_text("Call with Анна")
        await expect(page.locator(".chart-drawing").first).to_be_visible()
        await expect(page.locator("h2 .badge")).to_have_text("Talking")
        await page.go_back()
        await shown.get_by_role("button", name="Hang up").click()
        await call.ended()
        assert asked == ["End the call with Анна?"]
        await expect(page.locator("#live-calls")).to_contain_text("Nobody is talking now.")
        await expect(page.locator(".toast")).to_contain_text("The call is being ended.")
        await expect(page.locator("#today .figure").first).to_contain_text("1")
        await call.close_audio()
        await stage.call_over()

        await page.click("nav >> text=Calls")
        await page.click(".calls >> text=Анна")
        await expect(page.locator("main")).to_contain_text("Ended by the administrator.")
        await expect(page.locator(".event.telegram.from").first).to_contain_text("calls")
        await expect(page.locator(".event.asterisk.to").first).to_contain_text("Ringing")
        await screenshot(page, "call", dark=True, phone=True)


async def test_a_callers_name_is_only_text(play: PlayMaker, admin: Admin) -> None:
    """No script of theirs runs, and what would be markup is read as it was written."""
    async with (
        play(people={MALLORY: SCRIPT}) as stage,
        admin(stage) as page,
        stage.phone(auto_answer=True),
        stage.person(MALLORY) as mallory,
    ):
        asked = confirming(page)
        call = await mallory.call(LINE)
        await expect(page.locator(".live-call h3")).to_have_text(SCRIPT)
        await page.click(".live-call h3 a")
        await expect(page.locator("h1")).to_have_text(f"Call with {SCRIPT}")
        await page.click("text=Hang up")
        await call.ended()
        await page.goto("/calls")
        await expect(page.locator(".calls .who a")).to_have_text(SCRIPT)
        assert asked == [f"End the call with {SCRIPT}?"]


async def test_an_open_call_goes_on_with_the_call(play: PlayMaker, admin: Admin) -> None:
    """Its page follows from the first ring to the end; the steps and plots come by themselves."""
    async with play() as stage, admin(stage) as page, stage.phone() as phone, stage.person(ANNA) as anna:
        confirming(page)
        call = await anna.call(LINE)
        await phone.incoming()
        (id,) = stage.app.registry.calls
        await page.goto(f"/calls/{id}")
        await expect(page.locator("h2 .badge")).to_have_text("Rings")
        await expect(page.locator("main")).to_contain_text("The audio was not measured")
        await phone.answer()
        await call.confirm(stage.tone("anna", PERSON_HZ), None)
        await expect(page.locator("h2 .badge")).to_have_text("Talking")
        await expect(page.locator(".event").last).to_contain_text("Two-way audio")
        await expect(page.locator(".chart-drawing")).to_have_count(3)
        await expect(page.locator("meter")).to_have_count(2)
        await expect(page.locator("meter").first).not_to_have_js_property("value", SILENT)
        await screenshot(page, "call-live")
        await page.click("text=Hang up")
        await call.ended()
        await expect(page.locator("main")).to_contain_text("Ended by the administrator.")
        await expect(page.get_by_role("button", name="Hang up")).to_have_count(0)
        await call.close_audio()


async def test_the_history_is_searched_goes_on_and_is_exported(play: PlayMaker, admin: Admin, tmp_path: Path) -> None:
    """What is typed stays while calls come; the address has it; the export has what is shown."""
    async with play() as stage, admin(stage) as page, stage.person(ANNA) as anna, stage.phone():
        await put_into(stage.app.services.store, *some_calls(120, time.time(), seed=4))
        await page.click("nav >> text=Calls")
        await expect(page.locator("[role=status]").last).to_have_text("120 calls")
        await screenshot(page, "calls", dark=True, phone=True, whole=False)
        await page.click("text=Older")
        await expect(page.locator(".pages")).to_contain_text("Page 2 of 3")

        await page.get_by_label("From").focus()
        await page.keyboard.type("01012020")  # a year that is typed half is none that is looked for
        await expect(page).to_have_url(re.compile(r"/calls\?from=2020-01-01$"))
        await expect(page.locator("#found [role=status]")).to_contain_text("120 calls")
        await page.get_by_label("From").fill("")
        await expect(page).to_have_url(re.compile("/calls$"))
        await page.select_option("[name=result]", "answered")
        await page.fill("[name=q]", "анна")
        await expect(page).to_have_url(re.compile(r"/calls\?q=%D0%B0%D0%BD%D0%BD%D0%B0&result=answered$"))
        await page.select_option("[name=result]", "")
        await expect(page.locator("#found")).to_contain_text("No call fits.")
        call = await anna.call(LINE)
        await expect(page.locator(".calls .who")).to_contain_text("Анна")
        assert await page.input_value("[name=q]") == "анна"
        await call.hang_up()
        await expect(page.locator(".calls .result")).to_contain_text("Cancelled")
        await stage.call_over()

        async with page.expect_download() as downloading:
            await page.hover("text=Export as CSV")
            async with page.expect_response(re.compile(r"/calls\?q=")):  # leaving the search field searches once more
                await page.mouse.down()
            await page.mouse.up()
        download = await downloading.value
        text = await asyncio.to_thread(Path(await download.path()).read_text, "utf-8-sig")
        assert download.suggested_filename == "calls.csv"
        (row,) = csv.DictReader(io.StringIO(text))
        assert (row["person"], row["line"], row["status"], row["answered"]) == ("Анна", LINE, "CANCEL", "no")
        await page.reload()
        await expect(page.locator(".calls .who")).to_contain_text("Анна")


async def test_charts_are_drawn(play: PlayMaker, admin: Admin) -> None:
    async with play() as stage, admin(stage) as page:
        now = time.time()
        await put_into(stage.app.services.store, *some_calls(200, now, seed=5), a_call(200, now))  # one of today
        await page.click("nav >> text=Charts")
        await expect(page.locator(".chart-drawing")).to_have_count(4)
        bars = page.locator(".chart-drawing").first.locator("rect.chart-answered")
        assert await bars.count() > 1
        box = await bars.last.bounding_box()
        assert box is not None
        assert box["height"] > 1
        assert await bars.last.evaluate("(bar) => getComputedStyle(bar).fill") not in ("rgb(0, 0, 0)", "none")
        await screenshot(page, "charts", dark=True, phone=True)
        await page.select_option("[name=period]", "today")
        await page.wait_for_url("**/charts?period=today&line=")
        await expect(page.locator(".chart-title").first).to_have_text("Calls per hour")
        await page.locator("summary").first.click()
        await expect(page.locator(".chart-table table").first).to_be_visible()


async def test_connect_shows_what_to_copy_and_what_the_doctor_finds(play: PlayMaker, admin: Admin) -> None:
    async with play() as stage, admin(stage) as page:
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.click("nav >> text=Connect")
        await expect(page.locator("#findings-ari")).to_contain_text("Asterisk answers at")
        await expect(page.locator("#findings")).to_contain_text("This machine")
        lines = page.locator(".piece", has_text="extensions.conf").last
        await lines.get_by_role("button", name="Copy").click()
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert f"exten => {LINE.removeprefix('+')},1," in copied
        await screenshot(page, "connect", dark=True, phone=True)
        await page.click("text=MikoPBX")
        await expect(page.locator("h2", has_text="modules.conf")).to_be_visible()
        await page.click("text=Run diagnostics")
        await expect(page.locator("#findings-modules .finding").first).to_be_visible()
        assert stage.app.web.url in page.url


async def test_asterisk_goes_and_comes_back(play: PlayMaker, admin: Admin) -> None:
    async with play() as stage, admin(stage) as page:
        lights = page.locator("#found-lines .lamp")
        await expect(lights.first.locator(".dot.green")).to_be_visible()
        with frozen(stage.asterisk.pid):
            await expect(lights.first.locator(".dot.orange")).to_be_visible()
            await expect(lights.nth(1).locator(".dot.green")).to_be_visible()
            await screenshot(page, "overview-asterisk-away")
        await expect(lights.first.locator(".dot.green")).to_be_visible()


async def test_the_page_goes_on_after_the_program_was_away(play: PlayMaker, admin: Admin, chromium: Tree) -> None:
    """The server is stopped and started; a call that came meanwhile is then shown with nothing done."""
    async with (
        play() as stage,
        admin(stage),
        launched(chromium) as browser,
        stage.person(ANNA) as anna,
        stage.phone() as phone,
    ):
        # A second server with the same parts, which can be stopped alone; its password is the first one's.
        async with page_served(stage.app.services) as served:
            port = served.port
            context = await browser.new_context(base_url=served.url, locale="en-US")
            page = await context.new_page()
            await page.goto("/login")
            await page.fill("[name=password]", PASSWORD)
            await page.click("main button")
            await expect(page.locator("#live-calls")).to_contain_text("Nobody is talking now.")
            await expect(page.locator("#away")).to_be_hidden()
        await expect(page.locator("#away")).to_be_visible()
        await screenshot(page, "connection-lost")
        call = await anna.call(LINE)
        await phone.incoming()
        async with page_served(stage.app.services, port):
            await expect(page.locator(".live-call")).to_contain_text("Анна")
            await expect(page.locator("#away")).to_be_hidden()
            await call.hang_up()
            await expect(page.locator(".live-call")).to_have_count(0)
            await context.close()
