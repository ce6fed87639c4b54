"""The demo as a newcomer runs it: a process of its own, read through a pipe."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from ari_app.sandbox.asterisk import PrivateAsterisk
from ari_app.sandbox.demo.folder import demo_folder
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA
from ari_app.sandbox.tones import GAP_MS

DEMO = (sys.executable, "-m", "ari_app.sandbox.demo")
STORY_S = 200.0
END_S = 40.0
UNUSABLE = 2


@asynccontextmanager
async def demo(*arguments: str | Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *DEMO,
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


async def until(process: asyncio.subprocess.Process, text: str, timeout_s: float) -> str:
    """What it prints up to the line with this text."""
    assert process.stdout is not None
    printed = ""
    async with asyncio.timeout(timeout_s):
        while text not in printed:
            line = await process.stdout.readline()
            if not line:
                assert process.stderr is not None
                said = (await process.stderr.read()).decode()
                raise AssertionError(f"it ended without {text!r}:\n{printed}\n{said}")
            printed += line.decode()
    return printed


def type_in(process: asyncio.subprocess.Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())


@pytest.mark.timeout(300)
async def test_the_demo_shows_all_calls_and_stays_for_a_softphone(tmp_path: Path) -> None:
    folder = tmp_path / ("a folder with a long name " * 4) / "demo"
    async with demo("--transport", "rtp", "--seconds", "2", "--stay", "--folder", folder) as process:
        printed = await until(process, "Ctrl-C stops everything", STORY_S)
        check_output(printed)
        check_report(json.loads((folder / "report.json").read_text()), printed)
        assert len(list((folder / "recordings").glob("*.wav"))) == 6

        await check_page(printed)
        async with SipPhone(softphone_account(printed), "106", run_dir=tmp_path / "106") as phone:
            type_in(process, "press 1")
            await until(process, "Anna's chat shows no keypad", END_S)
            type_in(process, "call")
            await phone.incoming()
            await phone.answer()
            await until(process, "Anna talks", END_S)
            type_in(process, "press 1 0#")
            said = await until(process, "Anna has pressed 1 0 #", END_S)
            assert said.rstrip().endswith("10#'"), said  # all of it, not the first key only
            heard = [(await phone.wait_for("CALL_DTMF_START")).parameter for _ in range(3)]
            assert heard == ["1", "0", "#"]
            type_in(process, "press 1D")
            await until(process, "has no key D", END_S)
            type_in(process, "hangup")
            await phone.closed()
            await until(process, "Anna's call is over", END_S)

            await phone.dial(ANNA)
            await phone.established()
            await until(process, "Anna talks", END_S)
            await phone.hangup()
            await until(process, "Anna's call is over", END_S)

        type_in(process, "quit")
        async with asyncio.timeout(END_S):
            _, complaints = await process.communicate()
        assert (process.returncode, complaints) == (0, b"")


async def check_page(printed: str) -> None:
    """The admin page waits for its first password."""
    link = re.search(r"(http://127\.0\.0\.1:\d+/password\?link=\S+)  opens once", printed)
    assert link, printed
    async with aiohttp.ClientSession() as session, session.get(link[1]) as answer:
        assert answer.status == 200
        assert "password_again" in await answer.text()


def check_output(printed: str) -> None:
    assert "\x1b" not in printed
    assert not re.search("[─━│┃╭╮]", printed)
    assert "All was heard, and every call ended as it should." in printed
    assert "phone 101 gets 486" in printed
    assert "phone 101 gets 480" in printed


def check_report(report: Mapping[str, Any], printed: str) -> None:
    assert set(report) == {"ok", "steps", "calls"}
    assert report["ok"] is True
    assert all(set(step) == {"name", "ok", "at_s"} and step["ok"] for step in report["steps"])
    steps = [step["name"] for step in report["steps"]]
    last = ["keypad", "extension", "keypad_hidden", "card", "callback", "survives"]
    assert [name for name in steps if name in last] == last
    assert sorted(step["at_s"] for step in report["steps"]) == [step["at_s"] for step in report["steps"]]
    names = {"name", "direction", "transport", "phone_codec", "status", "setup_ms", "heard"}
    *calls, survived = report["calls"]
    assert all(set(call) == names for call in calls)
    told = [(call["direction"], call["transport"], call["phone_codec"], call["status"]) for call in report["calls"]]
    assert told == [
        ("in", "rtp", "opus", "ANSWER"),
        ("out", "rtp", "alaw", "ANSWER"),
        ("out", "rtp", "alaw", "BUSY"),
        ("out", "rtp", "alaw", "NOANSWER"),
        ("in", "rtp", "opus", "ANSWER"),
    ]
    for call in calls[:2]:
        assert call["setup_ms"] > 0
        check_heard(call["heard"], printed)
    assert [(call["setup_ms"], call["heard"]) for call in calls[2:]] == [(None, {})] * 2
    # Astergram was killed meanwhile, and nobody has heard that.
    assert set(survived) == names | {"gap_ms"}
    assert survived["setup_ms"] > 0
    assert set(survived["heard"]) == {"before", "after"}
    for heard in survived["heard"].values():
        check_heard(heard, printed)
    assert 0 <= survived["gap_ms"] < GAP_MS, printed


def check_heard(heard: Mapping[str, Any], printed: str) -> None:
    """Each side the other's tone, without a hole."""
    for side, hz in (("telegram", 700.0), ("phone", 440.0)):
        tone = heard[side]
        assert set(tone) == {"expected_hz", "hz", "level_dbfs", "gaps", "delay_ms"}
        assert tone["expected_hz"] == hz == pytest.approx(tone["hz"], abs=3)
        assert (-20 < tone["level_dbfs"] < -6, tone["gaps"]) == (True, 0), printed
        assert tone["delay_ms"] is None or tone["delay_ms"] > 0


def softphone_account(printed: str) -> PrivateAsterisk:
    """Where the demo says that a softphone can register; all that a phone needs to know of an Asterisk."""
    found = re.search(r"server +(\S+):(\d+).*\n +user +106\n +password +(\S+)", printed)
    assert found
    host, port, password = found.groups()
    account = SimpleNamespace(sip_host=host, sip_port=int(port), phone_passwords={"106": password})
    return cast("PrivateAsterisk", account)


async def refusal(*arguments: str | Path, **environment: str) -> str:
    """What a demo says that cannot run."""
    async with demo(*arguments, **environment) as process, asyncio.timeout(END_S):
        _, complaints = await process.communicate()
    assert process.returncode == UNUSABLE
    return complaints.decode()


async def test_a_missing_tool_is_one_sentence(tmp_path: Path) -> None:
    said = await refusal("--folder", tmp_path / "demo", PATH=str(tmp_path))
    assert said == "astergram: apt-get is not on PATH: the sandbox takes its programs from Debian packages\n"


async def test_a_folder_in_use_is_one_sentence(tmp_path: Path) -> None:
    with demo_folder(tmp_path / "demo") as folder:
        said = await refusal("--folder", folder)
    assert said == f"astergram: another demo is at work in {folder}: stop it, or give another --folder\n"


async def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = await refusal("--folder", tmp_path / "file" / "demo")
    assert said == f"astergram: {tmp_path}/file/demo: Not a directory\n"


async def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    async with demo("--transport", "rtp", "--folder", tmp_path / "demo") as process:
        await until(process, "phone 101 answers", STORY_S)
        process.terminate()
        async with asyncio.timeout(END_S):
            _, complaints = await process.communicate()
    assert process.returncode == 130
    assert complaints == b"astergram: stopped\n"
    assert list((tmp_path / "demo" / "astergram" / "media").iterdir()) == []
