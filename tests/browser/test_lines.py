"""Lines on the admin page: from nothing to a green line, its texts, and its end."""

import asyncio
import re

from playwright.async_api import Page, expect

from ari_app.sandbox.stage import ANNA, LINE
from tests.browser.conftest import Admin, screenshot, set_first_password
from tests.e2e.conftest import Play, PlayMaker
from tests.e2e.test_texts import Correspondence

TWO_STEP = "a second secret"
SCRIPT = "<script>alert(1)</script>"
OLD_SESSION_S = 20.0


async def add_line(page: Page, name: str = "Sales") -> None:
    """The first steps of the wizard."""
    await page.goto("/lines")
    await page.click("main >> text=Add")
    await page.fill("[name=number]", "+7 999 000-00-01")
    await page.fill("[name=name]", name)
    await page.click("text=Next")
    await page.wait_for_url(f"**/lines/{LINE}/signin")


async def enter_code(page: Page, code: str) -> None:
    await page.fill("[name=code]", code)
    await page.click("#signin button.primary")


async def signed_in(page: Page) -> None:
    """The page goes on by itself to where the account's light is green."""
    await expect(page.locator("#signin h2")).to_have_text("Signed in")
    await expect(page.locator("#signin .light.green")).to_have_count(1)


async def go_by_code(stage: Play, page: Page) -> None:
    await page.goto(f"/lines/{LINE}/signin")
    await page.click("text=Send the code")
    await expect(page.locator("[name=code]")).to_be_visible()
    await enter_code(page, stage.telegram.login_code(LINE))


async def test_the_first_password(play: PlayMaker, visitor: Admin) -> None:
    """The link works once; without the password nobody gets in."""
    async with play() as stage, visitor(stage, away=True) as page:
        link = stage.app.web.first_link
        await page.goto(link)
        await screenshot(page, "password", dark=True, phone=True)
        await set_first_password(page, stage.app.web)
        await page.click("nav >> text=Sign out")
        await page.wait_for_url(re.compile("/login"))
        await page.goto(link)
        await expect(page.locator("[name=password_again]")).to_have_count(0)
        await page.goto("/lines")
        await page.wait_for_url(re.compile("/login"))


async def test_the_wizard_by_code_to_a_first_call(play: PlayMaker, admin: Admin) -> None:
    """A wrong code first; then the account is set up, and the first call shows as it comes."""
    async with play(lines=()) as stage, admin(stage) as page, stage.phone("101", auto_answer=True):
        stage.telegram.set_privacy(LINE, "phone_number", "nobody")  # type: ignore[arg-type]
        await page.goto("/lines")
        await screenshot(page, "lines-empty")
        await page.goto("/lines/add?application")
        await screenshot(page, "wizard-application")
        await add_line(page)
        await screenshot(page, "wizard-signin", phone=True)
        await page.click("text=Send the code")
        await expect(page.locator("[name=code]")).to_be_visible()
        code = stage.telegram.login_code(LINE)
        await enter_code(page, "00000" if code != "00000" else "11111")
        await expect(page.locator(".error")).to_contain_text("This is not the code")
        await screenshot(page, "wizard-wrong-code", dark=True)
        await enter_code(page, f"{code[:2]} {code[2:]}")
        await signed_in(page)
        await page.click("text=Next: set the account up")
        step = page.locator("[data-step='number shown']")
        await expect(step).to_have_attribute("data-state", "open")
        await page.click("text=Apply selected")
        await expect(step).to_have_attribute("data-state", "done")
        await screenshot(page, "wizard-setup", phone=True)
        await page.click("text=Next: first call")
        await expect(page.locator("#test-call h2")).to_have_text("Call this number now")
        async with stage.person(ANNA) as anna:
            call = await anna.call(LINE)
            await call.confirm(None, None)
            await expect(page.locator("#test-call .note.green")).to_contain_text("Анна")
            await screenshot(page, "wizard-call", dark=True, phone=True)
            await call.hang_up()
            await expect(page.locator("#test-call .note.green")).to_contain_text("They talked")
        await page.goto("/lines")
        await screenshot(page, "lines", dark=True, phone=True)


async def test_the_line_calls_somebody(play: PlayMaker, admin: Admin) -> None:
    async with (
        play() as stage,
        admin(stage) as page,
        stage.phone("101", auto_answer=True),
        stage.person(ANNA) as anna,
    ):
        await page.goto(f"/lines/{LINE}/try")
        await page.fill("[name=destination]", "nobody at all")
        await page.click("text=Call me")
        await expect(page.locator(".error")).to_contain_text("is no destination")
        await page.fill("[name=destination]", ANNA)
        await page.click("text=Call me")
        call = await anna.incoming()
        await call.ring()
        await call.accept(None, None)
        await expect(page.locator("#test-call .note.green")).to_be_visible()
        await call.hang_up()


async def test_the_wizard_by_code_with_the_two_step_password(play: PlayMaker, admin: Admin) -> None:
    async with play(lines=()) as stage, admin(stage) as page:
        stage.telegram.add_user(LINE, "Astergram", password=TWO_STEP, password_hint="not the first")
        await add_line(page)
        await go_by_code(stage, page)
        await expect(page.locator("#signin h2")).to_have_text("Two-step password")
        await expect(page.locator("#signin")).to_contain_text("not the first")
        await page.fill("[name=password]", "wrong")
        await page.click("#signin button.primary")
        await expect(page.locator(".error")).to_contain_text("This is not the two-step password")
        await screenshot(page, "wizard-password", phone=True)
        await page.fill("[name=password]", TWO_STEP)
        await page.click("#signin button.primary")
        await signed_in(page)
        assert TWO_STEP not in await page.content()


async def test_the_wizard_by_qr_code(play: PlayMaker, admin: Admin) -> None:
    """Somebody scans it with the wrong account first; the page goes on by itself."""
    async with play(lines=()) as stage, admin(stage) as page:
        await add_line(page)
        await page.click("text=Show the QR code")
        await expect(page.locator("svg.qr")).to_be_visible()
        await screenshot(page, "wizard-qr", dark=True, phone=True)
        stage.telegram.accept_qr(await shown_url(page), ANNA)
        await expect(page.locator("#signin .note.red")).to_contain_text("scan it with the line's own Telegram")
        await page.click("text=Show the QR code")
        stage.telegram.accept_qr(await shown_url(page), LINE)
        await signed_in(page)


async def shown_url(page: Page) -> str:
    url = await page.get_attribute("[data-qr-url]", "data-qr-url")
    assert url
    assert url.startswith("tg://login?token=")
    return url


async def test_signing_in_again_while_green(play: PlayMaker, admin: Admin) -> None:
    """One leaves and comes back; the line stays green until it has its new session."""
    async with play() as stage, admin(stage) as page:
        before = [device.hash for device in stage.telegram.devices(LINE)]
        await page.goto(f"/lines/{LINE}/signin")
        await expect(page.locator("#signin .note.green")).to_contain_text("The line is signed in")
        await page.click("text=Send the code")
        await expect(page.locator("[name=code]")).to_be_visible()
        await page.goto("/lines")
        await expect(page.locator(f"[data-line='{LINE}'] .dot.green")).to_have_count(2)  # there is no bot
        await page.goto(f"/lines/{LINE}/signin")
        await enter_code(page, stage.telegram.login_code(LINE))
        await signed_in(page)
        async with asyncio.timeout(OLD_SESSION_S):  # it is signed out once the new one is in its place
            while before[0] in (after := [each.hash for each in stage.telegram.devices(LINE)]):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert len(after) == 1


async def test_a_new_wording_reaches_the_chat(play: PlayMaker, admin: Admin) -> None:
    """What is typed shows beside it; a variable that does not exist is refused, and nothing that was typed is lost."""
    async with play() as stage, admin(stage) as page, stage.person(ANNA) as anna:
        await page.goto(f"/lines/{LINE}/texts/en")
        chat = page.locator("#chat-auto_answer")
        await page.fill("[name=auto_answer]", "Please ring {compani}")
        await expect(chat).to_contain_text("{compani} is no variable of this text")
        await page.fill("[name=keypad]", "Which extension, {caller_name}?")
        await expect(page.locator("#chat-keypad")).to_contain_text("Which extension, Alice Brown?")
        await page.click("main .save button")
        await expect(page.locator("#text-auto_answer .error")).to_contain_text("{compani}")
        await expect(page.locator("[name=keypad]")).to_have_value("Which extension, {caller_name}?")
        await screenshot(page, "texts-refused", whole=False)
        await page.fill("[name=auto_answer]", f"{SCRIPT} {{caller_name}}, do ring {{company}}!")
        await expect(chat).to_contain_text(f"{SCRIPT} Alice Brown, do ring Sales!")
        await screenshot(page, "texts", dark=True, phone=True, whole=False)
        await page.click("main .save button")
        await expect(page.locator(".toast")).to_contain_text("Saved")
        annas = await Correspondence.of(anna)
        await annas.write("hello?")
        assert await annas.answered(1) == [f"{SCRIPT} Анна, do ring Sales!"]
        await page.click("#text-auto_answer >> text=Back to the default")
        await expect(page.locator("[name=auto_answer]")).to_have_value(re.compile("We don't read messages"))


async def test_names_are_shown_as_they_are(play: PlayMaker, admin: Admin) -> None:
    """A caller, and a line, whose name is a script."""
    async with (
        play(lines=[{"number": LINE, "name": SCRIPT}], people={ANNA: SCRIPT}) as stage,
        admin(stage) as page,
        stage.phone("101", auto_answer=True),
        stage.person(ANNA) as anna,
    ):
        await page.goto(f"/lines/{LINE}/try")
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await expect(page.locator("#test-call .note.green")).to_contain_text(SCRIPT)
        for path in ("/lines", f"/lines/{LINE}", f"/lines/{LINE}/settings", f"/lines/{LINE}/texts/ru"):
            await page.goto(path)
            await expect(page.locator("main")).to_contain_text(SCRIPT)
        assert await page.locator("script:not([src])").count() == 0
        await call.hang_up()


async def test_settings_are_changed_or_refused_at_their_field(play: PlayMaker, admin: Admin) -> None:
    async with play() as stage, admin(stage, size="phone") as page:
        await page.goto(f"/lines/{LINE}/settings")
        await page.fill("[name=name]", "Support")
        await page.fill("[name=max_calls]", "0")
        await page.click("main .save button")
        await expect(page.locator(".field.wrong .error")).to_have_text("At least 1, please.")
        await expect(page.locator("[name=name]")).to_have_value("Support")
        await page.fill("[name=max_calls]", "3")
        await page.click("main .save button")
        await expect(page.locator("h1")).to_contain_text("Support")
        line = stage.app.lines.line(LINE)
        assert (line.name, line.max_calls) == ("Support", 3)
        await page.goto(f"/lines/{LINE}/lists")
        await page.fill("[name=deny]", f"@somebody\n{ANNA}\nnobody!")
        await page.click("main .save button")
        await expect(page.locator(".field.wrong .error")).to_contain_text("Entry 3")
        await page.fill("[name=deny]", f"@somebody\n\n{ANNA}")
        await page.click("main .save button")
        await expect(page.locator(".toast")).to_contain_text("Saved")
        assert stage.app.lines.settings(LINE).deny == ("@somebody", ANNA)


async def test_a_pause_counts_down(play: PlayMaker, admin: Admin) -> None:
    async with play() as stage, admin(stage, language="ru") as page, stage.phone() as phone:
        await page.goto(f"/lines/{LINE}")
        stage.telegram.refuse("phone.requestCall", "PEER_FLOOD", phone=LINE)
        await phone.dial(ANNA)
        await phone.closed()
        left = page.locator("#line-now .left")
        await expect(left).to_have_text(re.compile(r"^23:5\d:\d\d$"))
        await expect(page.locator("#line-now")).to_contain_text("исходящие звонки")
        await screenshot(page, "line-paused-ru", phone=True)
        first = await left.inner_text()
        await expect(left).not_to_have_text(first)


async def test_a_line_is_removed(play: PlayMaker, admin: Admin) -> None:
    async with play() as stage, admin(stage) as page:
        await page.goto(f"/lines/{LINE}")
        await screenshot(page, "line", dark=True, phone=True)
        page.once("dialog", lambda dialog: dialog.dismiss())
        await page.click("main >> text='Delete line'")
        page.once("dialog", lambda dialog: dialog.accept())
        await page.click("main >> text='Delete line'")
        await page.wait_for_url("**/lines")
        await expect(page.locator("#found-lines")).to_contain_text("There is no line yet")
        assert len(stage.app.lines) == 0
        gone = await page.goto(f"/lines/{LINE}")
        assert gone
        assert gone.status == 404
