"""A bot of the local Telegram, and the people whom its keypads go to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ari_app.sandbox.telegram import LocalTelegram

from .bot_program import ANNA, BORIS, KEYPAD_BOT, Program, program


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as running:
        running.add_user(ANNA, "Анна", lang="en")
        running.add_user(BORIS, "Борис", username="boris")
        running.add_bot(KEYPAD_BOT, feedback=True)
        yield running


@pytest.fixture
async def bot(telegram: LocalTelegram) -> AsyncIterator[Program]:
    async with program(telegram, telegram.bot(KEYPAD_BOT)) as running:
        yield running
