"""Each light that asks for something has the button that does it; a bot that nobody has set up is off, and no fault."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ari_app.lines.settings import LineSettings
from ari_app.sandbox.telegram import LocalTelegram
from tests.integration.web_helpers import Browser, form_in, program
from tests.integration.web_lines import LINE, Lines, lines_site

NOW = f"/lines/{LINE}/now"
SHOWN_S = 60.0


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as server:
        server.add_user(LINE, "Astergram")
        yield server


@pytest.fixture
async def lines(tmp_path: Path, telegram: LocalTelegram) -> AsyncIterator[Lines]:
    async with lines_site(tmp_path, telegram, [LineSettings.of({"number": LINE, "name": "Sales"})]) as served:
        yield served


async def until(admin: Browser, said: str) -> str:
    """What the line's page shows once it says something."""
    async with asyncio.timeout(SHOWN_S):
        while said not in (shown := (await admin.get(NOW)).text):  # noqa: ASYNC110 - the page is asked
            await asyncio.sleep(0.05)
    return shown


async def test_without_a_bot_its_light_is_off(admin: Browser, lines: Lines) -> None:
    shown = await until(admin, "Not signed in")
    assert '<span class="dot grey"><span class="word">off</span>' in shown
    assert 'href="/settings#field-bot_token"' in shown
    assert 'id="field-bot_token"' in (await admin.get("/settings")).text
    assert f'href="/lines/{LINE}/signin"' in shown
    assert 'href="/connect"' in await until(admin, "Waiting for Asterisk")
    overview = (await admin.get("/")).text
    assert "There is no bot" not in overview
    async with program(lines.site) as api:
        lights = await (await api.get(f"/api/lines/{LINE}/lights")).json()
    assert lights["bot"]["colour"] == "grey"
    russian = await admin.get(NOW, headers={"Accept-Language": "ru"})
    assert "выключено" in russian.text


async def test_the_dialogue_with_the_bot_is_begun_by_its_button(
    admin: Browser, lines: Lines, telegram: LocalTelegram
) -> None:
    async with program(lines.site) as api:
        await api.ask("POST", f"/api/lines/{LINE}/sign-in", json={"way": "code"})
        await api.ask("POST", f"/api/lines/{LINE}/sign-in/code", json={"code": telegram.login_code(LINE)})
        await lines.book.line(LINE).until_ready()
        token = telegram.add_bot("calls_bot").token
        answer = await api.ask("PATCH", "/api/installation", json={"bot_token": token, "untried": True})
        assert answer.status == 200
    await lines.bot.first_attempt_done()
    await until(admin, "Start the chat with the bot")
    for page in (NOW, "/lines"):  # on the line's own, and in the list of all
        form = form_in(await admin.get(page), f"/lines/{LINE}/setup")
        assert form["step"] == "bot dialogue"
    answer = await admin.post(f"/lines/{LINE}/setup", form)
    assert answer.status == 200
    assert "Start the chat with the bot" not in await until(admin, "@calls_bot is connected")
