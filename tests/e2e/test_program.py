"""The `astergram` command, as a process of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from ari_app.config import load
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE, Stage, stage
from tests.e2e.conftest import GONE_S, nothing_left_in

PROMPT_S = 20.0
ENV = {name: value for name, value in os.environ.items() if not name.startswith("ASTERGRAM_")}


class Program:
    """A running `astergram`; what it prints is kept."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.printed = ""

    async def until(self, text: str) -> None:
        """Wait until it has printed this."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PROMPT_S):
            while text not in self.printed:
                chunk = await self.process.stdout.read(4096)
                assert chunk, f"it ended without {text!r}:\n{self.printed}"
                self.printed += chunk.decode()

    async def ends(self) -> int:
        """Wait for its exit status."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PROMPT_S):
            self.printed += (await self.process.stdout.read()).decode()
            return await self.process.wait()

    def type(self, line: str) -> None:
        """Answer a question."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())


@asynccontextmanager
async def astergram(*arguments: str | Path) -> AsyncIterator[Program]:
    """Start the command; it is killed if it has not ended by itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ari_app.cli",
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=ENV,
        start_new_session=True,  # without a terminal, a password is asked for on standard input
    )
    program = Program(process)
    try:
        yield program
    finally:
        if process.returncode is None:
            process.kill()
            await program.ends()


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(tmp_path) as made:
        yield made


async def test_sign_in_run_and_stop(sandbox: Stage) -> None:
    config = sandbox.configuration()
    async with astergram("signin", "--config", config, LINE) as program:
        await program.until("The code that Telegram sent")
        program.type(sandbox.telegram.login_code(LINE))
        assert await program.ends() == 0
        assert "is signed in" in program.printed
    assert (load(config).session(LINE).stat().st_mode & 0o777) == 0o600

    async with astergram("run", "--config", config) as program:
        await program.until("ready: 1 of 1 lines")
        program.process.send_signal(signal.SIGTERM)
        assert await program.ends() == 0
    assert not [each for each in psutil.process_iter(["cmdline"]) if str(config) in (each.info["cmdline"] or [])]
    assert list((load(config).state_dir / "media").iterdir()) == []


async def test_sign_in_with_a_password(sandbox: Stage) -> None:
    sandbox.telegram.add_user(LINE, "Astergram", password="correct horse")
    async with astergram("signin", "--config", sandbox.configuration(), LINE) as program:
        await program.until("The code that Telegram sent")
        program.type(sandbox.telegram.login_code(LINE))
        await program.until("two-step password")
        program.type("correct horse")
        assert await program.ends() == 0
        assert "correct horse" not in program.printed


async def test_sign_in_with_a_wrong_code(sandbox: Stage) -> None:
    async with astergram("signin", "--config", sandbox.configuration(), LINE) as program:
        await program.until("The code that Telegram sent")
        program.type("00000")
        assert await program.ends() == 1
        assert "PHONE_CODE_INVALID" in program.printed
        assert "Traceback" not in program.printed


async def test_a_line_that_is_not_signed_in_says_what_to_do(sandbox: Stage) -> None:
    async with astergram("run", "--config", sandbox.configuration()) as program:
        await program.until("ready: 0 of 1 lines")
        assert f"line {LINE}: not signed in: sign in with `astergram signin`" in program.printed


async def test_a_wrong_password_for_asterisk(sandbox: Stage) -> None:
    config = sandbox.configuration(asterisk={"password": "wrong"})
    async with astergram("run", "--config", config) as program:
        assert await program.ends() == 1
        last = program.printed.splitlines()[-1]
        assert last.startswith("astergram: ")
        assert "ari.conf" in last
        assert "Traceback" not in program.printed


async def test_asterisk_comes_later(sandbox: Stage) -> None:
    config = sandbox.configuration(asterisk={"url": "http://127.0.0.1:9"})
    await sandbox.sign_in_lines(load(config))
    async with astergram("run", "--config", config) as program:
        await program.until("Asterisk is not there yet")
        await program.until("ready: 1 of 1 lines")


async def test_a_line_is_held_by_one_program(sandbox: Stage) -> None:
    config = sandbox.configuration()
    await sandbox.sign_in_lines(load(config))
    async with astergram("run", "--config", config) as first:
        await first.until("ready: 1 of 1 lines")
        async with astergram("run", "--config", config) as second:
            await second.until("another program holds")
            assert "Traceback" not in second.printed


async def test_a_killed_program_leaves_nothing_for_long(sandbox: Stage) -> None:
    """The media process ends by itself, and the next start clears Asterisk and the caller's chat."""
    config = sandbox.configuration(media={"orphan_s": 1.0}, bot=sandbox.bot())
    settings = load(config)
    await sandbox.sign_in_lines(settings)
    async with SipPhone(sandbox.asterisk, "101", auto_answer=True) as phone, sandbox.person(ANNA) as anna:
        async with astergram("run", "--config", config) as program:
            await program.until("ready: 1 of 1 lines")
            call = await anna.call(LINE)
            await call.confirm(None, None)
            await phone.established()
            await anna.keypad(LINE)
            program.process.kill()
            await program.ends()
        async with asyncio.timeout(GONE_S):
            while any((settings.state_dir / "media").iterdir()):  # noqa: ASYNC110 - another process's files
                await asyncio.sleep(0.1)
        async with astergram("run", "--config", config) as program:
            await program.until("ready: 1 of 1 lines")
            await phone.closed()
            await anna.sees(LINE, lambda messages: not messages)
            assert await nothing_left_in(sandbox.asterisk) == []
