"""Telegram's clock beside this machine's: what a connected line knows of it, and what the doctor says."""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ari_app.cli import local as cli_local
from ari_app.config import Settings
from ari_app.lines.settings import LineSettings
from ari_app.sandbox.telegram import Device, LocalTelegram, sign_in
from ari_app.sandbox.telegram.device import API_HASH, API_ID
from ari_app.telegram.account import Account, Server
from ari_app.telegram.session import connected
from tests.integration.web_helpers import Browser, program
from tests.integration.web_lines import LINE, NOBODY, Lines, lines_site

KNOWN_S = 30.0  # a line asks every few seconds; a busy machine takes longer
AHEAD_S = 3600.0


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as server:
        server.add_user(LINE, "Astergram")
        yield server


@pytest.fixture
async def lines(tmp_path: Path, telegram: LocalTelegram) -> AsyncIterator[Lines]:
    """A line that is signed in."""
    session = tmp_path / "state" / "lines" / f"{LINE.removeprefix('+')}.session"
    where = Server(telegram.dc_id, telegram.host, telegram.port, telegram.public_key_pem)
    async with connected(Account(LINE, API_ID, API_HASH, session, where)) as line:
        await sign_in(Device(line.client), telegram, LINE)
    async with lines_site(tmp_path, telegram, [LineSettings(number=LINE)]) as served:
        yield served


async def offset_s(api: Browser) -> Any:
    return (await (await api.get("/api/status")).json())["telegram_offset_s"]


async def known(api: Browser, least_s: float) -> float:
    """Wait until a line knows that Telegram's clock is so far ahead."""
    async with asyncio.timeout(KNOWN_S):
        while (found := await offset_s(api)) is None or found < least_s:  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.1)
    return float(found)


async def said(api: Browser) -> list[tuple[str, str]]:
    """Diagnostics of Telegram's clock."""
    findings = (await (await api.ask("POST", "/api/doctor")).json())["findings"]
    return [
        (each["grade"], f"{each['sentence']} {each['remedy']}") for each in findings if "Telegram's" in each["sentence"]
    ]


async def test_clocks_that_agree(lines: Lines) -> None:
    async with program(lines.site) as api:
        assert abs(await known(api, -5.0)) < 5.0
        assert await said(api) == [("ok", "This machine's clock and Telegram's agree. ")]


async def test_clocks_apart_say_what_to_do(
    lines: Lines, telegram: LocalTelegram, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    telegram.clock_ahead_s = AHEAD_S
    async with program(lines.site) as api:
        assert await known(api, AHEAD_S / 2) == pytest.approx(AHEAD_S, abs=5.0)
        ((grade, sentence),) = await said(api)
        assert grade == "advice"
        assert "This machine's clock and Telegram's are" in sentence
        assert "Start an NTP client" in sentence
    section = {"url": NOBODY, "user": "astergram", "password": "secret"}
    settings = Settings.model_validate({"state_dir": tmp_path / "state", "asterisk": section})
    await cli_local.doctor(settings, Namespace(json=False))
    assert "This machine's clock and Telegram's are" in " ".join(capsys.readouterr().out.split())


async def test_without_a_connected_line_nothing_is_said_of_it(tmp_path: Path, telegram: LocalTelegram) -> None:
    async with lines_site(tmp_path, telegram, [LineSettings(number=LINE)]) as shown, program(shown.site) as api:
        await shown.book.lines[LINE].first_attempt_done()
        assert await offset_s(api) is None
        assert await said(api) == []


async def test_of_a_line_that_is_away_nothing_is_said(lines: Lines, telegram: LocalTelegram) -> None:
    async with program(lines.site) as api:
        await known(api, -5.0)
        await lines.book.reset(LINE)
        assert await offset_s(api) is None
