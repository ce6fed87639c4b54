"""The command line: examples, what was probably meant, and what a shell completes."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ari_app.cli.parser import SHELLS, Parser, completion, parse, parser
from ari_app.cli.settings import pairs

CONFIG = "--config=/nowhere"
COMMAND_S = 60.0


def commands(of: Parser, name: str = "") -> Iterator[tuple[str, Parser]]:
    for action in of._actions:
        choices = action.choices if hasattr(action, "add_parser") else None
        for each, made in dict(choices or {}).items():
            yield f"{name} {each}".strip(), made
            yield from commands(made, f"{name} {each}".strip())


ALL = dict(commands(parser()))


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as left:
        parse(arguments)
    assert left.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("name", ALL)
def test_every_command_says_what_it_does_and_every_example_can_be_typed(name: str) -> None:
    shown = ALL[name].format_help()
    examples = [line.strip() for line in shown.splitlines() if line.startswith("  astergram ")]
    assert examples, shown
    assert len(shown.splitlines()) > 5
    for example in examples:
        _, *words = shlex.split(example, comments=True)
        if ">" in words:
            words = words[: words.index(">")]
        options = parse(words)
        assert f"{options.command} {getattr(options, 'action', '')}".strip().startswith(name.split()[0])
        pairs(getattr(options, "settings", ()), {})


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("lien list", "did you mean line?"),
        ("line lst", "did you mean list?"),
        ("calls hang-up 0123456789ab", "did you mean hangup?"),
        ("line list --jsn", "did you mean --json?"),
        ("run --confg=x", "did you mean --config?"),
        ("web lnk", "did you mean link?"),
        ("completion bsh", "did you mean bash?"),
        ("xyzzy", "it can be run, status, line"),
        ("calls list --last 500", "'500' is no number from 1 to 100"),
        (f"calls list --last {'1' * 5000}", "is no number from 1 to 100"),
        ("calls list --last ten", "'ten' is no number from 1 to 100"),
        ("dialplan print --pbx freebpx", "did you mean freepbx?"),
        ("dialplan print --prefix 0x", "'0x' is no prefix"),
        ("dialplan print --incoming 101", "'101' is no EXTENSION@CONTEXT"),
        ("dialplan install --pbx freepbx --prefix *9", "--prefix is not for FreePBX"),
        ("dialplan print --pbx mikopbx --bare-digits", "--bare-digits is for vanilla"),
        ("dialplan print --pbx mikopbx --incoming 201@internal", "--incoming is for vanilla"),
        ("line set +79990000001", "nothing to set: KEY=VALUE, such as name=Sales, or --file FILE is needed"),
    ],
)
def test_what_was_meant(capsys: pytest.CaptureFixture[str], typed: str, meant: str) -> None:
    shown = said(capsys, *typed.split())
    assert meant in shown
    assert len(shown) < 1000


@pytest.mark.parametrize(
    "typed",
    [
        "--config x line list",
        "--config=x status",
        "line --config x list",
        "line list --config x",
        "--config y line list --config x",
    ],
)
def test_the_configuration_is_named_before_or_behind_the_command(typed: str) -> None:
    assert parse(typed.split()).config == Path("x")


def test_settings_stand_before_and_behind_options() -> None:
    options = parse(["line", "add", "+79990000001", "name=Sales", "--no-signin", "max_calls=2", "--config", "x", "a=b"])
    assert options.settings == ["name=Sales", "max_calls=2", "a=b"]
    assert (options.no_signin, str(options.config)) == (True, "x")


def completed(tmp_path: Path, typed: str) -> list[str]:
    """What a shell is offered (argcomplete's protocol)."""
    answer = tmp_path / "answer"
    environment = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": typed,
        "COMP_POINT": str(len(typed)),
    }
    command = [sys.executable, "-m", "ari_app.cli"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, timeout=COMMAND_S)
    assert done.stderr == b""
    return sorted(each.strip() for each in answer.read_text().splitlines())


def test_a_shell_completes_words(tmp_path: Path) -> None:
    assert completed(tmp_path, "astergram st") == ["status"]
    assert completed(tmp_path, "astergram line l") == ["list", "logout"]
    assert completed(tmp_path, "astergram line list --j") == ["--json"]
    assert completed(tmp_path, f"astergram line set {CONFIG} +79990000001 card.miss") == ["card.missed="]
    assert completed(tmp_path, "astergram settings bot") == ["bot_token=-"]
    assert completed(tmp_path, f"astergram line show {CONFIG} ") == ["--config", "--help", "--json"]  # nobody to ask


def test_completing_waits_for_nothing_heavy() -> None:
    code = "import ari_app.cli, sys; print([name for name in ('telethon', 'aiohttp', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=COMMAND_S)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_what_a_shell_reads(shell: str) -> None:
    assert "astergram" in completion(shell)
