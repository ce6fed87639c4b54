"""Each command of the documentation is run by a test, or it is said why not; `astergram` understands it."""

import re
import shlex

import pytest

from ari_app.cli.parser import parser
from tests import docs_commands
from tests.docs_commands import COMMAND, NO_COMMAND, NOT_RUN, PAGES, RESTORE, RESTORE_ANEW, RUN, blocks, shown

SHOWN = sorted({command for _, command in shown()})
ARE_RUN = {each.command for each in (*RUN, RESTORE, RESTORE_ANEW)}


def test_each_block_is_known_for_what_it_is() -> None:
    for page in PAGES:
        for block in blocks(page.read_text()):
            assert COMMAND.match(block) or NO_COMMAND.match(block), f"{page.name}: {block}"


@pytest.mark.parametrize("command", SHOWN)
def test_a_command_is_run_or_it_is_said_why_not(command: str) -> None:
    reasons = [reason for pattern, reason in NOT_RUN.items() if re.fullmatch(pattern, command)]
    assert (command in ARE_RUN) + len(reasons) == 1, (
        f"tests/docs_commands.py has it {'twice' if reasons else 'nowhere'}"
    )


def test_none_is_run_that_is_not_shown() -> None:
    assert set(SHOWN) >= ARE_RUN
    for pattern in NOT_RUN:
        assert any(re.fullmatch(pattern, command) for command in SHOWN), pattern


@pytest.mark.parametrize("command", [each for each in SHOWN if re.match("astergram [^-]", each)])
def test_astergram_understands_it(command: str) -> None:
    words = shlex.split(re.split(r" [<>|;] ?|;", command)[0])[1:]
    if re.fullmatch(next(each for each in NOT_RUN if "line show" in each), command):
        return  # without what it takes
    if words[-1] == "--help":
        with pytest.raises(SystemExit, match=r"^0$"):
            parser().parse_args(words)
        return
    assert parser().parse_args(words)


def test_commands_are_found() -> None:
    assert len(SHOWN) > 100
    assert docs_commands.bare("$ astergram drain --limit 600    # 10 minutes at most") == "astergram drain --limit 600"
