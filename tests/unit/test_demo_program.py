"""Astergram as a process of the demo."""

from pathlib import Path

import pytest

from ari_app.calls.events import Connected
from ari_app.sandbox.demo.program import ENDING, ProgramEnded, astergram


async def test_a_program_that_ends_at_its_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    configuration = tmp_path / "astergram.toml"
    configuration.write_text("nonsense = true\n")
    log = tmp_path / "astergram.log"
    with pytest.raises(ProgramEnded) as raised:
        async with astergram(configuration, log):
            pass
    first, *said = str(raised.value).splitlines()
    assert first == f"Astergram ended by itself with status 2; its last lines ({log}):"
    assert "nonsense" in said[-1]
    assert "nonsense" in log.read_text()


def test_the_end_of_a_call_is_found_in_the_log() -> None:
    line = (
        "2026-01-01 16:08:40,820 INFO    ari_app.calls.call: call a768540d236c    4.048 s  astergram NOANSWER, "
        "cause 19: Not taken on Telegram: not answered."
    )
    found = ENDING.search(line)
    assert found
    assert found.groups() == ("NOANSWER", "19", "Not taken on Telegram: not answered.")
    assert not ENDING.search(line.replace("NOANSWER, cause 19: Not taken", str(Connected())))
