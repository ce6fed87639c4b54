"""A bot's token is tried before it takes the place of another one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ari_app.sandbox.telegram import LocalTelegram
from ari_app.telegram.bot import BotState
from tests.integration.test_web_lines import CYRILLIC, error_at
from tests.integration.web_helpers import Browser, form_in
from tests.integration.web_lines import Lines, lines_site

FORM, API = "/settings/installation", "/api/installation"
WRONG = "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as server:
        yield server


@pytest.fixture
async def lines(tmp_path: Path, telegram: LocalTelegram) -> AsyncIterator[Lines]:
    async with lines_site(tmp_path, telegram) as served:
        yield served


def token_of(lines: Lines) -> str:
    token = lines.site.services.installation.settings.bot_token
    return token.get_secret_value() if token else ""


async def works(lines: Lines) -> None:
    async with asyncio.timeout(15):
        while lines.bot.state is not BotState.READY:  # noqa: ASYNC110 - nobody is told of it here
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("wrong", [WRONG, "no token at all"])
async def test_a_wrong_token_leaves_the_working_one(
    admin: Browser, lines: Lines, telegram: LocalTelegram, wrong: str
) -> None:
    good = telegram.add_bot("astergram_bot").token
    answer = await admin.post(FORM, {"bot_token": good})
    assert "@astergram_bot" in answer.text
    await works(lines)
    typed = form_in(await admin.get("/settings"), FORM) | {"bot_token": wrong, "company": "Acme"}
    answer = await admin.post(FORM, typed, headers={"Accept-Language": "ru"})
    assert CYRILLIC.search(error_at(answer, "bot_token"))
    assert 'value="Acme"' in answer.text
    assert wrong not in answer.text
    assert "untried" not in form_in(answer, FORM)
    assert 'name="untried"' not in answer.text
    assert (token_of(lines), lines.site.services.installation.settings.company) == (good, "")
    await works(lines)


async def test_where_telegram_cannot_be_reached_the_administrator_chooses(
    admin: Browser, lines: Lines, telegram: LocalTelegram
) -> None:
    good = telegram.add_bot("astergram_bot").token
    async with telegram.bot_api_down():
        answer = await admin.post(FORM, {"bot_token": good, "company": "Acme"})
        assert "could not be tried" in error_at(answer, "bot_token")
        assert good not in answer.text
        assert 'name="untried"' in answer.text
        assert token_of(lines) == ""
        again = form_in(answer, FORM) | {"bot_token": good, "untried": "on"}
        assert (await admin.post(FORM, again)).path == "/settings"
        assert (token_of(lines), lines.site.services.installation.settings.company) == (good, "Acme")
        assert (await admin.post(FORM, {"company": "Other"})).path == "/settings"  # which leaves the token alone
    await works(lines)


async def test_the_api_tries_it_too(api: Browser, lines: Lines, telegram: LocalTelegram) -> None:
    good = telegram.add_bot("astergram_bot").token
    refused = await api.ask("PATCH", API, json={"bot_token": WRONG, "api_id": 0})
    assert refused.status == 422
    assert [each["where"] for each in (await refused.json())["errors"]] == ["api_id"]
    refused = await api.ask("PATCH", API, json={"bot_token": WRONG, "company": "Acme"})
    assert refused.status == 422
    assert [each["where"] for each in (await refused.json())["errors"]] == ["bot_token"]
    async with telegram.bot_api_down():
        refused = await api.ask("PATCH", API, json={"bot_token": good})
        assert refused.status == 409
        assert "untried" in (await refused.json())["detail"]
        assert token_of(lines) == ""
        assert (await api.ask("PATCH", API, json={"bot_token": good, "untried": True})).status == 200
        assert (await api.ask("PATCH", API, json={"bot_token": good})).status == 200  # the same one
    assert (await api.ask("PATCH", API, json={"bot_token": None})).status == 200
    assert (token_of(lines), lines.site.services.installation.settings.company) == ("", "")
