"""docs/quick-start.md, walked through in a browser; its pictures are made on the way, for `scripts/screenshots`."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from ari_app.sandbox.stage import ANNA, LINE
from tests.browser.conftest import SCREENS, SIZES, Admin
from tests.e2e.conftest import PERSON_HZ, PlayMaker

PICTURES = SCREENS / "docs"
LOCALES = {"en": "en-US", "ru": "ru-RU"}
ANNAS_NAME = {"en": "Anna Petrova", "ru": "Анна Петрова"}
LINES_NAME = {"en": "Sales", "ru": "Продажи"}
FLAVOURS = ("vanilla", "freepbx", "mikopbx")
SILENT_DBFS = -60
MARGIN = 12
"""Pixels."""


class Pictures:
    """What is shown, as docs/pictures has it."""

    def __init__(self, page: Page, folder: Path) -> None:
        self._page = page
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def take(self, name: str, *, height: int = 900, begin: str = "body") -> None:
        """From where an element begins, so many pixels down."""
        await self._page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        box = await self._page.locator(begin).first.bounding_box()
        assert box
        clip = {"x": 0, "y": max(0, box["y"] - MARGIN), "width": SIZES["desktop"]["width"], "height": height}
        await self._page.screenshot(path=self._folder / f"{name}.png", full_page=True, clip=clip)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", LOCALES)
async def test_from_nothing_to_a_call(play: PlayMaker, admin: Admin, language: str) -> None:
    """By what the pages lead to, in either language: a green line, and a call in which both hear each other."""
    async with (
        play(lines=(), people={ANNA: ANNAS_NAME[language]}, ami={}) as stage,
        admin(stage, language=LOCALES[language]) as page,
        stage.phone(auto_answer=True) as phone,
    ):
        pictures = Pictures(page, PICTURES / language)
        await expect(page.locator(".empty-start")).to_be_visible()
        await pictures.take("start", height=420)
        for flavour in FLAVOURS:
            await page.goto(f"/connect/{flavour}")
            await expect(page.locator("#findings .finding").first).to_be_visible()
            await pictures.take(f"connect-{flavour}", begin=".piece")  # above it are this machine's paths
            if flavour == FLAVOURS[0]:
                await pictures.take("diagnostics", height=365)
        await page.goto("/lines/add?application")
        await pictures.take("application", height=700)
        await page.goto("/lines/add")
        await page.fill("[name=number]", LINE)
        await page.fill("[name=name]", LINES_NAME[language])
        await pictures.take("line", height=560)
        await page.click("main .wizard button.primary")
        await page.click("form[action$='/signin/code'] button.primary")
        await expect(page.locator("[name=code]")).to_be_visible()
        await page.fill("[name=code]", stage.telegram.login_code(LINE))
        await page.click("#signin button.primary")
        await expect(page.locator("#signin .light.green")).to_have_count(1)
        await pictures.take("signed-in", height=430)
        await page.goto(f"/lines/{LINE}/setup")
        await page.click("#setup button.primary")
        await expect(page.locator("[data-step='number shown']")).to_have_attribute("data-state", "done")
        await pictures.take("set-up")
        await page.goto(f"/lines/{LINE}/try")
        async with stage.person(ANNA) as anna:
            call = await anna.call(LINE)
            heard = stage.recording("anna")
            await call.confirm(stage.tone("anna", PERSON_HZ), heard)
            await expect(page.locator("#test-call .note.green")).to_contain_text(ANNAS_NAME[language])
            await pictures.take("first-call")
            await page.goto("/")
            for meter in await page.locator(".live-call meter").all():
                await expect(meter).not_to_have_js_property("value", SILENT_DBFS)
            await pictures.take("overview")
            await call.hang_up()
            await call.close_audio()
        await phone.closed()
        await stage.call_over()
