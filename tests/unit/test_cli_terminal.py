"""What is asked at a terminal, and what is shown where there is none."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
import termios
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from ari_app.cli.terminal import console, show
from ari_app.doctor import Topic, print_report
from ari_app.doctor.findings import ok, problem
from ari_app.i18n import message

ANSWER_S = 60.0
ASKING = """
import sys, uvloop
from ari_app.cli.terminal import NothingTyped, NotConfirmed, Unanswerable, can_answer, confirm, typed
async def main():
    {body}
try:
    uvloop.run(main())
except (NothingTyped, NotConfirmed, Unanswerable) as error:
    print(type(error).__name__, error)
except KeyboardInterrupt:
    print("interrupted")
"""


def asking(body: str, before: str = "") -> list[str]:
    return [sys.executable, "-c", before + ASKING.format(body=textwrap.indent(textwrap.dedent(body), "    ").strip())]


def printed(body: str, given: bytes | None) -> str:
    """What is printed where the input is a pipe that has this, or /dev/null."""
    where: dict[str, Any] = {"stdin": subprocess.DEVNULL} if given is None else {"input": given}
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        asking(body), capture_output=True, timeout=ANSWER_S, **where
    )
    assert b"Traceback" not in done.stderr, done.stderr
    return done.stdout.decode()


def started(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, **options)


class Terminal:
    """A program at a terminal of its own; what it shows is kept."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.descriptor = descriptor
        self.shown = ""

    async def until(self, text: str) -> None:
        async with asyncio.timeout(ANSWER_S):
            while text not in self.shown:
                self.shown += (await asyncio.to_thread(os.read, self.descriptor, 4096)).decode()

    def type(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    async def ends(self) -> int:
        async with asyncio.timeout(ANSWER_S):
            return await asyncio.to_thread(self.process.wait)

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.descriptor)[3] & termios.ECHO)


@asynccontextmanager
async def terminal(body: str) -> AsyncIterator[Terminal]:
    ours, its = pty.openpty()
    # By itself: between fork and exec of a process that has threads, Python may wait for ever.
    process = started(asking(body, "import os; os.login_tty(0)\n"), stdin=its, stdout=its, stderr=its)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(its)


TWICE = 'print(await typed("one: ")); print(await typed("two: ", hidden=True)); print(await typed("three: "))'


@pytest.mark.parametrize("given", [b"1\n2\n3", b"1\r\n2\n3\n4\n"])
def test_lines_that_come_at_once_are_taken_one_by_one(given: bytes) -> None:
    assert printed(TWICE, given) == "1\n2\n3\n"


def test_the_end_of_the_input() -> None:
    assert printed(TWICE, b"1\n").startswith("1\nNothingTyped ")
    assert printed(TWICE, None).startswith("NothingTyped ")


def test_a_command_whose_input_is_closed(tmp_path: Path) -> None:
    """Whatever is opened next would get its number, and libuv aborts the process when it closes that."""
    config = tmp_path / "astergram.toml"
    config.write_text(f'state_dir = "{tmp_path}"\n[asterisk]\npassword = "x"\n')
    command = [sys.executable, "-m", "ari_app.cli", "line", "add", "+79990000001", "--config", str(config)]
    for redirected in ("<&-", "<&- >&-"):
        closed = ["sh", "-c", f'exec "$@" {redirected}', "sh", *command]
        done = subprocess.run(closed, stderr=subprocess.PIPE, timeout=ANSWER_S)
        assert (done.returncode, done.stderr.count(b"\n")) == (1, 1), done
        assert b"Astergram does not run here" in done.stderr


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("1\n2\n3\n")
    with (tmp_path / "token").open() as file:
        done = subprocess.run(asking(TWICE), stdin=file, capture_output=True, timeout=ANSWER_S)
    assert done.stdout == b"1\n2\n3\n"


async def test_a_secret_is_not_shown() -> None:
    async with terminal('print(len(await typed("secret: ", hidden=True)))') as its:
        await its.until("secret: ")
        assert not its.echoes
        its.type("correct horse\n")
        await its.until("13")
        assert await its.ends() == 0
        assert "correct" not in its.shown
        assert its.echoes


@pytest.mark.parametrize("hidden", [False, True])
async def test_ctrl_c_ends_a_question_at_once_and_leaves_the_terminal_as_it_was(hidden: bool) -> None:
    async with terminal(f'await typed("code: ", hidden={hidden})') as its:
        await its.until("code: ")
        its.type("12")
        its.process.send_signal(signal.SIGINT)
        await its.until("\ninterrupted")  # on a line of its own
        assert await its.ends() == 0
        assert its.echoes


@pytest.mark.parametrize("hidden", [False, True])
async def test_what_is_said_of_an_answer_that_never_came_is_on_a_line_of_its_own(hidden: bool) -> None:
    async with terminal(f'await typed("code: ", hidden={hidden})') as its:
        await its.until("code: ")
        its.type("\x04")
        await its.until("Nothing more was typed")
        assert its.shown.startswith("code: \r\nNothingTyped ")


ANSWERS = "print(can_answer())"


@pytest.mark.parametrize(("given", "can"), [(b"", False), (b"12345\n", True), (None, False)])
def test_whether_anybody_can_answer(given: bytes | None, can: bool) -> None:
    assert printed(ANSWERS, given) == f"{can}\n"


async def test_a_terminal_and_a_pipe_that_is_open_can_answer() -> None:
    async with terminal(ANSWERS) as its:
        await its.until("True")
    process = started(asking(ANSWERS), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout and process.stdin
    with process.stdin, process.stdout:
        assert await asyncio.to_thread(process.stdout.readline) == b"True\n"
    process.wait()


CONFIRMED = 'await confirm("Remove it", yes={yes}); print("done")'


@pytest.mark.parametrize("answer", ["y", "YES", " yes "])
async def test_confirmed(answer: str) -> None:
    async with terminal(CONFIRMED.format(yes=False)) as its:
        await its.until("Remove it: this can't be undone. Go on? [y/N] ")
        its.type(f"{answer}\n")
        await its.until("done")


@pytest.mark.parametrize("answer", ["", "n", "yesterday"])
async def test_not_confirmed(answer: str) -> None:
    async with terminal(CONFIRMED.format(yes=False)) as its:
        await its.until("[y/N] ")
        its.type(f"{answer}\n")
        await its.until("NotConfirmed Nothing was changed.")


def test_without_a_terminal_only_yes_confirms() -> None:
    assert printed(CONFIRMED.format(yes=True), None) == "done\n"
    assert "add --yes" in printed(CONFIRMED.format(yes=False), b"y\n")


def test_a_piped_doctor_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    found = problem(Topic.ARI, message("word " * 100), message("remedy " * 100))
    with console() as where:
        assert print_report([ok(Topic.ARI, message("Good.")), found], where) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.count("word") + line.count("remedy") for line in lines] == [0, 0, 100, 100, 0, 0]
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_pipe_gets_a_row_on_one_line_and_no_spaces_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("Line")
    table.add_column("")
    table.add_row("one", "word " * 500)
    table.add_row("two", "")
    show(table)
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.count("word") == 500
    assert second == "two"
