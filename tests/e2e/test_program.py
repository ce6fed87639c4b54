"""The `astergram` command, as a process of its own."""

import asyncio
import signal
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from ari_app.config import load
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE, Stage, stage
from ari_app.sandbox.telegram.device import API_ID
from tests.e2e.conftest import GONE_S, nothing_left_in
from tests.e2e.whole_program import ENV

PROMPT_S = 20.0


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


@asynccontextmanager
async def at_work(sandbox: Stage, **sections: Any) -> AsyncIterator[tuple[Path, Program]]:
    """The program without any line, and its configuration."""
    config = await sandbox.configuration(lines=(), **sections)
    async with astergram("run", "--config", config) as program:
        await program.until("ready: 0 of 0 lines")
        yield config, program


async def done(*arguments: str | Path) -> str:
    """What a command that does its work has printed."""
    async with astergram(*arguments) as command:
        assert await command.ends() == 0, command.printed
        return command.printed


async def test_add_a_line_by_code_and_password(sandbox: Stage) -> None:
    sandbox.telegram.add_user(LINE, "Astergram", password="correct horse", password_hint="a horse")
    async with at_work(sandbox) as (config, program):
        async with astergram("line", "add", LINE, "name=Sales", "max_calls=2", "--config", config) as command:
            await command.until("The code that Telegram sent by app")
            command.type("00000")
            await command.until("This is not the code")
            command.type(sandbox.telegram.login_code(LINE))
            await command.until("two-step password (hint: a horse)")
            command.type("wrong")
            await command.until("This is not the two-step password")
            command.type("correct horse")
            assert await command.ends() == 0, command.printed
            assert "Signed in." in command.printed
            assert "correct horse" not in command.printed
        session = load(config).session(LINE)
        assert [session.name, session.stat().st_mode & 0o777] == ["79990000001.session", 0o600]
        assert [each.name for each in session.parent.glob("*.signin*")] == ["79990000001.signin.lock"]
        listed = await done("line", "list", "--config", config)
        assert "Sales" in listed
        assert listed.count("● green") == 2
        program.process.send_signal(signal.SIGTERM)
        assert await program.ends() == 0
        assert "correct horse" not in program.printed
    assert not [each for each in psutil.process_iter(["cmdline"]) if str(config) in (each.info["cmdline"] or [])]
    assert list((load(config).state_dir / "media").iterdir()) == []


async def test_sign_in_by_qr_set_up_change_and_remove(sandbox: Stage) -> None:
    async with at_work(sandbox) as (config, program):
        await done("line", "add", LINE, "--no-signin", "--config", config)
        async with astergram("line", "signin", LINE, "--qr", "--setup", "--config", config) as command:
            await command.until("Scan it")
            sandbox.telegram.accept_qr(sandbox.telegram.shown_qr(), LINE)
            assert await command.ends() == 0, command.printed
            assert "█" in command.printed
            assert "✓" in command.printed
        await done(
            "line", "set", LINE, "name=Support", "texts.ru.card=Перезвонить?", 'deny=["@spammer"]', "--config", config
        )
        shown = tomllib.loads(await done("line", "show", LINE, "--config", config))
        assert (shown["name"], shown["texts"]["ru"]["card"], shown["deny"]) == ("Support", "Перезвонить?", ["@spammer"])
        async with astergram("line", "set", LINE, "texts.ru.card={who}?", "--config", config) as command:
            assert await command.ends() == 1
            assert "{who} is no variable of this text" in command.printed
        await done("line", "logout", LINE, "--config", config)
        await program.until("Not signed in: sign this line in.")
        await done("line", "remove", LINE, "--config", config)
        assert "no line yet" in await done("line", "list", "--config", config)


async def test_settings_of_the_installation(sandbox: Stage) -> None:
    async with at_work(sandbox) as (config, program):
        shown = await done("settings", "company=Acme", f"bot_token={sandbox.bot()['token']}", "--config", config)
        now = {"company": "Acme", "api_id": API_ID, "api_hash": "set", "bot_token": "set"}
        assert {**now, "version": tomllib.loads(shown)["version"]} == tomllib.loads(shown)
        await program.until("@astergram_bot is connected")
        assert "Acme" in await done("settings", "--config", config)
        assert "bot_token" not in tomllib.loads(await done("settings", "bot_token=null", "--config", config))
        await program.until("There is no bot")
        assert sandbox.bot()["token"] not in program.printed


async def test_the_calls(sandbox: Stage, tmp_path: Path) -> None:
    config = await sandbox.configuration()
    await sandbox.sign_in_lines(load(config))
    async with (
        astergram("run", "--config", config) as program,
        SipPhone(sandbox.asterisk, "101", auto_answer=True) as phone,
        sandbox.person(ANNA) as anna,
    ):
        await program.until("ready: 1 of 1 lines")
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await program.until("both sides talk")
        (live,) = [line for line in (await done("calls", "list", "--config", config)).splitlines() if "Анна" in line]
        assert "talking" in live
        call_id = live.split()[0]
        await done("calls", "hangup", call_id, "--config", config)
        await call.ended()
        await phone.closed()
        assert "ended by the administrator" in (await done("calls", "show", call_id, "--config", config)).lower()
        await done("calls", "export", tmp_path / "calls.csv", "--find", "анна", "--config", config)
        assert call_id in (tmp_path / "calls.csv").read_text()
        async with astergram("calls", "show", "0" * 12, "--config", config) as command:
            assert await command.ends() == 1
            assert "Traceback" not in command.printed


async def test_a_number_that_is_banned(sandbox: Stage) -> None:
    sandbox.telegram.ban(LINE)
    async with (
        at_work(sandbox) as (config, _),
        astergram("line", "add", LINE, "--config", config) as command,
    ):
        await command.until("has banned")
        assert await command.ends() == 1
        assert "Traceback" not in command.printed


async def test_nothing_runs(sandbox: Stage) -> None:
    config = await sandbox.configuration()
    async with astergram("line", "list", "--config", config) as command:
        assert await command.ends() == 1
        assert "Astergram does not run here" in command.printed


async def test_the_doctor(sandbox: Stage) -> None:
    config = await sandbox.configuration()
    async with astergram("doctor", "--config", config) as command:
        await command.ends()
        assert "Asterisk" in command.printed
        assert "Traceback" not in command.printed


async def test_backup_and_restore(sandbox: Stage, tmp_path: Path) -> None:
    config = await sandbox.configuration()
    await sandbox.sign_in_lines(load(config))
    file = tmp_path / "backup.tar.gz"
    async with astergram("run", "--config", config) as program:
        await program.until("ready: 1 of 1 lines")
        assert "1 sessions" in await done("backup", file, "--config", config)
        async with astergram("restore", file, "--config", config) as command:
            assert await command.ends() == 1
            assert "stop it first" in command.printed
    sandbox.telegram.revoke_sessions(LINE)
    await done("restore", file, "--replace", "--config", config)
    async with astergram("run", "--config", config) as program:
        await program.until("ready: 0 of 1 lines")
        assert "Not signed in: sign this line in." in program.printed


async def test_a_line_that_is_not_signed_in_says_what_to_do(sandbox: Stage) -> None:
    async with astergram("run", "--config", await sandbox.configuration()) as program:
        await program.until("ready: 0 of 1 lines")
        assert f"line {LINE}: signed out: Not signed in: sign this line in." in program.printed


async def test_a_wrong_password_for_asterisk(sandbox: Stage) -> None:
    config = await sandbox.configuration(asterisk={"password": "wrong"})
    async with astergram("run", "--config", config) as program:
        assert await program.ends() == 1
        last = program.printed.splitlines()[-1]
        assert last.startswith("astergram: ")
        assert "ari.conf" in last
        assert "Traceback" not in program.printed


async def test_asterisk_comes_later(sandbox: Stage) -> None:
    config = await sandbox.configuration(asterisk={"url": "http://127.0.0.1:9"})
    await sandbox.sign_in_lines(load(config))
    async with astergram("run", "--config", config) as program:
        await program.until("Asterisk is not there yet")
        await program.until("ready: 1 of 1 lines")


async def test_a_line_is_held_by_one_program(sandbox: Stage) -> None:
    config = await sandbox.configuration()
    await sandbox.sign_in_lines(load(config))
    async with astergram("run", "--config", config) as first:
        await first.until("ready: 1 of 1 lines")
        async with astergram("run", "--config", config) as second:
            assert await second.ends() == 1
            assert "another Astergram answers at" in second.printed
            assert "Traceback" not in second.printed


async def test_a_killed_program_leaves_nothing_for_long(sandbox: Stage) -> None:
    """The media process ends by itself, and the next start clears Asterisk and the caller's chat."""
    config = await sandbox.configuration(media={"orphan_s": 1.0}, bot=sandbox.bot())
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
