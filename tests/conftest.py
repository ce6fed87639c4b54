"""Fixtures shared by all tests."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.tasks import FAILURES


def pytest_configure() -> None:
    """Programs that the tests interrupt inherit what becomes of SIGINT; a shell has its background jobs ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_failures_yet() -> None:
    """What failed in a test before this one is not this one's: the process is the same."""
    FAILURES.count = 0
    FAILURES.last.clear()


@pytest.fixture
def extra_dialplan() -> str:
    """Lines for the private Asterisk's dialplan; a module or test overrides this."""
    return ""


@pytest.fixture
async def asterisk(tmp_path: Path, extra_dialplan: str) -> AsyncIterator[PrivateAsterisk]:
    """A real Asterisk for one test, with its own ports."""
    async with PrivateAsterisk(tmp_path / "asterisk", dialplan=extra_dialplan) as running:
        yield running
