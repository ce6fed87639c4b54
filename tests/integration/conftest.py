"""Devices of people on the local Telegram; which people there are, each module's `telegram` fixture says."""

from collections.abc import AsyncIterator

import pytest

from ari_app.sandbox.telegram import Device, LocalTelegram, device


@pytest.fixture
async def anna(telegram: LocalTelegram) -> AsyncIterator[Device]:
    async with device(telegram, "+79990000001") as someone:
        yield someone


@pytest.fixture
async def boris(telegram: LocalTelegram) -> AsyncIterator[Device]:
    async with device(telegram, "+79990000002") as someone:
        yield someone
