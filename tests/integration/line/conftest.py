"""A local Telegram with a line that is signed in and a person, and a database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ari_app.sandbox.telegram import Device, LocalTelegram, sign_in
from ari_app.store.store import Store, open_store
from ari_app.telegram.account import Account, Server
from ari_app.telegram.session import connected

from .line_at_work import ANNA, LINE


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as running:
        running.add_user(LINE, "Line")
        running.add_user(ANNA, "Анна")
        yield running


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "astergram.db") as opened:
        yield opened


@pytest.fixture
async def account(telegram: LocalTelegram, tmp_path: Path) -> Account:
    """Signed in."""
    server = Server(telegram.dc_id, telegram.host, telegram.port, telegram.public_key_pem)
    made = Account(LINE, 1, "hash", tmp_path / "sessions" / f"{LINE}.session", server)
    async with connected(made) as session:
        await sign_in(Device(session.client), telegram, LINE)
    return made
