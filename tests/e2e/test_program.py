"""The `astergram` command, as a process of its own."""

import asyncio
import json
import signal
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from ari_app.calls.events import CallEnded, Connected
from ari_app.calls.reasons import EndedOnTelegram
from ari_app.config import load
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE, Stage
from ari_app.sandbox.telegram.device import API_ID
from tests.e2e.conftest import GONE_S, nothing_left_in
from tests.integration.command import Program, astergram, done


@asynccontextmanager
async def at_work(sandbox: Stage, **sections: Any) -> AsyncIterator[tuple[Path, Program]]:
    """The program without any line, and its configuration."""
    config = await sandbox.configuration(lines=(), **sections)
    async with astergram("run", "--config", config) as program:
        await program.until("ready: 0 of 0 lines")
        yield config, program


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


async def test_the_link_for_the_password_is_printed_last(sandbox: Stage) -> None:
    """Where it is seen; the lines that tell of the start stand before it."""
    async with at_work(sandbox) as (_, program):
        await program.until("open this link (once): http://127.0.0.1:")
        program.process.send_signal(signal.SIGTERM)
        assert await program.ends() == 0
    printed = program.printed.splitlines()
    (at,) = (number for number, line in enumerate(printed) if "open this link" in line)
    (stopping,) = (number for number, line in enumerate(printed) if "stopping" in line)
    assert "ready: 0 of 0 lines" in printed[at - 1]
    assert stopping == at + 1


async def test_a_log_of_json_is_an_object_a_line(sandbox: Stage) -> None:
    async with at_work(sandbox, log={"format": "json"}) as (_, program):
        await program.until("open this link")
        program.process.send_signal(signal.SIGTERM)
        assert await program.ends() == 0
    entries = [json.loads(line) for line in program.printed.splitlines() if line and "open this link" not in line]
    assert {"ready: 0 of 0 lines" in entry["message"] for entry in entries} == {True, False}
    assert all({"time", "level", "logger", "message"} <= entry.keys() for entry in entries)


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
        await done("line", "logout", LINE, "--yes", "--config", config)
        await program.until("Not signed in: sign this line in.")
        await done("line", "remove", LINE, "--yes", "--config", config)
        assert "no line yet" in await done("line", "list", "--config", config)


async def test_settings_of_the_installation(sandbox: Stage) -> None:
    async with at_work(sandbox) as (config, program):
        await program.until("To set the admin page's password, open this link (once): http")
        assert program.printed.index("ready: 0 of 0") < program.printed.index("To set")  # it is seen behind all else
        async with astergram("settings", "company=Acme", "bot_token=-", "--config", config) as command:
            await command.until("bot_token: ")
            command.type(sandbox.bot()["token"])
            assert await command.ends() == 0, command.printed
        shown = tomllib.loads(command.printed.removeprefix("bot_token: "))
        secrets = {"api_hash": "set", "bot_token": "set"}
        assert shown.pop("version")
        shown = {key: value for key, value in shown.items() if not key.endswith("_days")}  # docs/people.md
        turn = {"turn_server": "", "turn_user": "", "turn_use": "also"}
        assert shown == {"company": "Acme", "api_id": API_ID, "timezone": ""} | turn | secrets
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
        await program.until(str(Connected()))
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
        assert "This session was ended from another device: sign this line in again." in program.printed


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


async def test_a_second_program_on_the_same_folder_touches_nothing(sandbox: Stage, tmp_path: Path) -> None:
    """It says who holds the folder, and the first one's call goes on."""
    config = await sandbox.configuration()
    await sandbox.sign_in_lines(load(config))
    async with (
        astergram("run", "--config", config) as first,
        SipPhone(sandbox.asterisk, "101", auto_answer=True) as phone,
        sandbox.person(ANNA) as anna,
    ):
        await first.until("ready: 1 of 1 lines")
        call = await anna.call(LINE)
        await call.confirm(None, None)
        await first.until(str(Connected()))
        async with astergram("run", "--config", config) as second:
            assert await second.ends() == 1
            assert f"process {first.process.pid}" in second.printed
            assert len(second.printed.splitlines()) == 1
        file = tmp_path / "backup.tar.gz"
        await done("backup", file, "--config", config)
        async with astergram("restore", file, "--replace", "--config", config) as restore:
            assert await restore.ends() == 1
            assert f"process {first.process.pid}" in restore.printed
        assert "talking" in await done("calls", "list", "--config", config)
        assert [each for each in phone.events if each.type == "CALL_CLOSED"] == []
        await call.hang_up()
        await phone.closed()
        await first.until(str(CallEnded("ANSWER", 16, EndedOnTelegram("hangup"))))


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
