"""Astergram under the sandbox's supervisor: what is killed is started again, and what ends by itself is told."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
import tomli_w

from ari_app.sandbox.demo.program import ProgramEnded
from ari_app.sandbox.supervisor import supervised

WAIT_S = 60.0


async def forever() -> None:
    await asyncio.Event().wait()


def configuration(folder: Path) -> Path:
    """Of a program without lines; nothing answers at its Asterisk's address."""
    path = folder / "astergram.toml"
    asterisk = {"url": "http://127.0.0.1:9", "user": "nobody", "password": "nothing"}
    path.write_text(tomli_w.dumps({"state_dir": str(folder / "state"), "asterisk": asterisk, "web": {"port": 0}}))
    return path


async def test_it_is_started_again_when_it_was_killed_and_not_when_it_ended(tmp_path: Path) -> None:
    async with asyncio.timeout(WAIT_S), supervised(configuration(tmp_path), tmp_path / "log") as supervisor:
        first = supervisor.program
        second = await supervisor.during(supervisor.kill())
        assert second is supervisor.program is not first
        assert second.pid != first.pid
        assert second.ready_ms > 0
        assert second.resumed_ms == []
        os.kill(second.pid, signal.SIGKILL)  # by somebody else
        with pytest.raises(ProgramEnded, match="status -9"):
            await supervisor.during(forever())


async def test_what_cannot_start_is_told(tmp_path: Path) -> None:
    path = tmp_path / "astergram.toml"
    path.write_text("nonsense = true\n")
    with pytest.raises(ProgramEnded, match="status 2"):
        async with supervised(path, tmp_path / "log"):
            pass
