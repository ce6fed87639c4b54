"""Devices of people on the local Telegram, ways to a site with lines, and an engine of a cluster.

Which people there are, each module's `telegram` fixture says; which lines, its `lines`.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ari_app.cluster.engine import NatsEngine, connected
from ari_app.sandbox.nats import PrivateNats
from ari_app.sandbox.telegram import Device, LocalTelegram, device
from tests.integration.web_helpers import Browser, program, signed_in
from tests.integration.web_lines import Lines


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[PrivateNats]:
    """One NATS server."""
    async with PrivateNats(tmp_path / "nats", servers=1) as nats:
        yield nats


@pytest.fixture
async def engine(one: PrivateNats) -> AsyncIterator[NatsEngine]:
    """Connected to it."""
    async with connected(one.urls, "a") as made:
        yield made


@pytest.fixture
async def anna(telegram: LocalTelegram) -> AsyncIterator[Device]:
    async with device(telegram, "+79990000001") as someone:
        yield someone


@pytest.fixture
async def boris(telegram: LocalTelegram) -> AsyncIterator[Device]:
    async with device(telegram, "+79990000002") as someone:
        yield someone


@pytest.fixture
async def admin(lines: Lines) -> AsyncIterator[Browser]:
    async with signed_in(lines.site) as opened:
        await opened.get("/settings")  # has the CSRF token
        yield opened


@pytest.fixture
async def api(lines: Lines) -> AsyncIterator[Browser]:
    async with program(lines.site) as opened:
        yield opened
