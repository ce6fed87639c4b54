"""The `astergram` command, as a process of its own."""

import asyncio
import codecs
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

PROMPT_S = 60.0  # to start takes 2 s of a core that others want, too
ENV = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("ASTERGRAM_") and name != "PYTHONUNBUFFERED"  # users don't have it either
}


class Program:
    """A running `astergram`; what it prints is kept."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.printed = ""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode

    async def until(self, text: str) -> None:
        """Wait until it has printed this."""
        assert self.process.stdout is not None
        with self._told_when_late(f"no {text!r}"):
            async with asyncio.timeout(PROMPT_S):
                while text not in self.printed:
                    chunk = await self.process.stdout.read(4096)
                    assert chunk, f"it ended without {text!r}:\n{self.printed}"
                    self.printed += self._decode(chunk)

    async def ends(self) -> int:
        """Wait for its exit status."""
        assert self.process.stdout is not None
        with self._told_when_late("it did not end"):
            async with asyncio.timeout(PROMPT_S):
                while chunk := await self.process.stdout.read(4096):
                    self.printed += self._decode(chunk)
                return await self.process.wait()

    @contextmanager
    def _told_when_late(self, what: str) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise AssertionError(f"{what} within {PROMPT_S:g} s:\n{self.printed}") from None

    def type(self, line: str) -> None:
        """Answer a question."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())


@asynccontextmanager
async def astergram(
    *arguments: str | Path, environment: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[Program]:
    """Start the command, with ``environment`` besides; it is killed if it has not ended by itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ari_app.cli",
        *map(str, arguments),
        **{"stdin": asyncio.subprocess.PIPE, **options},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**ENV, **(environment or {})},
        start_new_session=True,  # without a terminal
    )
    program = Program(process)
    try:
        yield program
    finally:
        if process.returncode is None:
            process.kill()
            await program.ends()


async def done(*arguments: str | Path) -> str:
    """What a command that does its work has printed."""
    async with astergram(*arguments) as command:
        assert await command.ends() == 0, command.printed
        return command.printed


async def refused(status: int, *arguments: str | Path, **options: Any) -> str:
    """What a command that does not do its work has printed, in one sentence."""
    async with astergram(*arguments, **options) as command:
        assert await command.ends() == status, command.printed
        assert "Traceback" not in command.printed
        return command.printed
