"""The program as a service: what its service manager is told, and what comes of the signals that it sends.

The test is the service manager, as scripts/systemd/astergram.service has systemd be one: it owns the socket.
"""

import asyncio
import os
import signal
import socket
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import tomli_w

from ari_app.config import load
from ari_app.sandbox.stage import Stage
from tests.integration.command import Program, astergram

TOLD_S = 30.0
WATCHDOG_S = 1.0


class Told:
    """What the service manager is told."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.all: list[str] = []

    async def until(self, field: str) -> str:
        """Wait for a message with this field; its STATUS."""
        async with asyncio.timeout(TOLD_S):
            while True:
                message = await asyncio.get_running_loop().sock_recv(self._listening, 4096)
                fields = message.decode().split("\n")
                self.all += fields
                if field in fields:
                    return next((each for each in fields if each.startswith("STATUS=")), "")

    async def nothing(self, for_s: float) -> None:
        """What came before is forgotten, and then nothing comes for so long."""
        loop = asyncio.get_running_loop()
        with pytest.raises(BlockingIOError):
            while self._listening.recv(4096):
                pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(for_s):
                await loop.sock_recv(self._listening, 4096)


@pytest.fixture
async def config(sandbox: Stage) -> Path:
    made = await sandbox.configuration()
    await sandbox.sign_in_lines(load(made))
    return made


@asynccontextmanager
async def service(config: Path) -> AsyncIterator[tuple[Program, Told]]:
    """Started as systemd starts Type=notify with WatchdogSec=; it has not said yet that it is ready."""
    address = config.with_name("notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        address.unlink(missing_ok=True)
        listening.bind(str(address))
        environment = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}
        async with astergram("run", "--config", config, environment=environment) as program:
            yield program, Told(listening)


def change(config: Path, **sections: Any) -> None:
    """Edit the file."""
    its = tomllib.loads(config.read_text())
    for name, section in sections.items():
        its[name] = its.get(name, {}) | section if isinstance(section, dict) else section
    config.write_text(tomli_w.dumps(its))


async def test_it_tells_that_it_is_ready_alive_and_stopping(config: Path) -> None:
    async with service(config) as (program, told):
        status = await told.until("READY=1")
        assert told.all[0] == "READY=1", "not before its line was tried"
        assert status.startswith("STATUS=ready: 1 of 1 lines, Asterisk at http")
        await told.until("WATCHDOG=1")
        await told.until("WATCHDOG=1")
        for process in psutil.Process(program.process.pid).children(recursive=True):
            assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & process.environ().keys()
        program.process.send_signal(signal.SIGTERM)
        assert await told.until("STOPPING=1") == "STATUS=stopping, with 0 calls"
        assert await program.ends() == 0
        assert told.all.count("READY=1") == 1


async def test_a_reload_reads_the_file_again(config: Path) -> None:
    async with service(config) as (program, told):
        await told.until("READY=1")

        async def reloaded() -> str:
            program.process.send_signal(signal.SIGHUP)
            await told.until("RELOADING=1")
            return await told.until("READY=1")

        assert await reloaded() == "STATUS=configuration read again: nothing changed"
        change(config, company="Acme", log_level="WARNING", web={"idle_hours": 5})
        assert await reloaded() == (
            "STATUS=configuration read again: log_level, company changed; needs a restart: web.idle_hours"
        )
        change(config, nonsense=1)
        assert "has a mistake, and all goes on as before" in await reloaded()
        await program.until("nonsense is no key of Astergram's")
        program.process.send_signal(signal.SIGTERM)
        assert await program.ends() == 0
        assert "Traceback" not in program.printed


async def test_one_that_is_stuck_gives_no_sign_of_life_and_is_replaced(config: Path) -> None:
    async with service(config) as (program, told):
        await told.until("READY=1")
        program.process.send_signal(signal.SIGSTOP)
        await told.nothing(WATCHDOG_S)
        program.process.send_signal(signal.SIGABRT)  # WatchdogSignal=
        program.process.send_signal(signal.SIGCONT)
        assert await program.ends() == -signal.SIGABRT
    async with service(config) as (program, told):
        await told.until("READY=1")
        program.process.send_signal(signal.SIGTERM)
        assert await program.ends() == 0


async def test_a_mistake_in_the_configuration_is_no_case_for_a_restart(config: Path) -> None:
    """RestartPreventExitStatus=2."""
    change(config, nonsense=1)
    async with service(config) as (program, _):
        assert await program.ends() == 2


async def test_in_a_terminal_that_is_closed_it_ends(config: Path) -> None:
    ours, its = os.openpty()
    try:
        async with astergram("run", "--config", config, stdin=its) as program:
            await program.until("ready: 1 of 1 lines")
            program.process.send_signal(signal.SIGHUP)
            assert await program.ends() == 0
            assert "stopping, with 0 calls" in program.printed
    finally:
        os.close(ours)
        os.close(its)
