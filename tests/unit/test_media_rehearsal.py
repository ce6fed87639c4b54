"""The call that is rehearsed before the first fork."""

import asyncio
from pathlib import Path

import pytest

from media import rehearsal, zygote


def open_files() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())


async def test_a_rehearsal_leaves_nothing_behind() -> None:
    before = open_files()
    await rehearsal.rehearse()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert open_files() == before


def test_calls_work_without_one(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(rehearsal, "HOST", "203.0.113.1")
    zygote._rehearse()
    assert "calls will need more memory" in caplog.text
    assert "Cannot assign requested address" in caplog.text
