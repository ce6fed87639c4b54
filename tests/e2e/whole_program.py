"""The whole program as a process of its own, with all that it prints kept, and browsers and programs that use it."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession, CookieJar

from ari_app.config import Settings, load
from ari_app.tasks import background_tasks
from tests.integration.command import ENV
from tests.integration.web_helpers import Browser

START_S = 60.0
STOP_S = 30.0
LAST = 3000
"""Characters of what it has printed."""


class WholeProgram:
    """A running `astergram run`; made by `whole_program(...)`."""

    url: str

    def __init__(self, config: Path, process: asyncio.subprocess.Process) -> None:
        self.config = config
        self.settings: Settings = load(config)
        self.process = process
        self.printed = ""
        self._silent = False  # it has closed its output
        self._more = asyncio.Condition()

    async def read(self) -> None:
        """Keep what it prints, until it ends: it would stand still with a full pipe."""
        assert self.process.stdout is not None
        while chunk := await self.process.stdout.read(1 << 16):
            self.printed += chunk.decode("utf-8", "replace")
            async with self._more:
                self._more.notify_all()
        async with self._more:
            self._silent = True
            self._more.notify_all()

    async def until(self, pattern: str, after: int = 0) -> re.Match[str]:
        """Wait until it has printed this, ``after`` so many characters."""
        try:
            async with asyncio.timeout(START_S), self._more:
                while not (found := re.compile(pattern).search(self.printed, after)):
                    assert not self._silent, f"it ended without {pattern!r}:\n{self.printed}"
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"it has not printed {pattern!r}:\n{self.printed}") from None
        return found

    async def stop(self) -> None:
        """As systemd does."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await self.process.wait()
        except TimeoutError:
            raise AssertionError(f"it has not ended within {STOP_S:g} s:\n{self.printed[-LAST:]}") from None


@asynccontextmanager
async def whole_program(config: Path) -> AsyncIterator[WholeProgram]:
    """Start the program, and wait until it is ready; it is stopped at the end, if it has not been before."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ari_app.cli", "run", "--config", str(config)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=asyncio.subprocess.STDOUT,
        env=ENV,
    )
    program = WholeProgram(config, process)
    async with background_tasks() as tasks:
        reading = tasks.create_task(program.read(), name="what the program prints")
        try:
            program.url = (await program.until(r"admin page: (\S+)"))[1]
            await program.until(r"ready: \d+ of \d+ lines")
            yield program
            await program.stop()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            await reading


@asynccontextmanager
async def browser(url: str) -> AsyncIterator[Browser]:
    """Somebody who has not signed in."""
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as http:
        yield Browser(url, http)


@asynccontextmanager
async def api(url: str, token: str = "") -> AsyncIterator[Browser]:
    """A program that uses the API, with an API token or without one."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with ClientSession(headers=headers) as http:
        yield Browser(url, http)
