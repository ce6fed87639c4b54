"""`astergram line ...` and its kin as processes, against a running program with a local Telegram; Asterisk is away."""

import asyncio
import json
import signal
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import tomli_w
from aiohttp import web

from ari_app.cli.api import COMMANDS, FAILURES, duration, troubles
from ari_app.cli.commands import sentence
from ari_app.cli.parser import parse
from ari_app.config import load
from ari_app.lines.settings import LineSettings
from ari_app.sandbox.telegram import LocalTelegram
from media.sockets import short_address
from tests.integration.command import astergram, done, refused
from tests.integration.web_lines import LINE, Lines, lines_site
from tests.unit.test_cli_parser import completed

OTHER = "+79990000002"
HASH = "0123456789abcdef0123456789abcdef"
PATIENCE_S = 30.0


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LocalTelegram]:
    async with LocalTelegram(tmp_path / "telegram.db") as server:
        server.add_user(LINE, "Astergram")
        server.add_user(OTHER, "Anna")
        yield server


@pytest.fixture
async def lines(tmp_path: Path, telegram: LocalTelegram) -> AsyncIterator[Lines]:
    line = LineSettings.of({"number": LINE, "name": "Sales"})
    async with lines_site(tmp_path, telegram, [line]) as served:
        yield served


def written(state_dir: Path) -> Path:
    """A configuration for commands that ask the program which works there."""
    state_dir.mkdir(exist_ok=True)
    config = state_dir.parent / "astergram.toml"
    config.write_text(tomli_w.dumps({"state_dir": str(state_dir), "asterisk": {"password": "x"}}))
    return config


@pytest.fixture
def config(lines: Lines, tmp_path: Path) -> Path:
    return written(tmp_path / "state")


EXPECTED: tuple[type[Exception], ...] = (*FAILURES, OSError)


class Shell:
    """Runs commands in this process, which is quicker than one of their own."""

    def __init__(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = config
        self._capsys = capsys

    async def run(self, *words: str) -> str:
        """What a command prints; raises what it fails with."""
        options = parse([*words, "--config", str(self.config)])
        self._capsys.readouterr()
        await COMMANDS[options.command](load(self.config), options)
        return str(self._capsys.readouterr().out)

    async def json(self, *words: str) -> Any:
        """What it tells a program."""
        return json.loads(await self.run(*words, "--json"))

    async def fails(self, *words: str) -> str:
        """What is said of a command that can't be done."""
        try:
            printed = await self.run(*words)
        except EXPECTED as error:
            return sentence(error)
        raise AssertionError(printed)


@pytest.fixture
def shell(config: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(config, capsys)


# What is watched


async def test_whether_it_is_ready_and_its_figures(shell: Shell) -> None:
    assert "Asterisk is not connected" in await shell.fails("ready")
    assert "# TYPE astergram_live_calls gauge\n" in await shell.run("metrics")


# What is shown


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.9, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90061, "1 d 1 h")]
)
def test_for_how_long(seconds: float, said: str) -> None:
    assert duration(seconds) == said


async def test_what_is_shown_to_people_and_to_programs(shell: Shell) -> None:
    first, header, row = (await shell.run("status")).splitlines()
    assert first.startswith("Astergram 0.")
    assert first.endswith("with 0 calls now.")
    assert header.split() == ["Line", "Name", "Calls", "Calls", "Client", "Bot"]
    assert row.startswith(f"{LINE}  Sales  0/1")
    assert "Waiting for Asterisk" in row  # in the same line
    assert row == row.rstrip()
    assert (await shell.run("line", "list")).splitlines() == [header, row]
    status = await shell.json("status")
    assert (status["calls"], [line["number"] for line in status["lines"]]) == (0, [LINE])
    (line,) = await shell.json("line", "list")
    assert (line["number"], set(line["lights"])) == (LINE, {"calls", "client", "bot"})
    settings = await shell.json("line", "show", LINE)
    assert settings["name"] == "Sales"
    assert settings["texts"]["ru"]["card"]
    assert await shell.json("calls", "list") == []
    assert (await shell.json("settings"))["api_hash"] == "set"
    assert "/password?link=" in (await shell.json("web", "link"))["link"]


async def test_a_shell_completes_lines(config: Path, tmp_path: Path) -> None:
    found = await asyncio.to_thread(completed, tmp_path, f"astergram line show --config {config} +")
    assert found == [LINE]


# What was meant, and what can't be done


NOT_DONE = (
    (("line", "show", "+79990000010"), f"there is no line +79990000010, did you mean {LINE}?"),
    (("line", "show", "5"), "there is no line 5: `astergram line list` shows those there are"),
    (("line", "set", LINE, "nmae=x"), "nmae is no setting of a line, did you mean name?"),
    (("line", "set", LINE, "nmae=x", "contex=y"), "mean name?; contex is no setting of a line, did you mean context?"),
    (("line", "set", LINE, "texts.ru.crad=x"), "no setting of a line, did you mean texts.ru.card?"),
    (("line", "add", OTHER, "--no-signin", "contex=x"), "contex is no setting of a line, did you mean context?"),
    (("settings", "botoken=-"), "botoken is no setting of the installation, did you mean bot_token?"),
    (("line", "set", LINE, "name"), "'name' is no setting: write KEY=VALUE"),
    (("line", "set", LINE, "name=x", "name.y=z"), "does not go together with name='x'"),
    (("line", "add", "8 999", "--no-signin"), "'8 999' is no phone number with a country code"),
    (("calls", "show", "zzz"), "'zzz' is no call's id"),
    (("line", "set", LINE, "--file", "/nowhere.toml"), "/nowhere.toml: No such file or directory"),
    (("line", "set", LINE, "context=two words"), "context: Enter the name of one context"),
    (("calls", "export", "/nowhere/calls.csv"), "/nowhere/calls.csv.part: No such file or directory"),
)


async def test_what_is_wrong_with_the_program_is_shown(shell: Shell) -> None:
    found = await shell.json("status")
    assert troubles(found) == []
    found["timezone"] = "Europe/Moscow"
    found["database"] |= {"trouble": "The disk is full: make room.", "since": 0.0, "waiting": 3, "lost": 1}
    found["admission"] |= {"shortage": "Astergram has reached its limit of calls: 2. Raise max_calls."}
    found["unexpected_errors"] |= {"count": 2, "last_at": 0.0, "last_in": "call 1"}
    assert troubles(found) == [
        "The disk is full: make room. (since 1970-01-01 03:00:00)",
        "Changes that wait to be written: 3, given up since the start: 1.",
        "One more call is refused. Astergram has reached its limit of calls: 2. Raise max_calls.",
        "Unexpected errors since the start: 2, the last one in call 1 at 1970-01-01 03:00:00; the log says more.",
    ]


async def test_what_can_not_be_done_is_one_sentence(shell: Shell, tmp_path: Path) -> None:
    for words, expected in NOT_DONE:
        said = await shell.fails(*words)
        assert expected in said
        assert len(said.splitlines()) == 1
        assert "Errno" not in said
        assert "^" not in said
    (tmp_path / "line.toml").write_text("max_calls = " + "1" * 5000)
    assert str(tmp_path) in await shell.fails("line", "set", LINE, "--file", str(tmp_path / "line.toml"))
    assert tomllib.loads(await shell.run("line", "show", "7 (999) 000-00-01"))["name"] == "Sales"


async def test_an_export_is_for_its_owner_alone(config: Path, shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    await shell.run("calls", "export", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert await done("calls", "export", "-", "--config", config) == file.read_bytes().decode()


# What can't be undone


async def test_nothing_is_lost_without_a_word(config: Path, lines: Lines) -> None:
    before = lines.book.settings(LINE)
    for action in ("remove", "reset", "logout"):
        said = await refused(2, "line", action, LINE, "--config", config)
        assert f"Sales ({LINE})" in said
        assert "add --yes" in said
    assert lines.book.settings(LINE) == before


async def test_it_is_done_where_it_was_confirmed(shell: Shell, lines: Lines) -> None:
    assert await shell.run("line", "remove", LINE, "--yes") == f"{LINE} is removed\n"
    assert len(lines.book) == 0


# Secrets


async def test_a_secret_comes_by_standard_input(config: Path, lines: Lines) -> None:
    words = ("company=Acme", "api_hash=-", "bot_token=-", "untried=true")
    async with astergram("settings", *words, "--config", config) as command:
        await command.until("api_hash: ")
        assert HASH not in " ".join(psutil.Process(command.process.pid).cmdline())
        command.type(HASH)
        await command.until("bot_token: ")
        command.type("123456:token")
        assert await command.ends() == 0, command.printed
        assert HASH not in command.printed
    settings = lines.site.services.installation.settings
    assert settings.api_hash and settings.bot_token
    assert (settings.api_hash.get_secret_value(), settings.company) == (HASH, "Acme")
    assert settings.bot_token.get_secret_value() == "123456:token"


async def test_a_secret_of_a_line(config: Path, lines: Lines) -> None:
    async with astergram("line", "set", LINE, "api_hash=-", "name=Support", "--config", config) as command:
        command.type(f"  {HASH}  ")
        assert await command.ends() == 0, command.printed
    settings = lines.book.settings(LINE)
    assert settings.api_hash
    assert (settings.api_hash.get_secret_value(), settings.name) == (HASH, "Support")


async def test_a_secret_that_is_not_typed_stays(config: Path, lines: Lines) -> None:
    before = lines.site.services.installation.settings
    for typed in ("", "\n", "  \n"):
        async with astergram("settings", "api_hash=-", "--config", config) as command:
            assert command.process.stdin
            command.process.stdin.write(typed.encode())
            command.process.stdin.close()
            assert await command.ends() == 1
    assert lines.site.services.installation.settings == before


async def test_a_secret_on_the_command_line_is_taken_with_a_warning(config: Path) -> None:
    printed = await done("settings", f"api_hash={HASH}", "--config", config)
    assert "write api_hash=- to be asked for it" in printed
    assert HASH not in printed
    assert tomllib.loads(printed)["api_hash"] == "set"
    assert "write api_hash=-" not in await done("settings", "api_hash=null", "--config", config)


# Signing in


async def test_no_sign_in_begins_that_nobody_can_finish(config: Path, lines: Lines, telegram: LocalTelegram) -> None:
    for arguments in (("line", "add", OTHER), ("line", "signin", LINE)):
        said = await refused(2, *arguments, "--config", config, stdin=asyncio.subprocess.DEVNULL)
        assert "there is nobody here to type it" in said
    assert len(lines.book) == 1
    for number in (LINE, OTHER):
        with pytest.raises(LookupError):
            telegram.login_code(number)


async def test_an_expired_code_is_followed_by_a_new_one(config: Path, telegram: LocalTelegram) -> None:
    async with astergram("line", "signin", LINE, "--config", config) as command:
        await command.until("by app, or nothing to get another one by sms: ")
        command.type("")
        await command.until("by sms, or nothing to get another one by call: ")
        command.type("")
        await command.until("sent by call: ")
        command.type("")
        await command.until("Enter the code that Telegram sent")
        telegram.refuse("auth.signIn", "PHONE_CODE_EXPIRED")
        command.type("12345")
        await command.until("has expired: ask for a new one.")
        await command.until("or nothing to get a new one: ")
        command.type("")
        await command.until("nothing to get a new one: The code that Telegram sent by app")
        command.type(telegram.login_code(LINE))
        assert await command.ends() == 0, command.printed


async def test_a_sign_in_that_is_broken_off_leaves_nothing(config: Path, lines: Lines, telegram: LocalTelegram) -> None:
    for end in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        async with astergram("line", "signin", LINE, "--config", config) as command:
            await command.until("The code that Telegram sent")
            command.process.send_signal(end)
            assert await command.ends() == 1
            assert "Traceback" not in command.printed
        await nothing_is_left(config, lines, telegram)


async def test_a_sign_in_that_is_broken_off_while_telegram_is_slow(
    config: Path, lines: Lines, telegram: LocalTelegram
) -> None:
    telegram.delay("auth.sendCode", 3.0)
    async with astergram("line", "signin", LINE, "--config", config) as command:
        async with asyncio.timeout(PATIENCE_S):
            while not lines.book.sign_ins.of(LINE):  # noqa: ASYNC110 - another process asks for it
                await asyncio.sleep(0.02)
        command.process.send_signal(signal.SIGINT)
        assert await command.ends() == 1
    await nothing_is_left(config, lines, telegram)


async def nothing_is_left(config: Path, lines: Lines, telegram: LocalTelegram) -> None:
    assert lines.book.sign_ins.of(LINE) is None
    with pytest.raises(LookupError):
        telegram.login_code(LINE)
    assert [each.name for each in (config.parent / "state" / "lines").iterdir() if "signin" in each.name] == []


# The program goes away


@asynccontextmanager
async def dying(state_dir: Path) -> AsyncIterator[Path]:
    """A program that answers what it is first asked, and then goes away with every further request."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/api/lines" and request.method == "GET":
            return web.json_response([{"number": LINE, "name": LINE}])
        if request.path == "/api/events":
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            if request.query:
                await asyncio.sleep(PATIENCE_S)
            return response
        if request.path.endswith("/sign-in") and request.method == "POST":
            view = dict.fromkeys(("error", "refusal", "resend_by", "password_hint"), "")
            return web.json_response(view | {"state": "qr shown", "qr_url": "tg://login?token=x"})
        if request.path == "/api/calls.csv":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b"half of it")
        assert request.transport
        request.transport.abort()
        return web.Response()

    config = written(state_dir)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    with short_address(state_dir / "astergram.sock") as address:
        await web.UnixSite(runner, address).start()
        yield config
        await runner.cleanup()


@pytest.mark.parametrize(
    "arguments",
    [
        ("line", "show", LINE),
        ("line", "set", LINE, "name=x"),
        ("line", "remove", LINE, "--yes"),
        ("line", "signin", LINE, "--qr"),
        ("calls", "list"),
        ("calls", "export", "{tmp_path}/calls.csv"),
        ("settings",),
        ("status",),
        ("web", "link"),
    ],
    ids=" ".join,
)
async def test_a_program_that_goes_away_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    async with dying(tmp_path / "state") as config:
        given = [each.format(tmp_path=tmp_path) for each in arguments]
        assert (await Shell(config, capsys).fails(*given)).startswith("Astergram has stopped before this was done: ")
        assert not (tmp_path / "calls.csv").exists()
        assert not (tmp_path / "calls.csv.part").exists()


async def test_a_socket_that_a_killed_program_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = written(tmp_path)
    listening = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"import socket; socket.socket(socket.AF_UNIX).bind('{tmp_path}/astergram.sock')"
    )
    await listening.wait()
    said = await Shell(config, capsys).fails("status")
    assert "Astergram does not run here" in said
    assert "Connection refused" in said
    assert "Errno" not in said


# `astergram run` itself


async def test_it_stops_while_it_still_waits_for_asterisk(tmp_path: Path) -> None:
    config = tmp_path / "astergram.toml"
    sections = {"asterisk": {"password": "x", "url": "http://127.0.0.1:1"}, "web": {"port": 0}, "media": {"warm": 0}}
    config.write_text(tomli_w.dumps({"state_dir": str(tmp_path / "state"), **sections}))
    async with astergram("run", "--config", config) as program:
        await program.until("admin page: ")
        program.process.send_signal(signal.SIGTERM)
        assert await program.ends() == 0
        assert "ready: " not in program.printed


async def test_a_reader_that_has_read_enough(config: Path) -> None:
    """As `astergram line show ... | head -1` is."""
    command = f"{sys.executable} -m ari_app.cli line show {LINE} --config {config} | true"
    process = await asyncio.create_subprocess_shell(command, stderr=asyncio.subprocess.PIPE)
    _, complaints = await process.communicate()
    assert complaints == b""
