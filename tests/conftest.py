"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ari_app.sandbox.asterisk import PrivateAsterisk


@pytest.fixture
def extra_dialplan() -> str:
    """Lines for the private Asterisk's dialplan; a module or test overrides this."""
    return ""


@pytest.fixture
async def asterisk(tmp_path: Path, extra_dialplan: str) -> AsyncIterator[PrivateAsterisk]:
    """A real Asterisk for one test, with its own ports."""
    async with PrivateAsterisk(tmp_path / "asterisk", dialplan=extra_dialplan) as running:
        yield running
